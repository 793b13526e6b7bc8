"""MinHash of a document: its shingles, their signature (datasketch's, bit for bit), and the bands of LSH.

A shingle is a run of folded words or, where most letters belong to scripts that put no spaces between words, a run of folded
characters. Its hash is a rolling polynomial, so that a long shingle costs what a short one does. Sources: Broder 1997 (min-wise
hashing); Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4 (bands); datasketch 2 (permutations, choice of bands).
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numba import njit

from filters import characters, segment
from filters.characters import UNSPACED_LETTER
from filters.document import Document
from filters.segment import MIX, Array, FlatWords, Segments, mix
from pipeline.dedup.settings import Near

_FINISH: Final = np.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier that spreads the polynomial's sum over its upper half (Rrmxmx, P. Evensen 2018)."""
_CHUNK: Final = 4096
"""Shingles that are hashed before they are permuted: 16 kB, so that they stay in the first cache."""


def signatures(points: Array, offsets: Array, words: FlatWords, near: Near) -> tuple[Array, Array]:
    """The signatures of texts (``segment.flat_codepoints``) that have one, and which these are.

    uint32, shape (texts with a signature, near.permutations), and bool, shape (texts,): a text shorter than a shingle has none,
    so that it never clusters. Equal, bit for bit, to what ``datasketch.MinHash(num_perm, seed)`` (scheme affine32) becomes
    when it is updated with the values of ``shingles``.
    """
    multipliers, increments = permutations(near.permutations, near.seed)
    tables = characters.flags(), characters.folds()
    made, there = _signatures(points, offsets, words, *tables, near.ngram, near.characters, multipliers, increments)
    return made[there], there


def signature(document: Document, near: Near) -> Array:
    """The signature of one document: uint32, shape (near.permutations,), or empty."""
    points, offsets = segment.flat_codepoints([document.text])
    found: Array = signatures(points, offsets, segment.flat_folded_words(points, offsets), near)[0].ravel()
    return found


def shingles(document: Document, near: Near) -> Array:
    """The 32-bit hash of every shingle, in order: uint32, shape (shingles,), empty for a text shorter than one."""
    found: Array = _shingles(*_views(document), near.ngram, near.characters)
    return found


def shingle_set(document: Document, near: Near) -> Array:
    """The different shingles of a document, sorted: what ``jaccard`` compares. uint32."""
    return np.unique(shingles(document, near))


def jaccard(left: Array, right: Array) -> float:
    """Size of the intersection over size of the union of two shingle sets; 0 where both are empty."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - common
    return common / union if union else 0.0


def unspaced(document: Document) -> bool:
    """Whether most letters of a text belong to scripts without spaces between words (Han, Kana, Thai, Tibetan, …)."""
    words = document.folded_words
    return bool(_unspaced(document.codepoints, words.starts, words.stops, characters.flags()))


def _views(document: Document) -> tuple[Array, Segments, Array, Array]:
    return document.codepoints, document.folded_words, characters.flags(), characters.folds()


@functools.cache
def permutations(count: int, seed: int) -> tuple[Array, Array]:
    """Multipliers (odd) and increments of datasketch's permutations: two arrays of uint32, shape (count,)."""
    draw = np.random.RandomState(seed)  # the generator that datasketch uses; its stream is frozen by NumPy's promise
    odd = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return odd, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@njit(cache=True)
def _unspaced(points: Array, starts: Array, stops: Array, flags: Array) -> bool:
    inside = 0
    total = 0
    for word in range(len(starts)):
        size = stops[word] - starts[word]
        total += size
        if flags[points[starts[word]]] & UNSPACED_LETTER:
            inside += size
    return 2 * inside > total


@njit(cache=True)
def _units(
    points: Array, words: Segments, flags: Array, folds: Array, ngram: int, characters: int
) -> tuple[Array, int]:
    """What a document's shingles are made of, a 64-bit number each, and how many of them a shingle has."""
    if _unspaced(points, words.starts, words.stops, flags):
        return _characters(points, words.starts, words.stops, folds), characters
    return words.hashes, ngram


@njit(cache=True)
def _characters(points: Array, starts: Array, stops: Array, folds: Array) -> Array:
    """The folded characters of all words, one after the other; those that fold to nothing are left out."""
    units = np.empty(len(points), np.uint64)
    count = 0
    for word in range(len(starts)):
        for place in range(starts[word], stops[word]):
            folded = folds[points[place]]
            if folded != 0:
                units[count] = folded
                count += 1
    return units[:count].copy()


@njit(cache=True)
def _shingles(points: Array, words: Segments, flags: Array, folds: Array, ngram: int, characters: int) -> Array:
    units, size = _units(points, words, flags, folds, ngram, characters)
    found = np.empty(max(0, len(units) - size + 1), np.uint32)
    if len(found):
        _hash(units, size, 0, found)
    return found


@njit(cache=True)
def _hash(units: Array, size: int, first: int, found: Array) -> None:
    """Fill ``found`` with the hashes of the shingles from number ``first`` on."""
    power = np.uint64(1)
    running = np.uint64(0)
    for k in range(first, first + size):
        power *= MIX
        running = running * MIX + units[k]
    for shingle in range(len(found)):
        value = (running ^ (running >> np.uint64(32))) * _FINISH
        found[shingle] = np.uint32(value >> np.uint64(32))
        if shingle + 1 < len(found):
            running = running * MIX + units[first + shingle + size] - power * units[first + shingle]


@njit(cache=True)
def _signatures(
    points: Array,
    offsets: Array,
    words: FlatWords,
    flags: Array,
    folds: Array,
    ngram: int,
    characters: int,
    multipliers: Array,
    increments: Array,
) -> tuple[Array, Array]:
    texts = len(offsets) - 1
    made = np.empty((texts, len(multipliers)), np.uint32)
    there = np.zeros(texts, np.bool_)
    for text in range(texts):
        first, last = words.offsets[text], words.offsets[text + 1]
        own = Segments(words.starts[first:last], words.stops[first:last], words.hashes[first:last])
        units, size = _units(points[offsets[text] : offsets[text + 1]], own, flags, folds, ngram, characters)
        if len(units) >= size:
            there[text] = True
            _sign(units, size, multipliers, increments, made[text])
    return made, there


@njit(cache=True)
def _sign(units: Array, size: int, multipliers: Array, increments: Array, smallest: Array) -> None:
    """Fill in the signature of the shingles of ``size`` units."""
    smallest[:] = np.uint32(0xFFFFFFFF)
    count = len(smallest)
    total = len(units) - size + 1
    chunk = np.empty(min(total, _CHUNK), np.uint32)
    for first in range(0, total, _CHUNK):
        values = chunk[: min(_CHUNK, total - first)]
        _hash(units, size, first, values)
        for k in range(len(values)):  # datasketch's mixing before the permutations: the finalizer of MurmurHash3
            value = values[k]
            value = np.uint32(value ^ (value >> np.uint32(16)))
            value = np.uint32(value * np.uint32(0x85EBCA6B))
            value = np.uint32(value ^ (value >> np.uint32(13)))
            value = np.uint32(value * np.uint32(0xC2B2AE35))
            values[k] = np.uint32(value ^ (value >> np.uint32(16)))
        # The loops over values become vector instructions; four permutations share what they load.
        whole = count - count % 4
        for k in range(0, whole, 4):
            a, b, c, d = smallest[k], smallest[k + 1], smallest[k + 2], smallest[k + 3]
            for value in values:
                a = min(a, np.uint32(value * multipliers[k] + increments[k]))
                b = min(b, np.uint32(value * multipliers[k + 1] + increments[k + 1]))
                c = min(c, np.uint32(value * multipliers[k + 2] + increments[k + 2]))
                d = min(d, np.uint32(value * multipliers[k + 3] + increments[k + 3]))
            smallest[k], smallest[k + 1], smallest[k + 2], smallest[k + 3] = a, b, c, d
        for k in range(whole, count):
            a = smallest[k]
            for value in values:
                a = min(a, np.uint32(value * multipliers[k] + increments[k]))
            smallest[k] = a


@njit(cache=True)
def band_keys(signatures: Array, bands: int, rows: int) -> Array:
    """Keys of the bands of signatures (uint32, shape (documents, at least bands * rows)): uint64, shape (documents, bands)."""
    keys = np.empty((len(signatures), bands), np.uint64)
    for document in range(len(signatures)):
        for band in range(bands):
            running = np.uint64(band + 1)
            for row in range(rows):
                running = mix(running, np.uint64(signatures[document, band * rows + row]))
            keys[document, band] = running
    return keys
