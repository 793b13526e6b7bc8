"""Counts what a text repeats: equal lines, most frequent n-grams, and n-grams that occur more than once.

Compiled loops over the 64-bit hashes of ``filters.segment``; equal hashes are taken for equal text. The definitions are
DCLM's (``repetition_filter`` in mlfoundations/dclm, ``baselines/mappers/filters/content_filters.py``).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from filters.segment import Segments, mix

Array = NDArray[Any]

SHORTEST: Final = 2
LONGEST_TOP: Final = 4
"""For 2-grams to 4-grams the most frequent one counts, …"""
LONGEST: Final = 10
"""… for 5-grams to 10-grams all that occur more than once."""


class Repeats(NamedTuple):
    """How many of some lines are equal to another one, and how many characters those have."""

    total: int
    total_characters: int
    members: int
    """Lines in groups of two or more equal lines: all of the group (DCLM)."""
    member_characters: int
    later: int
    """Lines equal to an earlier one: all of the group but the first (datatrove)."""
    later_characters: int


def repeats(lines: Segments) -> Repeats:
    """Counts the repeated lines (or paragraphs) of a text."""
    return Repeats(*_repeats(lines.starts, lines.stops, lines.hashes))


def ngram_characters(words: Segments) -> tuple[int, NDArray[np.int64]]:
    """Characters of all words, and for n = 0 … 10 the characters that repeated n-grams of words take up.

    For n = 2 to 4: the length of the most frequent n-gram times its count, 0 when nothing occurs twice; of several
    equally frequent ones the longest. Occurrences may overlap, so this can exceed the characters of the text. For n = 5
    to 10: the characters of all words that lie in any n-gram occurring twice or more, each word once. Lengths are
    characters of the words themselves; what lies between words has no part in it.
    """
    return _ngram_characters(words.starts, words.stops, words.hashes)


@njit(cache=True)
def _slots(size: int) -> int:
    """Slots of a hash table for so many keys: a power of two, at most half full."""
    slots = 16
    while slots < 2 * size:
        slots *= 2
    return slots


@njit(cache=True)
def _repeats(starts: Array, stops: Array, hashes: Array) -> tuple[int, int, int, int, int, int]:
    size = len(hashes)
    slots = _slots(size)
    mask = np.uint64(slots - 1)
    first = np.zeros(slots, np.int64)  # 1 + the first line with the hash
    seen = np.zeros(size, np.bool_)  # whether that first line has met its like
    total_characters = 0
    members = 0
    member_characters = 0
    later = 0
    later_characters = 0
    for i in range(size):
        length: Any = np.int64(stops[i]) - np.int64(starts[i])
        total_characters += length
        slot = hashes[i] & mask
        while first[slot] and hashes[first[slot] - 1] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if first[slot] == 0:
            first[slot] = i + 1
            continue
        later += 1
        later_characters += length
        if not seen[first[slot] - 1]:
            seen[first[slot] - 1] = True
            members += 1
            member_characters += length
        members += 1
        member_characters += length
    return size, total_characters, members, member_characters, later, later_characters


@njit(cache=True)
def _ngram_characters(starts: Array, stops: Array, hashes: Array) -> tuple[int, Array]:
    """One pass for each n, over the positions whose (n-1)-gram occurs elsewhere: no other n-gram can be repeated."""
    size = len(hashes)
    before = np.empty(size + 1, np.int64)  # characters of the words before each word
    before[0] = 0
    for i in range(size):
        before[i + 1] = before[i] + np.int64(stops[i]) - np.int64(starts[i])
    characters = np.zeros(LONGEST + 1, np.int64)
    mask = np.uint64(_slots(size) - 1)
    keys = np.empty(np.int64(mask) + 1, np.uint64)
    counts = np.zeros(np.int64(mask) + 1, np.int64)
    rounds = np.zeros(np.int64(mask) + 1, np.int8)  # the n for which a slot was last used, so that none needs clearing
    running = np.empty(size, np.uint64)  # hash of the n-gram that starts at each word
    for i in range(size):
        running[i] = mix(np.uint64(0), hashes[i])  # without this step "a b" and "b a" would be one: mix begins with xor
    alive = np.arange(size)
    slot_of = np.empty(size, np.uint64)
    number = size
    for n in range(SHORTEST, LONGEST + 1):
        kept = 0
        for k in range(number):
            i = alive[k]
            if i + n > size:
                continue
            gram = mix(running[i], hashes[i + n - 1])
            running[i] = gram
            slot = gram & mask
            while rounds[slot] == n and keys[slot] != gram:
                slot = (slot + np.uint64(1)) & mask
            if rounds[slot] != n:
                rounds[slot] = n
                keys[slot] = gram
                counts[slot] = 0
            counts[slot] += 1
            alive[kept] = i
            slot_of[kept] = slot
            kept += 1
        number = 0
        most = 1
        longest = 0
        covered = 0  # words before this one are counted
        covered_characters = 0
        for k in range(kept):
            count = counts[slot_of[k]]
            if count < 2:
                continue
            i = alive[k]
            length = before[i + n] - before[i]
            if count > most or (count == most and length > longest):
                most = count
                longest = length
            covered_characters += before[i + n] - before[max(i, covered)]
            covered = i + n
            alive[number] = i
            number += 1
        if n > LONGEST_TOP:
            characters[n] = covered_characters
        elif most > 1:
            characters[n] = most * longest
    return before[size], characters
