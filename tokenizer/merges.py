"""Byte-pair merges from a table of words and their counts: what the trainer of Hugging Face tokenizers finds, from less memory.

Sennrich et al. 2016, over bytes. At every step the most frequent pair of neighbours is merged, of equally frequent ones that
with the smaller ids. Ids and bookkeeping are those of ``BpeTrainer`` in huggingface/tokenizers (0.22), so the same words
make the same merges; a test compares the two. Memory is some 25 bytes for each byte of distinct words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ALPHABET = 256


@dataclass(frozen=True, slots=True)
class Merges:
    """What training found. ``tokens`` are the bytes of every id; ``merges`` are pairs of ids in the order of merging."""

    tokens: tuple[bytes, ...]
    merges: tuple[tuple[int, int], ...]


def find_merges(
    words: Mapping[bytes, int],
    vocabulary: int,
    alphabet: Sequence[int],
    reserved: Sequence[bytes] = (),
    min_frequency: int = 2,
) -> Merges:
    """Merge pairs in ``words`` (bytes and how often they occur) until there are ``vocabulary`` tokens.

    The first ids are the ``reserved`` tokens, which no merge makes anew, then the 256 bytes in the order of ``alphabet``. Ends
    earlier where no pair occurs ``min_frequency`` times. The order of the words does not matter. Raises ValueError where
    the counts add up to 2**62 or more.
    """
    if sum(count * len(word) for word, count in words.items()) >= 1 << 62:
        raise ValueError("the counts add up to more than pairs can be counted")
    ids = np.empty(_ALPHABET, np.int32)
    ids[np.asarray(alphabet)] = np.arange(len(reserved), len(reserved) + _ALPHABET)
    kept = [word for word in words if len(word) > 1]
    flat = ids[np.frombuffer(b"".join(kept), np.uint8)]
    starts = np.zeros(len(kept) + 1, np.int64)
    np.cumsum([len(word) for word in kept], out=starts[1:])
    counts = np.array([words[word] for word in kept], np.int64)
    known = [*reserved, *(bytes([byte]) for byte in alphabet)]
    texts = np.frombuffer(b"".join(known), np.uint8).copy()
    text_starts = np.zeros(len(known) + 1, np.int64)
    np.cumsum([len(one) for one in known], out=text_starts[1:])
    if len(kept) == 0 or vocabulary <= len(known):
        return Merges(tuple(known), ())
    made, pairs, new_ids = _merge(flat, starts, counts, texts, text_starts, len(reserved), vocabulary, min_frequency)
    ranks: dict[tuple[int, int], int] = {}
    tokens = list(known)
    for rank, ((first, second), new) in enumerate(zip(pairs.tolist(), new_ids.tolist(), strict=True)):
        ranks[first, second] = rank  # a pair that is merged again counts by the later time, as in the model's own table
        if new == len(tokens):
            tokens.append(tokens[first] + tokens[second])
    assert len(tokens) == made
    return Merges(tuple(tokens), tuple(sorted(ranks, key=ranks.__getitem__)))


# Numbers and arrays grow by doubling; a pair is one integer, first id << 32 | second.
#
# Pairs live in an open-addressing table: key, count, and the last word in which the pair was seen, so that each
# word is listed once. Candidates (pair, count when listed, where its words stand in the pool) wait in a heap and
# are listed anew when their count has changed since: counts only fall between one listing and the next.


@njit(cache=True)
def _slot(keys: NDArray[Any], key: Any) -> Any:
    """Where a pair stands in the table, or the free place where it belongs."""
    mask = len(keys) - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    at: Any = np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(mask))
    while keys[at] != key and keys[at] != -1:
        at = (at + 1) & mask
    return at


@njit(cache=True)
def _larger(a: NDArray[Any]) -> NDArray[Any]:
    """The array with twice the room."""
    grown = np.empty(2 * len(a), a.dtype)
    grown[: len(a)] = a
    return grown


@njit(cache=True)
def _before(counts: NDArray[Any], keys: NDArray[Any], a: int, b: int) -> bool:
    """Whether candidate a is merged before candidate b: it is more frequent, or its ids are smaller."""
    return counts[a] > counts[b] or (counts[a] == counts[b] and keys[a] < keys[b])


@njit(cache=True)
def _sift_up(heap: NDArray[Any], at: int, counts: NDArray[Any], keys: NDArray[Any]) -> None:
    one = heap[at]
    while at > 0:
        above = (at - 1) >> 1
        if not _before(counts, keys, one, heap[above]):
            break
        heap[at] = heap[above]
        at = above
    heap[at] = one


@njit(cache=True)
def _sift_down(heap: NDArray[Any], at: int, size: int, counts: NDArray[Any], keys: NDArray[Any]) -> None:
    one = heap[at]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and _before(counts, keys, heap[below + 1], heap[below]):
            below += 1
        if not _before(counts, keys, heap[below], one):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = one


@njit(cache=True)
def _hash(texts: NDArray[Any], start: int, stop: int) -> Any:
    """FNV-1a of the bytes, as a positive integer."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, stop):
        value = (value ^ np.uint64(texts[i])) * np.uint64(0x100000001B3)
    return np.int64(value >> np.uint64(2))


@njit(cache=True)
def _merge(
    flat: NDArray[Any],
    starts: NDArray[Any],
    counts: NDArray[Any],
    texts: NDArray[Any],
    text_starts: NDArray[Any],
    first_byte: int,
    vocabulary: int,
    min_frequency: int,
) -> tuple[int, NDArray[Any], NDArray[Any]]:
    """Number of tokens, merged pairs (m, 2) and the ids that they made. Changes ``flat``, the symbols of the words."""
    words = len(counts)
    ends = starts[1:].copy()

    keys = np.full(1 << 18, -1, np.int64)
    pair_counts = np.zeros(len(keys), np.int64)
    last_word = np.full(len(keys), -1, np.int64)
    used = 0

    # The pairs of bytes, counted densely: how often each occurs, and in how many words.
    dense = np.zeros(_ALPHABET * _ALPHABET, np.int64)
    in_words = np.zeros(_ALPHABET * _ALPHABET, np.int64)
    seen = np.full(_ALPHABET * _ALPHABET, -1, np.int64)
    for word in range(words):
        for i in range(starts[word], ends[word] - 1):
            pair = (np.int64(flat[i]) - first_byte) * _ALPHABET + (np.int64(flat[i + 1]) - first_byte)
            dense[pair] += counts[word]
            if seen[pair] != word:
                seen[pair] = word
                in_words[pair] += 1
    candidates = 0
    candidate_keys = np.empty(1 << 17, np.int64)
    candidate_counts = np.empty(1 << 17, np.int64)
    pool_starts = np.empty(1 << 17, np.int64)
    pool_stops = np.empty(1 << 17, np.int64)
    pool_used: Any = np.int64(0)
    total = in_words.sum()
    pool = np.empty(max(2 * total, 16), np.int32)
    place = np.full(_ALPHABET * _ALPHABET, -1, np.int64)
    for both in range(_ALPHABET * _ALPHABET):
        if in_words[both] == 0:
            continue
        key: Any = ((both // _ALPHABET + first_byte) << 32) | (both % _ALPHABET + first_byte)
        at = _slot(keys, key)
        keys[at] = key
        pair_counts[at] = dense[both]
        used += 1
        candidate_keys[candidates] = key
        candidate_counts[candidates] = dense[both]
        pool_starts[candidates] = pool_used
        place[both] = pool_used
        pool_used += in_words[both]
        pool_stops[candidates] = pool_used
        candidates += 1
    seen[:] = -1
    for word in range(words):
        for i in range(starts[word], ends[word] - 1):
            pair = (np.int64(flat[i]) - first_byte) * _ALPHABET + (np.int64(flat[i + 1]) - first_byte)
            if seen[pair] != word:
                seen[pair] = word
                pool[place[pair]] = word
                place[pair] += 1
    heap = np.empty(1 << 17, np.int64)
    size = candidates
    for i in range(size):
        heap[i] = i
    for i in range(size // 2 - 1, -1, -1):
        _sift_down(heap, i, size, candidate_counts, candidate_keys)

    tokens = len(text_starts) - 1
    text_used = text_starts[tokens]
    table = np.full(1 << 12, -1, np.int64)
    while len(table) < 4 * vocabulary:
        table = np.full(2 * len(table), -1, np.int64)
    text_ends = np.empty(vocabulary + 1, np.int64)
    text_begins = np.empty(vocabulary + 1, np.int64)
    for token in range(tokens):
        text_begins[token], text_ends[token] = text_starts[token], text_starts[token + 1]
        spot = _hash(texts, text_begins[token], text_ends[token]) & (len(table) - 1)
        while table[spot] != -1:
            spot = (spot + 1) & (len(table) - 1)
        table[spot] = token

    merged = np.empty((1 << 12, 2), np.int64)
    merged_ids = np.empty(1 << 12, np.int64)
    merges = 0
    new_keys = np.empty(1 << 12, np.int64)
    new_words = np.empty(1 << 12, np.int32)

    while tokens < vocabulary and size > 0:
        best = heap[0]
        now = pair_counts[_slot(keys, candidate_keys[best])]
        if now != candidate_counts[best]:
            candidate_counts[best] = now
            _sift_down(heap, 0, size, candidate_counts, candidate_keys)
            continue
        if now < 1 or now < min_frequency:
            break
        size -= 1
        heap[0] = heap[size]
        if size > 0:
            _sift_down(heap, 0, size, candidate_counts, candidate_keys)
        first, second = candidate_keys[best] >> 32, candidate_keys[best] & 0xFFFFFFFF

        # The token that the two make: an old one where another pair has made it already.
        length = text_ends[first] - text_begins[first] + text_ends[second] - text_begins[second]
        while text_used + length > len(texts):
            texts = _larger(texts)
        at = text_used
        for part in (first, second):
            for i in range(text_begins[part], text_ends[part]):
                texts[at] = texts[i]
                at += 1
        spot = _hash(texts, text_used, at) & (len(table) - 1)
        new = -1
        while table[spot] != -1:
            old = table[spot]
            if text_ends[old] - text_begins[old] == length:
                same = True
                for i in range(length):
                    if texts[text_begins[old] + i] != texts[text_used + i]:
                        same = False
                        break
                if same:
                    new = old
                    break
            spot = (spot + 1) & (len(table) - 1)
        if new == -1:
            new = tokens
            table[spot] = new
            text_begins[new], text_ends[new] = text_used, at
            text_used = at
            tokens += 1
        if merges == len(merged_ids):
            merged_ids = _larger(merged_ids)
            wider = np.empty((2 * merges, 2), np.int64)
            wider[:merges] = merged
            merged = wider
        merged[merges, 0], merged[merges, 1] = first, second
        merged_ids[merges] = new
        merges += 1

        # Merge in every word that was listed with the pair, and note which pairs that makes, and where.
        noted = 0
        for listed in range(pool_starts[best], pool_stops[best]):
            word = pool[listed]
            begin, end = starts[word], ends[word]
            count = counts[word]
            write = begin
            read = begin
            while read < end:
                if read + 1 < end and flat[read] == first and flat[read + 1] == second:
                    if noted + 2 > len(new_keys):
                        new_keys = _larger(new_keys)
                        new_words = _larger(new_words)
                    if 4 * (used + 4) > 3 * len(keys):
                        old_keys, old_counts, old_last = keys, pair_counts, last_word
                        keys = np.full(2 * len(old_keys), -1, np.int64)
                        pair_counts = np.zeros(len(keys), np.int64)
                        last_word = np.full(len(keys), -1, np.int64)
                        for i in range(len(old_keys)):
                            if old_keys[i] != -1:
                                at = _slot(keys, old_keys[i])
                                keys[at] = old_keys[i]
                                pair_counts[at] = old_counts[i]
                                last_word[at] = old_last[i]
                    if write > begin:
                        before = np.int64(flat[write - 1])
                        pair_counts[_slot(keys, (before << 32) | first)] -= count
                        key = (before << 32) | new
                        at = _slot(keys, key)
                        if keys[at] == -1:
                            keys[at] = key
                            used += 1
                        pair_counts[at] += count
                        if last_word[at] != word:
                            last_word[at] = word
                            new_keys[noted] = key
                            new_words[noted] = word
                            noted += 1
                    if read + 2 < end:
                        after = np.int64(flat[read + 2])
                        pair_counts[_slot(keys, (second << 32) | after)] -= count
                        key = (new << 32) | after
                        at = _slot(keys, key)
                        if keys[at] == -1:
                            keys[at] = key
                            used += 1
                        pair_counts[at] += count
                        if last_word[at] != word:
                            last_word[at] = word
                            new_keys[noted] = key
                            new_words[noted] = word
                            noted += 1
                    flat[write] = new
                    read += 2
                else:
                    flat[write] = flat[read]
                    read += 1
                write += 1
            ends[word] = write

        # List the pairs as candidates, each with its words.
        order = np.argsort(new_keys[:noted], kind="mergesort")
        while pool_used + noted > len(pool):
            pool = _larger(pool)
        i = 0
        while i < noted:
            key = new_keys[order[i]]
            begin = pool_used
            while i < noted and new_keys[order[i]] == key:
                pool[pool_used] = new_words[order[i]]
                pool_used += 1
                i += 1
            at = _slot(keys, key)
            last_word[at] = -1
            if pair_counts[at] <= 0:
                pool_used = begin
                continue
            if candidates == len(candidate_keys):
                candidate_keys = _larger(candidate_keys)
                candidate_counts = _larger(candidate_counts)
                pool_starts = _larger(pool_starts)
                pool_stops = _larger(pool_stops)
            candidate_keys[candidates] = key
            candidate_counts[candidates] = pair_counts[at]
            pool_starts[candidates], pool_stops[candidates] = begin, pool_used
            if size == len(heap):
                heap = _larger(heap)
            heap[size] = candidates
            size += 1
            candidates += 1
            _sift_up(heap, size - 1, candidate_counts, candidate_keys)
    return tokens, merged[:merges], merged_ids[:merges]
