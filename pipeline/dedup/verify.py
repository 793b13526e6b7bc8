"""The stage that compares candidate pairs, wherever their documents lie, without holding more than a block of signatures.

pairs and signatures of a block ─► by block of the other document ─► compare with its signatures ─► write what is similar
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from filters.document import Document, Origin
from pipeline import files, pulse, tables
from pipeline.dedup import inputs, key_table, minhash, store
from pipeline.dedup.candidates import PAIR
from pipeline.dedup.find import Key, block_count, empty_blocks, write_block
from pipeline.dedup.inputs import KeyFile
from pipeline.dedup.runs import CORPUS_BITS, Rows
from pipeline.dedup.settings import Near
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage

COPIES = 6
"""How often a signature that is sent to another block is held at once (measured: packed, shuffled, unpacked)."""
SHINGLES = 1 << 10
"""Shingles of a document, about, where the memory for exact sets is planned."""

Round = Literal["pairs", "claims"]


class Sketches(NamedTuple):
    """What documents are compared by: numbers (sorted), ranks, and for each some uint32 values from offsets[i] to offsets[i + 1].

    The values are a signature, or the sorted set of shingle hashes.
    """

    numbers: Rows
    ranks: Rows
    offsets: Rows
    values: Rows


@dataclass(frozen=True)
class Verify(Stage):
    """Compares the pairs of a round. An item is a pass: as many pairs as the memory limit allows, by the document that stays."""

    recipe: Recipe
    layout: Layout
    round: Round
    name: str = ""
    unit: str = "pairs"
    at_once: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"dedup-verify-{self.round}")

    @property
    def near(self) -> Near:
        """The settings of the recipe."""
        assert self.recipe.dedup and self.recipe.dedup.near
        return self.recipe.dedup.near

    def items(self) -> Sequence[Item]:
        values = self.near.permutations if self.near.verify == "signature" else SHINGLES
        room = self.recipe.limits.memory // self.at_once // (COPIES * 4 * values)
        passes: list[list[int]] = [[]]
        held = 0
        for block in range(inputs.load(self.layout).blocks):
            pairs = len(store.block(self.layout, self.round, block))
            if passes[-1] and held + pairs > room:
                passes.append([])
                held = 0
            passes[-1].append(block)
            held += pairs
        return [
            Item(f"{self.round}-{number:05d}", len(blocks), numbers=tuple(blocks))
            for number, blocks in enumerate(passes)
        ]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        keyed = tuple[Key, bytes]
        sent = (
            items
            | "blocks" >> beam.FlatMap(_blocks)
            | "spread" >> beam.Reshuffle()
            | "send signatures" >> beam.ParDo(_Send(self)).with_output_types(keyed)
        )
        count = block_count(inputs.load(self.layout), "verified")
        every = items | "every block" >> beam.FlatMap(empty_blocks, count).with_output_types(keyed)
        return (
            (sent, every)
            | beam.Flatten()
            | "by block" >> beam.GroupByKey()
            | "compare" >> beam.ParDo(_Compare(self))
            | Commit(self.name, self.layout)
        )


def _blocks(item: Item) -> Iterator[tuple[str, int]]:
    for number in item.numbers:
        yield item.name, number


class _Send(beam.DoFn):
    """Sends the pairs of a block, with what the documents that would stay are compared by, to the blocks of the others."""

    def __init__(self, stage: Verify) -> None:
        self._stage = stage

    def process(self, element: tuple[str, int]) -> Iterator[tuple[Key, bytes]]:
        item, number = element
        stage = self._stage
        found = inputs.load(stage.layout)
        pairs = store.block(stage.layout, stage.round, number)
        if not len(pairs):
            return
        of_reference = bool(found.block(number)[0].corpus)
        exact = stage.near.verify == "jaccard" and not of_reference  # the texts of earlier runs are not read
        sketches = look_up(found.block(number), np.unique(pairs["kept"]), stage.near, exact)
        blocks = found.blocks_of(pairs["number"])
        last = block_count(found, "verified") - 1
        for target in np.unique(blocks).tolist():
            those = pairs[blocks == target]
            yield (item, target, target == last), packed(those, chosen(sketches, np.unique(those["kept"])), exact)


class _Compare(beam.DoFn):
    """Compares the documents of a block with those that were sent to it, and writes the pairs that are similar enough."""

    def __init__(self, stage: Verify) -> None:
        self._stage = stage

    def process(self, element: tuple[Key, Iterable[bytes]]) -> Iterator[Part]:
        key, messages = element
        stage = self._stage
        verified: list[bytes] = []
        sent = [message for message in messages if message]
        for exact in (False, True):
            mine = [unpacked(message) for message in sent if _is_exact(message) == exact]
            if not mine:
                continue
            numbers = np.unique(np.concatenate([pairs["number"] for pairs, _ in mine]))
            own = look_up(inputs.load(stage.layout).block(key[1]), numbers, stage.near, exact)
            for pairs, others in mine:
                made = compared(pairs, own, others, exact)
                pulse.count(len(pairs), 0)
                verified.append(made[made["similarity"] >= np.float32(stage.near.min_similarity)].tobytes())
        yield write_block(stage.layout, "verified", key, verified, count_sources=False)


def compared(pairs: Rows, own: Sketches, others: Sketches, exact: bool) -> Rows:
    """The pairs with their ranks and similarities: an array of VERIFIED."""
    left = np.searchsorted(own.numbers, pairs["number"])
    right = np.searchsorted(others.numbers, pairs["kept"])
    made = np.empty(len(pairs), store.VERIFIED)
    made["number"], made["kept"] = pairs["number"], pairs["kept"]
    made["rank"], made["kept_rank"] = own.ranks[left], others.ranks[right]
    measure = _jaccard if exact else _equal_share
    made["similarity"] = measure(own.offsets, own.values, left, others.offsets, others.values, right)
    return made


@njit(cache=True)
def _equal_share(own_offsets: Rows, own: Rows, left: Rows, other_offsets: Rows, other: Rows, right: Rows) -> Rows:
    """Share of equal values in pairs of signatures, an estimate of the Jaccard similarity: float32, one a pair."""
    found = np.empty(len(left), np.float32)
    for pair in range(len(left)):
        a, b = own_offsets[left[pair]], other_offsets[right[pair]]
        length = own_offsets[left[pair] + 1] - a
        equal = 0
        for k in range(length):
            equal += own[a + k] == other[b + k]
        found[pair] = equal / length
    return found


@njit(cache=True)
def _jaccard(own_offsets: Rows, own: Rows, left: Rows, other_offsets: Rows, other: Rows, right: Rows) -> Rows:
    """Exact Jaccard similarity of pairs of sorted sets: float32, one a pair."""
    found = np.empty(len(left), np.float32)
    for pair in range(len(left)):
        a, b = own_offsets[left[pair]], other_offsets[right[pair]]
        a_stop, b_stop = own_offsets[left[pair] + 1], other_offsets[right[pair] + 1]
        together = (a_stop - a) + (b_stop - b)
        shared = 0
        while a < a_stop and b < b_stop:
            if own[a] == other[b]:
                shared += 1
                a += 1
                b += 1
            elif own[a] < other[b]:
                a += 1
            else:
                b += 1
        found[pair] = shared / max(together - shared, 1)
    return found


def look_up(block: Sequence[KeyFile], numbers: Rows, near: Near, exact: bool) -> Sketches:
    """What the documents of a block with these sorted numbers are compared by. Each of them must be there."""
    parts = []
    for file in block:
        first, last = np.array([file.first, file.last], np.uint64)
        wanted = numbers[np.searchsorted(numbers, first) : np.searchsorted(numbers, last, side="right")]
        if len(wanted):
            parts.append((_shingles if exact else _signatures)(file, wanted, near))
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Sketches(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.concatenate([part.values for part in parts]),
    )


def _signatures(file: KeyFile, wanted: Rows, near: Near) -> Sketches:
    numbers, ranks, found = key_table.signatures(file.path)
    rows = np.searchsorted(numbers, wanted & np.uint64((1 << CORPUS_BITS) - 1))
    there = ranks[rows] if not file.corpus else np.full(len(rows), file.corpus - 1, np.uint64)
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * near.permutations
    return Sketches(wanted, there, offsets, found[rows].ravel())


def _shingles(file: KeyFile, wanted: Rows, near: Near) -> Sketches:
    """The sets of shingle hashes, made of the texts again."""
    table = tables.read(file.path, ["number", "rank"])
    rows = np.searchsorted(table.column("number").to_numpy(), wanted)
    ranks = table.column("rank").to_numpy()[rows]
    texts = tables.read(files.join(file.out, "filtered", file.name), ["number", "text"])
    texts = texts.filter(pc.is_in(texts.column("number"), value_set=pa.array(wanted)))
    documents = (Document("", text, "", Origin("", 0, 0)) for text in texts.column("text").to_pylist())
    sets = [minhash.shingle_set(document, near) for document in documents]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(one) for one in sets])])
    return Sketches(wanted, ranks, offsets, np.concatenate(sets))


def chosen(sketches: Sketches, numbers: Rows) -> Sketches:
    """Those of the sketches with these numbers."""
    rows = np.searchsorted(sketches.numbers, numbers)
    lengths = np.diff(sketches.offsets)[rows]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(sketches.offsets[rows], lengths)
    return Sketches(numbers, sketches.ranks[rows], offsets, sketches.values[places])


_HEADER = struct.Struct("<?7xQQQ")


def packed(pairs: Rows, sketches: Sketches, exact: bool) -> bytes:
    """Pairs and sketches as one message."""
    header = _HEADER.pack(exact, len(pairs), len(sketches.numbers), len(sketches.values))
    parts = (pairs, sketches.numbers, sketches.ranks, sketches.offsets, sketches.values)
    return header + b"".join(part.tobytes() for part in parts)


def unpacked(message: bytes) -> tuple[Rows, Sketches]:
    """The pairs and sketches of a message."""
    _, pairs, documents, values = _HEADER.unpack_from(message)
    at = _HEADER.size
    parts = []
    for kind, count in (
        (PAIR, pairs), (np.dtype("<u8"), documents), (np.dtype("<u8"), documents),
        (np.dtype("<i8"), documents + 1), (np.dtype("<u4"), values),
    ):  # fmt: skip
        parts.append(np.frombuffer(message, kind, count, at))
        at += kind.itemsize * count
    return parts[0], Sketches(*parts[1:])


def _is_exact(message: bytes) -> bool:
    return bool(message[0])
