"""CPU milliseconds a document for every filter and every view of the text: ``python -m benchmarks.filters [corpus …]``.

A corpus is a file of JSON lines (plain, .gz or .zst) whose rows have a ``text``, and may have a ``url``; by default the
gold texts of the extraction benchmarks. Each filter gets fresh documents with the views it shares with others already
made, as in a chain; what a view costs is printed apart. The best of three runs counts.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from filters.catalog import FILTERS
from filters.document import Document, Origin
from filters.filter import Judge

DEFAULT_CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "html-gold"
RUNS = 3
VIEWS = ("codepoints", "words", "lines", "paragraphs", "sentences")
SETTINGS = {
    "language": {"keep": ("en",)},
    "url": {"domains": ("example.com",), "words": ("casino",), "subwords": ("porn",)},
}


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a file of JSON lines."""
    openers = {".gz": gzip.open, ".zst": zstandard.open}
    with openers.get(path.suffix, open)(path, "rb") as file:
        for line in io.TextIOWrapper(file, encoding="utf-8"):
            yield json.loads(line)


def measure(work: Callable[[Document], object], texts: list[tuple[str, str]], warm: tuple[str, ...]) -> float:
    """CPU milliseconds a document, best of RUNS, with the views ``warm`` made beforehand."""
    best = float("inf")
    for _ in range(RUNS):
        documents = [Document("", text, "", Origin("", 0, 0), url=url) for text, url in texts]
        for document in documents:
            for view in warm:
                getattr(document, view)
        started = time.process_time()
        for document in documents:
            work(document)
        best = min(best, time.process_time() - started)
    return 1000 * best / len(texts)


def main() -> None:
    """Prints one line a view, one line a filter that needs no model of the user's, and the sum."""
    paths = [Path(argument) for argument in sys.argv[1:]] or sorted(DEFAULT_CORPUS.glob("gold-*.jsonl.zst"))
    texts = [(row["text"], row.get("url", "")) for path in paths for row in rows(path) if row.get("text")]
    if not texts:
        sys.exit("no text found; give one or more files of JSON lines with a `text` in each row")
    print(f"{len(texts)} documents of {sum(len(text) for text, _ in texts) / len(texts):,.0f} characters on average")
    print("CPU ms a document:")
    total = 0.0
    for place, view in enumerate(VIEWS):
        spent = measure(lambda document, view=view: getattr(document, view), texts, VIEWS[: min(place, 1)])
        print(f"  view {view:22} {spent:8.4f}")
        total += spent
    for name, filter_class in sorted(FILTERS.items()):
        if any(field.is_required() for field in filter_class.model_fields.values()):
            continue  # needs a model
        judge = Judge(filter_class(**SETTINGS.get(name, {})))
        judge(Document("", "Compile and load once. ", "", Origin("", 0, 0), url="http://example.org/"))
        spent = measure(judge, texts, VIEWS)
        print(f"  {name:27} {spent:8.4f}")
        total += spent
    print(f"  {'sum':27} {total:8.4f}")


if __name__ == "__main__":
    main()
