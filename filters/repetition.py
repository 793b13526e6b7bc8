"""Counts what a text repeats: equal lines, most frequent n-grams, and n-grams that occur more than once.

Compiled loops over the 64-bit hashes of ``filters.segment``; equal hashes are taken for equal text. Which n-grams occur
how often is counted once for all definitions (``_Table``); what their characters are, each definition says for itself.
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
    """Characters of all words, and for n = 0 … 10 the characters that repeated n-grams of words take up, as in DCLM.

    ``repetition_filter`` in mlfoundations/dclm, ``baselines/mappers/filters/content_filters.py``.

    For n = 2 to 4: the length of the most frequent n-gram times its count, 0 when nothing occurs twice; of several
    equally frequent ones the longest. Occurrences may overlap, so this can exceed the characters of the text. For n = 5
    to 10: the characters of all words that lie in any n-gram occurring twice or more, each word once. Lengths are
    characters of the words themselves; what lies between words has no part in it.
    """
    return _dclm(words.starts, words.stops, words.hashes)


def first_most_frequent(words: Segments) -> tuple[int, NDArray[np.int64]]:
    """``ngram_characters`` with another choice for n = 2 to 4: of several equally frequent n-grams the first in the text.

    RedPajama v2's choice (``repetitions.py``): Python's ``Counter.most_common`` keeps the order of first occurrence.
    """
    return _redpajama(words.starts, words.stops, words.hashes)


def skipping_characters(tokens: Segments) -> NDArray[np.int64]:
    """For n = 0 … 10 the characters that repeated n-grams of tokens take up, as datatrove counts them.

    For n = 2 to 4: the most frequent n-gram's length, a space between its tokens, times its count, even if that is 1; of
    several equally frequent ones the first in the text. For n = 5 to 10: the text is read from the left; an n-gram that
    was met before counts with the characters of its tokens, and reading goes on behind it.
    """
    return _datatrove(tokens.starts, tokens.stops, tokens.hashes)


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
def _before(starts: Array, stops: Array) -> Array:
    """Characters of the words before each word, and of all words at the end."""
    before = np.empty(len(starts) + 1, np.int64)
    before[0] = 0
    for i in range(len(starts)):
        before[i + 1] = before[i] + np.int64(stops[i]) - np.int64(starts[i])
    return before


class _Table(NamedTuple):
    """A hash table of n-grams, used anew for every n, and the positions that are still worth a look."""

    keys: Array
    counts: Array
    rounds: Array
    """The n for which a slot was last used, so that none needs clearing."""
    running: Array
    """Hash of the n-gram that starts at each word."""
    alive: Array
    """Words at which an n-gram may start that occurs twice: where the one shorter by a word does."""
    slot_of: Array
    """The slot of the n-gram at each of those words."""


@njit(cache=True)
def _table(hashes: Array) -> _Table:
    size = len(hashes)
    slots = _slots(size)
    running = np.empty(size, np.uint64)
    for i in range(size):
        running[i] = mix(np.uint64(0), hashes[i])  # without this step "a b" and "b a" would be one: mix begins with xor
    return _Table(
        np.empty(slots, np.uint64),
        np.zeros(slots, np.int64),
        np.zeros(slots, np.int8),
        running,
        np.arange(size),
        np.empty(size, np.uint64),
    )


@njit(cache=True)
def _count(table: _Table, hashes: Array, number: int, n: int) -> int:
    """Counts the n-grams at the first ``number`` positions alive; keeps those that have one and returns how many."""
    keys, counts, rounds, running, alive, slot_of = table
    mask = np.uint64(len(keys) - 1)
    kept = 0
    for k in range(number):
        i = alive[k]
        if i + n > len(hashes):
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
    return kept


@njit(cache=True)
def _covering(starts: Array, stops: Array, hashes: Array, longest_of_ties: bool) -> tuple[int, Array]:
    before = _before(starts, stops)
    characters = np.zeros(LONGEST + 1, np.int64)
    table = _table(hashes)
    number = len(hashes)
    for n in range(SHORTEST, LONGEST + 1):
        kept = _count(table, hashes, number, n)
        number = 0
        most = 1
        longest = 0
        covered = 0  # words before this one are counted
        covered_characters = 0
        for k in range(kept):
            count = table.counts[table.slot_of[k]]
            if count < 2:
                continue
            i = table.alive[k]
            length = before[i + n] - before[i]
            if count > most or (longest_of_ties and count == most and length > longest):
                most = count
                longest = length
            covered_characters += before[i + n] - before[max(i, covered)]
            covered = i + n
            table.alive[number] = i
            number += 1
        if n > LONGEST_TOP:
            characters[n] = covered_characters
        elif most > 1:
            characters[n] = most * longest
    return before[len(hashes)], characters


@njit(cache=True)
def _dclm(starts: Array, stops: Array, hashes: Array) -> tuple[int, Array]:
    return _covering(starts, stops, hashes, True)


@njit(cache=True)
def _redpajama(starts: Array, stops: Array, hashes: Array) -> tuple[int, Array]:
    return _covering(starts, stops, hashes, False)


@njit(cache=True)
def _datatrove(starts: Array, stops: Array, hashes: Array) -> Array:
    size = len(hashes)
    before = _before(starts, stops)
    characters = np.zeros(LONGEST + 1, np.int64)
    table = _table(hashes)
    number = size
    for n in range(SHORTEST, LONGEST + 1):
        kept = _count(table, hashes, number, n)
        number = 0
        most = 1
        length = before[n] + n - 1 if size >= n else 0
        end = 0  # behind the last n-gram that counted
        repeated = 0
        for k in range(kept):
            slot = table.slot_of[k]
            count = abs(table.counts[slot])  # negative once the reading has met the n-gram
            if count < 2:
                continue
            i = table.alive[k]
            if count > most:
                most = count
                length = before[i + n] - before[i] + n - 1
            if i >= end and table.counts[slot] < 0:
                repeated += before[i + n] - before[i]
                end = i + n
            elif i >= end:
                table.counts[slot] = -count
            table.alive[number] = i
            number += 1
        characters[n] = repeated if n > LONGEST_TOP else most * length
    return characters
