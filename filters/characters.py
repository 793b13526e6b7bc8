"""What every Unicode character is for the segmenters: word-break class, letter, space, sentence end, folded form.

The properties come from the Unicode database of the ``regex`` package (word and sentence break) and of Python itself
(case and decomposition), as arrays indexed by code point, made once per process.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import Final

import numpy as np
import regex
from numpy.typing import NDArray

# Word-break classes of UAX #29, in the low five bits of a character's flags.
OTHER, CR, LF, NEWLINE, EXTEND, ZWJ, FORMAT, REGIONAL, KATAKANA, HEBREW, LETTER = range(11)
SINGLE_QUOTE, DOUBLE_QUOTE, MID_NUM_LET, MID_LETTER, MID_NUM, NUMERIC, EXTEND_NUM_LET, SPACE_SEGMENT = range(11, 19)
CLASS_BITS: Final = 31
_CLASS_NAMES: Final = {
    CR: "CR",
    LF: "LF",
    NEWLINE: "Newline",
    EXTEND: "Extend",
    ZWJ: "ZWJ",
    FORMAT: "Format",
    REGIONAL: "RegionalIndicator",
    KATAKANA: "Katakana",
    HEBREW: "HebrewLetter",
    LETTER: "ALetter",
    SINGLE_QUOTE: "SingleQuote",
    DOUBLE_QUOTE: "DoubleQuote",
    MID_NUM_LET: "MidNumLet",
    MID_LETTER: "MidLetter",
    MID_NUM: "MidNum",
    NUMERIC: "Numeric",
    EXTEND_NUM_LET: "ExtendNumLet",
    SPACE_SEGMENT: "WSegSpace",
}

# Flags above the class.
ALNUM: Final = 1 << 5
ALPHA: Final = 1 << 6
SPACE: Final = 1 << 7
LOWER: Final = 1 << 8
UPPER: Final = 1 << 9
STOP: Final = 1 << 10  # ends a sentence where white space follows
FULL_STOP: Final = 1 << 11  # ends a sentence whatever follows: marks of scripts in which no space need follow
CLOSER: Final = 1 << 12  # quotes and brackets that still belong to the sentence they close
PICTOGRAPH: Final = 1 << 13
OPENER: Final = 1 << 14  # of the closers those that may also open: “ closes a German quotation and opens an English one
UNSPACED_LETTER: Final = 1 << 15  # of a script that puts no spaces between words, rarer ones included

_FLAG_PATTERNS: Final = {
    ALNUM: r"[\p{L}\p{N}]",
    ALPHA: r"\p{L}",
    SPACE: r"[\s\x1c-\x1f]",
    LOWER: r"\p{Lowercase}",
    UPPER: r"\p{Uppercase}",
    STOP: r"[\p{SB=STerm}\p{SB=ATerm}…]",
    # Full-width and ideographic; danda; Arabic and Urdu; Ethiopic; Burmese; Khmer; Tibetan; Thai and Lao ends of a part.
    FULL_STOP: r"[。！？；｡।॥؟۔።፧။។៕༎๚๛]",
    CLOSER: r"[\p{SB=Close}\"'”’»」』）】》]",
    PICTOGRAPH: r"\p{Extended_Pictographic}",
    OPENER: r"[\p{Ps}\p{Pi}]",
    UNSPACED_LETTER: r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Tibetan}\p{LB=SA}]",
}

UNSPACED: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""A character of a script that puts no spaces between words."""

_SURROGATES: Final = range(0xD800, 0xE000)
ASSIGNED: Final = (range(_SURROGATES.start), range(_SURROGATES.stop, 0x40000), range(0xE0000, 0xE1000))
"""Where there are characters: the other planes are empty or for private use, and to look there takes most of a second."""
_HAN_END: Final = 0x40000
"""Behind the last plane of Han characters, the tertiary ideographic one."""


def _mark(flags: NDArray[np.uint16], pattern: str, bits: int, characters: str) -> None:
    for match in regex.finditer(f"(?:{pattern})+", characters):
        start, stop = ord(characters[match.start()]), ord(characters[match.end() - 1]) + 1
        flags[start:stop] |= np.uint16(bits)


@functools.cache
def flags() -> NDArray[np.uint16]:
    """Class and flags of every code point: shape (0x110000,)."""
    table = np.zeros(sys.maxunicode + 1, np.uint16)
    for stretch in ASSIGNED:
        characters = "".join(map(chr, stretch))
        for class_, name in _CLASS_NAMES.items():
            _mark(table, rf"\p{{WB={name}}}", class_, characters)
        for bit, pattern in _FLAG_PATTERNS.items():
            _mark(table, pattern, bit, characters)
    return table


@functools.cache
def han() -> NDArray[np.bool_]:
    """Whether a code point is a Han character: shape (0x110000,)."""
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    every = "".join(chr(point) for point in range(_HAN_END) if point not in _SURROGATES)
    for match in regex.finditer(r"\p{Han}+", every):
        table[ord(every[match.start()]) : ord(every[match.end() - 1]) + 1] = True
    return table


@functools.cache
def folds() -> NDArray[np.uint32]:
    """The folded form of every code point: shape (0x110000,); 0 stands for a character that folds to nothing.

    Folding is what makes two copies of a text comparable: lower case, no diacritics, every decimal digit is ``0``,
    compatibility forms (full-width letters, ligatures' first letter) are their plain form, combining marks vanish.
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    characters = "".join(map(chr, [c for c in range(0x30000) if c not in _SURROGATES]))
    changing = regex.compile(r"[\p{Lu}\p{Lt}\p{Nd}\p{Mn}\p{NFKD_QC=N}]")
    for match in changing.finditer(characters):
        character = match.group()
        table[ord(character)] = _fold(character)
    return table


def _fold(character: str) -> int:
    if character.isdecimal():
        return ord("0")
    for part in unicodedata.normalize("NFKD", character):
        if unicodedata.category(part) != "Mn":
            return ord(part.lower()[0])
    return 0
