"""Gradient-boosted decision trees: a few flat arrays, evaluated in one loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


class Forest(NamedTuple):
    """Trees one after another. A child below 0 is a leaf: number ``-child - 1`` in ``values``."""

    roots: Array
    """int32[trees]: the first node of each."""
    feature: Array
    """int16[nodes]: column that a node asks for."""
    threshold: Array
    """float32[nodes]: a row goes left where its value is at most this."""
    left: Array
    """int16[nodes]: relative to the tree's root."""
    right: Array
    """int16[nodes]"""
    values: Array
    """float32[leaves]: log odds, summed over the trees."""
    leaf_roots: Array
    """int32[trees]: the first leaf of each."""


@njit(cache=True)
def log_odds(rows: Array, forest: Forest) -> Array:
    """float32[n]: the sum of the trees' values for ``rows``, float32[n, features]."""
    out = np.zeros(len(rows), np.float32)
    for t in range(len(forest.roots)):
        root = forest.roots[t]
        leaves = forest.leaf_roots[t]
        for row in range(len(rows)):
            node = np.int64(0)
            while node >= 0:
                at = root + node
                node = (
                    np.int64(forest.left[at])
                    if rows[row, forest.feature[at]] <= forest.threshold[at]
                    else np.int64(forest.right[at])
                )
            out[row] += forest.values[leaves - node - 1]
    return out
