"""What reading and extracting a crawled page costs, and whether a faster WARC reader would show.

    python benchmarks/warc_reader.py crawl/*.warc.gz

Prints CPU milliseconds per page, best of three, for: bare zlib over the members; FastWARC with HTTP headers (where it
is installed); our reader; warcio's ArchiveIterator; our reader with text by each extractor.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator

from pipeline.extraction.main_content import main_content
from pipeline.sources.source import FilePart, NotADocument, Record
from pipeline.sources.warc import Warc


def bare_zlib(paths: list[Path]) -> int:
    """Members unpacked, nothing else."""
    count = 0
    for path in paths:
        data = path.read_bytes()
        at = 0
        while at < len(data):
            member = zlib.decompressobj(31)
            while not member.eof:
                piece = data[at : at + 32768]
                member.decompress(piece)
                at += len(piece)
            at -= len(member.unused_data)
            count += 1
    return count


def by_fastwarc(paths: list[Path]) -> int:
    """Responses with parsed HTTP headers and their bodies, by FastWARC."""
    from fastwarc.warc import ArchiveIterator as FastIterator
    from fastwarc.warc import WarcRecordType

    count = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in FastIterator(stream, parse_http=True, record_types=WarcRecordType.response):
                record.reader.read()
                count += 1
    return count


def by_warcio(paths: list[Path]) -> int:
    """All records and their bodies, by warcio."""
    count = 0
    for path in paths:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                record.raw_stream.read()
                count += record.rec_type == "response"
    return count


def records(paths: list[Path], extractor: str = "corpusmill") -> Iterator[Record]:
    """All records of the files, by our reader."""
    source = Warc.model_validate({"name": "x", "paths": ["x"], "extractor": extractor})
    for path in paths:
        size = path.stat().st_size
        yield from source.read(FilePart(str(path), path.name, 0, size, size), 64 << 20)


def by_us(paths: list[Path]) -> int:
    """Reading without text, by our reader."""
    return sum("status" in record.metadata for record in records(paths))


def with_text(paths: list[Path], extractor: str) -> int:
    """Reading and extracting."""
    count = 0
    for record in records(paths, extractor):
        with suppress(NotADocument):
            count += bool(record.text and record.text())
    return count


def main() -> None:
    """Measure the files on the command line."""
    paths = [Path(argument) for argument in sys.argv[1:]]
    if not paths:
        sys.exit(__doc__)
    pages = by_us(paths)
    main_content("<p>compiles what is compiled once</p>")
    runs: dict[str, Callable[[], int]] = {
        "bare zlib": lambda: bare_zlib(paths),
        "FastWARC": lambda: by_fastwarc(paths),
        "our reader": lambda: by_us(paths),
        "warcio": lambda: by_warcio(paths),
        "our reader + corpusmill": lambda: with_text(paths, "corpusmill"),
        "our reader + resiliparse": lambda: with_text(paths, "resiliparse"),
        "our reader + trafilatura": lambda: with_text(paths, "trafilatura"),
    }
    for name, run in runs.items():
        best = float("inf")
        try:
            for _ in range(1 if "trafilatura" in name else 3):
                began = time.process_time()
                found = run()
                best = min(best, time.process_time() - began)
        except ImportError:
            print(f"{name:26} not installed")
            continue
        print(f"{name:26} {1000 * best / pages:8.3f} ms/page   ({found} found, {pages} pages)")


if __name__ == "__main__":
    main()
