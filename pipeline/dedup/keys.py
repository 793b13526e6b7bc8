"""What dedup compares: a document's exact digest, its MinHash signature, and the keys of its sentence spans.

Signature and spans start from the document's words, folded (case, diacritics, digits), so that they are computed once and a
copy that differs in typography only is still a copy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xxhash
from numba import njit

from filters import segment
from filters.document import Document, Origin
from filters.segment import Array, mix
from pipeline.dedup import minhash
from pipeline.dedup.settings import Dedup


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
        signature=minhash.signature(document, hashes, near) if near else None,
        spans=span_keys(document, hashes, dedup.sentence.length) if sentences and dedup.sentence else _NO_SPANS,
    )


_NO_SPANS = np.empty(0, np.uint64)


def exact_key(text: str) -> int:
    """128-bit digest (XXH3) of the text with every run of white space as one space: equal texts, equal keys."""
    return int(xxhash.xxh3_128_intdigest(" ".join(text.split()).encode("utf-8", "surrogatepass")))


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
    minhash.band_keys(np.zeros((1, 8), np.uint32), 1, 8)
