"""Chinese pages judged by their characters: running text, or a list, a menu, garbage, the other script.

Over the characters of the text that are not white space:

* ``han``: share of Han characters. ChineseWebText (Chen et al. 2023, arXiv 2311.01149) removes below 0.3.
* ``punctuation``: marks ``，。、；：？！…`` of full or half width by Han characters. Running Chinese text has one mark to some
  eight characters; lists of links, of products and of keywords have hardly any.
* ``full_width_marks``: share of those marks that are written in their full-width or ideographic form.
* ``rare``: share of the Han characters that are neither in GB 2312 nor in the frequent level of Big5. These are what UTF-8 text
  turns into when it is read as GBK or Big5.
* ``traditional``: of the characters that only one of the two scripts uses, the share of traditional ones: near 0 for simplified text,
  near 1 for traditional text. Traditional are those in Big5's frequent level that GB 2312 lacks, simplified those
  in GB 2312's frequent level that Big5 lacks. Undefined where the text has neither.

And over lines: ``mean_line``, the mean length of the lines that are not blank, in characters (ChineseWebText: at least 10).

Where a document has no Han character, ``han`` alone is measured. The thresholds on ``punctuation`` and ``rare`` lie between
clean Chinese text (news, an encyclopedia, declarations, novels) and junk of a real crawl; see docs/languages.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from filters import characters
from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when

_SPACE, _HAN, _WIDE_MARK, _NARROW_MARK, _RARE, _TRADITIONAL, _SIMPLIFIED = (1 << bit for bit in range(7))

_WIDE_MARKS: Final = "，。、；：？！｡､…"
_NARROW_MARKS: Final = ",.;:?!"


@register
class Chinese(Filter):
    """Remove a document that is no running Chinese text."""

    name: ClassVar[str] = "chinese"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("chinese.han", 0, 1, "share of Han characters in the characters that are not white space"),
        Signal("chinese.punctuation", 0, math.inf, "marks of sentences and clauses by Han characters"),
        Signal("chinese.full_width_marks", 0, 1, "share of these marks that are full-width"),
        Signal("chinese.rare", 0, 1, "share of the Han characters that are in no common character set"),
        Signal("chinese.traditional", 0, 1, "share of traditional ones in the characters that tell the scripts apart"),
        Signal("chinese.mean_line", 1, math.inf, "mean length of the lines that are not blank, in characters"),
    )

    min_han: float | None = 0.3
    min_punctuation: float | None = 0.04
    max_punctuation: float | None = 0.5
    min_full_width_marks: float | None = None
    max_rare: float | None = 0.05
    min_traditional: float | None = None
    max_traditional: float | None = None
    min_mean_line: float | None = 10.0

    def measure(self, document: Document) -> Mapping[str, float]:
        """Shares of characters, and the mean line."""
        counts = np.bincount(_classes()[document.codepoints], minlength=1 << 7)
        written = len(document.text) - _having(counts, _SPACE)
        if not written:
            return {}
        han = _having(counts, _HAN)
        signals = {"chinese.han": han / written}
        if not han:
            return signals
        wide, narrow = _having(counts, _WIDE_MARK), _having(counts, _NARROW_MARK)
        signals["chinese.punctuation"] = (wide + narrow) / han
        if wide + narrow:
            signals["chinese.full_width_marks"] = wide / (wide + narrow)
        signals["chinese.rare"] = _having(counts, _RARE) / han
        traditional, simplified = _having(counts, _TRADITIONAL), _having(counts, _SIMPLIFIED)
        if traditional + simplified:
            signals["chinese.traditional"] = traditional / (traditional + simplified)
        lines = document.lines
        signals["chinese.mean_line"] = ratio(float((lines.stops - lines.starts).sum()), len(lines))
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """Characters first, then lines."""
        return (
            *rule_when(self.min_han, "chinese.han", "<", "chinese.too_few_han"),
            *rule_when(self.max_rare, "chinese.rare", ">", "chinese.garbled"),
            *rule_when(self.min_punctuation, "chinese.punctuation", "<", "chinese.too_little_punctuation"),
            *rule_when(self.max_punctuation, "chinese.punctuation", ">", "chinese.too_much_punctuation"),
            *rule_when(self.min_full_width_marks, "chinese.full_width_marks", "<", "chinese.half_width_marks"),
            *rule_when(self.min_traditional, "chinese.traditional", "<", "chinese.not_traditional"),
            *rule_when(self.max_traditional, "chinese.traditional", ">", "chinese.not_simplified"),
            *rule_when(self.min_mean_line, "chinese.mean_line", "<", "chinese.short_lines"),
        )


def _having(counts: NDArray[Any], bit: int) -> int:
    """How many characters have a bit, from the counts of every combination of bits."""
    return int(counts[(np.arange(len(counts)) & bit) != 0].sum())


@functools.cache
def _classes() -> NDArray[np.uint8]:
    """The bits of every code point: shape (0x110000,)."""
    table = np.zeros(len(characters.flags()), np.uint8)
    table[(characters.flags() & characters.SPACE) != 0] = _SPACE
    table[characters.han()] |= _HAN | _RARE
    for marks, bit in ((_WIDE_MARKS, _WIDE_MARK), (_NARROW_MARKS, _NARROW_MARK)):
        table[[ord(mark) for mark in marks]] |= bit
    simplified, simplified_frequent = _characters("gb2312", 0xB0, 0xF7), _characters("gb2312", 0xB0, 0xD7)
    traditional, traditional_frequent = _characters("big5", 0xA4, 0xF9), _characters("big5", 0xA4, 0xC6)
    table[[ord("〇"), *simplified, *traditional_frequent]] &= np.uint8(0xFF ^ _RARE)
    table[list(traditional_frequent - simplified)] |= _TRADITIONAL
    table[list(simplified_frequent - traditional)] |= _SIMPLIFIED
    table[(table & _HAN) == 0] &= np.uint8(0xFF ^ (_RARE | _TRADITIONAL | _SIMPLIFIED))
    return table


def _characters(charset: str, first: int, last: int) -> set[int]:
    """Code points of what a double-byte charset has between two leading bytes, both included."""
    pairs = (bytes((lead, trail)) for lead in range(first, last + 1) for trail in range(0x40, 0xFF))
    return {ord(one) for one in (pair.decode(charset, "ignore") for pair in pairs) if len(one) == 1}
