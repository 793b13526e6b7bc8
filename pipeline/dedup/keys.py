"""What dedup compares: digests of a document's text and address, its MinHash signature, keys of its spans and its lines.

All but the digests start from the document's words, folded (case, diacritics, digits), so that they are computed once and
a copy that differs in typography only is still a copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import xxhash
from numba import njit

from filters import segment
from filters.document import Document
from filters.segment import Array, mix
from pipeline.dedup import addresses, minhash
from pipeline.dedup.settings import Dedup, Survivor


class Lists(NamedTuple):
    """A list of values for every document: those of document i are ``values[offsets[i] : offsets[i + 1]]``."""

    offsets: Array
    values: Array


class Signatures(NamedTuple):
    """Which documents have a signature (bool), and these: uint32, shape (documents that have one, permutations)."""

    there: Array
    values: Array


class Keys(NamedTuple):
    """The keys of some documents, a row or a list each; 0 and empty lists where the recipe or the document has none.

    A text with fewer words than a shingle has no signature, ``urls`` and ``sites`` are 0 without an address: such documents
    never cluster. ``spans`` has a key for every run of sentences (or lines), ``lines`` one for every line; 0 where a unit has
    no word, or the span too few.
    """

    exact: Array
    """128-bit digests as halves, the lower one first: uint64, shape (documents, 2)."""
    urls: Array
    sites: Array
    signatures: Signatures
    spans: Lists
    lines: Lists


_GROUP: Final = 1 << 18
"""Characters whose words are held at once."""


def of_documents(documents: Sequence[Document], dedup: Dedup, sentences: bool) -> Keys:
    """Compute the keys that a recipe asks for; forgets the documents' views.

    ``sentences`` says whether spans are wanted for these documents' source.
    """
    settings = dedup.sentence if sentences else False
    exact = [np.empty((0, 2), np.uint64)]
    spans: list[Array] = []
    lines: list[Array] = []
    signed, signatures = [np.empty(0, bool)], [np.empty((0, dedup.near.permutations if dedup.near else 0), np.uint32)]
    hosts = [addresses.site(one.url) if settings and settings.boilerplate else "" for one in documents]
    for group in _groups(documents):
        points, offsets = segment.flat_codepoints([one.text for one in documents[group]])
        exact.append(_exact(points, offsets) if dedup.exact else np.zeros((len(offsets) - 1, 2), np.uint64))
        words = segment.flat_folded_words(points, offsets) if dedup.near or settings else _NO_WORDS
        if dedup.near:
            made, there = minhash.signatures(points, offsets, words, dedup.near)
            signatures.append(made)
            signed.append(there)
        for place, document in enumerate(documents[group] if settings else ()):
            assert settings
            own = slice(words.offsets[place], words.offsets[place + 1])
            units = document.sentences if settings.unit == "sentences" else document.lines
            for found, starts, span, least, wanted in (
                (spans, units.starts, settings.span, settings.min_span_words, True),
                (lines, document.lines.starts, 1, 0, bool(hosts[group.start + place])),
            ):
                found.append(_span_keys(starts, words.starts[own], words.hashes[own], span, least) if wanted else _NONE)
        for document in documents[group]:
            document.forget_views()
    return Keys(
        exact=np.concatenate(exact),
        urls=_halves([url_key(one.url) for one in documents] if dedup.url else [0] * len(documents)),
        sites=np.array([_digest(host) if host else 0 for host in hosts], np.uint64),
        signatures=Signatures(
            np.concatenate(signed) if dedup.near else np.zeros(len(documents), bool), np.concatenate(signatures)
        ),
        spans=_lists(spans, len(documents)),
        lines=_lists(lines, len(documents)),
    )


_NONE: Final = np.empty(0, np.uint64)
_NO_WORDS: Final = segment.FlatWords(np.empty(0, np.uint32), np.empty(0, np.uint32), _NONE, np.zeros(1, np.int64))


def _groups(documents: Sequence[Document]) -> Iterator[slice]:
    """Runs of documents with about so many characters that their views stay small."""
    start, size = 0, 0
    for place, document in enumerate(documents):
        size += len(document.text)
        if size >= _GROUP or place == len(documents) - 1:
            yield slice(start, place + 1)
            start, size = place + 1, 0


def _exact(points: Array, offsets: Array) -> Array:
    """The digests (XXH3, 128 bits) of texts with every run of white space as one space; 0 for nothing but white space."""
    squeezed, ends = segment.flat_squeezed(points, offsets)
    ends = ends.tolist()
    digests = (
        xxhash.xxh3_128_intdigest(squeezed[start:stop].data) if start < stop else 0 for start, stop in pairwise(ends)
    )
    return _halves(list(digests))


def _halves(digests: Sequence[int]) -> Array:
    packed = b"".join(digest.to_bytes(16, "little") for digest in digests)
    return np.frombuffer(packed, np.uint64).reshape(-1, 2)


def _offsets(lengths: Array) -> Array:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _lists(arrays: Sequence[Array], count: int) -> Lists:
    """The arrays as lists; that many empty ones where there are none."""
    if not arrays:
        return Lists(np.zeros(count + 1, np.int64), _NONE)
    return Lists(_offsets(np.array([len(one) for one in arrays])), np.concatenate(arrays))


def _digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def url_key(url: str) -> int:
    """128-bit digest (XXH3) of the normalized address; 0 where there is none."""
    address = addresses.normalized(url)
    return int(xxhash.xxh3_128_intdigest(address.encode("utf-8", "surrogatepass"))) if address else 0


@njit(cache=True)
def _span_keys(unit_starts: Array, word_starts: Array, hashes: Array, span: int, min_words: int) -> Array:
    """Key of every run of ``span`` units (sentences or lines that begin at ``unit_starts``), by the run's first unit.

    uint64, shape (max(0, units - span + 1),); 0 for a run of fewer than ``min_words`` words, or with a unit without words.
    """
    units = len(unit_starts)
    single = np.zeros(units, np.uint64)
    words = np.zeros(units, np.int64)
    word = 0
    for unit in range(units):
        last = unit == units - 1
        stop = 0 if last else unit_starts[unit + 1]
        running = np.uint64(1)
        while word < len(hashes) and (last or word_starts[word] < stop):
            running = mix(running, hashes[word])
            words[unit] += 1
            word += 1
        single[unit] = running
    keys = np.zeros(max(0, units - span + 1), np.uint64)
    for start in range(len(keys)):
        running = np.uint64(2)
        together = 0
        for k in range(start, start + span):
            running = mix(running, single[k])
            together = together + words[k] if words[k] and together >= 0 else -1
        if together >= max(min_words, 1):
            keys[start] = max(running, np.uint64(1))
    return keys


def rank(priority: int, document: Document, survivor: Survivor) -> int:
    """The survivor's order as one 64-bit number, smaller survives: source priority, the recipe's choice, a digest of the id.

    8 bits of priority (from 1 on: 0 is for documents of earlier runs), 32 bits of the value, 24 bits of digest. Values are
    compared as 32-bit floats, lengths and dates (seconds since 1970, UTC) as integers. Equal ranks are ordered by document number.
    """
    digest = xxhash.xxh3_64_intdigest(document.id.encode()) >> 40
    return min(priority + 1, 255) << 56 | _place(_value(document, survivor.by), survivor.order) << 24 | digest


_LAST: Final = (1 << 32) - 1


def _place(value: int | None, order: str) -> int:
    """The place of a value in 0 … 2^32 - 1, where the smallest place stays; documents without a value have the last."""
    if value is None:
        return _LAST
    return min(value, _LAST - 1) if order == "ascending" else _LAST - 1 - min(value, _LAST - 1)


def _value(document: Document, by: str) -> int | None:
    if by == "length":
        return len(document.text)
    if by == "date":
        return seconds(document.date)
    value = document.signals.get(by)
    if value is None or math.isnan(value):
        return None
    single = np.float32(max(-_LARGEST, min(value, _LARGEST))) + np.float32(0)  # no minus zero
    bits = int(single.view(np.uint32))
    return bits ^ 0xFFFFFFFF if bits >> 31 else bits | 1 << 31  # floats in the order of their bits


_LARGEST: Final = float(np.finfo(np.float32).max)


def seconds(date: str) -> int | None:
    """Seconds from 1970 to an ISO 8601 date (or a time stamp of 14 digits), in UTC where it has no zone; None if it is none."""
    date = date.strip()
    if len(date) == 14 and date.isascii() and date.isdigit():
        date = f"{date[:8]}T{date[8:]}"
    elif len(date) in (4, 7) and date[:4].isdigit():
        date += "-01-01"[: 10 - len(date)] if len(date) == 4 else "-01"
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, int((moment - _EPOCH).total_seconds()))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
