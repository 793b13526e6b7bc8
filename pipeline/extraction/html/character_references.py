"""Copies text and resolves the character references in it, as the HTML standard says (13.2.5.72 to 13.2.5.80)."""

from __future__ import annotations

import html.entities
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.names import HASH_PRIME, HASH_START, find, name_table


def _packed(text: str) -> int:
    """The UTF-8 bytes of what a reference stands for, the first one lowest; eight at most."""
    return int.from_bytes(text.encode(), "little")


REFERENCE_TABLE: Final = name_table({name.encode(): _packed(text) for name, text in html.entities.html5.items()})
"""Named references, with the ``;`` where the standard has it, to the UTF-8 bytes that they stand for."""

_LONGEST_NAME: Final = max(map(len, html.entities.html5))
_LONGEST_BARE: Final = max(len(name) for name in html.entities.html5 if not name.endswith(";"))
_WINDOWS_1252: Final = np.array(
    [ord(bytes([byte]).decode("windows-1252", "ignore") or chr(byte)) for byte in range(0x80, 0xA0)], np.int64
)


@njit(cache=True)
def put_character(out: NDArray[np.uint8], used: int, character: int) -> int:
    """Write a code point as UTF-8 at ``used``; returns the place behind it."""
    if character < 0x80:
        out[used] = character
        return used + 1
    if character < 0x800:
        out[used] = 0xC0 | character >> 6
        out[used + 1] = 0x80 | character & 0x3F
        return used + 2
    if character < 0x10000:
        out[used] = 0xE0 | character >> 12
        out[used + 1] = 0x80 | character >> 6 & 0x3F
        out[used + 2] = 0x80 | character & 0x3F
        return used + 3
    out[used] = 0xF0 | character >> 18
    out[used + 1] = 0x80 | character >> 12 & 0x3F
    out[used + 2] = 0x80 | character >> 6 & 0x3F
    out[used + 3] = 0x80 | character & 0x3F
    return used + 4


@njit(cache=True)
def copy_text(
    html: NDArray[np.uint8],
    start: int,
    stop: int,
    out: NDArray[np.uint8],
    used: int,
    references: bool,
    keys: NDArray[np.uint64],
    values: NDArray[np.uint64],
) -> int:
    """Write ``html[start:stop]`` to ``out`` at ``used``; returns the place behind it.

    NUL is dropped, line ends become ``\\n``. The text takes at most 6/5 of the room it had (``&nLt;``).
    """
    at = start
    while at < stop:
        byte = html[at]
        if byte == 0:
            at += 1
        elif byte == 13:
            at += 1
            if at >= stop or html[at] != 10:
                out[used] = 10
                used += 1
        elif byte == 38 and references:
            at, used = _reference(html, at, stop, out, used, keys, values)
        else:
            out[used] = byte
            used += 1
            at += 1
    return used


@njit(cache=True)
def _reference(
    html: NDArray[np.uint8],
    at: int,
    stop: int,
    out: NDArray[np.uint8],
    used: int,
    keys: NDArray[np.uint64],
    values: NDArray[np.uint64],
) -> tuple[int, int]:
    """Resolve the reference at ``at``, or write the ampersand; returns the places behind both."""
    begin = at + 1
    if begin < stop and html[begin] == 35:  # #
        place = begin + 1
        base = 10
        if place < stop and html[place] | 32 == 120:  # x
            base = 16
            place += 1
        first = place
        number = 0
        while place < stop:
            byte = html[place]
            if 48 <= byte <= 57:
                digit = byte - 48
            elif base == 16 and 97 <= byte | 32 <= 102:
                digit = (byte | 32) - 87
            else:
                break
            number = min(number * base + digit, 0x110000)
            place += 1
        if place > first:
            if place < stop and html[place] == 59:
                place += 1
            if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                number = 0xFFFD
            elif 0x80 <= number <= 0x9F:
                number = _WINDOWS_1252[number - 0x80]
            return place, put_character(out, used, number)
    else:
        key = HASH_START
        place = begin
        bare = np.uint64(0)
        bare_end = begin
        while place < stop and place - begin < _LONGEST_NAME:
            byte = html[place]
            if not (97 <= byte | 32 <= 122 or (48 <= byte <= 57 and place > begin)):
                break
            key = (key ^ np.uint64(byte)) * HASH_PRIME
            place += 1
            if 2 <= place - begin <= _LONGEST_BARE:
                packed = find(keys, values, key)
                if packed != np.uint64(0):
                    bare = packed
                    bare_end = place
        if place > begin and place < stop and html[place] == 59:
            packed = find(keys, values, (key ^ np.uint64(59)) * HASH_PRIME)
            if packed != np.uint64(0):
                bare = packed
                bare_end = place + 1
        if bare != np.uint64(0):
            while bare != np.uint64(0):
                out[used] = bare & np.uint64(255)
                bare >>= np.uint64(8)
                used += 1
            return bare_end, used
    out[used] = 38
    return begin, used + 1
