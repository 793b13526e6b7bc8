"""Joins lines that were broken to fit a screen or a page; verse, tables and headings keep theirs."""

from __future__ import annotations

import re
from itertools import pairwise

_NARROWEST, _WIDEST = 40, 100
"""Widths, in characters, between which lines are taken to have been broken by a typist or a program."""
_FULL_LINE = 0.8
"""A line counts as full when it and the next line's first word fill more than this share of the width."""
_TABLE_GAP = re.compile(r"\S {3,}\S|\t|\S\s*\|")
_WORD = re.compile(r"\w+")


def unwrap(text: str) -> str:
    """Join lines that were broken to fit a width; blocks of text end up parted by one blank line.

    The width is the length that nine lines in ten stay within. If it is narrower than 40 or wider than 100 characters
    the book is not wrapped and keeps its lines. A block between blank lines is joined if at least half of its line
    breaks stand where the next word would not have fitted; so verse, lists and headings, whose lines end early, stay.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    blocks = _blocks(lines)
    width = _width(blocks)
    known: frozenset[str] | None = None
    made = []
    for block in blocks:
        if width is None or not _is_prose(block, width):
            made.append("\n".join(_dedented(block)))
            continue
        if known is None and any(line.endswith("-") for line in block):
            known = frozenset(_WORD.findall(text))
        made.append(_joined(block, known or frozenset()))
    return "\n\n".join(made).strip("\n")


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _width(blocks: list[list[str]]) -> int | None:
    """The width to which the book was wrapped; None where it was not.

    Only lines that another one of their block follows say something of it.
    """
    lengths = sorted(len(line) for block in blocks for line in block[:-1])
    if not lengths:
        return None
    width = lengths[len(lengths) * 9 // 10]
    return width if _NARROWEST <= width <= _WIDEST else None


def _is_prose(block: list[str], width: int) -> bool:
    if len(block) < 2:
        return False
    indents = [len(line) - len(line.lstrip()) for line in block]
    if len(set(indents[1:])) > 1:  # a first line may be indented; lines at several depths are verse or a table
        return False
    gaps = sum(_TABLE_GAP.search(line.lstrip()) is not None for line in block)
    if gaps * 2 > len(block):
        return False
    full = sum(
        len(line) + 1 + len(following.split(maxsplit=1)[0]) > _FULL_LINE * width for line, following in pairwise(block)
    )
    return full * 2 >= len(block) - 1


def _joined(block: list[str], known: frozenset[str]) -> str:
    """The lines as one; a word cut in two is mended where the book has it whole elsewhere."""
    pieces = [block[0].strip()]
    for line in block[1:]:
        last, following = pieces[-1], line.strip()
        if last.endswith(("--", "—")):
            pieces.append(following)
            continue
        if last.endswith("-") and last[-2:-1].isalpha() and following[0].isalpha() and following[0].islower():
            before, after = _WORD.findall(last)[-1], _WORD.findall(following)[0]
            pieces[-1] = last[:-1] if before + after in known else last
            pieces.append(following)
            continue
        pieces.append(" " + following)
    return "".join(pieces)


def _dedented(block: list[str]) -> list[str]:
    """The lines without the indentation that all of them share."""
    shared = min(len(line) - len(line.lstrip()) for line in block)
    return [line[shared:] for line in block]
