"""A TeX file's characters: decoded, without comments, its verbatim stretches lifted out of the way."""

from __future__ import annotations

import re
from contextlib import suppress

_INPUT_ENCODING = re.compile(rb"\\usepackage\s*\[([a-z0-9]{3,12})\]\s*\{inputenc\}")
_ENCODINGS = {
    b"latin1": "cp1252",
    b"ansinew": "cp1252",
    b"cp1252": "cp1252",
    b"latin2": "iso8859-2",
    b"cp1250": "cp1250",
    b"latin9": "iso8859-15",
    b"cp1251": "cp1251",
    b"koi8-r": "koi8-r",
    b"applemac": "mac-roman",
}
"""Names of the package inputenc and Python's names for them."""

_SPECIAL = re.compile(
    r"""
      \\verb(?![A-Za-z])\*?(?P<quote>[^A-Za-z*\s])
    | \\lstinline(?![A-Za-z])(?:\[[^\[\]\n]{0,200}\])?(?P<quote2>[^A-Za-z\s\[])
    | \\begin\s{0,3}\{(?P<verbatim>verbatim\*?|Verbatim|BVerbatim|lstlisting|minted|alltt|comment|filecontents\*?)\}
    | (?P<never>\\iffalse(?![A-Za-z]))
    | (?P<escaped>\\.)
    | (?P<comment>%[^\n]*(?:\n[ \t]*(?=[^\s]))?)
    """,
    re.VERBOSE | re.DOTALL,
)
_HIDDEN = frozenset({"comment", "filecontents", "filecontents*"})
_CONDITIONAL = re.compile(r"\\(?:(?P<opens>if[A-Za-z]*)|(?P<other>else)|(?P<closes>fi))(?![A-Za-z])")
_OPTIONS = re.compile(r"(?:\s*\[[^\[\]\n]{0,300}\])?(?:\{[a-z+]{1,30}\}(?=\n))?")

_OURS = dict.fromkeys((0, 0x1D, 0x1E, 0x7F))
"""Control characters that mark something for us, and that no paper has any use for."""

MARK = re.compile("\x7f(\\d+)\x7f")
"""Stands for a lifted stretch: its number in the list of them."""


def decode(data: bytes) -> str:
    """UTF-8, else what the file tells inputenc, else Latin-1 with Windows' quotes. Line ends become newlines."""
    text = None
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
    if text is None:
        named = _INPUT_ENCODING.search(data[:20_000])
        with suppress(UnicodeDecodeError):
            text = data.decode(_ENCODINGS.get(named[1], "cp1252") if named else "cp1252")
    if text is None:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_OURS)


def without_comments(text: str, lifted: list[str]) -> str:
    r"""The text without comments and ``\iffalse`` stretches; verbatim ones become marks and are added to ``lifted``.

    A comment takes the end of its line with it, as in TeX, unless a blank line follows.
    """
    pieces: list[str] = []
    done = 0
    nowhere: set[str] = set()  # what occurs no more: each is searched for in vain only once
    while match := _SPECIAL.search(text, done):
        pieces.append(text[done : match.start()])
        done = match.end()
        if match["comment"]:
            continue
        if match["never"]:
            done = _after_conditional(text, done)
            continue
        if match["verbatim"]:
            close = f"\\end{{{match['verbatim']}}}"
            end = -1 if close in nowhere else text.find(close, done)
            if end < 0:
                nowhere.add(close)
                pieces.append(match[0])
                continue
            if match["verbatim"] not in _HIDDEN:
                begin = done
                if (options := _OPTIONS.match(text, done, end)) is not None:
                    begin = options.end()
                pieces.append(f"\n\n{_lift(text[begin:end].strip(chr(10)).rstrip(), lifted)}\n\n")
            done = end + len(close)
            continue
        if quote := match["quote"] or match["quote2"]:
            line = text.find("\n", done, done + 2000)
            end = text.find("}" if quote == "{" else quote, done, line if line >= 0 else done + 2000)
            if end >= 0:
                pieces.append(_lift(text[done:end], lifted))
                done = end + 1
            continue
        pieces.append(match[0])
    pieces.append(text[done:])
    return "".join(pieces)


def _lift(stretch: str, lifted: list[str]) -> str:
    lifted.append(stretch)
    return f"\x7f{len(lifted) - 1}\x7f"


def _after_conditional(text: str, start: int) -> int:
    r"""Where reading goes on after ``\iffalse``: behind its ``\else`` or ``\fi``; at once where it has none."""
    depth = 1
    for match in _CONDITIONAL.finditer(text, start):
        if match["opens"] and match["opens"] != "iff":
            depth += 1
        elif match["closes"]:
            depth -= 1
        if depth == 0 or (depth == 1 and match["other"]):
            return match.end()
    return len(text)
