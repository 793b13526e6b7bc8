"""Which documents of a band's bucket are worth comparing: everyone with the best and the nearest there, never all with all.

A bucket holds the documents that share a band. Linking each to the bucket's first document would be cheap, but where pages
of one template meet, the first is a stranger to most, and true pairs are lost. So every row carries a sketch: the lowest
bits of 64 values of the signature outside of the band (1-bit minwise hashing, Li and König 2010). Its Hamming distance
estimates the similarity, and each document is linked to a few centers of its bucket by it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from pipeline.dedup.minhash import band_keys
from pipeline.dedup.runs import CORPUS_BITS, Rows, distinct, repeated

PAIR: Final = np.dtype([("number", "<u8"), ("kept", "<u8")])
"""Two documents to compare; ``kept`` is the one that would stay."""

SKETCH: Final = 64
CENTERS: Final = 64
"""Documents of a bucket that others are compared with; a document that is as good as equal to one is no further center."""
NEAREST: Final = 2
"""How many of the nearest centers a document is linked to, beside the best-ranked that is near enough."""
SAME: Final = 2
"""Bits that differ between sketches of documents that are as good as equal."""


@njit(cache=True)
def bands_within(signatures: Rows, there: Rows, bands: int, rows: int, low: int, high: int) -> tuple[Rows, Rows, Rows]:
    """The bands of those documents that are ``there`` whose keys have upper 32 bits from ``low`` up to, not including, ``high``.

    ``signatures``: uint32, shape (documents, at least bands * rows). Returns the document, the key and the sketch of each.
    """
    keys = band_keys(signatures, bands, rows)
    count = 0
    for document in range(len(keys)):
        for band in range(bands):
            if there[document] and low <= np.int64(keys[document, band] >> np.uint64(32)) < high:
                count += 1
    documents = np.empty(count, np.int64)
    chosen = np.empty(count, np.uint64)
    made = np.empty(count, np.uint64)
    ring = np.empty((bands * rows + SKETCH) // 64 + 2, np.uint64)
    at = 0
    for document in range(len(keys)):
        filled = False
        for band in range(bands):
            if not (there[document] and low <= np.int64(keys[document, band] >> np.uint64(32)) < high):
                continue
            if not filled:
                _fill_ring(signatures[document], bands * rows, ring)
                filled = True
            documents[at] = document
            chosen[at] = keys[document, band]
            made[at] = _sketch(ring, bands, rows, band)
            at += 1
    return documents, chosen, made


@njit(cache=True)
def _fill_ring(signature: Rows, values: int, ring: Rows) -> None:
    """Fill in the lowest bits of a signature's values, and once more those after the last."""
    ring[:] = np.uint64(0)
    value = 0
    for bit in range(values + SKETCH):
        ring[bit >> 6] |= np.uint64(signature[value] & np.uint32(1)) << np.uint64(bit & 63)
        value += 1
        if value == values:
            value = 0


@njit(cache=True)
def _sketch(ring: Rows, bands: int, rows: int, band: int) -> np.uint64:
    """The lowest bits of the values that follow a band's, up to ``SKETCH`` of them."""
    values = bands * rows
    width = min(SKETCH, values - rows)
    if width == 0:
        return np.uint64(0)
    at = (band + 1) * rows % values
    shift = np.uint64(at & 63)
    bits = ring[at >> 6] >> shift
    if shift:
        bits |= ring[(at >> 6) + 1] << (np.uint64(64) - shift)
    return bits & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - width))


def furthest(bands: int, rows: int, min_similarity: float) -> int:
    """The Hamming distance of sketches up to which a pair is worth comparing: three standard deviations above that expected.

    Of two documents that share a band and ``min_similarity`` of all values, this leaves out one pair in a thousand.
    """
    values = bands * rows
    bits = min(SKETCH, values - rows)
    if bits == 0:
        return 0
    outside = max(0.0, (min_similarity * values - rows) / (values - rows))
    differs = (1 - outside) / 2  # values that are not equal still have equal bits half of the time
    return math.floor(bits * differs + 3 * math.sqrt(bits * differs * (1 - differs)))


def links(table: Rows, limit: int) -> Rows:
    """The pairs to compare, from rows with a band's key in ``key`` and the sketch in ``check``: dtype PAIR, sorted, unique.

    In every bucket the documents come in the survivor's order (rank, then number). Documents of earlier runs are linked to
    by others only. The result depends on the rows alone, not on their order.
    """
    table = repeated(table)
    table = table[np.lexsort((table["number"], table["rank"], table["key"]))]
    number, kept = _links(table["key"], table["check"], table["number"], limit)
    found = np.empty(len(number), PAIR)
    found["number"], found["kept"] = number, kept
    return distinct(found)


@njit(cache=True)
def _differing(first: np.uint64, second: np.uint64) -> int:
    bits = first ^ second
    bits -= (bits >> np.uint64(1)) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True)
def _links(keys: Rows, sketch: Rows, numbers: Rows, limit: int) -> tuple[Rows, Rows]:
    most = len(keys) * (NEAREST + 1)
    left = np.empty(most, np.uint64)
    right = np.empty(most, np.uint64)
    count = 0
    centers = np.empty(CENTERS, np.int64)
    held = 0
    chosen = np.empty(NEAREST + 1, np.int64)
    near = np.empty(NEAREST, np.int64)
    for row in range(len(keys)):
        if row == 0 or keys[row] != keys[row - 1]:
            held = 0
        first = -1
        closest = limit + 1
        near[:] = limit + 1
        chosen[:] = -1
        for place in range(held):
            center = centers[place]
            distance = _differing(sketch[row], sketch[center])
            closest = min(closest, distance)
            if distance > limit:
                continue
            if first < 0:
                first = center
                chosen[NEAREST] = center
            at = NEAREST
            while at > 0 and distance < near[at - 1]:
                at -= 1
            if at < NEAREST:
                for k in range(NEAREST - 1, at, -1):
                    near[k] = near[k - 1]
                    chosen[k] = chosen[k - 1]
                near[at] = distance
                chosen[at] = center
        if numbers[row] >> np.uint64(CORPUS_BITS) == 0:
            for k in range(NEAREST + 1):
                if chosen[k] >= 0 and (k < NEAREST or (chosen[:NEAREST] != chosen[k]).all()):
                    left[count] = numbers[row]
                    right[count] = numbers[chosen[k]]
                    count += 1
        if held < CENTERS and (held == 0 or closest > min(SAME, limit)):
            centers[held] = row
            held += 1
    return left[:count].copy(), right[:count].copy()
