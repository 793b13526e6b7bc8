"""The choice of bands and rows for a similarity: the optimum that datasketch's ``MinHashLSH(threshold=…)`` computes."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray


def candidate_probability(similarity: float, bands: int, rows: int) -> float:
    """The chance that two documents of this Jaccard similarity share a band: 1 - (1 - s^rows)^bands."""
    return float(1 - (1 - similarity**rows) ** bands)


@functools.cache
def optimal(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands and rows, together at most ``permutations`` values, that err least about a threshold in (0, 1).

    The error is the mean of two integrals: of the chance to be a candidate below the threshold, and of the chance not to be
    one above it. Of equal optima the one with fewer bands, then fewer rows, is taken (as in datasketch).
    """
    if not 0 < threshold < 1:
        raise ValueError("threshold must lie between 0 and 1")
    nodes, weights = np.polynomial.legendre.leggauss(128)
    below, above = (nodes + 1) / 2 * threshold, threshold + (nodes + 1) / 2 * (1 - threshold)
    best, found = float("inf"), (1, 1)
    for bands in range(1, permutations + 1):
        rows = np.arange(1, permutations // bands + 1)[:, None]
        false_positive = threshold / 2 * ((1 - _missed(below, bands, rows)) @ weights)
        false_negative = (1 - threshold) / 2 * (_missed(above, bands, rows) @ weights)
        error = (false_positive + false_negative) / 2
        least = int(np.argmin(error))
        if error[least] < best:
            best, found = float(error[least]), (bands, least + 1)
    return found


def _missed(similarity: NDArray[np.float64], bands: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    missed: NDArray[np.float64] = (1 - similarity**rows) ** bands
    return missed
