"""Cuts a text into tokens: its words, and the punctuation between them.

A token is a word of ``Document.words``, or between words a run of letters and digits, or a run of one and the same other
character that is no white space: ``Wait... what?!`` has the tokens ``Wait``, ``...``, ``what``, ``?``, ``!``. English
contractions are two tokens (``it`` ``'s``, ``do`` ``n't``), as the Penn Treebank has them and every tokenizer of English
since. Tools that take their words from spaCy or NLTK see much the same, but for addresses and abbreviations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from filters import characters
from filters.characters import ALNUM, SPACE
from filters.segment import Array, Segments, _hash

APOSTROPHES = (ord("'"), ord("’"))
N, T, S, M, D = (ord(letter) for letter in "ntsmd")
PAIRS = ((ord("r"), ord("e")), (ord("v"), ord("e")), (ord("l"), ord("l")))


def tokens(points: Array, words: Segments) -> Segments:
    """The tokens of a text given as code points, with its words."""
    return Segments(*_tokens(points, characters.flags(), words.starts, words.stops, words.hashes))


@njit(cache=True)
def _contracted(points: Array, start: int, stop: int) -> int:
    """Where the second token of a contraction begins (``'s``, ``'re``, ``n't``), ``stop`` for any other word."""
    if stop - start > 2 and points[stop - 2] in APOSTROPHES:
        last = points[stop - 1] | 32  # lower case
        if last == T and stop - start > 3 and points[stop - 3] | 32 == N:
            return stop - 3
        return stop - 2 if last in (S, M, D) else stop
    if stop - start > 3 and points[stop - 3] in APOSTROPHES:
        return stop - 3 if (points[stop - 2] | 32, points[stop - 1] | 32) in PAIRS else stop
    return stop


@njit(cache=True)
def _tokens(points: Array, flags: Array, starts: Array, stops: Array, hashes: Array) -> tuple[Array, Array, Array]:
    size = len(points)
    made_starts = np.empty(size, np.uint32)
    made_stops = np.empty(size, np.uint32)
    made_hashes = np.empty(size, np.uint64)
    count = 0
    i: Any = 0
    for k in range(len(starts) + 1):
        end: Any = np.int64(starts[k]) if k < len(starts) else size
        while i < end:
            flag = flags[points[i]]
            if flag & SPACE:
                i += 1
                continue
            begin = i
            i += 1
            while i < end and (flags[points[i]] & ALNUM if flag & ALNUM else points[i] == points[begin]):
                i += 1
            made_starts[count] = begin
            made_stops[count] = i
            made_hashes[count] = _hash(points, begin, i)
            count += 1
        if k == len(starts):
            break
        stop: Any = np.int64(stops[k])
        cut = _contracted(points, end, stop)
        made_starts[count] = end
        made_stops[count] = cut
        made_hashes[count] = hashes[k] if cut == stop else _hash(points, end, cut)
        count += 1
        if cut < stop:
            made_starts[count] = cut
            made_stops[count] = stop
            made_hashes[count] = _hash(points, cut, stop)
            count += 1
        i = stop
    return made_starts[:count].copy(), made_stops[:count].copy(), made_hashes[:count].copy()
