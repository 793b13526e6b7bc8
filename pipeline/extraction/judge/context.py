"""What the first judgement of the blocks around a block says about it: numbers for a second judgement."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

_STEPS: Final = 4
_LEVELS: Final = 7
NAMES: Final = (
    "p",
    *(f"p_before{step}" for step in range(1, _STEPS + 1)),
    *(f"p_after{step}" for step in range(1, _STEPS + 1)),
    *"p_near p_around p_alike p_page p_chosen_share p_best_f1 p_bar p_max p_since_chosen p_until_chosen p_rank".split(),
    *(f"p_up{level}" for level in range(1, _LEVELS + 1)),
    *(f"p_held{level}" for level in range(1, _LEVELS + 1)),
)
COUNT: Final = len(NAMES)


@njit(cache=True)
def bar(likely: Array, words: Array) -> tuple[float, float]:
    """The probability above which blocks are to be chosen so that the expected F1 of their words is greatest, and this F1.

    Words are expected to be ``likely`` (float32[b], 0 to 1) times ``words``; F1 is taken as 2 * expected / (chosen + all
    expected). At the best choice the bar is half of the F1 (Lipton et al. 2014, arXiv:1402.1892), which is the fixed point
    of choosing by half of the F1 that the choice before had.
    """
    expected = 1e-9
    for b in range(len(words)):
        expected += likely[b] * words[b]
    limit = 0.0
    best = 0.0
    for _ in range(64):
        chosen = hit = 0.0
        for b in range(len(words)):
            if likely[b] >= limit:
                chosen += words[b]
                hit += likely[b] * words[b]
        f1 = 2 * hit / (chosen + expected)
        if f1 <= best + 1e-9:
            break
        best = f1
        limit = f1 / 2
    return limit, best


@njit(cache=True)
def look_around(
    parent: Array,
    end: Array,
    block_level_node: Array,
    first: Array,
    group: Array,
    words: Array,
    likely: Array,
) -> Array:
    """float32[b, COUNT]: what ``likely``, float32[b], the first judgement, says about the surroundings of each block.

    ``block_level_node`` is bool[n], ``group`` the number below b of the blocks alike (see ``features``), ``words`` float32[b].
    """
    blocks = len(first)
    n = len(parent)
    out = np.zeros((blocks, COUNT), np.float32)
    block_at = np.empty(n + 1, np.int32)
    at = 0
    for node in range(n):
        block_at[node] = at
        if at < blocks and first[at] == node:
            at += 1
    block_at[n] = blocks
    to = np.zeros(blocks + 1, np.float64)
    hit_to = np.zeros(blocks + 1, np.float64)
    group_words = np.zeros(blocks, np.float64)
    group_hits = np.zeros(blocks, np.float64)
    for b in range(blocks):
        weight = words[b] + 1.0
        to[b + 1] = to[b] + weight
        hit_to[b + 1] = hit_to[b] + weight * likely[b]
        group_words[group[b]] += weight
        group_hits[group[b]] += weight * likely[b]
    limit, best = bar(likely, words)
    order = np.argsort(-likely)
    rank = np.empty(blocks, np.float32)
    before = 0.0
    for b in order:
        rank[b] = before / max(1e-9, to[blocks])
        before += words[b] + 1.0
    largest = np.float32(0)
    chosen_words = 0.0
    for b in range(blocks):
        largest = max(largest, likely[b])
        if likely[b] >= limit:
            chosen_words += words[b]
    since = 99
    for b in range(blocks):
        row = out[b]
        row[0] = likely[b]
        for step in range(1, _STEPS + 1):
            row[step] = likely[b - step] if b >= step else -1
            row[_STEPS + step] = likely[b + step] if b + step < blocks else -1
        k = 1 + 2 * _STEPS
        low, high = max(0, b - 4), min(blocks, b + 5)
        row[k] = (hit_to[high] - hit_to[low]) / (to[high] - to[low])
        low, high = max(0, b - 12), min(blocks, b + 13)
        row[k + 1] = (hit_to[high] - hit_to[low]) / (to[high] - to[low])
        row[k + 2] = group_hits[group[b]] / group_words[group[b]]
        row[k + 3] = hit_to[blocks] / to[blocks]
        row[k + 4] = chosen_words / to[blocks]
        row[k + 5] = best
        row[k + 6] = limit
        row[k + 7] = largest
        row[k + 8] = since
        since = 0 if likely[b] >= limit and words[b] > 3 else min(99, since + 1)
        row[k + 10] = rank[b]
        k += 11
        level = 0
        held = 0
        node = parent[first[b]]
        while node >= 0 and level < _LEVELS:
            low, high = block_at[node], block_at[end[node]]
            if block_level_node[node] and high - low > held:
                held = high - low
                row[k + level] = (hit_to[high] - hit_to[low]) / (to[high] - to[low])
                row[k + _LEVELS + level] = (hit_to[high] - hit_to[low]) / max(1e-9, hit_to[blocks])
                level += 1
            node = parent[node]
        while level < _LEVELS:
            row[k + level] = row[k + level - 1] if level else 0
            row[k + _LEVELS + level] = row[k + _LEVELS + level - 1] if level else 0
            level += 1
    until = 99
    for b in range(blocks - 1, -1, -1):
        out[b, 1 + 2 * _STEPS + 9] = until
        until = 0 if likely[b] >= limit and words[b] > 3 else min(99, until + 1)
    return out
