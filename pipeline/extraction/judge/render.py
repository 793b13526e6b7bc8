"""Writes chosen blocks of a page as text that reads like the page: lists, table rows, code and line breaks kept."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.markup import tag

Array = NDArray[Any]

_BR, _LI, _OL, _TD, _TH, _TR, _PRE, _LISTING, _TABLE, _DT, _DD = (
    tag(name) for name in ["br", "li", "ol", "td", "th", "tr", "pre", "listing", "table", "dt", "dd"]
)
_ROW_BLOCKS: Final = 40
"""Blocks of a table row beyond which it is layout and no row."""
_ROW_BYTES: Final = 600


@njit(cache=True)
def render(
    tag_of: Array,
    parent: Array,
    start: Array,
    stop: Array,
    text: Array,
    first: Array,
    container: Array,
    stops: Array,
    kept: Array,
) -> Array:
    """uint8: the text of the blocks that are ``kept`` (bool[b]), in UTF-8.

    A blank line is between paragraphs, none between the items of a list, the rows of a table and what ``br`` separates.
    Items of unordered lists begin with ``- ``, of others with their number; cells are separated by `` | ``. White space
    is one space, but in ``pre`` as it stands.
    """
    blocks = len(first)
    room = 16
    for b in range(blocks):
        if kept[b]:
            room += stops[b] - start[first[b]] + 20
    out = np.empty(room, np.uint8)
    numbers = np.zeros(len(tag_of), np.int64)  # of items; of lists how many items were counted
    for node in range(1, len(tag_of)):
        if tag_of[node] == _LI:
            numbers[parent[node]] += 1
            numbers[node] = numbers[parent[node]] if tag_of[parent[node]] == _OL else 0
    used = 0
    marked_item = -1
    last_list = last_table = last_row = last_cell = -1
    for b in range(blocks):
        if not kept[b]:
            continue
        item = items = cell = row = table = verbatim = -1
        node = container[b]
        while node >= 0:
            kind = tag_of[node]
            if kind == _LI:
                if item < 0 and cell < 0:
                    item = node
                    items = parent[node]
            elif kind in (_TD, _TH):
                if cell < 0:
                    cell = node
            elif kind == _TR:
                if row < 0:
                    row = node
            elif kind == _TABLE:
                if table < 0:
                    table = node
            elif kind in (_PRE, _LISTING):
                verbatim = node
            node = parent[node]
        if row >= 0 and stop[row] - start[row] > _ROW_BYTES:
            row = cell = table = -1
        if used > 0:
            if row >= 0 and row == last_row:
                if cell == last_cell:
                    out[used] = 32
                    used += 1
                else:
                    out[used], out[used + 1], out[used + 2] = 32, 124, 32
                    used += 3
            else:
                out[used] = 10
                used += 1
                close = (
                    (items >= 0 and items == last_list)
                    or (table >= 0 and table == last_table)
                    or tag_of[container[b]] == _DD
                )
                if not close:
                    out[used] = 10
                    used += 1
        if item >= 0 and item != marked_item and verbatim < 0:
            if tag_of[items] != _OL:
                out[used], out[used + 1] = 45, 32
                used += 2
            else:
                number = numbers[item]
                digits = 1
                while number >= 10**digits:
                    digits += 1
                for k in range(digits):
                    out[used + digits - 1 - k] = 48 + number // 10**k % 10
                used += digits
                out[used], out[used + 1] = 46, 32
                used += 2
            marked_item = item
        last_list, last_table, last_row, last_cell = items, table, row, cell

        node = first[b]
        space = False
        fresh = True
        while start[node] < stops[b]:
            kind = tag_of[node]
            if kind == _BR and not fresh:
                out[used] = 10
                used += 1
                fresh = True
            elif kind == 0:
                at, last = start[node], min(stop[node], stops[b])
                if verbatim >= 0:
                    out[used : used + last - at] = text[at:last]
                    used += last - at
                    fresh = used > 0 and out[used - 1] == 10
                else:
                    while at < last:
                        byte = text[at]
                        # Also the no-break space, C2 A0, which is layout.
                        if byte <= 32 or (byte == 0xC2 and at + 1 < last and text[at + 1] == 0xA0):
                            at += 1 if byte <= 32 else 2
                            space = True
                            continue
                        if space and not fresh:
                            out[used] = 32
                            used += 1
                        space = False
                        fresh = False
                        out[used] = byte
                        used += 1
                        at += 1
            node += 1
            if node >= len(tag_of):
                break
        while used > 0 and out[used - 1] <= 32:
            used -= 1
    return out[:used]
