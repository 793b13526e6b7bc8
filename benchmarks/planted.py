"""A made corpus with known near-duplicates: Zipf words, copies with single words replaced, at Jaccard similarities that are known.

Every document is a function of the seed, its family and its variant (a keyed hash gives each word), so that any number of
documents is made in one pass, the same everywhere, and the truth is computed from the words themselves. Documents of a
family are scattered over the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

NGRAM: Final = 5
"""Words in a shingle: what the similarities are of."""
DOCUMENTS_A_FILE: Final = 20_000
_VOCABULARY: Final = 50_000
_TABLE_BITS: Final = 16
_SYLLABLES: Final = [
    c + v
    for c in ["b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st", "tr", "pl"]
    for v in ["a", "e", "i", "o", "u", "ai", "ou"]
]

# What the families of one cycle are: how many documents each has, and whether its copies are exact.
_CYCLE: Final = [(1, False)] * 30 + [(2, False)] * 7 + [(2, True)] * 2 + [(6, False)]
_CYCLE_SIZE: Final = sum(size for size, _ in _CYCLE)
_BATCH: Final = 2_000


@dataclass(frozen=True)
class Corpus:
    """``count`` documents: of 54, 30 stand alone, 14 are pairs, 4 exact pairs, and 6 are one family of copies.

    A copy has up to one word in 14 replaced, so that its Jaccard similarity to the original lies between .5 and 1.
    """

    count: int
    seed: int = 1
    shortest: int = 100
    """Words of the shortest document; the longest has ten times as many, the average is 2.8 times as long."""

    def members(self) -> tuple[Array, Array]:
        """Family and variant of every document, int64, shape (count,): variant 0 is the original, -1 an exact copy of it."""
        families, variants = [], []
        for index, (size, exact) in enumerate(_CYCLE):
            families += [index] * size
            variants += [0] + [-1] * (size - 1) if exact else list(range(size))
        cycles = -(-self.count // _CYCLE_SIZE)
        family = (np.array(families) + len(_CYCLE) * np.arange(cycles)[:, None]).ravel()[: self.count]
        variant = np.tile(np.array(variants), cycles)[: self.count]
        order = np.random.Generator(np.random.PCG64(self.seed)).permutation(self.count)
        return family[order], variant[order]

    def truth(self) -> tuple[Array, Array, Array]:
        """All pairs of documents of one family: their places (int64), the smaller first, and their Jaccard similarity."""
        family, variant = self.members()
        order = np.argsort(family, kind="stable")
        bounds = np.flatnonzero(np.diff(family[order], prepend=-1, append=-1))
        left, right = [], []
        for size in range(2, max(size for size, _ in _CYCLE) + 1):
            starts = bounds[:-1][np.diff(bounds) == size]
            for a in range(size):
                for b in range(a + 1, size):
                    left.append(order[starts + a])
                    right.append(order[starts + b])
        first, second = np.concatenate(left), np.concatenate(right)
        first, second = np.minimum(first, second), np.maximum(first, second)
        return (
            first,
            second,
            _similarities(family[first], variant[first], variant[second], self.seed, self.shortest, _zipf()),
        )

    def texts(self, start: int, stop: int) -> pa.Array:
        """The texts of the documents from start to stop."""
        family, variant = self.members()
        return self._texts(family[start:stop], variant[start:stop])

    def _texts(self, family: Array, variant: Array) -> pa.Array:
        spelling, offsets = _words()
        buffer, ends = _write(family, variant, self.seed, self.shortest, _zipf(), spelling, offsets)
        return pa.StringArray.from_buffers(len(family), pa.py_buffer(ends), pa.py_buffer(buffer))

    def write(self, folder: Path) -> int:
        """Write the corpus as Parquet files with the columns ``id`` and ``text``. Returns the bytes of its text."""
        folder.mkdir(parents=True, exist_ok=True)
        family, variant = self.members()
        size = 0
        schema = pa.schema([("id", pa.string()), ("text", pa.string())])
        for start in range(0, self.count, DOCUMENTS_A_FILE):
            stop = min(self.count, start + DOCUMENTS_A_FILE)
            with pq.ParquetWriter(
                folder / f"{start // DOCUMENTS_A_FILE:05d}.parquet", schema, compression="zstd"
            ) as out:
                for first in range(start, stop, _BATCH):
                    last = min(stop, first + _BATCH)
                    texts = self._texts(family[first:last], variant[first:last])
                    size += texts.buffers()[2].size
                    out.write_table(pa.table([pa.array(map(str, range(first, last))), texts], schema=schema))
        return size


def _zipf() -> Array:
    """Words by keyed hash: index by its upper bits to draw from Zipf's law (exponent 1)."""
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    cumulative = np.cumsum(weights) / weights.sum()
    entries = 1 << _TABLE_BITS
    return np.searchsorted(cumulative, (np.arange(entries) + 0.5) / entries).astype(np.int32)


def _words() -> tuple[Array, Array]:
    """The vocabulary's letters (uint8) and where each word begins and ends in them; frequent words are short."""
    words, base = [], len(_SYLLABLES)
    for number in range(_VOCABULARY):
        syllables = [_SYLLABLES[number * 37 % base]]
        rest = number // base
        while rest:
            syllables.append(_SYLLABLES[rest * 53 % base])
            rest //= base
        words.append("".join(syllables).encode())
    return np.frombuffer(b"".join(words), np.uint8), np.cumsum([0, *map(len, words)])


@njit(cache=True, inline="always")
def _draw(seed: int, family: int, variant: int, place: int) -> np.uint64:
    """64 random bits (the finalizer of SplitMix64 over a counter)."""
    value = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(family)
    value = value * np.uint64(0xD1342543DE82EF95) + np.uint64(variant * 65537 + place + 1)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, inline="always")
def _length(seed: int, family: int, shortest: int) -> int:
    """Words of a family's documents: the shortest to ten times that, on the average 2.8 times."""
    share = float(_draw(seed, family, 0, 60000) >> np.uint64(11)) / float(1 << 53)
    return int(shortest + 9 * shortest * share**4)


@njit(cache=True, inline="always")
def _word(seed: int, family: int, variant: int, place: int, zipf: Array) -> int:
    """The word at a place; a copy has another one there with a chance that is the copy's own."""
    if variant > 0:
        rate = _draw(seed, family, variant, 60001) >> np.uint64(48)
        if (_draw(seed, family, variant + 1000, place) >> np.uint64(48)) * np.uint64(14) < rate:
            return zipf[_draw(seed, family, variant, place) >> np.uint64(64 - _TABLE_BITS)]
    return zipf[_draw(seed, family, 0, place) >> np.uint64(64 - _TABLE_BITS)]


@njit(cache=True)
def _similarities(families: Array, left: Array, right: Array, seed: int, shortest: int, zipf: Array) -> Array:
    found = np.empty(len(families), np.float64)
    for pair in range(len(families)):
        length = _length(seed, families[pair], shortest)
        equal = 0
        run = 0
        for place in range(length):
            same = _word(seed, families[pair], left[pair], place, zipf) == _word(
                seed, families[pair], right[pair], place, zipf
            )
            run = run + 1 if same else 0
            equal += run >= NGRAM
        found[pair] = equal / (2 * (length - NGRAM + 1) - equal)
    return found


@njit(cache=True)
def _write(
    families: Array, variants: Array, seed: int, shortest: int, zipf: Array, spelling: Array, offsets: Array
) -> tuple[Array, Array]:
    ends = np.zeros(len(families) + 1, np.int32)
    longest = 0
    for word in range(len(offsets) - 1):
        longest = max(longest, offsets[word + 1] - offsets[word])
    capacity = 0
    for document in range(len(families)):
        capacity += _length(seed, families[document], shortest) * (longest + 2)
    buffer = np.empty(capacity, np.uint8)
    size = 0
    for document in range(len(families)):
        family, variant = families[document], variants[document]
        length = _length(seed, family, shortest)
        begins = True
        for place in range(length):
            word = _word(seed, family, variant, place, zipf)
            for at in range(offsets[word], offsets[word + 1]):
                buffer[size] = spelling[at] - 32 * begins
                begins = False
                size += 1
            draw = _draw(seed, family, 0, 70000 + place) >> np.uint64(58)
            if place == length - 1 or draw < 4:  # a sentence of 16 words, a paragraph of 64, on the average
                buffer[size] = 46
                size += 1
                begins = True
            buffer[size] = 10 if begins and draw == 0 else 32
            size += 1
        ends[document + 1] = size
    return buffer[:size].copy(), ends
