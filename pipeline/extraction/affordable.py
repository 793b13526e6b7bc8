"""Says how much of a page a parser can take in bounded time: all of it, but for markup made to do harm.

HTML parsers and extractors take time that grows with depth times elements, with the square of a tag's attributes, and
(where formatting elements such as <b> are left open, which every block after them opens again) with the cube: 35 kB
can cost ten seconds, 100 kB hours. So a scan, a thousand times cheaper than parsing, keeps the parser's stack in
outline, sums what the elements will cost, and says where to stop.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_HTML = 8 << 20
"""Bytes of a page that are parsed; crawlers cut pages at one to five million."""

_MAX_DEPTH = 2048
_MAX_FORMATTING = 1024
_BUDGET = 8_000_000
"""In steps of some 50 ns of parsing and extraction. Real pages of 1 MB take 300,000."""


def _packed(names: str) -> NDArray[np.uint64]:
    """Tag names as integers: their first eight letters, as the scan packs them."""
    return np.array([int.from_bytes(name.encode()[:8], "big") for name in names.split()], np.uint64)


_VOID = _packed("area base br col embed hr img input link meta param source track wbr html head body")
_SELF_ENDING = _packed("p li td th tr dt dd tbody thead tfoot colgroup caption rt rp")
_OPTIONS = _packed("option optgroup")
_FORMATTING = _packed("a b big code em font i nobr s small strike strong tt u")
_RAW = _packed("script style textarea title xmp iframe noembed noframes plaintext")
_FOREIGN = _packed("svg math")
_SELECT = _packed("select")[0]


def affordable(html: bytes) -> int:
    """How many bytes of a page can be parsed in bounded time: all of them, but for pages made to do harm.

    Bytes in any charset do that has ASCII's markup in ASCII's bytes, that is in all but UTF-16.
    """
    page = np.frombuffer(html[:MAX_HTML], np.uint8)
    return int(_affordable(page, _VOID, _SELF_ENDING, _OPTIONS, _FORMATTING, _RAW, _FOREIGN))


@njit(cache=True)
def _contains(names: NDArray[np.uint64], name: np.uint64) -> bool:
    for one in names:  # noqa: SIM110 - numba wants a loop
        if one == name:
            return True
    return False


@njit(cache=True)
def _affordable(
    html: NDArray[np.uint8],
    void: NDArray[np.uint64],
    self_ending: NDArray[np.uint64],
    options: NDArray[np.uint64],
    formatting: NDArray[np.uint64],
    raw: NDArray[np.uint64],
    foreign: NDArray[np.uint64],
) -> int:
    """Index of the tag at which parsing would go over depth or budget; the length of the page where none does."""
    size = len(html)
    stack = np.zeros(_MAX_DEPTH, np.uint64)
    depth = 0
    open_names = np.zeros(_MAX_FORMATTING, np.uint64)  # formatting elements not yet closed, wherever they were opened
    open_hashes = np.zeros(_MAX_FORMATTING, np.uint64)
    opened = 0
    option_count = 0
    foreign_from = -1
    cost = 0
    at = 0
    while at < size:
        while at < size and html[at] != 60:  # <
            at += 1
        start = at
        at += 1
        if at < size and (html[at] == 33 or html[at] == 63):  # <! or <?
            if at + 2 < size and html[at + 1] == 45 and html[at + 2] == 45:
                at += 3
                while at < size and not (html[at] == 62 and html[at - 1] == 45 and html[at - 2] == 45):
                    at += 1
            else:
                while at < size and html[at] != 62:
                    at += 1
            continue
        closing = at < size and html[at] == 47  # /
        if closing:
            at += 1
        if at >= size or not (97 <= (html[at] | 32) <= 122):
            continue
        name = np.uint64(0)
        letters = 0
        while at < size and html[at] > 32 and html[at] != 47 and html[at] != 62:
            if letters < 8:
                letter = html[at]
                if 65 <= letter <= 90:
                    letter |= 32
                name = (name << np.uint64(8)) | np.uint64(letter)
                letters += 1
            at += 1
        # The rest of the tag: attributes are counted, and '>' inside quotes is no end.
        attributes = 0
        attributes_at = at
        between = True
        after_equals = False
        ends_with_slash = False
        while at < size and html[at] != 62:
            byte = html[at]
            ends_with_slash = byte == 47
            if byte <= 32:
                between = True
            elif (byte == 34 or byte == 39) and after_equals:
                at += 1
                while at < size and html[at] != byte:
                    at += 1
                between = True
                after_equals = False
            else:
                if byte == 61:
                    after_equals = True
                    between = False
                else:
                    if (between or byte == 47) and not after_equals:
                        attributes += 1
                    between = byte == 47
                    after_equals = False
            at += 1
        at += 1
        cost += 1 + depth + 16 * opened + attributes * attributes // 16
        if closing:
            if _contains(formatting, name):
                # Closing <b> ends the formatting, and takes <b> out of the stack from under what is still open.
                for k in range(opened - 1, -1, -1):
                    if open_names[k] == name:
                        open_names[k : opened - 1] = open_names[k + 1 : opened]
                        open_hashes[k : opened - 1] = open_hashes[k + 1 : opened]
                        opened -= 1
                        break
                for k in range(depth - 1, -1, -1):
                    if stack[k] == name:
                        stack[k : depth - 1] = stack[k + 1 : depth]
                        depth -= 1
                        break
            else:
                for k in range(depth - 1, -1, -1):
                    if stack[k] == name:
                        depth = k
                        break
            if depth <= foreign_from:
                foreign_from = -1
            if name == _SELECT:
                option_count = 0
        elif _contains(void, name) or (ends_with_slash and foreign_from >= 0):
            pass
        elif _contains(options, name):
            option_count += 1
            cost += option_count // 4
        elif _contains(raw, name):
            # Up to its end tag there is text only.
            while at < size:
                if html[at] == 60 and at + 1 + letters < size and html[at + 1] == 47:
                    same = np.uint64(0)
                    for k in range(letters):
                        letter = html[at + 2 + k] if at + 2 + k < size else np.uint8(0)
                        if 65 <= letter <= 90:
                            letter |= 32
                        same = (same << np.uint64(8)) | np.uint64(letter)
                    if same == name:
                        break
                at += 1
        elif not _contains(self_ending, name):
            if _contains(formatting, name):
                hashed = name
                for k in range(attributes_at, min(at, size)):
                    hashed = (hashed ^ np.uint64(html[k])) * np.uint64(1099511628211)
                alike = 0
                for k in range(opened):
                    if open_hashes[k] == hashed:
                        alike += 1
                # Of equal elements only three are opened again (the "Noah's Ark clause"), and <a> ends the last <a>.
                if name == formatting[0]:
                    for k in range(opened):
                        if open_names[k] == name:
                            alike = 3
                            open_hashes[k] = hashed
                if alike < 3:
                    if opened == _MAX_FORMATTING:
                        return start
                    open_names[opened] = name
                    open_hashes[opened] = hashed
                    opened += 1
            if depth == _MAX_DEPTH:
                return start
            if foreign_from < 0 and _contains(foreign, name):
                foreign_from = depth
            if not (name == formatting[0] and depth > 0 and stack[depth - 1] == name):
                stack[depth] = name
                depth += 1
        if cost > _BUDGET:
            return start
    return size
