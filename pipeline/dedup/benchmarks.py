"""Decontamination: an index of the n-grams of benchmarks, and which documents hold them.

Equal hashes are only candidates: the folded words themselves are compared, so a hit is a hit.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from filters import characters, segment
from filters.document import Document
from filters.segment import Array, mix
from pipeline import files
from pipeline.dedup import store
from pipeline.dedup.cuts import union
from pipeline.dedup.runs import Rows
from pipeline.dedup.settings import Benchmark, Decontaminate
from pipeline.layout import Layout
from pipeline.sources.containers.lines import lines
from pipeline.sources.source import FilePart

HIT: Final = np.dtype(
    [("number", "<u8"), ("item", "<u4"), ("start", "<u4"), ("stop", "<u4"), ("hits", "<u4"), ("share", "<f4")]
)
"""A stretch of characters of a document that stands in an item, how many of the item's n-grams the document has in all,
and what share of them."""

GRAM: Final = np.dtype([("key", "<u8"), ("item", "<u4"), ("length", "<u4"), ("word", "<u8")])
"""An n-gram of an item: its hash, how many words it has, and the first of them among the words of all items."""

MAX_LINE: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class ItemName:
    """Which item: its benchmark, its file and its line there, from 1 on."""

    benchmark: str
    file: str
    line: int


class Index(NamedTuple):
    """The n-grams of all items, sorted by key; the folded words they are made of; and a filter that rules out most keys.

    The characters of word w are ``points[ends[w]:ends[w + 1]]``. ``grams_of`` has the number of n-grams of each item.
    """

    grams: Rows
    ends: Rows
    points: Rows
    grams_of: Rows
    names: Rows
    bits: Rows
    lengths: Rows


def built(settings: Decontaminate) -> tuple[Index, list[str]]:
    """The index of the benchmarks, and the benchmark of every item. Raises ValueError naming file and line."""
    grams: list[Rows] = []
    words: list[Rows] = []
    points: list[Rows] = []
    names: list[str] = []
    benchmarks: list[str] = []
    at = 0
    for benchmark in settings.benchmarks:
        own: list[Rows] = []
        for name, texts in items_of(benchmark):
            for text in texts:
                hashes, folded, ends = _folded(text)
                length = min(settings.ngram, len(hashes))
                if length >= min(settings.min_passage_words, settings.ngram):
                    own.append(_grams(hashes, length, len(names), at))
                words.append(np.diff(ends))
                points.append(folded)
                at += len(hashes)
            names.append(json.dumps([name.benchmark, name.file, name.line]))
            benchmarks.append(benchmark.name)
        grams.append(_uncommon(np.concatenate([np.empty(0, GRAM), *own]), settings.max_items))
    table = np.concatenate([np.empty(0, GRAM), *grams])
    table = table[np.lexsort((table["word"], table["key"]))]
    size = max(10, int(np.ceil(np.log2(max(len(table), 1)))) + 4)
    bits = np.zeros(1 << (size - 3), np.uint8)
    places = table["key"] >> np.uint64(64 - size)
    np.bitwise_or.at(bits, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8))
    return (
        Index(
            grams=table,
            ends=np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([np.empty(0, np.int64), *words]))]),
            points=np.concatenate([np.empty(0, np.uint32), *points]),
            grams_of=np.bincount(table["item"], minlength=len(names)).astype(np.uint32),
            names=np.array(names, dtype=np.str_) if names else np.empty(0, "<U1"),
            bits=bits,
            lengths=np.unique(table["length"]).astype(np.int64),
        ),
        benchmarks,
    )


def _grams(hashes: Array, length: int, item: int, first_word: int) -> Rows:
    """All n-grams of a passage, n being ``length``."""
    made = np.empty(len(hashes) - length + 1, GRAM)
    made["key"], made["item"], made["length"] = _keys(hashes, length), item, length
    made["word"] = np.arange(first_word, first_word + len(made))
    return made


def _uncommon(table: Rows, max_items: int) -> Rows:
    """The n-grams that at most so many items of the benchmark share."""
    pairs = np.unique(table[["key", "item"]])
    keys, items = np.unique(pairs["key"], return_counts=True)
    return table[items[np.searchsorted(keys, table["key"])] <= max_items]


def items_of(benchmark: Benchmark) -> Iterator[tuple[ItemName, list[str]]]:
    """The items of a benchmark, with the texts of their fields. Raises ValueError naming file and line, FileNotFoundError."""
    found = {file.path: file.size for pattern in benchmark.paths for file in files.find(pattern)}
    if not found:
        raise FileNotFoundError(f"benchmark {benchmark.name!r}: no file matches {', '.join(benchmark.paths)}")
    for path, size in sorted(found.items()):
        name = PurePosixPath(path).name
        for number, (_, _, line, failure) in enumerate(lines(FilePart(path, name, 0, size, size), MAX_LINE), 1):
            if failure:
                raise ValueError(f"{path}:{number}: {failure}")
            if line.strip():
                yield ItemName(benchmark.name, name, number), _texts(line, benchmark, f"{path}:{number}")


def _texts(line: bytes, benchmark: Benchmark, place: str) -> list[str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not a line of JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{place}: expected a JSON object, found {type(row).__name__}")  # noqa: TRY004 - the data's fault
    texts = [text for field in benchmark.fields for text in _values(row, field.split("."))]
    if not texts:
        known = ", ".join(sorted(map(str, row))[:30])
        raise ValueError(f"{place}: no text in {', '.join(benchmark.fields)}; there are {known}")
    return texts


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    """The texts that a dotted field leads to; lists are gone through."""
    if isinstance(value, list):
        for one in value:
            yield from _values(one, path)
    elif path and isinstance(value, dict):
        if path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif not path and isinstance(value, str):
        yield value


def _folded(text: str) -> tuple[Array, Array, Array]:
    """Hashes of a text's folded words, their folded characters one after the other, and where each word begins and the last ends."""
    points = segment.codepoints(text)
    words = segment.words(points)
    folded, ends = _fold(points, words.starts, words.stops, characters.folds())
    return segment.folded_hashes(points, words), folded, ends


@njit(cache=True)
def _fold(points: Array, starts: Array, stops: Array, folds: Array) -> tuple[Array, Array]:
    folded = np.empty(len(points), np.uint32)
    ends = np.zeros(len(starts) + 1, np.int64)
    count = 0
    for word in range(len(starts)):
        for k in range(starts[word], stops[word]):
            if folds[points[k]] != 0:
                folded[count] = folds[points[k]]
                count += 1
        ends[word + 1] = count
    return folded[:count].copy(), ends


@njit(cache=True)
def _keys(hashes: Array, length: int) -> Array:
    """The hash of every run of ``length`` words."""
    keys = np.empty(max(0, len(hashes) - length + 1), np.uint64)
    for start in range(len(keys)):
        running = np.uint64(length)
        for k in range(start, start + length):
            running = mix(running, hashes[k])
        keys[start] = running
    return keys


@njit(cache=True)
def _perhaps(keys: Array, bits: Array) -> Array:
    """Places of the keys that the filter does not rule out."""
    size = 3
    while (1 << (size - 3)) < len(bits):
        size += 1
    found = np.empty(len(keys), np.int64)
    count = 0
    for k in range(len(keys)):
        place = keys[k] >> np.uint64(64 - size)
        if bits[place >> np.uint64(3)] >> np.uint8(place & np.uint64(7)) & 1:
            found[count] = k
            count += 1
    return found[:count].copy()


def load(layout: Layout) -> Index:
    """The index of the run in this folder, mapped into memory."""
    return Index(*(store.load(layout.work(f"benchmarks/{name}.npy")) for name in Index._fields))


def name_of(index: Index, item: int) -> ItemName:
    """The name of an item."""
    return ItemName(*json.loads(str(index.names[item])))


def hits(document: Document, index: Index, settings: Decontaminate) -> Rows:
    """The stretches of a document that stand in items of which it has enough: an array of HIT, by item and place."""
    words = document.words
    hashes = segment.folded_hashes(document.codepoints, words)
    found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    own: tuple[Array, Array] | None = None
    for length in index.lengths.tolist():
        keys = _keys(hashes, length)
        places = _perhaps(keys, index.bits)
        first = np.searchsorted(index.grams["key"], keys[places])
        last = np.searchsorted(index.grams["key"], keys[places], side="right")
        for place, start, stop in zip(
            places[first < last].tolist(), first[first < last], last[first < last], strict=True
        ):
            own = own or _fold(document.codepoints, words.starts, words.stops, characters.folds())
            for gram in index.grams[start:stop]:
                if gram["length"] == length and _same_words(own, place, index, int(gram["word"]), length):
                    found[int(gram["item"])].append((place, place + length, int(gram["word"])))
    rows = []
    for item, those in sorted(found.items()):
        count = len({word for _, _, word in those})
        share = count / int(index.grams_of[item])
        if count >= settings.min_hits and share >= settings.min_share:
            for start, stop in union((first, last) for first, last, _ in those):
                rows.append((document.number, item, words.starts[start], words.stops[stop - 1], count, share))
    return np.array(rows, HIT)


def _same_words(own: tuple[Array, Array], place: int, index: Index, word: int, length: int) -> bool:
    """Whether so many words from ``place`` on are those of the index from ``word`` on, boundaries included."""
    folded, ends = own
    mine = ends[place : place + length + 1]
    theirs = index.ends[word : word + length + 1]
    return bool(
        (mine - mine[0] == theirs - theirs[0]).all()
        and (folded[mine[0] : mine[-1]] == index.points[theirs[0] : theirs[-1]]).all()
    )


def hits_file(layout: Layout, name: str) -> str:
    """Where the hits in the documents of one table lie (SOURCE/SPLIT-PART.parquet); a table without hits has none."""
    return layout.work(f"dedup/benchmarks/{name.removesuffix('.parquet')}.npy")


def load_hits(layout: Layout, name: str) -> Rows:
    """The hits in the documents of one table, by document, item and place."""
    path = hits_file(layout, name)
    return store.load(path) if files.exists(path) else np.empty(0, HIT)
