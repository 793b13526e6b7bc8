"""How fast personal data is removed: the redactor against presidio's recognizers reading the whole text, in CPU time.

    python -m benchmarks.pii TEXTS.jsonl.zst [...]

Each line of a file is a JSON object with a field ``text``. Both sides run in this process over the same texts;
recognizers are loaded before. "presidio" is the same recognizers without gates; a spaCy model, which presidio's
engine runs besides, is on neither side.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zstandard

from filters import pii_gates
from filters.pii import ENTITIES, PiiSettings, Redactor


def texts(path: Path) -> Iterator[str]:
    """The texts of one file."""
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as raw:
        for line in io.TextIOWrapper(raw, encoding="utf-8", newline="\n"):
            if text := json.loads(line).get("text"):
                yield text


def cpu_seconds(work: Callable[[str], object], sample: list[str]) -> float:
    """CPU time for all texts once."""
    start = time.process_time()
    for text in sample:
        work(text)
    return time.process_time() - start


def main() -> None:
    """Print megabytes a second, milliseconds a document and the ratio, for all entities and for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--documents", type=int, default=500, help="how many texts of each file")
    arguments = parser.parse_args()
    sample = [text for path in arguments.files for text in itertools.islice(texts(path), arguments.documents)]
    megabytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in sample) / 1e6
    print(f"{len(sample)} documents, {megabytes:.1f} MB")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    Redactor(PiiSettings()).prepare()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"prepare: {time.process_time() - start:.1f} s CPU, {(after - before) / 1024:.0f} MiB")
    print(f"{'entity':12} {'MB/s':>8} {'ms/doc':>8} {'presidio MB/s':>14} {'ratio':>7}")
    for entities in (ENTITIES, *((entity,) for entity in ENTITIES)):
        redactor = Redactor(PiiSettings(entities=entities))
        recognizers = redactor.prepare()

        def ungated(text: str, recognizers: Mapping[str, Any] = recognizers) -> None:
            whole = pii_gates.read_whole(text)
            for recognizer in recognizers.values():
                recognizer.analyze(whole, [])

        redactor.redact(sample[0])
        ours, theirs = cpu_seconds(redactor.redact, sample), cpu_seconds(ungated, sample)
        name = "all" if len(entities) > 1 else entities[0]
        print(
            f"{name:12} {megabytes / ours:8.1f} {ours / len(sample) * 1e3:8.3f} {megabytes / theirs:14.2f}"
            f" {theirs / ours:6.1f}x"
        )


if __name__ == "__main__":
    main()
