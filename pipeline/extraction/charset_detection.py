"""Tells the charset of text that does not name it: the one by which the text reads most like a language.

For each charset there are the languages written in it, and for each language its frequent pairs of letters outside
ASCII (``letter_pairs.txt``). Bytes read by the wrong charset give letters too, but not pairs that follow each other in
any of its languages. That goes further than detectors such as uchardet, which know no Ukrainian KOI8, no Romanian, few
Baltic and no Icelandic pages (see tests/pipeline/test_charset.py).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

_SAMPLE: Final = 1_000
"""Bytes of the text that are read: those of lines and elements that hold bytes outside ASCII."""
_PIECES: Final = re.compile(rb"[^<>\r\n]{0,400}[\x80-\xff][^<>\r\n]{0,400}")
_MAX_REPLACED: Final = 0.02
_BONUS: Final = 0.1
"""What plausibility the most frequent charset has ahead: many of its languages are read alike by others."""
_INSIDE_WORDS: Final = frozenset("´®©°ºª²³")
"""Signs that stand beside letters in good text."""

_WESTERN: Final = "de fr es pt it nl sv da nb fi is ca et ga"
_CENTRAL: Final = "pl cs sk hu ro hr sl sq"
_CYRILLIC: Final = "ru uk bg sr mk be kk"
_CHARSETS: Final = {
    "cp1252": _WESTERN,
    "gb18030": "zh",
    "cp1251": _CYRILLIC,
    "cp932": "ja",
    "euc_jp": "ja",
    "big5": "zh-Hant",
    "cp949": "ko",
    "cp1250": _CENTRAL,
    "cp1254": "tr",
    "cp1256": "ar fa ur",
    "cp1253": "el",
    "cp1255": "he",
    "cp874": "th",
    "koi8_u": "ru uk",
    "cp1257": "lt lv et",
    "iso8859_2": _CENTRAL,
    "cp1258": "vi",
    "cp866": "ru",
}
"""Charsets by how frequent they are on the web, with the languages that are written in them."""
_CHARACTERS: Final = frozenset(("zh", "zh-Hant", "ja", "ko"))


class Reading(NamedTuple):
    """How a charset reads a text."""

    plausibility: float
    """Share of the pairs of letters (or characters) outside ASCII that are frequent in a language written so: above 0.6
    as a rule where the charset is right, below 0.3 where it is not."""
    charset: str
    """Python's name of the codec."""
    evidence: int
    """Number of such pairs."""


def sample(body: bytes) -> bytes:
    """Text outside ASCII from a page's bytes, cut where no character of any charset can be divided."""
    pieces = []
    size = 0
    for found in _PIECES.finditer(body):
        pieces.append(found[0])
        size += len(found[0])
        if size > _SAMPLE:
            break
    return b"\n".join(pieces)[: 2 * _SAMPLE]


def plausible_charsets(text: bytes) -> list[Reading]:
    """How the charsets that can read a text (see ``sample``) read it, the most plausible first."""
    readings = [reading for charset in _CHARSETS if (reading := read_as(text, charset)) is not None]
    return sorted(readings, key=lambda one: -one.plausibility - _BONUS * (one.charset == "cp1252"))


def read_as(text: bytes, charset: str) -> Reading | None:
    """How a charset reads a text; None where its languages are not known."""
    languages = _CHARSETS.get(_SAME.get(charset, charset))
    if languages is None:
        return None
    decoded = text.decode(charset, "replace")
    if decoded.count("\ufffd") > 1 + _MAX_REPLACED * len(decoded):
        return Reading(0.0, charset, len(decoded))
    known = [_frequent()[language] for language in languages.split()]
    if languages in _CHARACTERS:
        counts = Counter(one for one in decoded if ord(one) > 127 and (one.isalpha() or 0xE000 <= ord(one) < 0xF900))
    else:
        counts = _pairs(unicodedata.normalize("NFC", decoded))
    total = counts.total()
    hits = [sum(count for pair, count in counts.items() if pair in frequent) for frequent in known]
    return Reading(max(hits) / total if total else 0.0, charset, total)


_SAME: Final = {
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "koi8-r": "koi8_u",
    "koi8-u": "koi8_u",
    "iso8859-2": "iso8859_2",
    "iso8859-11": "cp874",
    "windows-1252": "cp1252",
}
"""Other names of codecs, and those that differ in rare characters only."""


def _pairs(text: str) -> Counter[str]:
    """Pairs of neighbours of which one is a letter outside ASCII, in lower case; what is no letter ends a word.

    What no language has is counted as the pair ``??``: a capital after a small letter, a sign inside a word, a letter
    of another script beside a Latin one.
    """
    pairs: Counter[str] = Counter()
    text = f" {text} "
    for (one, other), count in Counter(pairwise(text)).items():
        if one < "\x80" and other < "\x80":
            continue
        first, second = _kind(one), _kind(other)
        if _SIGN in (first, second):
            if _ASCII in (first, second) or _LATIN in (first, second) or _FOREIGN in (first, second):
                pairs["??"] += count
        elif (first, second) in _MIXED:
            pairs["??"] += _WEIGHT * count
        elif first >= _LATIN or second >= _LATIN:
            pair = (one if first else "_") + (other if second else "_")
            pairs["??" if one.islower() and other.isupper() else pair.lower()] += count
    return pairs


_BREAK, _SIGN, _ASCII, _LATIN, _FOREIGN = 0, -1, 1, 2, 3
_MIXED: Final = ((_ASCII, _FOREIGN), (_FOREIGN, _ASCII))
_WEIGHT: Final = 3
_ODD_SIGNS: Final = frozenset("¶§†‡‰")
_ODD_CATEGORIES: Final = frozenset(("Cc", "Cn", "Co", "Sc", "Sk", "Sm", "So", "No"))


@functools.lru_cache(4096)
def _kind(character: str) -> int:
    """What a character is to words: a letter of one of three kinds, a sign that is not beside letters, or the rest."""
    if character < "\x80":
        return _ASCII if character.isalpha() else _BREAK
    if character.isalpha() or unicodedata.combining(character):
        return _FOREIGN if "\u0370" <= character < "\u1e00" else _LATIN
    odd = character in _ODD_SIGNS or unicodedata.category(character) in _ODD_CATEGORIES
    return _SIGN if odd and character not in _INSIDE_WORDS else _BREAK


@functools.cache
def _frequent() -> dict[str, frozenset[str]]:
    """The frequent pairs, or characters, of each language."""
    found = {}
    for line in (Path(__file__).parent / "letter_pairs.txt").read_text("utf-8").splitlines():
        language, tab, letters = line.partition("\t")
        if tab:
            size = 1 if language in _CHARACTERS else 2
            found[language] = frozenset(letters[at : at + size] for at in range(0, len(letters), size))
    return found
