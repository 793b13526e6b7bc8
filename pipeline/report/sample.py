"""Which tables the report reads: all of a small run, a drawn sample of whole splits of a large one."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import tables
from pipeline.layout import Layout
from pipeline.plan import RECORD_BITS
from pipeline.recipe import Recipe

MAX_FILES = 2000
KINDS = ("filtered", "documents", "removed", "duplicates", "failed")
SHOWN_TEXT = 600
"""Characters of a text that the page shows."""
READ_TEXT = 2 * SHOWN_TEXT
"""Characters read of a text to be shown: enough that personal data across the cut is still recognised."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The splits that are read (``names``) out of all (``planned``), both in the order of the plan.

    ``sources`` has the source of every split, ``files`` the tables of every split by kind, sampled or not.
    """

    layout: Layout
    sources: Mapping[str, str]
    names: tuple[str, ...]
    planned: tuple[str, ...]
    files: Mapping[str, Mapping[str, tuple[str, ...]]]

    @property
    def whole(self) -> bool:
        """Whether every split is read."""
        return len(self.names) == len(self.planned)

    def paths(self, split: str, kind: str) -> tuple[str, ...]:
        """The tables of one kind of one split."""
        return self.files.get(split, {}).get(kind, ())

    def read(self, kind: str, columns: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
        """Source and table of every file of a kind, one at a time."""
        for split in self.names:
            for path in self.paths(split, kind):
                yield self.sources[split], tables.read(path, list(columns))


def draw(recipe: Recipe, layout: Layout, manifest: Mapping[str, Any]) -> Sample:
    """Choose the splits to read: each source in turn gives its next one by hash, up to ``MAX_FILES`` files in all."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in manifest["files"]:
        if one["kind"] in KINDS:
            folder, name = one["path"].rsplit("/", 1)
            source = folder.partition("/")[2]
            found[f"{source}/{name.partition('-')[0]}"][one["kind"]].append(layout.path(one["path"]))
    of_source: dict[str, list[str]] = {source.name: [] for source in recipe.sources}
    for name in manifest["splits"]:
        of_source[name.rpartition("/")[0]].append(name)
    planned = [name for names in of_source.values() for name in sorted(names, key=_number)]
    turns = [
        (turn, place, name)
        for place, names in enumerate(of_source.values())
        for turn, name in enumerate(sorted(names, key=rank))
    ]
    chosen: set[str] = set()
    files = 0
    for _, _, name in sorted(turns):
        size = sum(len(paths) for paths in found[name].values()) if name in found else 0
        if files + size > MAX_FILES and chosen:
            break
        chosen.add(name)
        files += size
    return Sample(
        layout,
        {name: name.rpartition("/")[0] for name in planned},
        tuple(name for name in planned if name in chosen),
        tuple(planned),
        {split: {kind: tuple(sorted(paths)) for kind, paths in kinds.items()} for split, kinds in found.items()},
    )


def _number(split: str) -> int:
    return int(split.rpartition("/")[2])


def rank(name: str) -> int:
    """Where a name or id stands when some of many are drawn: the smallest ranks win. The same everywhere."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=b"report").digest())


PLACE = ("id", "url", "origin", "metadata")
"""Columns that say which document a row is about."""
SHOWN_METADATA = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Which document: its id, URL (if it has one), file and byte offset, and a few of its metadata."""

    id: str
    url: str
    file: str
    offset: int
    metadata: tuple[tuple[str, str], ...]


def place_of(row: Mapping[str, Any]) -> Place:
    """The place of a row that has the columns ``PLACE``."""
    metadata = sorted(json.loads(row["metadata"] or "{}").items())[:SHOWN_METADATA]
    return Place(row["id"], row["url"] or "", row["origin"]["file"], row["origin"]["offset"], tuple(metadata))


def find_rows(sample: Sample, kind: str, numbers: Collection[int], columns: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Rows of a kind of table by document number, from any split, sampled or not. What is not there is left out.

    Of a ``text``, the beginning is read (``READ_TEXT``), and ``characters`` says how long it is.
    """
    names = list(columns)
    wanted: dict[str, list[int]] = defaultdict(list)
    for number in sorted(set(numbers)):
        if number >> RECORD_BITS < len(sample.planned):
            wanted[sample.planned[number >> RECORD_BITS]].append(number)
    found: dict[int, dict[str, Any]] = {}
    for split, those in wanted.items():
        for path in sample.paths(split, kind):
            own = tables.read(path, ["number"]).column("number").to_numpy()
            rows = np.flatnonzero(np.isin(own, np.array(those, np.uint64)))
            if len(rows):
                taken = _shortened(tables.read(path, names).take(rows))
                found.update(zip(own[rows].tolist(), taken.to_pylist(), strict=True))
    return found


def _shortened(table: pa.Table) -> pa.Table:
    if "text" not in table.schema.names:
        return table
    text = table.column("text")
    shorter = table.set_column(table.schema.names.index("text"), "text", pc.utf8_slice_codeunits(text, 0, READ_TEXT))
    return shorter.append_column("characters", pc.utf8_length(text))
