"""Removes what printed pages leave in a plain text: page numbers, running heads, marks of footnotes and pictures."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

_NUMBER = re.compile(r"[\[({<–—-]?\s?(?:(?:p|pg|page|seite|s)\.?\s?)?([0-9]{1,4})\s?[\])}>–—-]?", re.IGNORECASE)
_HEAD_WITH_NUMBER = re.compile(r"(?:[0-9]{1,4}\s{1,20}(?P<after>\S.*)|(?P<before>.*\S)\s{1,20}[0-9]{1,4})")
_INLINE_PAGE = re.compile(r"[\[{](?:pg?\.?|page|seite|s\.)\s?[0-9ivxlc]{1,6}[\]}]\s?", re.IGNORECASE)
_FOOTNOTE_MARK = re.compile(r"(?<=[\w.,;:!?”\"'’)\]])\[(?:[0-9]{1,3}|[a-z]|\*{1,3})\](?!\()")
_PICTURE = re.compile(
    r"^[ \t]*\[(?:Illustration|Illustratie|Abbildung|Image|Figure)\.?\][ \t]*$", re.MULTILINE | re.IGNORECASE
)

_NUMBERED = re.compile(
    r"chap(?:ter|\.|itre)?|part|book|letter|kapitel|cap[íi]tulo|capitolo|hoofdstuk|canto|act|scene|volume|vol|section|no|nr",
    re.IGNORECASE,
)
"""What a number behind a word counts other than pages."""

_FEWEST = 5
"""So many pages must be numbered, in rising order, before a number alone on its line counts as a page's."""
_LONGEST_HEAD = 70
_FARTHEST = 80
"""Lines between a page's number and the next, at most, as the middle one of all distances."""
_CUT_SENTENCE = re.compile(r"[\w,;–—-]$")


def without_pages(text: str) -> str:
    """The text without page furniture; a sentence that a page's end has cut in two is whole again."""
    text = _FOOTNOTE_MARK.sub("", _INLINE_PAGE.sub("", _PICTURE.sub("", text)))
    lines = text.split("\n")
    numbered = _page_numbers(lines)
    heads = _running_heads(lines, numbered)
    gone = numbered | heads
    return "\n".join(_closed_up(lines, gone)) if gone else text


def _page_numbers(lines: list[str]) -> set[int]:
    """The lines that hold nothing but the number of a page."""
    found = [(at, int(match[1])) for at, line in enumerate(lines) if (match := _NUMBER.fullmatch(line.strip()))]
    rising: list[tuple[int, int]] = []
    for at, number in found:
        if not rising or 0 < number - rising[-1][1] <= 10:
            rising.append((at, number))
    distances = sorted(after[0] - before[0] for before, after in pairwise(rising))
    if len(rising) < _FEWEST or not 8 <= distances[len(distances) // 2] <= _FARTHEST:
        return set()
    return {at for at, _ in rising}


def _running_heads(lines: list[str], numbered: set[int]) -> set[int]:
    """Short lines that come back page after page, with a page's number in them or beside one."""
    places: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        shown = line.strip()
        if not shown or len(shown) > _LONGEST_HEAD or at in numbered:
            continue
        match = _HEAD_WITH_NUMBER.fullmatch(shown)
        beside = any(near in numbered for near in range(at - 2, at + 3))
        alone = (match["after"] or match["before"]) if match else ""
        if any(map(str.isalpha, alone)) and not _NUMBERED.fullmatch(alone.strip(" .:")):
            places.setdefault(alone.casefold(), []).append(at)
        elif beside:
            places.setdefault(shown.casefold(), []).append(at)
    repeated = Counter({head: len(found) for head, found in places.items()})
    gone: set[int] = set()
    for head, count in repeated.items():
        found = places[head]
        distances = sorted(after - before for before, after in pairwise(found))
        if count >= _FEWEST and 8 <= distances[len(distances) // 2] <= _FARTHEST:
            gone.update(found)
    return gone


def _closed_up(lines: list[str], gone: set[int]) -> list[str]:
    """The lines that stay. Where a page ended in a sentence, the blank lines around its end go too."""
    made: list[str] = []
    removed = False
    for at, line in enumerate(lines):
        if at in gone:
            removed = True
            continue
        if removed and line.strip():
            removed = False
            blank = len(made)
            while blank and not made[blank - 1].strip():
                blank -= 1
            if blank and _CUT_SENTENCE.search(made[blank - 1].rstrip()) and line.lstrip()[0].islower():
                del made[blank:]
        made.append(line)
    return made
