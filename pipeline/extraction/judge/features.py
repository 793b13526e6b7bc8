"""What tells content from boilerplate: numbers about a block, what is around it, what it is in, and the page."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.hints import HINTS
from pipeline.extraction.html.markup import TAGS, tag
from pipeline.extraction.judge.blocks import (
    BEGINS_WITH,
    BREAKS,
    CAPITALIZED,
    COMMAS,
    CURRENCIES,
    DIGITS,
    ENDS_WITH,
    LETTERS,
    LINKED,
    LINKS,
    MARKED,
    NUMBERS,
    OTHERS,
    SEPARATORS,
    STOPS,
    STRONG,
    UPPERS,
    WORDS,
    YEARS,
)

Array = NDArray[Any]

CONTAINERS: Final = (
    *"div p li h1 h2 h3 h4 h5 h6 td th dt dd blockquote pre figcaption button section article header footer".split(),
    *"nav aside main form summary caption body address legend".split(),
)
CONTAINER_CODE: Final = np.array([CONTAINERS.index(name) + 1 if name in CONTAINERS else 0 for name in TAGS], np.float32)
AROUND: Final = (
    *"nav header footer aside article main section table ul ol dl form figure blockquote pre a button p h1 h2 h3".split(),
    *"details td li iframe".split(),
)
AROUND_CODE: Final = np.array([AROUND.index(name) if name in AROUND else -1 for name in TAGS], np.int8)
_HIDDEN_MASK: Final = np.uint64(0b11)
_LONG: Final = 12
"""Words of a block that is likely to be prose."""
_ANCESTORS: Final = 6
_IMG, _INPUT, _BUTTON, _P, _H1, _H6 = (tag(name) for name in "img input button p h1 h6".split())

_OWN: Final = 34
_PER_ANCESTOR: Final = 9
_NEIGHBOURS: Final = 3
_PER_NEIGHBOUR: Final = 6
_PAGE: Final = 18


def names() -> list[str]:
    """The names of the features, in order."""
    own = (
        "container words linked_share strong_share marked_share stops commas stops_share uppers_share capital_share "
        "digit_share numbers_share currencies separators others links breaks begins ends years letters_a_word depth "
        "place words_before alike alike_words alike_linked alike_long same_text same_before title_share heading_before "
        "words_since_heading hidden"
    ).split()
    ancestor = "share density linked long_share blocks stops_share images inputs level".split()
    neighbour = "words linked stops container alike same_parent".split()
    page = (
        "p_words p_blocks p_linked p_long p_headings p_images p_inputs p_stops p_paragraphs p_alike p_article p_main "
        "p_forum p_product p_comment p_review p_price p_date"
    ).split()
    found = [*own]
    for level in range(_ANCESTORS):
        found += [f"up{level + 1}_{one}" for one in ancestor]
    for side in ("before", "after"):
        for step in range(_NEIGHBOURS):
            found += [f"{side}{step + 1}_{one}" for one in neighbour]
    found += ["since_long", "until_long", "window_words", "window_linked", "long_level", "long_rest"]
    found += page
    found += [f"in_{one}" for one in AROUND]
    found += [f"hint_{one}" for one in HINTS]
    found += [f"near_{one}" for one in HINTS]
    return found


NAMES: Final = names()
COUNT: Final = len(NAMES)
_N_HINTS: Final = len(HINTS)
_N_AROUND: Final = len(AROUND)
PAGE_HINTS: Final = np.array(
    [HINTS.index(one) for one in "article main forum product comment review price date".split()]
)


@njit(cache=True)
def class_hashes(nodes: int, of: Array, names: Array, starts: Array, stops: Array, source: Array, wanted: int) -> Array:
    """uint64[nodes]: of each node's value, digits aside, of the attribute ``wanted``; 0 where it has none."""
    hashes = np.zeros(nodes, np.uint64)
    for k in range(len(of)):
        if names[k] == wanted:
            hashed = np.uint64(14695981039346656037)
            for at in range(starts[k], stops[k]):
                byte = source[at]
                if not 48 <= byte <= 57:
                    hashed = (hashed ^ np.uint64(byte)) * np.uint64(1099511628211)
            hashes[of[k]] = hashed
    return hashes


@njit(cache=True)
def title_words(text: Array, start: int, stop: int, found: Array) -> int:
    """Hashes of the words in a range of text, at most as many as ``found`` has room for; returns how many."""
    count = 0
    hashed = np.uint64(14695981039346656037)
    letters = 0
    for at in range(start, stop + 1):
        byte = text[at] if at < stop else np.uint8(32)
        if 65 <= byte <= 90:
            byte |= 32
        if byte >= 0x80 or 97 <= byte <= 122 or 48 <= byte <= 57:
            hashed = (hashed ^ np.uint64(byte)) * np.uint64(1099511628211)
            letters += 1
        else:
            if letters > 2 and count < len(found):
                found[count] = hashed
                count += 1
            hashed = np.uint64(14695981039346656037)
            letters = 0
    return count


@njit(cache=True)
def describe(
    tag_of: Array,
    parent: Array,
    end: Array,
    depth: Array,
    hints: Array,
    text: Array,
    class_hash: Array,
    title: Array,
    first: Array,
    container: Array,
    start: Array,
    stop: Array,
    counts: Array,
    hashes: Array,
    container_code: Array,
    around: Array,
    page_hints: Array,
    block_level: Array,
) -> tuple[Array, Array]:
    """Features of the blocks of a page, float32[b, COUNT] (see ``NAMES``), and their groups, int32[b].

    Blocks of one group are alike: of the same tags and class. Groups are numbered from 0, and there are at most b.
    """
    n = len(tag_of)
    blocks = len(first)
    found = np.zeros((blocks, COUNT), np.float32)
    group_of = np.empty(blocks, np.int32)
    if blocks == 0:
        return found, group_of
    # Sums over the blocks before each, so that what is in an element is a difference.
    block_at = np.empty(n + 1, np.int32)
    images = np.empty(n + 1, np.int32)
    inputs = np.empty(n + 1, np.int32)
    at = 0
    image_count = input_count = paragraphs = headings = 0
    for node in range(n):
        block_at[node] = at
        images[node] = image_count
        inputs[node] = input_count
        kind = tag_of[node]
        if kind == 0:
            if at < blocks and first[at] == node:
                at += 1
        elif kind == _IMG:
            image_count += 1
        elif kind in (_INPUT, _BUTTON):
            input_count += 1
        elif kind == _P:
            paragraphs += 1
        elif _H1 <= kind <= _H6:
            headings += 1
    block_at[n] = blocks
    images[n] = image_count
    inputs[n] = input_count
    words_to = np.zeros(blocks + 1, np.float32)
    linked_to = np.zeros(blocks + 1, np.float32)
    long_to = np.zeros(blocks + 1, np.float32)
    stops_to = np.zeros(blocks + 1, np.float32)
    for b in range(blocks):
        words = counts[b, WORDS]
        words_to[b + 1] = words_to[b] + words
        linked_to[b + 1] = linked_to[b] + counts[b, LINKED]
        is_long = words >= _LONG and counts[b, LINKED] < 0.35 * words and counts[b, STOPS] > 0
        long_to[b + 1] = long_to[b] + (words if is_long else np.float32(0))
        stops_to[b + 1] = stops_to[b] + counts[b, STOPS]
    total = max(np.float32(1), words_to[blocks])
    long_total = max(np.float32(1), long_to[blocks])

    # Blocks alike: of the same tags and class four levels up. And blocks of the same text.
    bits = 4
    while (1 << bits) < 2 * blocks:
        bits += 1
    slots = 1 << bits
    mask = np.uint64(slots - 1)
    alike_key = np.zeros(slots, np.uint64)
    alike_sum = np.zeros((slots, 4), np.float32)
    alike_slot = np.empty(blocks, np.int32)
    alike_number = np.empty(slots, np.int32)
    same_key = np.zeros(slots, np.uint64)
    same_count = np.zeros(slots, np.int32)
    same_slot = np.empty(blocks, np.int32)
    same_rank = np.empty(blocks, np.int32)
    groups = 0
    for b in range(blocks):
        key = np.uint64(14695981039346656037)
        node = container[b]
        for level in range(4):
            if node < 0:
                break
            key = (key ^ np.uint64(tag_of[node])) * np.uint64(1099511628211)
            if level < 2:
                key = (key ^ class_hash[node]) * np.uint64(1099511628211)
            node = parent[node]
        key |= np.uint64(1)
        slot = np.int64((key >> np.uint64(20)) & mask)
        while alike_key[slot] != 0 and alike_key[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if alike_key[slot] == 0:
            alike_number[slot] = groups
            groups += 1
        alike_key[slot] = key
        alike_slot[b] = slot
        group_of[b] = alike_number[slot]
        alike_sum[slot, 0] += 1
        alike_sum[slot, 1] += counts[b, WORDS]
        alike_sum[slot, 2] += counts[b, LINKED]
        alike_sum[slot, 3] += long_to[b + 1] - long_to[b]
        key = hashes[b] | np.uint64(1)
        slot = np.int64((key >> np.uint64(20)) & mask)
        while same_key[slot] != 0 and same_key[slot] != key:
            slot = (slot + 1) & (slots - 1)
        same_key[slot] = key
        same_slot[b] = slot
        same_rank[b] = same_count[slot]
        same_count[slot] += 1

    page_share = np.zeros(len(page_hints), np.float32)
    title_found = np.empty(4096, np.uint64)
    heading_at = -1
    last_long = -1
    next_long = np.empty(blocks, np.int32)
    upcoming = blocks + 50
    for b in range(blocks - 1, -1, -1):
        next_long[b] = upcoming
        if long_to[b + 1] > long_to[b]:
            upcoming = b

    for b in range(blocks):
        words = max(counts[b, WORDS], np.float32(0.5))
        node = container[b]
        kind = tag_of[node]
        letters = max(np.float32(1), counts[b, LETTERS] + counts[b, DIGITS])
        out = found[b]
        out[0] = container_code[kind]
        out[1] = counts[b, WORDS]
        out[2] = counts[b, LINKED] / words
        out[3] = counts[b, STRONG] / words
        out[4] = counts[b, MARKED] / words
        out[5] = counts[b, STOPS]
        out[6] = counts[b, COMMAS]
        out[7] = counts[b, STOPS] / words
        out[8] = counts[b, UPPERS] / letters
        out[9] = counts[b, CAPITALIZED] / words
        out[10] = counts[b, DIGITS] / letters
        out[11] = counts[b, NUMBERS] / words
        out[12] = counts[b, CURRENCIES]
        out[13] = counts[b, SEPARATORS]
        out[14] = counts[b, OTHERS] / words
        out[15] = counts[b, LINKS]
        out[16] = counts[b, BREAKS]
        out[17] = counts[b, BEGINS_WITH]
        out[18] = counts[b, ENDS_WITH]
        out[19] = counts[b, YEARS]
        out[20] = letters / words
        out[21] = depth[node]
        out[22] = b / blocks
        out[23] = words_to[b] / total
        group = alike_sum[alike_slot[b]]
        out[24] = group[0]
        out[25] = group[1] / total
        out[26] = group[2] / max(np.float32(0.5), group[1])
        out[27] = group[3] / max(np.float32(0.5), group[1])
        out[28] = same_count[same_slot[b]]
        out[29] = same_rank[b]
        if len(title) > 0 and words < 60:
            count = title_words(text, start[b], stop[b], title_found)
            hits = 0
            for k in range(count):
                for one in title:
                    if one == title_found[k]:
                        hits += 1
                        break
            out[30] = hits / max(1, count)
        else:
            out[30] = -1
        out[31] = b - heading_at if heading_at >= 0 else -1
        out[32] = words_to[b] - words_to[heading_at] if heading_at >= 0 else -1
        if _H1 <= kind <= _H6:
            heading_at = b

        # What it is in: the nearest six elements that hold more than the one before, and what all of them are for.
        seen = np.uint64(0)
        k = 34
        level = 0
        steps = 0
        held = np.float32(-1)
        long_level = -1
        base_hints = 34 + _ANCESTORS * _PER_ANCESTOR + 2 * _NEIGHBOURS * _PER_NEIGHBOUR + 6 + _PAGE + _N_AROUND
        base_around = base_hints - _N_AROUND
        base_window = 34 + _ANCESTORS * _PER_ANCESTOR + 2 * _NEIGHBOURS * _PER_NEIGHBOUR
        inner = parent[first[b]]
        node = inner
        hidden = 0
        while node >= 0:
            low, high = block_at[node], block_at[end[node]]
            size = words_to[high] - words_to[low]
            share = size / total
            kind = tag_of[node]
            place = around[kind]
            if place >= 0 and out[base_around + place] == 0:
                out[base_around + place] = max(share, np.float32(1e-4))
            fresh = hints[node] & ~seen
            if fresh != 0:
                seen |= fresh
                for group_number in range(_N_HINTS):
                    if fresh & (np.uint64(1) << np.uint64(group_number)):
                        out[base_hints + group_number] = max(share, np.float32(1e-4))
                        out[base_hints + _N_HINTS + group_number] = steps + 1
            if hints[node] & _HIDDEN_MASK:
                hidden += 1
            if long_level < 0 and long_to[high] - long_to[low] >= 0.5 * long_total:
                long_level = steps
                out[base_window + 4] = level if level < _ANCESTORS else steps
                out[base_window + 5] = (long_to[high] - long_to[low]) / max(np.float32(1), size)
            if block_level[kind]:
                steps += 1
                if high - low > held and level < _ANCESTORS:
                    held = high - low
                    count = high - low
                    out[k] = share
                    out[k + 1] = size / count
                    out[k + 2] = (linked_to[high] - linked_to[low]) / max(np.float32(1), size)
                    out[k + 3] = (long_to[high] - long_to[low]) / max(np.float32(1), size)
                    out[k + 4] = count
                    out[k + 5] = (stops_to[high] - stops_to[low]) / max(np.float32(1), size)
                    out[k + 6] = (images[end[node]] - images[node]) / count
                    out[k + 7] = (inputs[end[node]] - inputs[node]) / count
                    out[k + 8] = (b - low) / count
                    k += _PER_ANCESTOR
                    level += 1
            node = parent[node]
        while level < _ANCESTORS:
            for one in range(_PER_ANCESTOR):
                out[k + one] = out[k + one - _PER_ANCESTOR]
            k += _PER_ANCESTOR
            level += 1
        out[33] = hidden
        for p in range(len(page_hints)):
            if out[base_hints + page_hints[p]] > 0:
                page_share[p] += words / total

        # Its neighbours.
        for side in range(2):
            for step in range(1, _NEIGHBOURS + 1):
                other = b - step if side == 0 else b + step
                if 0 <= other < blocks:
                    out[k] = counts[other, WORDS]
                    out[k + 1] = counts[other, LINKED] / max(counts[other, WORDS], np.float32(0.5))
                    out[k + 2] = counts[other, STOPS]
                    out[k + 3] = container_code[tag_of[container[other]]]
                    out[k + 4] = alike_slot[other] == alike_slot[b]
                    out[k + 5] = parent[container[other]] == parent[container[b]]
                else:
                    out[k] = -1
                    out[k + 3] = -1
                k += _PER_NEIGHBOUR
        out[k] = min(50, b - last_long) if last_long >= 0 else 99
        out[k + 1] = min(99, next_long[b] - b)
        if long_to[b + 1] > long_to[b]:
            last_long = b
        low, high = max(0, b - 6), min(blocks, b + 7)
        out[k + 2] = words_to[high] - words_to[low]
        out[k + 3] = (linked_to[high] - linked_to[low]) / max(np.float32(1), out[k + 2])

    page = 34 + _ANCESTORS * _PER_ANCESTOR + 2 * _NEIGHBOURS * _PER_NEIGHBOUR + 6
    for b in range(blocks):
        out = found[b]
        out[page] = total
        out[page + 1] = blocks
        out[page + 2] = linked_to[blocks] / total
        out[page + 3] = long_to[blocks] / total
        out[page + 4] = headings / blocks
        out[page + 5] = image_count / blocks
        out[page + 6] = input_count / blocks
        out[page + 7] = stops_to[blocks] / total
        out[page + 8] = paragraphs / blocks
        out[page + 9] = groups / blocks
        for p in range(len(page_hints)):
            out[page + 10 + p] = page_share[p]
    return found, group_of
