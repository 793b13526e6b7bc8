"""The dedup stages: find repeated keys by partition, verify and cluster near-duplicates, decide what stays.

read keys ─► by partition ─► find repeats        (exact, near and spans alike; only hashes are shuffled)
verify and cluster ─► decisions                  (once, from the candidates of exact and near)
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apache_beam as beam
import numpy as np

from pipeline import files, plan, tables
from pipeline.dedup import minhash, runs
from pipeline.dedup.runs import ROW, Rows
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, committed, output

Level = Literal["exact", "near", "spans"]

ROWS_PER_PARTITION = 1 << 20
"""Keys sorted at a time: some 200 MB, whatever the corpus."""

DECISION = np.dtype([("number", "<u8"), ("kept", "<u8"), ("near", "?"), ("similarity", "<f4")])
"""A document that dedup removes as a whole: which one stays for it, whether it is a near duplicate, how similar."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of ``keys/`` and how many keys of each level it holds."""

    path: str
    documents: int
    signatures: int
    spans: int


def key_files(layout: Layout) -> tuple[KeyFile, ...]:
    """The key files that the first stage wrote, in plan order."""
    found = []
    for split in plan.load(layout).splits:
        commit = committed(layout, "prepare", split.name)
        assert commit is not None, f"{split.name} was not prepared"
        found += [
            KeyFile(layout.path(one["path"]), one["rows"], one["signatures"], one["spans"])
            for one in commit["outputs"]
            if one["kind"] == "keys"
        ]
    return tuple(found)


def decisions_file(layout: Layout) -> str:
    """Where the decisions on whole documents lie: a sorted array of DECISION."""
    return layout.work("dedup/decisions.npy")


def repeats_folder(layout: Layout, level: Level) -> str:
    """Where a level's repeats lie: one sorted array of REPEAT a partition."""
    return layout.work(f"dedup/{level}")


@dataclass(frozen=True)
class FindRepeats(Stage):
    """Finds the repeated keys of one level. An item is a pass: as many partitions as the memory limit allows."""

    recipe: Recipe
    layout: Layout
    level: Level
    name: str = ""
    unit: str = "keys"
    at_once: int = 4
    """Passes that may run side by side: each takes its share of ``limits.memory``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"dedup-{self.level}")

    def items(self) -> Sequence[Item]:
        found = key_files(self.layout)
        bands = self.recipe.dedup.near.bands if self.recipe.dedup and self.recipe.dedup.near else 0
        total = {
            "exact": sum(one.documents for one in found),
            "near": sum(one.signatures for one in found) * bands,
            "spans": sum(one.spans for one in found),
        }[self.level]
        partitions = max(1, -(-total // ROWS_PER_PARTITION))
        in_a_pass = max(1, self.recipe.limits.memory // self.at_once // (ROWS_PER_PARTITION * runs.BYTES_PER_ROW))
        numbers = range(partitions)
        return [
            Item(f"{start:04d}", total // partitions, numbers=(partitions, *numbers[start : start + in_a_pass]))
            for start in range(0, partitions, in_a_pass)
        ]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        blocks = (
            items
            | "with key files" >> beam.FlatMap(_with_files, key_files(self.layout))
            | "spread" >> beam.Reshuffle()
            | "read keys"
            >> beam.ParDo(_ReadKeys(self.recipe, self.level, self.layout)).with_output_types(
                tuple[tuple[str, int, bool], bytes]
            )
        )
        marks = items | "every partition" >> beam.FlatMap(_empty_blocks).with_output_types(
            tuple[tuple[str, int, bool], bytes]
        )
        return (
            (blocks, marks)
            | beam.Flatten()
            | "by partition" >> beam.GroupByKey()
            | "find repeats" >> beam.ParDo(_FindRepeats(self.layout, self.level))
            | Commit(self.name, self.layout)
        )


def _with_files(item: Item, found: Sequence[KeyFile]) -> Iterator[tuple[Item, str]]:
    for one in found:
        yield item, one.path


Partition = tuple[str, int, bool]
"""Key of the shuffle: the item, the partition, and whether it is the item's last."""


def _partitions(item: Item) -> list[Partition]:
    _, *numbers = item.numbers
    return [(item.name, number, number == numbers[-1]) for number in numbers]


def _empty_blocks(item: Item) -> Iterator[tuple[Partition, bytes]]:
    for partition in _partitions(item):
        yield partition, b""


class _ReadKeys(beam.DoFn):
    """Reads the keys of one level from one file and packs them into one block a partition."""

    def __init__(self, recipe: Recipe, level: Level, layout: Layout) -> None:
        self._recipe = recipe
        self._level = level
        self._layout = layout

    def process(self, element: tuple[Item, str]) -> Iterator[tuple[Partition, bytes]]:
        item, path = element
        table = _rows_of(path, self._level, self._recipe)
        gone = removed_before(self._layout, self._level)
        table = table[~runs.contains(gone, table["number"])]
        place = runs.partition_of(table["key"], item.numbers[0])
        order = np.argsort(place, kind="stable")
        table, place = table[order], place[order]
        for partition in _partitions(item):
            start, stop = np.searchsorted(place, [partition[1], partition[1] + 1])
            if start < stop:
                yield partition, table[start:stop].tobytes()


def _rows_of(path: str, level: Level, recipe: Recipe) -> Rows:
    assert recipe.dedup
    if level == "exact":
        table = tables.read(path, ["number", "rank", "exact", "exact_check"])
        number, rank, key, check = (
            table.column(name).to_numpy() for name in ("number", "rank", "exact", "exact_check")
        )
        return runs.rows(key, check, rank, number)
    column = "signature" if level == "near" else "spans"
    table = tables.read(path, ["number", "rank", column]).combine_chunks()
    number, rank = table.column("number").to_numpy(), table.column("rank").to_numpy()
    if level == "near":
        assert recipe.dedup.near
        found, which = _signatures(table)
        keys_ = minhash.band_keys(found, recipe.dedup.near.bands, recipe.dedup.near.rows)
        bands = keys_.shape[1]
        return runs.rows(keys_.ravel(), 0, np.repeat(rank[which], bands), np.repeat(number[which], bands))
    lists = table.column("spans").chunk(0) if table.num_rows else table.column("spans")
    if not table.num_rows:
        return np.empty(0, ROW)
    offsets = lists.offsets.to_numpy()
    lengths = np.diff(offsets)
    values = lists.values.to_numpy()[offsets[0] : offsets[-1]]
    positions = np.arange(len(values), dtype=np.int64) - np.repeat(offsets[:-1] - offsets[0], lengths)
    return runs.rows(values, 0, np.repeat(rank, lengths), np.repeat(number, lengths), positions)


def _signatures(table: Any) -> tuple[Rows, Rows]:
    """The signatures of a key table that are not empty, shape (documents, permutations), and their rows."""
    lists = table.column("signature").chunk(0)
    lengths = np.diff(lists.offsets.to_numpy())
    which = np.flatnonzero(lengths)
    permutations = int(lengths[which[0]]) if len(which) else 0
    return lists.values.to_numpy().reshape(len(which), permutations) if len(which) else np.empty(
        (0, 0), np.uint32
    ), which


def removed_before(layout: Layout, level: Level) -> Rows:
    """Numbers of the documents that earlier levels removed, sorted: their keys no longer count."""
    if level == "exact":
        return np.empty(0, np.uint64)
    if level == "near":
        found = load_repeats(layout, "exact")
        return np.unique(np.concatenate([one["number"] for one in found])) if found else np.empty(0, np.uint64)
    return load_decisions(layout)["number"]


class _FindRepeats(beam.DoFn):
    """Puts the blocks of a partition together, finds its repeats and writes them."""

    def __init__(self, layout: Layout, level: Level) -> None:
        self._layout = layout
        self._level = level

    def process(self, element: tuple[Partition, Iterable[bytes]]) -> Iterator[Part]:
        (item, number, last), blocks = element
        table = np.frombuffer(b"".join(blocks), ROW)
        found = runs.repeats(table)
        if self._level == "near":
            found["position"] = found["kept_position"] = 0
            found = np.unique(found)
        part = Part(item, number - int(item), last)
        written = save(f"{repeats_folder(self._layout, self._level)}/{number:04d}.npy", found)
        part.outputs.append(output(self._layout, "work", written, rows=len(found)))
        part.counts.update({"keys": len(table), "repeats": len(found)})
        yield part


def save(path: str, array: Rows) -> files.Written:
    """Write an array in NumPy's format."""
    with files.replacing(path) as written:
        np.lib.format.write_array(written.stream, np.ascontiguousarray(array), allow_pickle=False)
    return written


@functools.lru_cache(maxsize=1024)
def _load(path: str, stamp: float) -> Rows:
    del stamp
    if files.is_remote(path):
        with files.open_read(path) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def load(path: str) -> Rows:
    """An array that ``save`` wrote, mapped into memory where the file is local."""
    (found,) = files.find(path)
    return _load(path, found.changed)


def load_repeats(layout: Layout, level: Level) -> list[Rows]:
    """The repeats of a level, one array a partition."""
    return [load(one.path) for one in files.find(files.join(repeats_folder(layout, level), "*.npy"))]


def load_decisions(layout: Layout) -> Rows:
    """The decisions on whole documents, sorted by document number."""
    return load(decisions_file(layout))


def between(array: Rows, start: int, stop: int) -> Rows:
    """The rows of an array sorted by ``number`` whose numbers lie in [start, stop)."""
    numbers = array["number"]
    return array[np.searchsorted(numbers, np.uint64(start)) : np.searchsorted(numbers, np.uint64(stop))]


@dataclass(frozen=True)
class Cluster(Stage):
    """Verifies near-duplicate candidates, joins them into clusters and decides which documents stay."""

    recipe: Recipe
    layout: Layout
    name: str = "dedup-clusters"
    unit: str = "pairs"

    def items(self) -> Sequence[Item]:
        return [Item("decisions", 1)]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        found = key_files(self.layout)
        return (
            items
            | "verify and cluster" >> beam.ParDo(_Cluster(self.recipe, self.layout, found))
            | Commit(self.name, self.layout)
        )


class _Cluster(beam.DoFn):
    def __init__(self, recipe: Recipe, layout: Layout, found: Sequence[KeyFile]) -> None:
        self._recipe = recipe
        self._layout = layout
        self._files = found

    def process(self, item: Item) -> Iterator[Part]:
        dedup = self._recipe.dedup
        assert dedup
        decided = [np.empty(0, DECISION)]
        part = Part(item.name, 0, last=True)
        if dedup.exact:
            decided += [_exact_decisions(one) for one in load_repeats(self._layout, "exact")]
        if dedup.near:
            candidates = load_repeats(self._layout, "near")
            pairs = np.unique(np.concatenate([np.empty(0, runs.REPEAT), *candidates]))
            near = self._near_decisions(pairs, dedup.near.min_similarity)
            part.counts.update({"candidates": len(pairs), "near": len(near)})
            decided.append(near)
        table = np.concatenate(decided)
        table = table[np.argsort(table["number"], kind="stable")]
        written = save(decisions_file(self._layout), table)
        part.outputs.append(output(self._layout, "work", written, rows=len(table)))
        yield part

    def _near_decisions(self, pairs: Rows, min_similarity: float) -> Rows:
        numbers = np.unique(np.concatenate([pairs["number"], pairs["kept"]]))
        if len(numbers) == 0:
            return np.empty(0, DECISION)
        found, ranks = self._look_up(numbers)
        left, right = np.searchsorted(numbers, pairs["kept"]), np.searchsorted(numbers, pairs["number"])
        alike = similarities(found, left, right) >= min_similarity
        # nodes in survivor's order, so that the smallest of a cluster is the one that stays
        order = np.lexsort((numbers, ranks))
        place = np.empty(len(numbers), np.int64)
        place[order] = np.arange(len(numbers))
        root = order[runs.clusters(place[left[alike]], place[right[alike]], len(numbers))[place]]
        gone = np.flatnonzero(root != np.arange(len(numbers)))
        made = np.empty(len(gone), DECISION)
        made["number"], made["kept"] = numbers[gone], numbers[root[gone]]
        made["near"], made["similarity"] = True, similarities(found, root[gone], gone)
        return made

    def _look_up(self, numbers: Rows) -> tuple[Rows, Rows]:
        """Signatures and ranks of the documents with these sorted numbers."""
        dedup = self._recipe.dedup
        assert dedup and dedup.near
        found = np.zeros((len(numbers), dedup.near.permutations), np.uint32)
        ranks = np.zeros(len(numbers), np.uint64)
        for one in self._files:
            if not one.signatures:
                continue
            table = tables.read(one.path, ["number", "rank", "signature"]).combine_chunks()
            own = table.column("number").to_numpy()
            first, last = np.searchsorted(numbers, [own[0], own[-1] + np.uint64(1)])
            wanted = numbers[first:last]
            rows = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
            mine = own[rows] == wanted
            signatures, which = _signatures(table)
            places = np.searchsorted(which, rows[mine])
            found[first:last][mine] = signatures[places]
            ranks[first:last][mine] = table.column("rank").to_numpy()[rows[mine]]
        return found, ranks


def similarities(signatures: Rows, left: Rows, right: Rows) -> Rows:
    """Share of equal values in pairs of signatures, an estimate of the Jaccard similarity: float32, one a pair."""
    found = np.empty(len(left), np.float32)
    for start in range(0, len(left), 1 << 16):  # bounded, whatever the number of pairs
        stop = start + (1 << 16)
        found[start:stop] = (signatures[left[start:stop]] == signatures[right[start:stop]]).mean(
            axis=1, dtype=np.float32
        )
    return found


def _exact_decisions(found: Rows) -> Rows:
    made = np.empty(len(found), DECISION)
    made["number"], made["kept"], made["near"], made["similarity"] = found["number"], found["kept"], False, 1.0
    return made
