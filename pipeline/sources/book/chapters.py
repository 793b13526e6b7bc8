"""Finds the headings of chapters in plain text, and cuts a book into its chapters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.sources.book.markup import Block

_NUMBER = (
    r"(?:[0-9]{1,3}|[IVXLC]{1,8}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    r"sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|forty|fifty)(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?|"
    r"(?:the\s+)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)|premier|première|deuxième|"
    r"erstes|zweites|drittes|viertes|fünftes)"
)
_PART = re.compile(
    rf"(?:(?:part|book|volume|vol\.|partie|livre|tome|teil|buch|band|parte|libro|livro|deel|часть|том|книга)\s+{_NUMBER}"
    rf"|{_NUMBER}\s+(?:partie|buch|teil))\b[.:]?",
    re.IGNORECASE,
)
_CHAPTER = re.compile(
    rf"(?:(?:chapter|chap\.|chapitre|kapitel|cap[íi]tulo|capitolo|hoofdstuk|poglavje|kapitola|rozdział|fejezet|глава|"
    rf"canto|stave|letter|scene|act|adventure)\s+{_NUMBER}|{_NUMBER}\s+(?:kapitel|chapitre|hoofdstuk)|第[0-9一二三四五六七八九十百〇]{{1,6}}[章回]"
    rf"|prologue|epilogue|preface|introduction|conclusion|foreword|afterword|vorwort|nachwort|einleitung|préface|épilogue)\b",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"(?:[IVXLC]{1,8}|[0-9]{1,3})\.?|[IVXLC]{1,8}(?:\.\s?[—–]?|\s(?:--|[—–:]))\s?[A-ZÀ-ÞА-Я][^\n]{1,60}(?<![,;])"
)
_CONTENTS = re.compile(
    r"(?:table of )?contents\.?|inhalt(?:sverzeichnis)?\.?|table des matières\.?|índice\.?|indice\.?|inhoud\.?", re.I
)
_LONGEST_HEADING = 120
_LONGEST_CONTENTS = 400
_SHORTEST_CHAPTER = 200
"""Characters; what is shorter (a title page, a dedication, a part's title) goes with the chapter that follows."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of a book that begins with a heading; the first may have none (``title`` is "" then)."""

    title: str
    text: str


def with_headings(text: str) -> list[Block]:
    """The blocks of a plain text (parted by blank lines), those that head a part or a chapter marked as such."""
    found = [Block(block, _level(block)) for block in text.split("\n\n") if block.strip()]
    return _without_contents(found)


def _level(block: str) -> int:
    if len(block) > _LONGEST_HEADING or block.count("\n") > 2:
        return 0
    line = " ".join(block.split()).strip("*_= ")
    if _NUMERAL.fullmatch(line):
        return 3
    for level, pattern in ((1, _PART), (2, _CHAPTER)):
        match = pattern.match(line)
        # "Part of the crowd" and "Chapter and verse" are no headings, nor is a sentence that begins so.
        if match and (match.end() == len(line) or (line[match.end()] in " .:—–-" and not line.endswith((",", ";")))):
            rest = line[match.end() :].strip(" .:—–-")
            if not rest or rest[0].isupper() or not rest[0].isalpha():
                return level
    return 0


def _without_contents(found: list[Block]) -> list[Block]:
    """Leave out a table of contents: from its title to where its first entry stands again, as a heading."""
    for at, block in enumerate(found[:_LONGEST_CONTENTS]):
        first, _, rest = block.text.partition("\n")
        if not _CONTENTS.fullmatch(first.strip(" *_=")):
            continue
        entry = rest.strip().partition("\n")[0] or (
            found[at + 1].text.partition("\n")[0] if at + 1 < len(found) else ""
        )
        wanted = _key(entry)
        for place in range(at + (1 if rest.strip() else 2), min(len(found), at + _LONGEST_CONTENTS)):
            if wanted and _key(found[place].text).startswith(wanted[:40]):
                return found[:at] + found[place:]
        break
    return found


def _key(line: str) -> str:
    """A line's letters and digits, without a page number at its end."""
    return re.sub(r"[\W_]+", "", re.sub(r"[\s.]{2,}[0-9ivxlc]+\s*$", "", line)).casefold()


def chapters(found: list[Block]) -> list[Chapter]:
    """The book cut at the headings of one level.

    That is the highest level with two headings at least, unless one piece would still hold more than half of the text
    (parts, or a title page among the chapters' titles): then the next level that does better.
    """
    levels = [level for level in range(1, 7) if sum(block.level == level for block in found) >= 2]
    total = sum(len(block.text) for block in found)
    cuts = [_cut(found, level) for level in levels] or [_cut(found, 0)]
    return next((cut for cut in cuts if 2 * max((len(one.text) for one in cut), default=0) <= total), cuts[0])


def _cut(found: list[Block], deepest: int) -> list[Chapter]:
    made: list[Chapter] = []
    waiting: list[Block] = []
    for block in found:
        if 0 < block.level <= deepest and sum(len(one.text) for one in waiting if not one.level) >= _SHORTEST_CHAPTER:
            made.append(_chapter(waiting))
            waiting = []
        waiting.append(block)
    if waiting:
        made.append(_chapter(waiting))
    return made


def _chapter(held: list[Block]) -> Chapter:
    title = next((block.text for block in held if block.level), "")
    return Chapter(" ".join(title.split()), joined(held))


def joined(found: list[Block]) -> str:
    """The blocks as text, parted by blank lines."""
    return "\n\n".join(block.text for block in found)
