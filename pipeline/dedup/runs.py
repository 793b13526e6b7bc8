"""The one mechanism behind every level of dedup: rows of keys, partitioned, sorted, and searched for runs of equal keys."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from filters.segment import MIX

Rows = NDArray[Any]

ROW: Final = np.dtype([("key", "<u8"), ("check", "<u8"), ("rank", "<u8"), ("number", "<u8"), ("position", "<u4")])
"""One key of one document: the key (and more of it, for exactness), the survivor's order, the document, where in it."""

REPEAT: Final = np.dtype([("number", "<u8"), ("position", "<u4"), ("kept", "<u8"), ("kept_position", "<u4")])
"""One repetition: this place in this document repeats that place in the document that keeps it."""

CROWD: Final = np.dtype([("number", "<u8"), ("position", "<u4"), ("pages", "<u4")])
"""One place in one document that many documents have, and how many they are."""

CORPUS_BITS: Final = 56
"""Where in a document number it says which corpus the document is of: 0 for this run, 1 for its first reference, and so on."""

BYTES_PER_ROW: Final = 200
"""Memory that a row needs while its partition is grouped and sorted (measured: 5 copies of 36 bytes)."""


def rows(keys: Rows, check: Rows | int, ranks: Rows, numbers: Rows, positions: Rows | int = 0) -> Rows:
    """Rows from columns of equal length (or single values): a structured array of dtype ROW."""
    made = np.empty(len(keys), ROW)
    made["key"], made["check"], made["rank"], made["number"], made["position"] = keys, check, ranks, numbers, positions
    return made


def partition_of(keys: Rows, partitions: int) -> Rows:
    """The partition of each key: equal ranges of the key space, so that keys (which are hashes) spread evenly."""
    return ((keys >> np.uint64(32)) * np.uint64(partitions)) >> np.uint64(32)


def repeats(table: Rows) -> Rows:
    """Every row whose key occurred in an earlier row, with that first one: dtype REPEAT, by document and position.

    Within equal keys the order is rank, then document number, then position; the first is the one that stays. The result
    depends on the rows alone, not on their order.
    """
    table = repeated(table)
    table = table[np.lexsort((table["position"], table["number"], table["rank"], table["check"], table["key"]))]
    same = np.zeros(len(table), bool)
    same[1:] = (table["key"][1:] == table["key"][:-1]) & (table["check"][1:] == table["check"][:-1])
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(table))))
    found = np.empty(int(same.sum()), REPEAT)
    found["number"], found["position"] = table["number"][same], table["position"][same]
    found["kept"], found["kept_position"] = table["number"][first[same]], table["position"][first[same]]
    return found[np.lexsort((found["position"], found["number"]))]


def repeated(table: Rows) -> Rows:
    """The rows whose key occurs more than once, and by chance a few of the others: most are gone before they are sorted."""
    found: Rows = table[_perhaps_repeated(table["key"])]
    return found


@njit(cache=True)
def _perhaps_repeated(keys: Rows) -> Rows:
    """Marks keys by their lower bits in a table of 16 bits a key: first that one was there, then that a second came."""
    size = 64
    while size < 16 * len(keys):
        size *= 2
    mask = np.uint64(size - 1)
    once = np.zeros(size // 8, np.uint8)
    twice = np.zeros(size // 8, np.uint8)
    for key in keys:
        place = (key & mask) >> np.uint64(3)
        bit = np.uint8(1 << (key & np.uint64(7)))
        twice[place] |= once[place] & bit
        once[place] |= bit
    found = np.empty(len(keys), np.bool_)
    for row in range(len(keys)):
        key = keys[row]
        found[row] = twice[(key & mask) >> np.uint64(3)] >> np.uint8(key & np.uint64(7)) & 1
    return found


def order_by(places: Rows, count: int) -> Rows:
    """The stable order of rows by their places, which are below ``count``: few places are sorted by radix, in one pass."""
    return np.argsort(places.astype(np.uint16) if count <= 1 << 16 else places, kind="stable")


def distinct(array: Rows) -> Rows:
    """The rows sorted by their first two fields, one for each value of these."""
    assert array.dtype.names
    first, second = (array[name] for name in array.dtype.names[:2])
    array = array[np.lexsort((second, first))]
    first, second = (array[name] for name in array.dtype.names[:2])  # type: ignore[index]
    new = np.ones(len(array), bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return array[new]


def contains(sorted_values: Rows, values: Rows) -> Rows:
    """Which of the values are among the sorted ones."""
    if len(sorted_values) == 0:
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    return sorted_values[places] == values


def crowds(table: Rows, least: int) -> Rows:
    """Every row whose key occurs in at least so many documents: dtype CROWD, by document and position.

    The result depends on the rows alone, not on their order.
    """
    table = table[np.lexsort((table["position"], table["number"], table["key"]))]
    new_key = np.ones(len(table), bool)
    new_key[1:] = table["key"][1:] != table["key"][:-1]
    new_document = new_key.copy()
    new_document[1:] |= table["number"][1:] != table["number"][:-1]
    group = np.cumsum(new_key) - 1
    pages = np.bincount(group, new_document).astype(np.uint32)[group] if len(table) else np.empty(0, np.uint32)
    many = pages >= least
    found = np.empty(int(many.sum()), CROWD)
    found["number"], found["position"], found["pages"] = table["number"][many], table["position"][many], pages[many]
    return found[np.lexsort((found["position"], found["number"]))]


def joined(first: Rows, second: Rows) -> Rows:
    """A 64-bit key of two, the same for equal pairs."""
    mixed = (first ^ (second >> np.uint64(32))) * MIX
    mixed = ((mixed ^ (mixed >> np.uint64(29))) ^ second) * MIX
    return mixed ^ (mixed >> np.uint64(32))
