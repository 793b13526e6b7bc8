"""Gopher's quality rules as datatrove has them (``gopher_quality_filter.py``): those that made FineWeb.

The thresholds are those of ``gopher_quality``; what they are measured on is not. Words are tokens (``Document.tokens``):

* ``words``: tokens with a character that is no punctuation (datatrove's list, in which ``$`` and ``%`` are punctuation);
  ``mean_word_length`` is theirs.
* By all tokens, punctuation included: occurrences of ``#``; occurrences of ``...`` and ``…``; and the share of tokens that
  contain a letter, to which every comma counts as a word without one.
* Lines are those of ``str.splitlines``, empty ones included: share that starts with ``•`` or ``-``, share that ends with
  ``...`` or ``…``, white space aside.
* ``stop_words``: how many different ones of eight occur as tokens, as they are written; "The" is none.

A document without any word has no mean, one without tokens no shares (datatrove: NaN and a division by zero).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numba import njit

from filters import characters, segment
from filters.characters import ALPHA
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.segment import Array

PUNCTUATION: Final = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
    + "".join(map(chr, (*range(9), 11, 12, *range(13, 32), *range(127, 160))))
)
"""What datatrove takes for punctuation, control characters included (``utils/text.py``); the full-width ``１`` is in it."""


@register
class DatatroveQuality(Filter):
    """Remove a document with too few, too odd or too many words, or with lines that are no sentences, as datatrove does."""

    name: ClassVar[str] = "datatrove_quality"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("datatrove.words", 0, math.inf, "tokens with a character that is no punctuation"),
        Signal("datatrove.mean_word_length", 1, math.inf, "mean length of these words in characters"),
        Signal("datatrove.hashes_per_token", 0, math.inf, "hash signs by tokens"),
        Signal("datatrove.ellipses_per_token", 0, math.inf, "ellipses by tokens"),
        Signal("datatrove.bullet_lines", 0, 1, "share of the lines that start with a bullet"),
        Signal("datatrove.ellipsis_lines", 0, 1, "share of the lines that end with an ellipsis"),
        Signal("datatrove.alphabetic_tokens", 0, 1, "share of the tokens that contain a letter"),
        Signal("datatrove.stop_words", 0, math.inf, "different stop words that occur"),
    )

    min_words: int | None = 50
    max_words: int | None = 100_000
    min_mean_word_length: float | None = 3.0
    max_mean_word_length: float | None = 10.0
    max_hashes_per_token: float | None = 0.1
    max_ellipses_per_token: float | None = 0.1
    max_bullet_lines: float | None = 0.9
    max_ellipsis_lines: float | None = 0.3
    min_alphabetic_tokens: float | None = 0.8
    min_stop_words: int | None = 2
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    def measure(self, document: Document) -> Mapping[str, float]:
        """Statistics of the tokens and of how the lines begin and end."""
        tokens, text = document.tokens, document.text
        stops = _stop_words(self.stop_words)
        words, letters, alphabetic, met = _count(
            document.codepoints, tokens.starts, tokens.stops, tokens.hashes, characters.flags(), _punctuation(), stops
        )
        signals: dict[str, float] = {"datatrove.words": words, "datatrove.stop_words": met}
        if words:
            signals["datatrove.mean_word_length"] = letters / words
        if len(tokens):
            signals["datatrove.hashes_per_token"] = text.count("#") / len(tokens)
            signals["datatrove.ellipses_per_token"] = (text.count("...") + text.count("…")) / len(tokens)
            signals["datatrove.alphabetic_tokens"] = alphabetic / len(tokens)
        lines = text.splitlines()
        if lines:
            signals["datatrove.bullet_lines"] = sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines)
            ends = sum(line.rstrip().endswith(("...", "…")) for line in lines)
            signals["datatrove.ellipsis_lines"] = ends / len(lines)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """datatrove's order, length first."""
        return (
            *rule_when(self.min_words, "datatrove.words", "<", "datatrove.too_few_words"),
            *rule_when(self.max_words, "datatrove.words", ">", "datatrove.too_many_words"),
            *rule_when(self.min_mean_word_length, "datatrove.mean_word_length", "<", "datatrove.short_words"),
            *rule_when(self.max_mean_word_length, "datatrove.mean_word_length", ">", "datatrove.long_words"),
            *rule_when(self.max_hashes_per_token, "datatrove.hashes_per_token", ">", "datatrove.too_many_hashes"),
            *rule_when(self.max_ellipses_per_token, "datatrove.ellipses_per_token", ">", "datatrove.too_many_ellipses"),
            *rule_when(self.max_bullet_lines, "datatrove.bullet_lines", ">", "datatrove.too_many_bullets"),
            *rule_when(self.max_ellipsis_lines, "datatrove.ellipsis_lines", ">", "datatrove.too_many_ellipsis_lines"),
            *rule_when(self.min_alphabetic_tokens, "datatrove.alphabetic_tokens", "<", "datatrove.too_few_letters"),
            *rule_when(self.min_stop_words, "datatrove.stop_words", "<", "datatrove.too_few_stop_words"),
        )


@functools.cache
def _punctuation() -> Array:
    """Whether a code point is punctuation: bool, shape (0x110000,)."""
    table = np.zeros(len(characters.flags()), np.bool_)
    table[[ord(character) for character in PUNCTUATION]] = True
    return table


@functools.cache
def _stop_words(stop_words: tuple[str, ...]) -> Array:
    """Sorted hashes of the stop words, as ``segment.words`` gives them."""
    found = {int(value) for word in stop_words for value in segment.words(segment.codepoints(word)).hashes}
    return np.array(sorted(found), np.uint64)


@njit(cache=True)
def _count(
    points: Array, starts: Array, stops: Array, hashes: Array, flags: Array, punctuation: Array, stop_words: Array
) -> tuple[int, int, int, int]:
    """Words, their characters, tokens with a letter, different stop words."""
    words = alphabetic = met = 0
    letters: Any = 0
    seen = np.zeros(len(stop_words), np.bool_)
    for k in range(len(starts)):
        is_word = has_letter = False
        for i in range(starts[k], stops[k]):
            is_word = is_word or not punctuation[points[i]]
            has_letter = has_letter or flags[points[i]] & ALPHA != 0
            if is_word and has_letter:
                break
        if is_word:
            words += 1
            letters += np.int64(stops[k]) - np.int64(starts[k])
        if has_letter:
            alphabetic += 1
        for j in range(len(stop_words)):
            if hashes[k] == stop_words[j] and not seen[j]:
                seen[j] = True
                met += 1
    return words, letters, alphabetic, met
