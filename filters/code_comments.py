"""Finds the comments in source code: how many of its characters are written for people.

Comments and strings are found in one pass by one pattern a family of languages, so that ``"http://…"`` is no comment and
``// don't`` begins no string. In Python, a string that is a statement of its own is documentation and counts.
"""

from __future__ import annotations

import functools
import re
from typing import Final

_DOUBLE = r'"(?:[^"\\\n]|\\[\s\S])*+"?'
_SINGLE = r"'(?:[^'\\\n]|\\[\s\S])*+'?"
_BACK = r"`(?:[^`\\]|\\[\s\S])*+`?"
_CHARACTER = r"'(?:[^'\\\n]|\\.)'"
_HASH = r"#[^\n]*+"
_SLASHES = r"//[^\n]*+"
_BLOCK = r"/\*[\s\S]*?(?:\*/|\Z)"
_DASHES = r"--[^\n]*+"

# Every alternative that begins also ends, at the end of the line or text if need be: so no character is tried twice.
_FAMILIES: Final = {
    "python": (
        r"(?P<c>#[^\n]*+|^[ \t]*(?:[rRuU]?(?:\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z))))",
        rf"\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)|{_DOUBLE}|{_SINGLE}",
    ),
    "c": (rf"(?P<c>{_SLASHES}|{_BLOCK})", rf"{_DOUBLE}|{_CHARACTER}"),
    "script": (rf"(?P<c>{_SLASHES}|{_BLOCK})", rf"{_DOUBLE}|{_SINGLE}|{_BACK}"),
    "php": (rf"(?P<c>{_SLASHES}|{_BLOCK}|{_HASH})", rf"{_DOUBLE}|{_SINGLE}"),
    "hash": (rf"(?P<c>{_HASH})", rf"{_DOUBLE}|{_SINGLE}"),
    "sql": (rf"(?P<c>{_DASHES}|{_BLOCK})", rf"{_DOUBLE}|{_SINGLE}"),
    "lua": (r"(?P<c>--\[\[[\s\S]*?(?:\]\]|\Z)|--[^\n]*+)", rf"{_DOUBLE}|{_SINGLE}"),
    "haskell": (r"(?P<c>\{-[\s\S]*?(?:-\}|\Z)|--[^\n]*+)", rf"{_DOUBLE}|{_CHARACTER}"),
    "css": (rf"(?P<c>{_BLOCK})", rf"{_DOUBLE}|{_SINGLE}"),
    "markup": (r"(?P<c><!--[\s\S]*?(?:-->|\Z))", r"(?!)"),
    "tex": (r"(?P<c>(?<!\\)%[^\n]*+)", r"(?!)"),
    "lisp": (r"(?P<c>;[^\n]*+)", _DOUBLE),
}

_LANGUAGES: Final = {
    "python": "python cython starlark",
    "c": "c c++ c# objective-c objective-c++ java scala kotlin swift rust go dart cuda groovy solidity verilog "
    "systemverilog glsl hlsl opencl",
    "script": "javascript typescript vue svelte",
    "php": "php hack",
    "hash": "ruby perl shell r julia elixir yaml toml makefile dockerfile cmake powershell tcl awk nix",
    "sql": "sql vhdl ada",
    "lua": "lua",
    "haskell": "haskell elm purescript",
    "css": "css scss less",
    "markup": "html xml xslt",
    "tex": "tex matlab erlang prolog",
    "lisp": "common lisp|emacs lisp|scheme|racket|clojure|assembly|ini",
}
_FAMILY_OF: Final = {
    language: family
    for family, names in _LANGUAGES.items()
    for language in (names.split("|") if "|" in names else names.split())
}


@functools.cache
def _pattern(family: str) -> re.Pattern[str]:
    comments, strings = _FAMILIES[family]
    return re.compile(f"{comments}|{strings}", re.MULTILINE)


def comment_characters(text: str, language: str) -> int | None:
    """Characters inside comments, their signs included; None for languages whose comments are not known.

    >>> comment_characters('x = "# no"  # yes', "python")
    5
    """
    family = _FAMILY_OF.get(language)
    if family is None:
        return None
    return sum(found.end("c") - found.start("c") for found in _pattern(family).finditer(text) if found.lastgroup == "c")
