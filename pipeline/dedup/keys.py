"""What dedup compares: digests of a document's text and address, its MinHash signature, keys of its spans and its lines.

All but the digests start from the document's words, folded (case, diacritics, digits), so that they are computed once and
a copy that differs in typography only is still a copy.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import xxhash
from numba import njit

from filters import segment
from filters.document import Document, Origin
from filters.segment import Array, mix
from pipeline.dedup import addresses, minhash
from pipeline.dedup.settings import Dedup, Survivor


class Keys(NamedTuple):
    """The keys of one document; 0 and empty arrays stand for what the recipe does not ask for, or what the document lacks.

    ``signature`` is empty for a text with fewer words than a shingle, ``url`` and ``site`` are 0 without an address: such
    documents never cluster. ``spans`` has a key for every run of sentences (or lines), ``lines`` one for every line; 0 where
    a unit has no word, or the span too few.
    """

    exact: int
    url: int
    site: int
    signature: Array
    spans: Array
    lines: Array


def of_document(document: Document, dedup: Dedup, sentences: bool) -> Keys:
    """Compute the keys that a recipe asks for. ``sentences`` says whether spans are wanted for this document's source."""
    settings = dedup.sentence if sentences else False
    spans, lines, host = _NONE, _NONE, ""
    if settings:
        units = document.sentences if settings.unit == "sentences" else document.lines
        spans = span_keys(document, units.starts, settings.span, settings.min_span_words)
        if settings.boilerplate and (host := addresses.site(document.url)):
            lines = span_keys(document, document.lines.starts, 1, 0)
    return Keys(
        exact=exact_key(document.codepoints) if dedup.exact else 0,
        url=url_key(document.url) if dedup.url else 0,
        site=xxhash.xxh3_64_intdigest(host.encode("utf-8", "surrogatepass")) if host else 0,
        signature=minhash.signature(document, dedup.near) if dedup.near else minhash.NO_SIGNATURE,
        spans=spans,
        lines=lines,
    )


_NONE: Final = np.empty(0, np.uint64)


def url_key(url: str) -> int:
    """128-bit digest (XXH3) of the normalized address; 0 where there is none."""
    address = addresses.normalized(url)
    return int(xxhash.xxh3_128_intdigest(address.encode("utf-8", "surrogatepass"))) if address else 0


def exact_key(points: Array) -> int:
    """128-bit digest (XXH3) of a text's code points with every run of white space as one space; 0 for nothing but white space."""
    squeezed = segment.squeezed(points)
    return int(xxhash.xxh3_128_intdigest(squeezed.data)) if len(squeezed) else 0


def span_keys(document: Document, starts: Array, span: int, min_words: int) -> Array:
    """Key of every run of ``span`` units (sentences or lines that begin at ``starts``), by the run's first unit.

    uint64, shape (max(0, units - span + 1),); 0 for a run of fewer than ``min_words`` words, or with a unit without words.
    """
    words = document.folded_words
    return _span_keys(starts, words.starts, words.hashes, span, min_words)


@njit(cache=True)
def _span_keys(unit_starts: Array, word_starts: Array, hashes: Array, span: int, min_words: int) -> Array:
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


def warm_up() -> None:
    """Compile (or load from the cache) every kernel that this module uses, so that workers need not."""
    document = Document("0", "One two three four five. Six seven! Eight.", "warm-up", Origin("", 0, 0))
    of_document(document, Dedup(), True)
    minhash.band_keys(np.zeros((1, 8), np.uint32), 1, 8)
