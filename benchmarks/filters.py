"""CPU milliseconds a document for every filter, every view of the text, and FineWeb's chain beside datatrove's own.

``python -m benchmarks.filters [--documents N] [--datatrove PYTHON] [corpus …]``. A corpus is a file of JSON lines (plain, .gz or
.zst) whose rows have a ``text``, and may have a ``url``; by default the gold texts of the extraction benchmarks.

Each filter gets fresh documents with the views it shares with others already made, as in a chain; what a view costs is printed
apart. The chains (repetition, quality, C4 without end marks, FineWeb) begin with bare texts and stop at the filter that
removes a document; their time is also given for 6,000 characters. The best of three runs counts, in CPU time of one process.

``--datatrove`` takes the Python of an environment that has datatrove, and runs its four filters on the same texts::

    uv venv peer && uv pip install --python peer/bin/python "datatrove[processing]==0.5.0" spacy
    python -m benchmarks.filters --datatrove peer/bin/python
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import zstandard

from filters.catalog import FILTERS
from filters.document import Document, Origin
from filters.filter import Judge

DEFAULT_CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "html-gold"
RUNS = 3
VIEWS = ("codepoints", "words", "tokens", "lines", "paragraphs", "sentences")
SETTINGS = {
    "language": {"keep": ("en",)},
    "url": {"domains": ("example.com",), "words": ("casino",), "subwords": ("porn",)},
}
CHAINS = {
    "DCLM's definitions": ("gopher_repetition", "gopher_quality", "c4", "fineweb"),
    "datatrove's definitions": ("datatrove_repetition", "datatrove_quality", "datatrove_c4", "fineweb"),
}
CHAIN_SIZES = range(3_000, 12_000)
"""Characters of the documents that the chains are measured on: about 6,000 on average."""

PEER = """
import importlib.metadata, json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter)
chain = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]
texts = json.load(open(sys.argv[1]))
def judge(text):
    document = Document(text=text, id="")
    return all(step.filter(document) is True for step in chain)
judge(texts[0])
started = time.process_time()
kept = [judge(text) for text in texts]
spent = time.process_time() - started
print(json.dumps({"version": importlib.metadata.version("datatrove"), "spent": spent, "kept": kept}))
"""


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


def judges(names: Sequence[str]) -> list[Judge]:
    """The filters of a chain, compiled and loaded, C4 without its rule of end marks as FineWeb has it."""
    made = [Judge(FILTERS[name](**({"terminal_punctuation": False} if "c4" in name else {}))) for name in names]
    document = Document("", "Compile and load once, with [1] a mark.\n\nAnd once more. ", "", Origin("", 0, 0))
    for judge in made:
        judge(document)
    return made


def through(chain: Sequence[Judge], document: Document) -> bool:
    """Whether a document gets through a chain; the views are freed behind it, as in a run."""
    for judge in chain:
        judge(document)
        if document.removed_by:
            break
    document.forget_views()
    return not document.removed_by


def chains(texts: list[tuple[str, str]], peer: str | None) -> None:
    """Prints what FineWeb's chain takes in both definitions, and in datatrove where that is at hand."""
    chosen = [(text, url) for text, url in texts if len(text) in CHAIN_SIZES]
    if not chosen:
        return
    size = sum(len(text) for text, _ in chosen) / len(chosen)
    print(f"FineWeb's chain, {len(chosen)} documents of {size:,.0f} characters on average:")
    theirs = datatrove(peer, [text for text, _ in chosen]) if peer else None
    for name, filters in CHAINS.items():
        chain = judges(filters)
        spent = measure(lambda document, chain=chain: through(chain, document), chosen, ())
        kept = [through(chain, Document("", text, "", Origin("", 0, 0))) for text, _ in chosen]
        line = f"  {name:27} {spent:8.4f}   {6000 * spent / size:.4f} for 6,000 characters   kept {sum(kept)}"
        if theirs:
            same = sum(ours == other for ours, other in zip(kept, theirs[1], strict=True))
            line += f"   {theirs[0] / spent:.0f} x datatrove   same verdict {same / len(kept):.1%}"
        print(line)


def datatrove(python: str, texts: list[str]) -> tuple[float, list[bool]]:
    """CPU milliseconds a document of datatrove's own filters, and which documents they keep."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        done = subprocess.run([python, "-c", PEER, file.name], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    spent = 1000 * found["spent"] / len(texts)
    print(f"  datatrove {found['version']:17} {spent:8.4f}   kept {sum(found['kept'])}")
    return spent, found["kept"]


def main() -> None:
    """Prints one line a view, one line a filter that needs no model of the user's, their sum, and the chains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="*", type=Path, help="files of JSON lines with a text in each row")
    parser.add_argument("--documents", type=int, help="only so many documents, evenly spread")
    parser.add_argument("--datatrove", metavar="PYTHON", help="Python of an environment that has datatrove")
    arguments = parser.parse_args()
    paths = arguments.corpus or sorted(DEFAULT_CORPUS.glob("gold-*.jsonl.zst"))
    texts = [(row["text"], row.get("url", "")) for path in paths for row in rows(path) if row.get("text")]
    if not texts:
        sys.exit("no text found; give one or more files of JSON lines with a `text` in each row")
    if arguments.documents:
        texts = texts[:: max(1, len(texts) // arguments.documents)]
    print(f"{len(texts)} documents of {sum(len(text) for text, _ in texts) / len(texts):,.0f} characters on average")
    print("CPU ms a document:")
    total = 0.0
    for place, view in enumerate(VIEWS):
        made = VIEWS[:2] if view == "tokens" else VIEWS[: min(place, 1)]
        spent = measure(lambda document, view=view: getattr(document, view), texts, made)
        print(f"  view {view:22} {spent:8.4f}")
        total += spent
    for name, filter_class in sorted(FILTERS.items()):
        if any(field.is_required() for field in filter_class.model_fields.values()):
            continue  # needs a model
        judge = Judge(filter_class(**SETTINGS.get(name, {})))
        judge(Document("", "Compile and load [1] once. " * 6, "", Origin("", 0, 0), url="http://example.org/"))
        spent = measure(judge, texts, VIEWS)
        print(f"  {name:27} {spent:8.4f}")
        total += spent
    print(f"  {'sum':27} {total:8.4f}")
    chains(texts, arguments.datatrove)


if __name__ == "__main__":
    main()
