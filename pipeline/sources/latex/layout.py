"""Lays a paper's rendered text out: one line a paragraph, footnotes behind it, no gaps where a citation was.

In what comes in, U+001E is a hard line break, and U+001D around a number the mark of a footnote.
"""

from __future__ import annotations

import re

_FOOTNOTE = re.compile("\x1d(\\d+)\x1d")
_EMPTY_BRACKETS = re.compile(r" ?(?:\([\s,;:.–-]*\)|\[[\s,;:.–-]*\])")
_BRACKET_HOLE = re.compile(r"([(\[])[ ,;]+(?=\S)|[ ,;]+([)\]])")
_SPACE_BEFORE_STOP = re.compile(r" +(?=[,.;:)](?:\s|$))")


def one_line(text: str) -> str:
    return _mended(" ".join(_FOOTNOTE.sub("", text).replace("\x1e", " ").split()))


def _mended(line: str) -> str:
    """Close the gaps that dropped citations and references leave."""
    if "$" not in line:
        line = _BRACKET_HOLE.sub(r"\1\2", _EMPTY_BRACKETS.sub("", line))
        return _SPACE_BEFORE_STOP.sub("", line)
    parts = re.split(r"(\$[^$]*\$)", line)  # formulas stay as they are
    parts[::2] = [
        _SPACE_BEFORE_STOP.sub("", _BRACKET_HOLE.sub(r"\1\2", _EMPTY_BRACKETS.sub("", part))) for part in parts[::2]
    ]
    return "".join(parts)


def laid_out(text: str, footnotes: list[str]) -> str:
    """Paragraphs joined to one line each (hard breaks kept), parted by blank lines, their footnotes behind them."""
    paragraphs: list[str] = []
    for block in re.split(r"\n[ \t]*\n\s*", text):
        lines = [_mended(" ".join(_FOOTNOTE.sub("", line).split())) for line in block.split("\x1e")]
        if shown := "\n".join(line for line in lines if line not in ("", "-")):
            paragraphs.append(shown)
        notes = (one_line(footnotes[int(mark[1])]) for mark in _FOOTNOTE.finditer(block))
        paragraphs += filter(None, notes)
    return "\n\n".join(paragraphs)
