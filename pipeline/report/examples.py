"""Real examples: documents that were removed, for every reason, and records that failed, for every cause."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from filters.filter import Rule
from pipeline import tables
from pipeline.dedup.evidence import REMOVING
from pipeline.recipe import Recipe
from pipeline.report.sample import PLACE, Place, Sample, find_rows, place_of, rank

PER_REASON = 5
PER_CAUSE = 3
SHOWN_CAUSES = 40
MAX_CAUSES = 5000
"""Different causes counted at a time: a cause that quotes its input may be different for every record."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule, and the value that the document had for its signal."""

    rule: Rule
    value: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The document that stayed in place of a duplicate."""

    place: Place
    source: str
    similarity: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A removed document: where it is from, what it was judged by, and the beginning of its text."""

    place: Place
    source: str
    language: str
    characters: int
    text: str
    judged: tuple[Judged, ...] = ()
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with the number of documents it removed in the whole run, and a few of them.

    ``stage`` is source, filter or dedup; ``conditions`` are the different rules behind it, as text.
    """

    name: str
    stage: str
    count: int
    conditions: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """Where a record that failed lies: file, byte offset and length."""

    source: str
    file: str
    offset: int
    length: int
    url: str
    cause: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures at one step that differ only in numbers, names and quotes."""

    step: str
    text: str
    count: int
    examples: tuple[FailedRecord, ...]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A document drawn as an example, before it is looked up; ``evidence`` is its row of ``duplicates/``."""

    order: int
    number: int
    source: str
    evidence: Mapping[str, Any] | None


def removed(recipe: Recipe, reasons: Mapping[str, int], sample: Sample) -> tuple[Reason, ...]:
    """For every reason up to ``PER_REASON`` documents, drawn by hash of the id, every source having its turn.

    Ids are read first; texts of the drawn documents only.
    """
    drawn = _draw(sample)
    found = _look_up(
        recipe, sample, "removed", {reason: those for reason, those in drawn.items() if not _by_dedup(reason)}
    )
    found |= _look_up(
        recipe, sample, "filtered", {reason: those for reason, those in drawn.items() if _by_dedup(reason)}
    )
    made = []
    for reason, count in reasons.items():
        rules = [rule for source in recipe.sources for rule in _rules(recipe, source.name, reason)]
        conditions = dict.fromkeys(f"{rule.signal} {rule.comparison} {rule.threshold:g}" for rule in rules)
        stage = "dedup" if _by_dedup(reason) else "filter" if rules else "source"
        made.append(Reason(reason, stage, count, tuple(conditions), found.get(reason, ())))
    return tuple(made)


def _by_dedup(reason: str) -> bool:
    return reason.startswith("dedup.")


def _draw(sample: Sample) -> dict[str, list[_Drawn]]:
    """The documents that are shown for each reason."""
    best: dict[tuple[str, str], list[_Drawn]] = defaultdict(list)
    for source, reason, document_id, number, evidence in _candidates(sample):
        those = best[reason, source]
        order = rank(document_id)
        if len(those) < PER_REASON or order < those[-1].order:
            those.append(_Drawn(order, number, source, evidence))
            those.sort(key=lambda one: (one.order, one.number))
            del those[PER_REASON:]
    chosen: dict[str, list[tuple[int, int, _Drawn]]] = defaultdict(list)
    for (reason, _), those in best.items():
        chosen[reason] += [(turn, one.order, one) for turn, one in enumerate(those)]
    return {
        reason: [one for _, _, one in sorted(turns, key=lambda turn: turn[:2])[:PER_REASON]]
        for reason, turns in chosen.items()
    }


def _candidates(sample: Sample) -> Iterator[tuple[str, str, str, int, Mapping[str, Any] | None]]:
    """Source, reason, id, number and evidence of every removed document."""
    for source, table in sample.read("removed", ["removed_by", "id", "number"]):
        for row in table.to_pylist():
            yield source, row["removed_by"], row["id"], row["number"], None
    columns = ["level", "id", "number", "kept_corpus", "kept_number", "similarity"]
    for source, table in sample.read("duplicates", columns):
        before = None  # a document that holds several items of benchmarks has a row for each
        for row in table.to_pylist():
            if row["level"] in REMOVING and row["number"] != before:
                yield source, f"dedup.{row['level']}", row["id"], row["number"], row
                before = row["number"]


def _keeper(drawn: _Drawn) -> int | None:
    """The document of this run that stayed in place of a drawn one."""
    if not drawn.evidence or drawn.evidence["kept_corpus"] or drawn.evidence["kept_number"] is None:
        return None
    return int(drawn.evidence["kept_number"])


def _look_up(
    recipe: Recipe, sample: Sample, kind: str, drawn: Mapping[str, list[_Drawn]]
) -> dict[str, tuple[Example, ...]]:
    """The drawn documents as examples."""
    columns = [*PLACE, "language", "text", "signals"]
    rows = find_rows(sample, kind, {one.number for those in drawn.values() for one in those}, columns)
    keepers = {number for those in drawn.values() for one in those if (number := _keeper(one)) is not None}
    kept = find_rows(sample, "filtered", keepers, ["source", *PLACE, "text"])
    return {
        reason: tuple(_example(recipe, reason, rows[one.number], one, kept) for one in those if one.number in rows)
        for reason, those in drawn.items()
    }


def _example(
    recipe: Recipe, reason: str, row: Mapping[str, Any], drawn: _Drawn, kept: Mapping[int, Mapping[str, Any]]
) -> Example:
    stays = None
    keeper = _keeper(drawn)
    if drawn.evidence and keeper is not None and (other := kept.get(keeper)):
        stays = Kept(place_of(other), other["source"], drawn.evidence["similarity"], other["text"])
    return Example(
        place=place_of(row),
        source=drawn.source,
        language=row["language"] or "",
        characters=row["characters"],
        text=row["text"],
        judged=_judged(recipe, drawn.source, reason, row.get("signals") or {}),
        kept=stays,
    )


def _rules(recipe: Recipe, source: str, reason: str) -> Iterator[Rule]:
    """The rules in a source's chain that have this reason."""
    (one,) = (one for one in recipe.sources if one.name == source)
    for filter_ in recipe.chain(one):
        yield from (rule for rule in filter_.rules() if rule.reason == reason)


def _judged(recipe: Recipe, source: str, reason: str, signals: Mapping[str, float | None]) -> tuple[Judged, ...]:
    meanings = {
        signal.name: signal.meaning for chain in recipe.chains.values() for one in chain for signal in one.signals
    }
    return tuple(
        Judged(rule, value, meanings.get(rule.signal, ""))
        for rule in _rules(recipe, source, reason)
        if (value := signals.get(rule.signal)) is not None
    )


def failed(sample: Sample) -> tuple[Cause, ...]:
    """The failed records by step and cause, the most frequent first, with a few drawn ones."""
    counts: Counter[tuple[str, str]] = Counter()
    best: dict[tuple[str, str], list[tuple[int, FailedRecord]]] = defaultdict(list)
    for _, table in sample.read("failed", tables.FAILED.names):
        for row in table.to_pylist():
            cause = (row["step"], normalised(row["cause"]))
            if cause not in counts and len(counts) >= MAX_CAUSES:
                cause = (row["step"], "any other cause")
            counts[cause] += 1
            record = FailedRecord(
                row["source"], row["file"], row["offset"], row["length"], row["url"] or "", row["cause"]
            )
            order = rank(f"{record.source}\0{record.file}\0{record.offset}\0{row['number']}")
            best[cause].append((order, record))
            best[cause].sort(key=lambda pair: pair[0])
            del best[cause][PER_CAUSE:]
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN_CAUSES]
    return tuple(Cause(step, text, count, tuple(one for _, one in best[step, text])) for (step, text), count in ordered)


_VARIABLE = re.compile(
    r"""(?P<quote>(?<!\w)'[^']{0,300}'(?!\w)|"[^"]{0,300}")|(?P<url>\w+://\S+)|(?P<hex>\b0x[0-9a-fA-F]+)|(?P<number>\d+(?:[.,]\d+)*)"""
)


def normalised(cause: str) -> str:
    """A cause without what differs from record to record: quotes become ``'…'``, URLs ``URL``, numbers ``N``."""
    return _VARIABLE.sub(lambda match: {"quote": "'…'", "url": "URL"}.get(match.lastgroup or "", "N"), cause)[
        :200
    ].strip()
