"""Looks names up by a running hash: small open-addressing tables that compiled scans can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

HASH_START: Final = np.uint64(0xCBF29CE484222325)
HASH_PRIME: Final = np.uint64(0x100000001B3)
"""FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) over the bytes of a name."""


class NameTable(NamedTuple):
    """Hashes (uint64, 0 where a slot is free) and the values (uint64) that belong to them; the length is a power of 2."""

    keys: NDArray[np.uint64]
    values: NDArray[np.uint64]


def name_hash(name: bytes) -> int:
    """FNV-1a of a name."""
    value = int(HASH_START)
    for byte in name:
        value = ((value ^ byte) * int(HASH_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value


def name_table(values: Mapping[bytes, int]) -> NameTable:
    """A table of names, at most half full, so that a name which is not in it is found missing at once.

    Raises ValueError where two names have one hash.
    """
    size = 1 << (4 * max(1, len(values)) - 1).bit_length()
    keys = np.zeros(size, np.uint64)
    found = np.zeros(size, np.uint64)
    for name, value in values.items():
        key = name_hash(name)
        slot = (key ^ key >> 32) & (size - 1)
        while keys[slot]:
            if int(keys[slot]) == key:
                raise ValueError(f"the hash of {name!r} is taken")
            slot = (slot + 1) & (size - 1)
        keys[slot] = key
        found[slot] = value
    return NameTable(keys, found)


@njit(cache=True, inline="always")
def find(keys: NDArray[np.uint64], values: NDArray[np.uint64], key: np.uint64) -> np.uint64:
    """The value that belongs to a hash; 0 where the table has no such name."""
    mask = np.uint64(len(keys) - 1)
    slot = (key ^ (key >> np.uint64(32))) & mask
    while keys[slot] != np.uint64(0) and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return values[slot]
