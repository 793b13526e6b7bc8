"""What dedup compares: a document's exact digest, its MinHash signature, and the keys of its sentence spans.

All three start from the document's words, folded (case, diacritics, digits), so that they are computed once and a copy
that differs in typography only is still a copy. Words of scripts without spaces are single characters, so a shingle of
five words is a five-character shingle there.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numba import njit
from numpy.typing import NDArray

from filters import segment
from filters.document import Document, Origin
from filters.segment import Array, mix
from pipeline.dedup.settings import Dedup, Near


class Keys(NamedTuple):
    """The keys of one document. ``signature`` is None for a text with fewer words than a shingle: it never clusters."""

    exact: int
    signature: Array | None
    spans: Array


def of_document(document: Document, dedup: Dedup, sentences: bool) -> Keys:
    """Compute the keys that a recipe asks for. ``sentences`` says whether spans are wanted for this document's source."""
    hashes = segment.folded_hashes(document.codepoints, document.words)
    near = dedup.near
    return Keys(
        exact=exact_key(document.text) if dedup.exact else 0,
        signature=signature(hashes, near) if near else None,
        spans=span_keys(document, hashes, dedup.sentence.length) if sentences and dedup.sentence else _NO_SPANS,
    )


_NO_SPANS = np.empty(0, np.uint64)


def exact_key(text: str) -> int:
    """128-bit digest (XXH3) of the text with every run of white space as one space: equal texts, equal keys."""
    return int(xxhash.xxh3_128_intdigest(" ".join(text.split()).encode("utf-8", "surrogatepass")))


def signature(hashes: Array, near: Near) -> Array | None:
    """MinHash signature of the word n-grams: uint32, shape (bands * rows,); None for fewer words than an n-gram has.

    Equal, bit for bit, to ``datasketch.MinHash(num_perm, seed, hashfunc=shingle_hash)`` (scheme affine32) updated with
    the same shingles.
    """
    if len(hashes) < near.ngram:
        return None
    multipliers, increments = permutations(near.permutations, near.seed)
    return _signature(hashes, near.ngram, multipliers, increments)


@functools.cache
def permutations(count: int, seed: int) -> NDArray[np.uint32]:
    """datasketch's random permutations: multipliers and increments, uint32, shape (2, count)."""
    from datasketch import MinHash

    return np.ascontiguousarray(MinHash(num_perm=count, seed=seed).permutations, dtype=np.uint32)


def shingle_hash(words: Sequence[str]) -> int:
    """The 32-bit hash of one shingle, given as words: what ``signature`` feeds to the permutations before their mixing."""
    text = " ".join(words)
    points = segment.codepoints(text)
    hashes = segment.folded_hashes(points, segment.words(points))
    return int(_shingle(hashes, 0, len(hashes)))


@njit(cache=True, inline="always")
def _shingle(hashes: Array, start: int, stop: int) -> np.uint32:
    running = np.uint64(0)
    for k in range(start, stop):
        running = mix(running, hashes[k])
    return np.uint32(running >> np.uint64(32))


@njit(cache=True)
def _signature(hashes: Array, ngram: int, multipliers: Array, increments: Array) -> Array:
    count = len(multipliers)
    smallest = np.full(count, np.uint32(0xFFFFFFFF), np.uint32)
    for start in range(len(hashes) - ngram + 1):
        # the finalizer of MurmurHash3, as datasketch applies it
        value = _shingle(hashes, start, start + ngram)
        value = np.uint32(value ^ (value >> np.uint32(16)))
        value = np.uint32(value * np.uint32(0x85EBCA6B))
        value = np.uint32(value ^ (value >> np.uint32(13)))
        value = np.uint32(value * np.uint32(0xC2B2AE35))
        value = np.uint32(value ^ (value >> np.uint32(16)))
        for k in range(count):
            permuted = np.uint32(value * multipliers[k] + increments[k])
            smallest[k] = min(smallest[k], permuted)
    return smallest


@njit(cache=True)
def band_keys(signatures: Array, bands: int, rows: int) -> Array:
    """Keys of the bands of signatures (uint32, shape (documents, bands * rows)): uint64, shape (documents, bands)."""
    keys = np.empty((len(signatures), bands), np.uint64)
    for document in range(len(signatures)):
        for band in range(bands):
            running = np.uint64(band + 1)
            for row in range(rows):
                running = mix(running, np.uint64(signatures[document, band * rows + row]))
            keys[document, band] = running
    return keys


def span_keys(document: Document, hashes: Array, span: int) -> Array:
    """Key of every run of ``span`` sentences, by the run's first sentence: uint64, shape (max(0, sentences - span + 1),)."""
    sentences = document.sentences
    return _span_keys(sentences.starts, document.words.starts, hashes, span)


@njit(cache=True)
def _span_keys(sentence_starts: Array, word_starts: Array, hashes: Array, span: int) -> Array:
    sentences = len(sentence_starts)
    single = np.zeros(sentences, np.uint64)
    word = 0
    for sentence in range(sentences):
        last = sentence == sentences - 1
        stop = 0 if last else sentence_starts[sentence + 1]
        running = np.uint64(1)
        while word < len(hashes) and (last or word_starts[word] < stop):
            running = mix(running, hashes[word])
            word += 1
        single[sentence] = running
    keys = np.empty(max(0, sentences - span + 1), np.uint64)
    for start in range(len(keys)):
        running = np.uint64(2)
        for k in range(start, start + span):
            running = mix(running, single[k])
        keys[start] = running
    return keys


def rank(priority: int, document: Document) -> int:
    """The survivor's order as one 64-bit number, smaller survives: source priority, longer text, then a digest of the id.

    8 bits of priority, 24 bits of length, 32 bits of digest; equal ranks are ordered by document number.
    """
    length = min(len(document.text), (1 << 24) - 1)
    digest = int(xxhash.xxh3_64_intdigest(document.id.encode()) >> 32)
    return min(priority, 255) << 56 | ((1 << 24) - 1 - length) << 32 | digest


def warm_up() -> None:
    """Compile (or load from the cache) every kernel that this module uses, so that workers need not."""
    document = Document("0", "One two three four five. Six seven! Eight.", "warm-up", Origin("", 0, 0))
    of_document(document, Dedup(), True)
    band_keys(np.zeros((1, 8), np.uint32), 1, 8)
