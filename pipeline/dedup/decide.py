"""The stage that decides, from verified pairs, which near-duplicates stay: clusters in which everyone was compared with the one that stays.

Documents are taken in the survivor's order (rank, then number). One is removed if it was verified against a document that
stays, for the best-ranked of these; else it stays. So no two documents that stay are known to be similar, every removal
can show its similarity, and nothing is removed through a chain of others, however long (pairs in a chain of weak links
once made one cluster of whole corpora). In graph terms: the lexicographically first maximal independent set.

What LSH missed is found through neighbours: a document that stays, though it is similar to a removed one, is compared with
what that one was removed for (a claim); then all is decided again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
from numba import njit

from pipeline.dedup import inputs, store
from pipeline.dedup.candidates import PAIR
from pipeline.dedup.find import Key, block_count, by_block, empty_blocks, write_block
from pipeline.dedup.runs import CORPUS_BITS, Rows
from pipeline.layout import Layout
from pipeline.stage import Commit, Item, Part, Stage


@dataclass(frozen=True)
class Decide(Stage):
    """Decides on near-duplicates, once to find the claims, and finally."""

    layout: Layout
    writes: str
    """``claims``, or ``near``: the decisions."""
    name: str = ""
    unit: str = "pairs"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"dedup-decide-{self.writes}")

    def items(self) -> Sequence[Item]:
        return [Item("all", 1)]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        keyed = tuple[Key, bytes]
        count = block_count(inputs.load(self.layout), self.writes)
        every = items | "every block" >> beam.FlatMap(empty_blocks, count).with_output_types(keyed)
        decided = items | "decide" >> beam.FlatMap(_decided, self.layout, self.writes).with_output_types(keyed)
        return (
            (decided, every)
            | beam.Flatten()
            | "by block" >> beam.GroupByKey()
            | "write" >> beam.Map(_written, self.layout, self.writes)
            | Commit(self.name, self.layout)
        )


def _decided(item: Item, layout: Layout, kind: str) -> Iterator[tuple[Key, bytes]]:
    graph = Graph(np.concatenate([store.block(layout, "verified", block) for block in range(_own(layout))]))
    yield from by_block(layout, item.name, kind, graph.claims() if kind == "claims" else graph.decisions())


def _own(layout: Layout) -> int:
    return block_count(inputs.load(layout), "verified")


def _written(element: tuple[Key, Iterable[bytes]], layout: Layout, kind: str) -> Part:
    key, blocks = element
    return write_block(layout, kind, key, blocks, count_sources=kind == "near")


class Graph:
    """Verified pairs, and what follows from them.

    Held are, of n documents and m pairs, 16 n bytes of numbers and ranks and 20 m bytes of pairs, twice while they are sorted.
    """

    def __init__(self, verified: Rows) -> None:
        numbers = np.concatenate([verified["number"], verified["kept"]])
        ranks = np.concatenate([verified["rank"], verified["kept_rank"]])
        numbers, first = np.unique(numbers, return_index=True)
        ranks = ranks[first]
        order = np.lexsort((numbers, ranks))
        place = np.empty(len(numbers), np.int64)
        place[order] = np.arange(len(numbers))
        self.numbers = numbers[order]
        """The documents in the survivor's order; everything below is places in this array."""
        gone = place[np.searchsorted(numbers, verified["number"])]
        kept = place[np.searchsorted(numbers, verified["kept"])]
        order = np.lexsort((kept, gone))
        self.gone, self.kept, self.similarity = gone[order], kept[order], verified["similarity"][order]
        self.edge = _survivors(self.gone, self.kept, len(numbers))
        """For each document the pair that removes it, -1 for one that stays."""

    def decisions(self) -> Rows:
        """Who goes, for whom, and how similar they are: an array of DECISION."""
        gone = np.flatnonzero(self.edge >= 0)
        made = np.empty(len(gone), store.DECISION)
        edge = self.edge[gone]
        made["number"], made["kept"] = self.numbers[gone], self.numbers[self.kept[edge]]
        made["similarity"] = self.similarity[edge]
        return made

    def claims(self) -> Rows:
        """Pairs of documents that stay though a third, removed for the one, is similar to the other: an array of PAIR."""
        removed = self.edge >= 0
        survivor = np.where(removed, self.kept[self.edge], np.arange(len(self.numbers)))
        ends = np.concatenate([np.stack([self.gone, self.kept]), np.stack([self.kept, self.gone])], axis=1)
        stays, third = ends[:, ~removed[ends[0]] & removed[ends[1]]]
        other = survivor[third]
        worse, better = np.maximum(stays, other), np.minimum(stays, other)
        new = (worse != better) & (self.numbers[worse] >> np.uint64(CORPUS_BITS) == 0)
        made = np.empty(int(new.sum()), PAIR)
        made["number"], made["kept"] = self.numbers[worse[new]], self.numbers[better[new]]
        return made


@njit(cache=True)
def _survivors(gone: Rows, kept: Rows, count: int) -> Rows:
    """For each node the first of its edges to a node that stays, -1 if it stays; edges sorted, kept < gone in each."""
    edge = np.full(count, -1, np.int64)
    for k in range(len(gone)):
        if edge[gone[k]] < 0 and edge[kept[k]] < 0:
            edge[gone[k]] = k
    return edge
