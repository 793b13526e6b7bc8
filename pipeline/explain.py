"""Says what became of one document and why: its fate, the rule, its signals, its duplicates, where it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from filters.filter import Rule
from pipeline import files, manifest, recipe, tables
from pipeline.layout import Layout
from pipeline.recipe import Recipe

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
    """Rows of ``duplicates/`` for this document, each with ``kept``: the row of the document that stays."""
    absorbed: list[dict[str, Any]] = field(default_factory=list)
    """Documents that were removed because this one stays."""


def find(out: str, wanted: str) -> list[Explanation]:
    """Explain the documents with this id (or its beginning, at least 6 characters), URL or number; at most MAX_FOUND.

    Raises FileNotFoundError when the folder holds no finished run.
    """
    layout = Layout(out.rstrip("/"))
    made = manifest.read(layout)
    resolved = recipe.load(layout.recipe)
    found = []
    for kind in ("filtered", "removed", "failed"):
        for one in manifest.of_kind(made, kind):
            for row in _matches(layout.path(one["path"]), kind, wanted):
                found.append(_explain(layout, made, resolved, kind, row))
                if len(found) == MAX_FOUND:
                    return found
    return found


def _matches(path: str, kind: str, wanted: str) -> Iterator[dict[str, Any]]:
    names = ["number", "url"] if kind == "failed" else ["id", "number", "url"]
    table = tables.read(path, names)
    hits = pc.equal(table.column("url"), wanted)
    if wanted.isdecimal() and int(wanted) < 1 << 64:
        hits = pc.or_(hits, pc.equal(table.column("number"), pa.scalar(int(wanted), pa.uint64())))
    if kind != "failed" and re.fullmatch(r"[0-9a-f]{6,32}", wanted):
        hits = pc.or_(hits, pc.starts_with(table.column("id"), wanted))
    rows = pc.indices_nonzero(hits)
    if len(rows):
        yield from tables.read(path).take(rows).to_pylist()


def _explain(layout: Layout, made: Mapping[str, Any], resolved: Recipe, kind: str, row: dict[str, Any]) -> Explanation:
    if kind == "failed":
        origin = {"file": row["file"], "offset": row["offset"], "length": row["length"]}
        return Explanation(row, "failed", f"{row['step']}: {row['cause']}", _place(made, row["source"], origin))
    place = _place(made, row["source"], row["origin"])
    if kind == "removed":
        return Explanation(row, "removed", row["removed_by"], place, _judgements(resolved, row))
    evidence = list(_rows(layout, made, "duplicates", "number", row["number"]))
    for one in evidence:
        one["kept"] = next(_rows(layout, made, "filtered", "number", one["kept_number"]), None)
    gone = [one["level"] for one in evidence if one["level"] != "sentence.span"]
    kept = next(_rows(layout, made, "documents", "number", row["number"]), None)
    failure = next(_rows(layout, made, "failed", "number", row["number"]), None)
    explanation = Explanation(kept or row, "kept", "", place, _judgements(resolved, row), evidence)
    if gone:
        explanation.fate, explanation.reason = "removed", f"dedup.{gone[0]}"
    elif failure is not None:
        explanation.fate, explanation.reason = "failed", f"{failure['step']}: {failure['cause']}"
    for one in _rows(layout, made, "duplicates", "kept_number", row["number"]):
        if one["number"] != row["number"]:
            explanation.absorbed.append(
                one | {"document": next(_rows(layout, made, "filtered", "number", one["number"]), None)}
            )
    return explanation


def _rows(layout: Layout, made: Mapping[str, Any], kind: str, column: str, value: int) -> Iterator[dict[str, Any]]:
    for one in manifest.of_kind(made, kind):
        path = layout.path(one["path"])
        rows = pc.indices_nonzero(pc.equal(tables.read(path, [column]).column(column), pa.scalar(value, pa.uint64())))
        if len(rows):
            yield from tables.read(path).take(rows).to_pylist()


def _place(made: Mapping[str, Any], source: str, origin: Mapping[str, Any]) -> str:
    path = files.join(made["folders"][source] or ".", origin["file"])
    return f"{path}, bytes {origin['offset']} to {origin['offset'] + origin['length']}"


def _judgements(resolved: Recipe, row: Mapping[str, Any]) -> list[Judgement]:
    source = next(one for one in resolved.sources if one.name == row["source"])
    found = []
    for filter_ in resolved.chain(source):
        rules: Sequence[Rule] = filter_.rules()
        for signal in filter_.signals:
            judging = tuple(rule for rule in rules if rule.signal == signal.name)
            found.append(Judgement(signal.name, row.get("signals", {}).get(signal.name), judging))
    return found
