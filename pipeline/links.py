"""Makes the lists of links that select pages, before they are read, and looks addresses up in them.

read links (an item a file) ─► merge (an item a source) ─► prepare asks the list

A list is an array of 64-bit hashes of normal forms of addresses (``sources.addresses``), sorted, each once. With a
billion links the chance that a page is selected by mistake is 5 in 10^11.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from pipeline import files, plan, pulse
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.sources.crawl.addresses import hash_of, links_of
from pipeline.sources.crawl.selection import Links, Pages
from pipeline.sources.source import FilePart, Source
from pipeline.stage import Commit, Item, Part, Stage, committed, output

HASH = np.dtype("<u8")
_BLOCK = 1 << 22
_RANGES = 256
"""A list is merged by ranges of hashes, so that a 256th of it is in memory at a time."""


def selecting(recipe: Recipe) -> list[tuple[Source, Links]]:
    """The sources whose pages are selected by links."""
    return [(one, one.select) for one in recipe.sources if isinstance(one, Pages) and one.select]


def list_file(layout: Layout, source: str) -> str:
    """Where the list of a source lies."""
    return layout.work(f"links/{source}.u64")


def _piece_file(layout: Layout, item: str) -> str:
    return layout.work(f"links/{item}.u64")


@dataclass(frozen=True)
class ReadLinks(Stage):
    """Reads every file of links into a sorted array. The counts of its commits say what the lines were."""

    recipe: Recipe
    layout: Layout
    name: str = "read-links"
    unit: str = "lines"

    def items(self) -> Sequence[Item]:
        return [
            Item(f"{source.name}/{number:05d}", file.size, numbers=(number,))
            for source, settings in selecting(self.recipe)
            for number, (_, file) in enumerate(plan.besides(source))
        ]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return items | "read links" >> beam.ParDo(_Read(self.recipe, self.layout)) | Commit(self.name, self.layout)


class _Read(beam.DoFn):
    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        name = item.name.rpartition("/")[0]
        source, settings = next(one for one in selecting(self._recipe) if one[0].name == name)
        (number,) = item.numbers
        label, file = plan.besides(source)[number]
        counts: Counter[str] = Counter()
        found = np.empty(0, HASH)
        links = links_of(FilePart(file.path, label, 0, file.size, file.size), settings)
        for block in iter(lambda: list(itertools.islice(links, _BLOCK)), []):
            counts.update(f"links|{link.reason or 'counted'}" for link in block)
            hashes = np.array([link.hash for link in block if link.hash is not None], HASH)
            found = np.union1d(found, hashes)
            pulse.count(len(block), len(hashes))
        with files.replacing(_piece_file(self._layout, item.name)) as written:
            written.stream.write(found.tobytes())
        yield Part(item.name, 0, True, [output(self._layout, "work", written, rows=len(found))], counts)


@dataclass(frozen=True)
class MergeLinks(Stage):
    """Merges the arrays of a source's files into its list."""

    recipe: Recipe
    layout: Layout
    name: str = "merge-links"
    unit: str = "links"

    def items(self) -> Sequence[Item]:
        found = []
        for source, _ in selecting(self.recipe):
            names = [f"{source.name}/{number:05d}" for number in range(len(plan.besides(source)))]
            commits = [committed(self.layout, ReadLinks.name, name) for name in names]
            weight = sum(one["outputs"][0]["bytes"] for one in commits if one)
            found.append(Item(source.name, weight, numbers=(len(names),)))
        return found

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return items | "merge links" >> beam.ParDo(_Merge(self.layout)) | Commit(self.name, self.layout)


class _Merge(beam.DoFn):
    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        (count,) = item.numbers
        pieces = [_array(_piece_file(self._layout, f"{item.name}/{number:05d}")) for number in range(count)]
        total = 0
        with files.replacing(list_file(self._layout, item.name)) as written:
            edges = [0, *(at << 56 for at in range(1, _RANGES)), None]
            for low, high in itertools.pairwise(edges):
                slices = [piece[_place(piece, low) : _place(piece, high)] for piece in pieces]
                merged = np.unique(np.concatenate(slices))
                total += len(merged)
                written.stream.write(merged.tobytes())
        pulse.count(total, total)
        yield Part(item.name, 0, True, [output(self._layout, "work", written, rows=total)], Counter(links=total))


def _place(piece: NDArray[Any], hash_: int | None) -> int:
    return len(piece) if hash_ is None else int(np.searchsorted(piece, np.uint64(hash_)))


def _array(path: str) -> NDArray[Any]:
    """A file of hashes: mapped where it is local, so that all workers of a machine share its memory."""
    if files.is_remote(path) or files.size_of(path) == 0:
        with files.open_read(path) as stream:
            return np.frombuffer(stream.read(), HASH)
    return np.memmap(path, HASH, mode="r")


class Listed:
    """The list of a source, to be asked whether an address is on it."""

    def __init__(self, hashes: NDArray[Any]) -> None:
        self._hashes = hashes

    def __contains__(self, address: str) -> bool:
        hash_ = hash_of(address)
        if hash_ is None:
            return False
        place = int(np.searchsorted(self._hashes, np.uint64(hash_)))
        return place < len(self._hashes) and int(self._hashes[place]) == hash_


def open_list(layout: Layout, source: str) -> Listed:
    """The list of a source, opened once a process for as long as it is the same file."""
    (found,) = files.find(list_file(layout, source))
    return _opened(found.path, found.size, found.changed)


@functools.lru_cache(maxsize=8)
def _opened(path: str, size: int, changed: float) -> Listed:
    del size, changed
    return Listed(_array(path))
