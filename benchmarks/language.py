"""How often language identification from a sample decides as from the whole text, and what it costs.

    python -m benchmarks.language [page.jsonl.zst …]

Texts are the rows' ``text``, by default all gold texts of the extraction benchmarks with the declarations of human rights in some
400 languages. Compared are datatrove's way (all labels of the whole text), the whole text with one label, the beginning alone, the
beginning with the rest in doubt, and the filter ``language``; CPU time is given as a ratio to the second of these.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.filters import rows
from benchmarks.material import SHARED
from filters import fasttext_models
from filters.document import Document, Origin
from filters.language import Language

Label = tuple[str, float]
NEEDED = 0.65
MARGIN = 0.2


def whole(text: str) -> Label:
    """The best label of all of the text."""
    return fasttext_models.best_label(fasttext_models.language_model_path(), text)


def every_label(text: str) -> Label:
    """The same, with the scores of all labels made into Python pairs, as datatrove does."""
    model = fasttext_models.load(fasttext_models.language_model_path())
    label, score = fasttext_models.predict(model, text, -1)[0]
    return label.removeprefix("__label__"), score


def beginning(text: str) -> Label:
    """The best label of the first 1,024 characters."""
    return whole(text[:1024])


def beginning_or_all(text: str) -> Label:
    """The same, but the whole text where that is not well above the threshold."""
    label, score = beginning(text)
    return (label, score) if score >= NEEDED + MARGIN or len(text) <= 1024 else whole(text)


FILTER = Language(min_score=NEEDED)


def ours(text: str) -> Label:
    """What the filter says, with the language that it has set."""
    document = Document("", text, "", Origin("", 0, 0))
    score = FILTER.measure(document).get("language.score", 0.0)
    return document.language, score


def timed(identify: Callable[[str], Label], texts: list[str]) -> tuple[list[Label], float]:
    """The labels, and the least CPU seconds of three runs."""
    found: list[Label] = []
    least = float("inf")
    for _ in range(3):
        started = time.process_time()
        found = [identify(text) for text in texts]
        least = min(least, time.process_time() - started)
    return found, least


def main() -> None:
    """Prints one line a way of reading."""
    default = [*sorted((SHARED / "html-gold").glob("gold-*.jsonl.zst")), SHARED / "multilingual" / "udhr2.jsonl.zst"]
    paths = [Path(argument) for argument in sys.argv[1:]] or default
    texts = [row["text"] for path in paths for row in rows(path) if (row.get("text") or "").strip()]
    if not texts:
        sys.exit("no text found; give one or more files of JSON lines with a `text` in each row")
    print(
        f"{len(texts)} texts of {sum(map(len, texts)) / len(texts):,.0f} characters on average; kept: score >= {NEEDED}"
    )
    reference, price = timed(whole, texts)
    print(f"{'':38} same label  same language kept   CPU (whole text: 1, {1000 * price / len(texts):.2f} ms a text)")
    for name, identify in (
        ("whole text", whole),
        ("whole text, all labels (datatrove)", every_label),
        ("first 1,024 characters", beginning),
        ("first 1,024, whole text in doubt", beginning_or_all),
        ("the filter `language`", ours),
    ):
        found, spent = timed(identify, texts)
        labels = sum(one[0] == other[0] for one, other in zip(found, reference, strict=True)) / len(texts)
        kept = sum(_kept(one) == _kept(other) for one, other in zip(found, reference, strict=True)) / len(texts)
        print(f"{name:38} {labels:9.2%} {kept:17.2%} {spent / price:10.2f}")


def _kept(found: Label) -> str:
    return found[0] if found[1] >= NEEDED else ""


if __name__ == "__main__":
    main()
