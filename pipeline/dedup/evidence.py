"""What dedup says of every removal and cut: at which level, for which document, how similar, which characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa

from filters.document import Document
from pipeline import tables
from pipeline.dedup.inputs import Inputs
from pipeline.dedup.runs import CORPUS_BITS

WHOLE: Final = tuple(
    f"{where}.{how}" for where in ("document", "dataset", "reference") for how in ("exact", "url", "near")
)
"""Levels that remove a document in favour of one that stays: of the same source, of another, of an earlier run."""
SPAN: Final = "sentence.span"
REFERENCE_SPAN: Final = "reference.span"
BOILERPLATE: Final = "sentence.boilerplate"
TOO_LITTLE_LEFT: Final = "sentence.too_little_left"
TOO_MUCH_LOST: Final = "sentence.too_much_lost"
BENCHMARK: Final = "benchmark.overlap"
BENCHMARK_SPAN: Final = "benchmark.span"
BENCHMARK_REPORTED: Final = "benchmark.reported"
BENCHMARK_TOO_LITTLE_LEFT: Final = "benchmark.too_little_left"

REMOVING: Final = (*WHOLE, TOO_LITTLE_LEFT, TOO_MUCH_LOST, BENCHMARK, BENCHMARK_TOO_LITTLE_LEFT)
"""Levels at which the whole document is gone. The others took a part of it, or only report."""

SNIPPET: Final = 200
"""Characters of what was cut that the evidence quotes."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Why dedup removed a document or cut something out of it; the columns are those of ``tables.DUPLICATES``."""

    number: int
    id: str
    level: str
    kept_corpus: str = ""
    kept_source: str = ""
    kept_number: int | None = None
    kept_id: str = ""
    similarity: float | None = None
    pages: int | None = None
    start: int = 0
    stop: int = 0
    text: str = ""


class Keeper(NamedTuple):
    """Where what was taken still stands: in a document of this run (``corpus`` is empty) or of a reference, or in a benchmark's item.

    ``id`` is FILE:LINE of an item; documents are named by their number.
    """

    corpus: str
    source: str
    number: int | None
    id: str = ""


NOBODY: Final = Keeper("", "", None)
"""Boilerplate stays nowhere."""


def keeper(found: Inputs, references: Sequence[str], kept: int) -> Keeper:
    """The document that stays, from its number with the corpus in it."""
    file = found.file_of(kept)
    corpus = references[file.corpus - 1] if file.corpus else ""
    return Keeper(corpus, file.name.rpartition("/")[0], kept & (1 << CORPUS_BITS) - 1)


def of_whole(document: Document, level: str, kept: Keeper, similarity: float | None, length: int = 0) -> Duplicate:
    """Evidence for the removal of a document; ``length`` is that of its text where something was cut before."""
    stop = length or len(document.text)
    return Duplicate(document.number, document.id, level, *kept, similarity, None, 0, stop)


def of_part(
    document: Document,
    level: str,
    kept: Keeper,
    start: int,
    stop: int,
    similarity: float | None,
    pages: int | None = None,
) -> Duplicate:
    """Evidence for characters of a document, with the first of them quoted."""
    text = document.text[start : min(stop, start + SNIPPET)]
    return Duplicate(document.number, document.id, level, *kept, similarity, pages, start, stop, text)


def table(rows: Sequence[Duplicate]) -> pa.Table:
    """Evidence as a table, by document, place and level."""
    ordered = sorted(rows, key=lambda one: (one.number, one.start, one.level, one.kept_id))
    columns = {name: [getattr(row, name) for row in ordered] for name in tables.DUPLICATES.names}
    return pa.table(columns, schema=tables.DUPLICATES)
