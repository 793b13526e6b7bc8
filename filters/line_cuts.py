"""What is left of a text and of its views when whole lines are cut: nothing needs splitting anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters.segment import Array, Segments

LF = 10


def kept_lines(points: Array, lines: Segments, words: Segments, kept: Array) -> tuple[Array, Segments, Segments]:
    """The kept lines joined by newlines: code points, lines and words, all with the hashes that they had.

    ``kept`` is bool, one a line; ``lines`` are stripped, as ``segment.lines`` gives them. A word never spans two lines.
    """
    made, starts, stops, word_starts, word_stops, places = _kept(
        points, lines.starts, lines.stops, kept, words.starts, words.stops
    )
    return made, Segments(starts, stops, lines.hashes[kept]), Segments(word_starts, word_stops, words.hashes[places])


@njit(cache=True)
def _kept(
    points: Array, starts: Array, stops: Array, kept: Array, word_starts: Array, word_stops: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    size: Any = 0
    count = 0
    for k in range(len(starts)):
        if kept[k]:
            size += np.int64(stops[k]) - np.int64(starts[k]) + 1
            count += 1
    made = np.empty(max(0, size - 1), np.uint32)
    made_starts = np.empty(count, np.uint32)
    made_stops = np.empty(count, np.uint32)
    made_word_starts = np.empty(len(word_starts), np.uint32)
    made_word_stops = np.empty(len(word_starts), np.uint32)
    places = np.empty(len(word_starts), np.int64)
    at: Any = 0
    line = word = w = 0
    for k in range(len(starts)):
        start, stop = np.int64(starts[k]), np.int64(stops[k])
        while w < len(word_starts) and word_starts[w] < start:
            w += 1
        if not kept[k]:
            continue
        if line:
            made[at] = LF
            at += 1
        made_starts[line] = at
        made_stops[line] = at + stop - start
        line += 1
        for i in range(start, stop):
            made[at + i - start] = points[i]
        while w < len(word_starts) and word_starts[w] < stop:
            made_word_starts[word] = at + np.int64(word_starts[w]) - start
            made_word_stops[word] = at + np.int64(word_stops[w]) - start
            places[word] = w
            word += 1
            w += 1
        at += stop - start
    return (
        made, made_starts, made_stops, made_word_starts[:word].copy(), made_word_stops[:word].copy(), places[:word].copy(),
    )  # fmt: skip
