"""What it costs to read crawled pages, beside a plain loop over FastWARC on the same files.

    python benchmarks/reading.py [--warc crawl/*.warc.gz ...]

Prints CPU milliseconds a page, best of seven, and the ratio to FastWARC with HTTP headers and bodies, for: inflating
alone, FastWARC with and without HTTP headers, our reader without extraction, and warcio. The readers take turns, so that
a change in the machine's speed meets all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from isal import isal_zlib
from warcio.archiveiterator import ArchiveIterator

from benchmarks.material import arguments, warcs
from pipeline.sources.crawl.warc import Warc
from pipeline.sources.source import FilePart

ROUNDS = 7
_PIECE = 1 << 15


def inflated(paths: Sequence[Path]) -> int:
    """Members unpacked by Intel's inflate, nothing else."""
    count = 0
    for path in paths:
        data = path.read_bytes()
        at = 0
        while at < len(data):
            member = isal_zlib.decompressobj(31)
            while not member.eof:
                piece = data[at : at + _PIECE]
                member.decompress(piece)
                at += len(piece)
            at -= len(member.unused_data)
            count += 1
    return count


def by_fastwarc(paths: Sequence[Path], http: bool = True) -> int:
    """Responses and their bodies, by FastWARC; with HTTP headers parsed or left in the body."""
    count = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in FastIterator(stream, parse_http=http, record_types=WarcRecordType.response):
                record.reader.read()
                count += 1
    return count


def by_warcio(paths: Sequence[Path]) -> int:
    """Responses with HTTP headers and their bodies, by warcio."""
    count = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                record.raw_stream.read()
                count += record.rec_type == "response"
    return count


def by_us(paths: Sequence[Path]) -> int:
    """Responses with HTTP headers and their bodies, by our reader: every record as the pipeline gets it, text not made."""
    source = Warc(name="x", paths=("x",), filters=None)
    count = 0
    for path in paths:
        size = path.stat().st_size
        for record in source.read(FilePart(str(path), path.name, 0, size, size), 64 << 20):
            count += "status" in record.metadata
    return count


def main() -> None:
    """Measure the files on the command line, or real pages, or the demo's."""
    given = arguments(__doc__)
    paths = warcs(given.warc, given.work)
    runs: dict[str, Callable[[], int]] = {
        "inflating alone": lambda: inflated(paths),
        "FastWARC, no HTTP headers": lambda: by_fastwarc(paths, http=False),
        "FastWARC": lambda: by_fastwarc(paths),
        "ours": lambda: by_us(paths),
        "warcio": lambda: by_warcio(paths),
    }
    best = dict.fromkeys(runs, float("inf"))
    found = dict.fromkeys(runs, 0)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.process_time()
            found[name] = run()
            best[name] = min(best[name], time.process_time() - began)
    pages = found["ours"]
    size = sum(path.stat().st_size for path in paths)
    print(f"{pages:,} pages in {len(paths)} files, {size / 1e6:.1f} MB packed; best of {ROUNDS}, CPU time")
    for name, seconds in best.items():
        print(
            f"{name:28}{1000 * seconds / pages:8.3f} ms a page {size / seconds / 1e6:8.0f} MB/s"
            f"{seconds / best['FastWARC']:8.2f} x FastWARC   ({found[name]:,} records)"
        )


if __name__ == "__main__":
    main()
