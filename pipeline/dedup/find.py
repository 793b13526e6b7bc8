"""The stage that finds repeated keys, the same for every level: only hashes are shuffled, in packed blocks.

read keys ─► by partition of the keys ─► find repeats ─► by block of documents ─► write
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np

from pipeline import plan, pulse, tables
from pipeline.dedup import benchmarks, candidates, inputs, key_table, runs, store
from pipeline.dedup.inputs import Inputs, KeyFile
from pipeline.dedup.key_table import Level, Range
from pipeline.dedup.runs import CORPUS_BITS, ROW, Rows
from pipeline.dedup.settings import Dedup
from pipeline.layout import Layout
from pipeline.plan import RECORD_BITS
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, output

ROWS_PER_PARTITION = 1 << 20
"""Keys sorted at a time at most: some 200 MB, whatever the corpus."""
LEAST_PER_PARTITION = 1 << 16
"""Keys sorted at a time at least, however little memory is allowed."""

Key = tuple[str, int, bool]
"""Key of a shuffle: the item, the partition or block, and whether it is the item's last."""

DOCUMENT_LEVELS: tuple[Level, ...] = ("exact", "url", "near")


def written_as(level: Level) -> str:
    """What the stage of a level writes: for near-duplicates only pairs that are still to be verified."""
    return "pairs" if level == "near" else level


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

    @property
    def dedup(self) -> Dedup:
        """The settings of the recipe."""
        assert self.recipe.dedup
        return self.recipe.dedup

    def items(self) -> Sequence[Item]:
        bands = self.dedup.near.bands if self.dedup.near else 0
        found = inputs.load(self.layout)
        total = sum(one.keys(self.level, bands) for one in _wanted(found, self.level))
        room = self.recipe.limits.memory // self.at_once // runs.BYTES_PER_ROW
        at_a_time = min(max(room, LEAST_PER_PARTITION), ROWS_PER_PARTITION)
        partitions = max(1, -(-total // at_a_time))
        in_a_pass = max(1, room // at_a_time)
        numbers = range(partitions)
        return [
            Item(f"{start:05d}", total // partitions, numbers=(partitions, *numbers[start : start + in_a_pass]))
            for start in range(0, partitions, in_a_pass)
        ]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        found = inputs.load(self.layout)
        keyed = tuple[Key, bytes]
        by_partition = (
            items
            | "with key files" >> beam.FlatMap(_with_files, len(_wanted(found, self.level)))
            | "spread" >> beam.Reshuffle()
            | "read keys" >> beam.ParDo(_ReadKeys(self)).with_output_types(keyed)
            | "by partition" >> beam.GroupByKey()
            | "find repeats" >> beam.ParDo(_Find(self)).with_output_types(keyed)
        )
        count = block_count(found, written_as(self.level))
        every = items | "every block" >> beam.FlatMap(empty_blocks, count).with_output_types(keyed)
        return (
            (by_partition, every)
            | beam.Flatten()
            | "by block" >> beam.GroupByKey()
            | "write" >> beam.ParDo(_Write(self))
            | Commit(self.name, self.layout)
        )


def _wanted(found: Inputs, level: Level) -> Sequence[KeyFile]:
    """The files whose keys take part: boilerplate is looked for in this run alone."""
    own = found.files[: found.edges[found.own]]
    return own if level == "boilerplate" else found.files


def _with_files(item: Item, count: int) -> Iterator[tuple[Item, int]]:
    for place in range(count):
        yield item, place


def block_count(found: Inputs, kind: str) -> int:
    """How many blocks there are to write: pairs lie where the document does that stays, which may be one of a reference."""
    return max(1, found.blocks if kind in ("pairs", "claims") else found.own)


def empty_blocks(item: Item, count: int) -> Iterator[tuple[Key, bytes]]:
    """An element for every block, so that an item's commit knows when it has all of them."""
    for number in range(count):
        yield (item.name, number, number == count - 1), b""


class _ReadKeys(beam.DoFn):
    """Reads the keys of one level from one file and packs them into one block a partition."""

    def __init__(self, stage: FindRepeats) -> None:
        self._stage = stage

    def process(self, element: tuple[Item, int]) -> Iterator[tuple[Key, bytes]]:
        stage = self._stage
        item, place = element
        partitions, *wanted = item.numbers
        file = inputs.load(stage.layout).files[place]
        within = Range.of_partitions(wanted[0], wanted[-1] + 1, partitions)
        still = functools.partial(still_there, stage, file)
        table = key_table.rows(file.path, stage.level, stage.dedup.near, within, still)
        if file.corpus:
            table["number"] |= np.uint64(file.corpus << CORPUS_BITS)
            table["rank"] = file.corpus - 1
        where = runs.partition_of(table["key"], partitions)
        if len(wanted) > 1:
            order = runs.order_by(where, partitions)
            table, where = table[order], where[order]
        for partition in wanted:
            start, stop = np.searchsorted(where, [partition, partition + 1])
            if start < stop:
                yield (item.name, partition, False), table[start:stop].tobytes()


def still_there(stage: FindRepeats, file: KeyFile, numbers: Rows) -> Rows:
    """Which of a file's documents have not been removed: by earlier levels, or from the corpus of the reference."""
    if file.corpus:
        return runs.contains(survivors(file), numbers)
    return ~runs.contains(removed_before(stage.dedup, stage.layout, file, stage.level), numbers)


def survivors(file: KeyFile) -> Rows:
    """Numbers, as they are in its own run, of the documents of a reference's file that stand in its corpus, sorted."""
    if not file.survivors:
        return np.empty(0, np.uint64)
    path = f"{file.out}/documents/{file.name}"
    try:
        return tables.read(path, ["number"]).column("number").to_numpy()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is gone: the corpus of a reference is needed to know which of its documents were kept"
        ) from error


def removed_before(dedup: Dedup, layout: Layout, file: KeyFile, level: Level) -> Rows:
    """Numbers of a file's documents that earlier levels removed, sorted: their keys no longer count."""
    active = {"exact": dedup.exact, "url": dedup.url, "near": bool(dedup.near)}
    earlier = DOCUMENT_LEVELS[: DOCUMENT_LEVELS.index(level)] if level in DOCUMENT_LEVELS else DOCUMENT_LEVELS
    found = [np.empty(0, np.uint64)]
    if dedup.decontaminate and dedup.decontaminate.action == "remove":
        found.append(benchmarks.load_hits(layout, file.name)["number"])
    found += [store.between(layout, one, file.first, file.last)["number"] for one in earlier if active[one]]
    return np.unique(np.concatenate(found))


class _Find(beam.DoFn):
    """Puts the blocks of a partition together, finds what repeats, and packs it into one block of documents each."""

    def __init__(self, stage: FindRepeats) -> None:
        self._stage = stage

    def process(self, element: tuple[Key, Iterable[bytes]]) -> Iterator[tuple[Key, bytes]]:
        (item, _, _), blocks = element
        table = np.frombuffer(b"".join(blocks), ROW)
        found = self._found(table)
        pulse.count(len(table), len(table) - len(found))
        yield from by_block(self._stage.layout, item, written_as(self._stage.level), found)

    def _found(self, table: Rows) -> Rows:
        dedup = self._stage.dedup
        match self._stage.level:
            case "near":
                assert dedup.near
                near = dedup.near
                return candidates.links(table, candidates.furthest(near.bands, near.rows, near.min_similarity))
            case "boilerplate":
                assert dedup.boilerplate
                return runs.crowds(table, dedup.boilerplate.min_pages)
        repeats = runs.repeats(table)
        repeats = repeats[repeats["number"] >> np.uint64(CORPUS_BITS) == 0]  # what lies in a reference stays there
        if self._stage.level == "spans":
            return repeats
        decided = np.empty(len(repeats), store.DECISION)
        decided["number"], decided["kept"] = repeats["number"], repeats["kept"]
        decided["similarity"] = 1 if self._stage.level == "exact" else np.nan
        return decided


def by_block(layout: Layout, item: str, kind: str, array: Rows) -> Iterator[tuple[Key, bytes]]:
    """The rows of an array by block, packed: pairs by the document that stays, all else by the one that loses something."""
    found = inputs.load(layout)
    blocks = found.blocks_of(array["kept" if kind in ("pairs", "claims") else "number"])
    last = block_count(found, kind) - 1
    order = runs.order_by(blocks, last + 1)
    array, blocks = array[order], blocks[order]
    for number in np.unique(blocks).tolist():
        start, stop = np.searchsorted(blocks, [number, number + 1])
        yield (item, number, number == last), array[start:stop].tobytes()


class _Write(beam.DoFn):
    """Writes what was found for a block of documents, sorted."""

    def __init__(self, stage: FindRepeats) -> None:
        self._stage = stage

    def process(self, element: tuple[Key, Iterable[bytes]]) -> Iterator[Part]:
        key, blocks = element
        kind = written_as(self._stage.level)
        yield write_block(self._stage.layout, kind, key, blocks, kind in DOCUMENT_LEVELS)


def write_block(layout: Layout, kind: str, key: Key, blocks: Iterable[bytes], count_sources: bool) -> Part:
    """Put the pieces of a block together, sort and write them; the part of the item that this is."""
    item, number, last = key
    array = runs.distinct(np.frombuffer(b"".join(blocks), store.KINDS[kind]))
    part = Part(item, number, last)
    if len(array):
        written = store.write(layout, kind, number, item, array)
        part.outputs.append(output(layout, "work", written, rows=len(array)))
        part.counts[kind] = len(array)
    if count_sources:
        part.counts.update(sources_of(layout, array["number"], kind))
    return part


def sources_of(layout: Layout, numbers: Rows, kind: str) -> Counter[str]:
    """How many of these documents each source has, as ``source|kind``."""
    counts: Counter[str] = Counter()
    splits, documents = np.unique(numbers >> np.uint64(RECORD_BITS), return_counts=True)
    planned: Any = plan.load(layout).splits
    for split, count in zip(splits.tolist(), documents.tolist(), strict=True):
        counts[f"{planned[split].source}|{kind}"] += count
    return counts
