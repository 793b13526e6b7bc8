"""Applies what dedup found to the documents of one table: which are removed, what is cut out of the others, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from filters.document import Document
from pipeline.dedup import benchmarks, cuts, inputs, store
from pipeline.dedup.evidence import (
    BENCHMARK,
    BENCHMARK_REPORTED,
    BENCHMARK_SPAN,
    BENCHMARK_TOO_LITTLE_LEFT,
    BOILERPLATE,
    NOBODY,
    REFERENCE_SPAN,
    SPAN,
    TOO_LITTLE_LEFT,
    TOO_MUCH_LOST,
    Duplicate,
    Keeper,
    keeper,
    of_part,
    of_whole,
)
from pipeline.dedup.find import DOCUMENT_LEVELS
from pipeline.dedup.runs import Rows
from pipeline.dedup.settings import Dedup
from pipeline.layout import Layout

Removal = tuple[str, list[Duplicate]]
"""The level that removed a document, and its evidence."""


def removals(dedup: Dedup, layout: Layout, name: str, documents: Sequence[Document]) -> Mapping[int, Removal]:
    """The documents of a table (SOURCE/SPLIT-PART.parquet) that are removed as a whole, by number."""
    by_number = {one.number: one for one in documents}
    found: dict[int, Removal] = {}
    if dedup.decontaminate and dedup.decontaminate.action == "remove":
        for number, rows in _by_document(benchmarks.load_hits(layout, name)).items():
            found[number] = BENCHMARK, _of_hits(layout, by_number[number], rows, BENCHMARK)
    known = inputs.load(layout)
    for how in DOCUMENT_LEVELS:
        for row in store.between(layout, how, documents[0].number, documents[-1].number):
            document = by_number[int(row["number"])]
            kept = keeper(known, dedup.reference, int(row["kept"]))
            where = "reference" if kept.corpus else "document" if kept.source == document.source else "dataset"
            similarity = None if np.isnan(row["similarity"]) else float(row["similarity"])
            why = of_whole(document, f"{where}.{how}", kept, similarity)
            found[document.number] = why.level, [why]
    return found


@dataclass(slots=True)
class Cut:
    """What was cut out of a document; ``reason`` is set where so little is left that it is removed."""

    evidence: list[Duplicate] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    reason: str = ""

    @property
    def characters(self) -> int:
        """How many characters were cut."""
        return sum(stop - start for start, stop in self.ranges)


class Cutter:
    """Cuts the documents of one table."""

    def __init__(self, dedup: Dedup, layout: Layout, name: str, documents: Sequence[Document]) -> None:
        self._dedup = dedup
        self._layout = layout
        self._inputs = inputs.load(layout)
        first, last = (documents[0].number, documents[-1].number) if documents else (1, 0)
        self._repeats = _by_document(store.between(layout, "spans", first, last))
        self._crowds = _by_document(store.between(layout, "boilerplate", first, last))
        self._hits: Mapping[int, Rows] = {}
        if dedup.decontaminate and dedup.decontaminate.action != "remove":
            self._hits = _by_document(benchmarks.load_hits(layout, name))

    def cut(self, document: Document) -> Cut:
        """Cut the document's text. Offsets in the evidence are of the text as it was before."""
        of_sentences = list(self._of_sentences(document))
        of_benchmarks = self._of_benchmarks(document)
        done = Cut([*of_sentences, *of_benchmarks])
        cutting = [*of_sentences, *(one for one in of_benchmarks if one.level == BENCHMARK_SPAN)]
        if not cutting:
            return done
        done.ranges = cuts.union((one.start, one.stop) for one in cutting)
        before = document.text
        document.replace_text(cuts.without(before, done.ranges))
        done.reason = self._reason(document, done.characters / len(before), bool(of_sentences))
        if done.reason:
            first = cutting[0]
            kept = Keeper(first.kept_corpus, first.kept_source, first.kept_number, first.kept_id)
            done.evidence.append(of_whole(document, done.reason, kept, None, len(before)))
        return done

    def _of_sentences(self, document: Document) -> Iterator[Duplicate]:
        """The evidence for spans that stand in another document, and for boilerplate."""
        settings = self._dedup.sentence
        repeats, crowds = self._repeats.get(document.number), self._crowds.get(document.number)
        if settings and repeats is not None:
            units = document.sentences if settings.unit == "sentences" else document.lines
            for one in cuts.of_repeats(repeats, document.number, settings.span, units.starts, units.stops):
                kept = keeper(self._inputs, self._dedup.reference, int(one.row["kept"]))
                yield of_part(document, REFERENCE_SPAN if kept.corpus else SPAN, kept, one.start, one.stop, 1.0)
        if crowds is not None:
            for one in cuts.of_crowds(crowds, document.lines.starts, document.lines.stops):
                yield of_part(document, BOILERPLATE, NOBODY, one.start, one.stop, None, int(one.row["pages"]))

    def _of_benchmarks(self, document: Document) -> list[Duplicate]:
        rows = self._hits.get(document.number)
        decontaminate = self._dedup.decontaminate
        if rows is None or not decontaminate:
            return []
        level = BENCHMARK_SPAN if decontaminate.action == "cut" else BENCHMARK_REPORTED
        return _of_hits(self._layout, document, rows, level)

    def _reason(self, document: Document, lost: float, sentences: bool) -> str:
        """The level at which a document goes that lost this share of its text; empty for one that stays."""
        words = len(document.words)
        settings, decontaminate = self._dedup.sentence, self._dedup.decontaminate
        if settings and sentences:
            if words < settings.min_words:
                return TOO_LITTLE_LEFT
            return TOO_MUCH_LOST if lost > settings.max_lost else ""
        return BENCHMARK_TOO_LITTLE_LEFT if decontaminate and words < decontaminate.min_words else ""


def _by_document(rows: Rows) -> dict[int, Rows]:
    """Rows sorted by document, by its number."""
    numbers, starts = np.unique(rows["number"], return_index=True)
    return dict(zip(numbers.tolist(), np.split(rows, starts[1:]) if len(rows) else [], strict=True))


def _of_hits(layout: Layout, document: Document, rows: Rows, level: str) -> list[Duplicate]:
    """The evidence for every item and stretch of it that stands in the document."""
    index = benchmarks.load(layout)
    found = []
    for row in rows:
        item = benchmarks.name_of(index, int(row["item"]))
        kept = Keeper(item.benchmark, "", None, f"{item.file}:{item.line}")
        found.append(of_part(document, level, kept, int(row["start"]), int(row["stop"]), float(row["share"])))
    return found
