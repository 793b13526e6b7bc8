"""Cuts a parsed page into blocks, runs of text that no markup of its own line interrupts, and counts what is in each."""

from __future__ import annotations

import unicodedata
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.markup import TAGS, tag

Array = NDArray[Any]

# What a character is to a counter of words. Han and kana words have two characters on average, Thai ones four.
SPACE, LOWER, UPPER, DIGIT, WIDE, UNSPACED, MARK, STOP, COMMA, CURRENCY, SEPARATOR, OTHER = range(12)

# Columns of ``Blocks.counts``.
COUNTS: Final = (
    *"words linked_words strong_words letters uppers capitalized digits numbers stops commas".split(),
    *"currencies separators others links breaks begins_with ends_with years marked".split(),
)
(
    WORDS,
    LINKED,
    STRONG,
    LETTERS,
    UPPERS,
    CAPITALIZED,
    DIGITS,
    NUMBERS,
    STOPS,
    COMMAS,
    CURRENCIES,
    SEPARATORS,
    OTHERS,
    LINKS,
    BREAKS,
    BEGINS_WITH,
    ENDS_WITH,
    YEARS,
    MARKED,
) = range(len(COUNTS))

_INLINE: Final = (
    *"a em strong small s cite q dfn abbr acronym ruby rt rp rb rtc data time code var samp kbd sub sup".split(),
    *"i b u mark bdi bdo span br wbr ins del font big tt strike nobr marquee".split(),
    *"picture source img image map area svg math canvas label meter progress input output".split(),
)
BLOCK_LEVEL: Final = np.array([name not in ("#text", *_INLINE) for name in TAGS])
"""Whether an element begins and ends a line of its own, by tag number."""

UNSHOWN: Final = np.array([name in ("title", "select", "datalist", "textarea", "rp", "rt") for name in TAGS])
_A, _BR, _B, _STRONG, _EM, _I = (tag(name) for name in "a br b strong em i".split())


def _class_of(point: int) -> int:
    character = chr(point)
    category = unicodedata.category(character)
    if character in ".!?。！？؟।॥։。．…‽۔᙮።፧":
        return STOP
    if character in ",;:、，；：،؛・":
        return COMMA
    if character in "|•·»›«‹/\\©®→←▼▲>★☆✓":
        return SEPARATOR
    if category == "Sc":
        return CURRENCY
    if category[0] == "Z" or category == "Cc":
        return SPACE
    if category[0] == "L":
        if 0x0E00 <= point < 0x0F00 or 0x1000 <= point < 0x10A0 or 0x1780 <= point < 0x1800:
            return UNSPACED
        if 0x2E80 <= point < 0xA4D0 or 0xF900 <= point < 0xFB00 or 0xFF66 <= point < 0xFFA0:
            return WIDE
        return UPPER if category in ("Lu", "Lt") else LOWER
    if category[0] == "N":
        return DIGIT
    if category[0] in "MC":
        return MARK
    return OTHER


CHARACTER_CLASS: Final = np.array([_class_of(point) for point in range(0x10000)], np.uint8)
"""By code point of the basic plane."""


class Blocks(NamedTuple):
    """The blocks of a page in document order; ``b`` is their number."""

    first: Array
    """int32[b]: its first text node."""
    container: Array
    """int32[b]: the innermost block-level element around it."""
    start: Array
    """int32[b]: where its text begins in the tree's text."""
    stop: Array
    """int32[b]: where it ends."""
    counts: Array
    """float32[b, len(COUNTS)]"""
    hashes: Array
    """uint64[b]: of its letters and digits, case folded where that is ASCII."""


@njit(cache=True)
def cut(
    tag_of: Array,
    end: Array,
    start: Array,
    stop: Array,
    text: Array,
    block_level: Array,
    unshown: Array,
    classes: Array,
) -> Blocks:
    """The blocks of a tree. Texts without a letter, digit or sign are in none."""
    n = len(tag_of)
    most = 0
    for node in range(n):
        if tag_of[node] == 0:
            most += 1
    first = np.empty(most, np.int32)
    container = np.empty(most, np.int32)
    block_start = np.empty(most, np.int32)
    block_stop = np.empty(most, np.int32)
    hashes = np.empty(most, np.uint64)
    counts = np.zeros((most, MARKED + 1), np.float32)
    open_ends = np.empty(1024, np.int32)
    open_nodes = np.empty(1024, np.int32)
    opened = 0
    link_end = strong_end = mark_end = 0
    blocks = 0
    broken = True
    breaks = 0
    node = 0
    while node < n:
        while opened > 0 and open_ends[opened - 1] <= node:
            opened -= 1
            broken = True
        kind = tag_of[node]
        if kind != 0:
            if unshown[kind]:
                node = end[node]
                broken = True
                continue
            if block_level[kind]:
                if opened < 1024:
                    open_ends[opened] = end[node]
                    open_nodes[opened] = node
                    opened += 1
                broken = True
                breaks = 0
            elif kind == _BR:
                breaks += 1
                if breaks > 1:
                    broken = True
                elif not broken:
                    counts[blocks - 1, BREAKS] += 1
            elif kind == _A:
                link_end = max(link_end, end[node])
                if not broken:
                    counts[blocks - 1, LINKS] += 1
            elif kind in (_B, _STRONG):
                strong_end = max(strong_end, end[node])
            elif kind in (_EM, _I):
                mark_end = max(mark_end, end[node])
            node += 1
            continue
        at, last = start[node], stop[node]
        while at < last and text[at] <= 32:
            at += 1
        if at == last:
            node += 1
            continue
        words = np.float32(0)
        in_word = False
        run = 0
        number = 0
        fresh = broken
        if broken:
            blocks += 1
            first[blocks - 1] = node
            container[blocks - 1] = open_nodes[opened - 1] if opened else 0
            block_start[blocks - 1] = at
            hashes[blocks - 1] = np.uint64(14695981039346656037)
            broken = False
            if node < link_end:
                counts[blocks - 1, LINKS] += 1
        b = blocks - 1
        breaks = 0
        hashed = hashes[b]
        ending = counts[b, ENDS_WITH]
        block_stop[b] = last
        while at < last:
            point = np.int64(text[at])
            at += 1
            if point >= 0x80:
                more = 1 if point < 0xE0 else 2 if point < 0xF0 else 3
                point &= 0x3F >> more
                for _ in range(more):
                    if at < last:
                        point = point << 6 | (text[at] & 0x3F)
                        at += 1
            kind = classes[point] if point < 0x10000 else OTHER if point < 0x20000 else WIDE
            if kind == MARK:
                continue
            if kind == SPACE:
                in_word = False
                if number == 4 and run == 4:
                    counts[b, YEARS] += 1
                number = run = 0
                continue
            if fresh:
                counts[b, BEGINS_WITH] = kind
                fresh = False
            ending = np.float32(kind)
            if kind <= UNSPACED:
                folded = point | 32 if kind == UPPER and point < 128 else point
                hashed = (hashed ^ np.uint64(folded)) * np.uint64(1099511628211)
                run += 1
                if kind == DIGIT:
                    counts[b, DIGITS] += 1
                    number += 1
                    if not in_word:
                        words += 1
                        counts[b, NUMBERS] += 1
                        in_word = True
                    continue
                counts[b, LETTERS] += 1
                if kind == WIDE:
                    words += 0.5
                    counts[b, LETTERS] += 1
                    in_word = False
                elif kind == UNSPACED:
                    words += 0.25
                    in_word = False
                else:
                    if kind == UPPER:
                        counts[b, UPPERS] += 1
                    if not in_word:
                        words += 1
                        in_word = True
                        if kind == UPPER:
                            counts[b, CAPITALIZED] += 1
                continue
            if point != 39 and point != 0x2019 and point != 45:
                in_word = False
            if kind == STOP:
                if at >= last or text[at] <= 32 or point > 0x7F:
                    counts[b, STOPS] += 1
            elif kind == COMMA:
                counts[b, COMMAS] += 1
            elif kind == CURRENCY:
                counts[b, CURRENCIES] += 1
            elif kind == SEPARATOR:
                counts[b, SEPARATORS] += 1
            else:
                counts[b, OTHERS] += 1
            if number == 4 and run == 4:
                counts[b, YEARS] += 1
            number = run = 0
        if number == 4 and run == 4:
            counts[b, YEARS] += 1
        hashes[b] = hashed
        counts[b, ENDS_WITH] = ending
        counts[b, WORDS] += words
        if node < link_end:
            counts[b, LINKED] += words
        if node < strong_end:
            counts[b, STRONG] += words
        if node < mark_end:
            counts[b, MARKED] += words
        node += 1
    return Blocks(
        first[:blocks], container[:blocks], block_start[:blocks], block_stop[:blocks], counts[:blocks], hashes[:blocks]
    )
