r"""NeMo Curator's heuristics for English that no other filter has (``heuristic/string.py`` in NVIDIA-NeMo/Curator).

The thresholds are those of its English cascade (``heuristic_filter_english_pipeline.yaml``), the characters Unicode code points:

* ``other_characters``: share of characters that are no ASCII letter, digit, newline or one of ``? ! , .``; spaces count, and
  so does every letter with a diacritic: for English alone;
* ``digits``: share of decimal digits, of any script;
* ``urls``: share of characters in addresses, which begin with ``http://`` or ``https://`` and go on with ASCII letters,
  digits, ``$-_@.&+!*(),/`` and the signs between them in ASCII, and percent escapes (NeMo's expression);
* ``white_space``: share of spaces, tabs, newlines, carriage returns and backspaces;
* ``parentheses``: share of ``{} ⟨⟩ [] ()``;
* ``longest_word``: characters of the longest white-space word;
* ``boilerplate``: share of the paragraphs (two newlines between them, blank ones included) that speak of terms of use,
  privacy or cookies, whatever the case; 1 if any holds "lorem ipsum";
* ``no_end_mark``: share of the lines that are not blank and do not end with one of ``. ? ! " '``, white space aside.

An empty text has no signals (NeMo: the worst value of each). Its other heuristics are in ``gopher_quality`` and
``gopher_repetition``; its repeated lines and paragraphs, kept at 0.7 of their number and 0.8 of their characters, are what
``datatrove_repetition`` measures, with 0.3 and 0.2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar, Final

from numba import njit

from filters import characters
from filters.characters import CLASS_BITS, NUMERIC, SPACE
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.segment import Array

_ADDRESS: Final = re.compile(r"https?://(?:[a-zA-Z0-9$-_@.&+!*\\(),]|%[0-9a-fA-F][0-9a-fA-F])+")
_POLICIES: Final = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "this website uses cookies",
    "necessary cookies are absolutely essential",
    "non-necessary cookies",
)
_END_MARKS: Final = (".", "?", "!", '"', "'")
PLAIN = tuple(ord(character) for character in "\n?!,.")
BLANKS = tuple(ord(character) for character in "\t\n\r\b ")
BRACKETS = tuple(ord(character) for character in "{}⟨⟩[]()")


@register
class Nemo(Filter):
    """Remove a document with too many odd characters, addresses, brackets, boilerplate, or lines without an end."""

    name: ClassVar[str] = "nemo"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("nemo.other_characters", 0, 1, "share of characters but ASCII letters, digits, newlines and `?!,.`"),
        Signal("nemo.digits", 0, 1, "share of decimal digits"),
        Signal("nemo.urls", 0, 1, "share of characters in addresses"),
        Signal("nemo.white_space", 0, 1, "share of white space"),
        Signal("nemo.parentheses", 0, 1, "share of brackets of any kind"),
        Signal("nemo.longest_word", 0, math.inf, "characters of the longest white-space word"),
        Signal("nemo.boilerplate", 0, 1, "share of the paragraphs that speak of terms, privacy or cookies"),
        Signal("nemo.no_end_mark", 0, 1, "share of the lines that end without an end mark"),
    )

    max_other_characters: float | None = 0.25
    max_digits: float | None = 0.15
    max_urls: float | None = 0.2
    max_white_space: float | None = 0.25
    max_parentheses: float | None = 0.1
    max_boilerplate: float | None = 0.4
    max_no_end_mark: float | None = 0.85
    max_longest_word: int | None = 1_000

    def measure(self, document: Document) -> Mapping[str, float]:
        """Shares of characters, paragraphs and lines."""
        text = document.text
        if not text:
            return {}
        size = len(text)
        other, digits, white_space, brackets, longest = _count(document.codepoints, characters.flags())
        signals = {
            "nemo.other_characters": other / size,
            "nemo.digits": digits / size,
            "nemo.white_space": white_space / size,
            "nemo.parentheses": brackets / size,
            "nemo.longest_word": longest,
            "nemo.urls": sum(len(address) for address in _ADDRESS.findall(text)) / size if "://" in text else 0.0,
            "nemo.boilerplate": _boilerplate(text.lower()),
        }
        lines = document.lines
        if len(lines):
            ends = sum(text[stop - 1] in _END_MARKS for stop in lines.stops.tolist())
            signals["nemo.no_end_mark"] = 1 - ends / len(lines)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """The cascade's order."""
        kinds = (
            "other_characters", "digits", "urls", "white_space", "parentheses", "boilerplate", "no_end_mark", "longest_word",
        )  # fmt: skip
        return tuple(
            rule
            for kind in kinds
            for rule in rule_when(getattr(self, f"max_{kind}"), f"nemo.{kind}", ">", f"nemo.{kind}")
        )


def _boilerplate(lower: str) -> float:
    if "lorem ipsum" in lower:
        return 1.0
    policies = [policy for policy in _POLICIES if policy in lower]
    if not policies:
        return 0.0
    paragraphs = lower.split("\n\n")
    return sum(any(policy in paragraph for policy in policies) for paragraph in paragraphs) / len(paragraphs)


@njit(cache=True)
def _count(points: Array, flags: Array) -> tuple[int, int, int, int, int]:
    """Other characters, digits, white space, brackets, and the longest word."""
    other = digits = white_space = brackets = longest = run = 0
    for point in points:
        flag = flags[point]
        letter = 65 <= point <= 90 or 97 <= point <= 122
        digits += flag & CLASS_BITS == NUMERIC or 0xFF10 <= point <= 0xFF19
        run = 0 if flag & SPACE else run + 1
        longest = max(longest, run)
        if letter or 48 <= point <= 57:
            continue
        other += point not in PLAIN
        white_space += point in BLANKS
        brackets += point in BRACKETS
    return other, digits, white_space, brackets, longest
