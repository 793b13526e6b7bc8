"""The one mechanism behind every level of dedup: rows of keys, partitioned, sorted, and searched for runs of equal keys."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Rows = NDArray[Any]

ROW: Final = np.dtype([("key", "<u8"), ("check", "<u8"), ("rank", "<u8"), ("number", "<u8"), ("position", "<u4")])
"""One key of one document: the key (and more of it, for exactness), the survivor's order, the document, where in it."""

REPEAT: Final = np.dtype([("number", "<u8"), ("position", "<u4"), ("kept", "<u8"), ("kept_position", "<u4")])
"""One repetition: this place in this document repeats that place in the document that keeps it."""

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
    keys = np.sort(table["key"])
    repeated = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if len(repeated) == 0:
        return np.empty(0, REPEAT)
    table = table[contains(repeated, table["key"])]
    table = table[np.lexsort((table["position"], table["number"], table["rank"], table["check"], table["key"]))]
    same = np.zeros(len(table), bool)
    same[1:] = (table["key"][1:] == table["key"][:-1]) & (table["check"][1:] == table["check"][:-1])
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(table))))
    found = np.empty(int(same.sum()), REPEAT)
    found["number"], found["position"] = table["number"][same], table["position"][same]
    found["kept"], found["kept_position"] = table["number"][first[same]], table["position"][first[same]]
    return found[np.lexsort((found["position"], found["number"]))]


def contains(sorted_values: Rows, values: Rows) -> Rows:
    """Which of the values are among the sorted ones."""
    if len(sorted_values) == 0:
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    return sorted_values[places] == values


def clusters(left: Rows, right: Rows, count: int) -> Rows:
    """Connected components of the edges between nodes 0 … count - 1: for each node the smallest node it is joined to."""
    return _union_find(left.astype(np.int64), right.astype(np.int64), count)


@njit(cache=True)
def _union_find(left: Rows, right: Rows, count: int) -> Rows:
    parent = np.arange(count)
    for edge in range(len(left)):
        a, b = left[edge], right[edge]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for node in range(count):
        parent[node] = parent[parent[node]]
    return parent
