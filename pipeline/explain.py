"""Says what became of one document and why: its fate, the rule, its signals, its duplicates, where it was read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.filter import Rule
from pipeline import files, manifest, recipe_file, tables
from pipeline.dedup.evidence import REMOVING
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.sources.source import Source

MAX_FOUND = 20
"""Documents shown for one URL."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A signal as it was measured, and the rules that judged it."""

    signal: str
    value: float | None
    rules: tuple[Rule, ...]


@dataclass(slots=True)
class Explanation:
    """Everything a run knows about one document. ``text`` is as far as it got: of the corpus, else before dedup."""

    row: dict[str, Any]
    fate: str
    reason: str
    place: str
    judgements: list[Judgement] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    """Rows of ``duplicates/`` for this document, each with ``kept``: number, id and URL of the document that stays, here or in a
    reference (None for what stays nowhere, and where the reference is gone).

    ``kept_gone`` names the level at which that document was removed in its turn, if it was.
    """
    absorbed: list[dict[str, Any]] = field(default_factory=list)
    """Rows of ``duplicates/`` that name this document as the one that stays, each with the ``document`` that went."""


def find(out: str, wanted: str) -> list[Explanation]:
    """Explain the documents with this id (or its beginning, at least 6 characters), URL or number; at most MAX_FOUND.

    Raises FileNotFoundError when the folder holds no finished run.
    """
    layout = Layout.of(out)
    made = manifest.read(layout)
    resolved = recipe_file.load(layout.recipe)
    found: dict[int, Explanation] = {}
    for kind in ("filtered", "removed", "failed"):
        for one in manifest.of_kind(made, kind):
            for row in _matches(layout.path(one["path"]), kind, wanted):
                if row["number"] not in found:  # what failed after dedup lies in filtered/ and in failed/
                    found[row["number"]] = _explain(layout, made, resolved, kind, row)
                if len(found) == MAX_FOUND:
                    return list(found.values())
    return list(found.values())


def _matches(path: str, kind: str, wanted: str) -> Iterator[dict[str, Any]]:
    names = ["number", "url"] if kind == "failed" else ["id", "number", "url"]
    table = tables.read(path, names)
    hits = pc.equal(table.column("url"), wanted)
    if re.fullmatch(r"[0-9]{1,20}", wanted) and int(wanted) < 1 << 64:
        hits = pc.or_(hits, pc.equal(table.column("number"), pa.scalar(int(wanted), pa.uint64())))
    if kind != "failed" and re.fullmatch(r"[0-9a-f]{6,32}", wanted):
        hits = pc.or_(hits, pc.starts_with(table.column("id"), wanted))
    rows = pc.indices_nonzero(hits)
    if len(rows):
        yield from tables.read(path).take(rows).to_pylist()


def _explain(layout: Layout, made: Mapping[str, Any], resolved: Recipe, kind: str, row: dict[str, Any]) -> Explanation:
    source = next(one for one in resolved.sources if one.name == row["source"])
    place = _place(made["folders"][source.name], source, row if kind == "failed" else row["origin"])
    if kind == "failed":
        return Explanation(row, "failed", f"{row['step']}: {row['cause']}", place)
    if kind == "removed":
        return Explanation(row, "removed", row["removed_by"], place, _judgements(resolved, row))
    number = row["number"]
    evidence = list(_rows(layout, made, "duplicates", "number", {number}))
    absorbed = [
        one
        for one in _rows(layout, made, "duplicates", "kept_number", {number})
        if one["number"] != number and not one["kept_corpus"]
    ]
    keepers = {one["kept_number"] for one in evidence if not one["kept_corpus"]} - {None}
    names = _names(layout, made, keepers | {one["number"] for one in absorbed})
    gone_too = _rows(layout, made, "duplicates", "number", keepers, ("number", "level"))
    fates = {one["number"]: one["level"] for one in gone_too if one["level"] in REMOVING}
    for corpus in {one["kept_corpus"] for one in evidence}:
        those = [one for one in evidence if one["kept_corpus"] == corpus]
        known = names if not corpus else _names_in(corpus, {one["kept_number"] for one in those} - {None})
        for one in those:
            one["kept"] = known.get(one["kept_number"])
            one["kept_gone"] = "" if corpus else fates.get(one["kept_number"], "")
    for one in absorbed:
        one["document"] = names.get(one["number"])
    gone = [one["level"] for one in evidence if one["level"] in REMOVING]
    kept = next(_rows(layout, made, "documents", "number", {number}), None)
    removed = next(_rows(layout, made, "removed", "number", {number}, ("number", "removed_by")), None)
    failure = next(_rows(layout, made, "failed", "number", {number}), None)
    explanation = Explanation(kept or row, "kept", "", place, _judgements(resolved, row), evidence, absorbed)
    if gone:
        explanation.fate, explanation.reason = "removed", f"dedup.{gone[0]}"
    elif removed is not None:
        explanation.fate, explanation.reason = "removed", removed["removed_by"]
    elif failure is not None:
        explanation.fate, explanation.reason = "failed", f"{failure['step']}: {failure['cause']}"
    return explanation


def _names(layout: Layout, made: Mapping[str, Any], numbers: Collection[int]) -> dict[int, dict[str, Any]]:
    """Number, id and URL of documents, by number."""
    return {one["number"]: one for one in _rows(layout, made, "filtered", "number", numbers, ("number", "id", "url"))}


def _names_in(corpus: str, numbers: Collection[int]) -> dict[int, dict[str, Any]]:
    """The same for documents of an earlier run; none where it is no longer there as it was."""
    folder = Layout.of(corpus)
    try:
        return _names(folder, manifest.read(folder), numbers) if numbers else {}
    except (OSError, ValueError):
        return {}


def _rows(
    layout: Layout,
    made: Mapping[str, Any],
    kind: str,
    column: str,
    values: Collection[int],
    wanted: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of all files of a kind that hold one of the values in the column, or of these the wanted columns."""
    for one in manifest.of_kind(made, kind) if values else ():
        path = layout.path(one["path"])
        hits = pc.is_in(tables.read(path, [column]).column(column), value_set=pa.array(sorted(values), pa.uint64()))
        rows = pc.indices_nonzero(hits)
        if len(rows):
            yield from tables.read(path, wanted).take(rows).to_pylist()


def _place(folder: str, source: Source, origin: Mapping[str, Any]) -> str:
    path = files.join(folder, origin["file"]) if folder else origin["file"]
    if source.kind == "parquet":
        return f"{path}, row {origin['offset']} (the first is 0)"
    if source.kind == "arrow":
        return f"{path}, record batch {origin['offset'] >> 32}, row {origin['offset'] & 0xFFFFFFFF} (the first is 0)"
    return f"{path}, bytes {origin['offset']} to {origin['offset'] + origin['length']}"


def _judgements(resolved: Recipe, row: Mapping[str, Any]) -> list[Judgement]:
    source = next(one for one in resolved.sources if one.name == row["source"])
    found = []
    for filter_ in resolved.chain(source):
        if filter_.languages and row.get("language") not in filter_.languages:
            continue
        rules: Sequence[Rule] = filter_.rules()
        for signal in filter_.signals:
            judging = tuple(rule for rule in rules if rule.signal == signal.name)
            found.append(Judgement(signal.name, row.get("signals", {}).get(signal.name), judging))
    return found
