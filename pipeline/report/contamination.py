"""Which items of which benchmarks the documents hold: one row a benchmark, and a file with a line for every item that was found."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import manifest, tables
from pipeline.dedup.evidence import BENCHMARK, BENCHMARK_REPORTED, BENCHMARK_SPAN
from pipeline.layout import Layout
from pipeline.recipe import Recipe

_LEVELS = pa.array([BENCHMARK, BENCHMARK_REPORTED, BENCHMARK_SPAN])

FILE = "report/benchmarks.jsonl"
SHOWN_ITEMS = 5
LISTED_DOCUMENTS = 20
"""Ids of documents that the file names for each item."""


@dataclass(slots=True)
class Found:
    """An item that stands in documents: how many, the largest share of it in one, and the first of them."""

    documents: int = 0
    share: float = 0.0
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Contamination:
    """A benchmark: its items, those that could not be looked for, those found, the documents that hold any, and the
    items that most documents hold, with their number."""

    name: str
    items: int
    not_looked_for: int
    found: int
    documents: int
    top: tuple[tuple[str, int], ...]


Items = Mapping[str, Mapping[str, Found]]
"""What was found, by benchmark and item (FILE:LINE)."""


def gather(recipe: Recipe, layout: Layout, made: Mapping[str, Any]) -> tuple[tuple[Contamination, ...], str]:
    """Every benchmark of the recipe, and the lines of the file. All evidence is read, not a sample: every hit counts."""
    items: dict[str, dict[str, Found]] = {one.name: {} for one in recipe.benchmarks}
    documents: Counter[str] = Counter()
    for one in manifest.of_kind(made, "duplicates") if recipe.benchmarks else ():
        _add(layout.path(one["path"]), items, documents)
    rows = tuple(
        Contamination(
            name,
            made["benchmarks"][name]["items"],
            made["benchmarks"][name]["not_looked_for"],
            len(found),
            documents[name],
            tuple(sorted(((item, one.documents) for item, one in found.items()), key=_most_first)[:SHOWN_ITEMS]),
        )
        for name, found in items.items()
    )
    return rows, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in _lines(items))


def _add(path: str, items: dict[str, dict[str, Found]], documents: Counter[str]) -> None:
    table = tables.read(path, ["id", "level", "kept_corpus", "kept_id", "similarity"])
    hits = pc.is_in(table.column("level"), value_set=_LEVELS)
    seen: dict[str, set[str]] = defaultdict(set)
    for row in table.filter(hits).to_pylist():
        name, item = row["kept_corpus"], row["kept_id"]
        found = items[name].setdefault(item, Found())
        found.share = max(found.share, row["similarity"])
        if row["id"] not in seen[f"{name}\0{item}"]:
            found.documents += 1
            found.ids += [row["id"]] if len(found.ids) < LISTED_DOCUMENTS else []
            seen[f"{name}\0{item}"].add(row["id"])
        seen[name].add(row["id"])
    for name in items:
        documents[name] += len(seen[name])


def _lines(items: Items) -> Iterator[dict[str, Any]]:
    for name in items:
        for item, one in sorted(items[name].items(), key=lambda pair: _place(pair[0])):
            share = round(one.share, 4)
            yield {"benchmark": name, "item": item, "documents": one.documents, "share": share, "ids": one.ids}


def _place(item: str) -> tuple[str, int]:
    file, _, line = item.rpartition(":")
    return file, int(line)


def _most_first(pair: tuple[str, int]) -> tuple[int, tuple[str, int]]:
    return -pair[1], _place(pair[0])
