"""Data-Juicer's rules that no other filter has, with its defaults (``data_juicer/ops/filter`` in modelscope/data-juicer).

* ``alphanumeric``: share of letters and digits in the characters;
* ``mean_line``, ``longest_line``: characters of the lines that ``str.splitlines`` gives, blank ones included;
* ``character_repetition``: of all stretches of 10 characters, the share of the most frequent ones; as many different ones are
  taken as occur twice or more, and no more than the square root of the number of different ones;
* ``word_repetition``: of all stretches of 10 words, the share of those that occur more than once;
* ``special_characters``: share of characters that are neither letters nor marks on letters: digits, white space,
  punctuation, symbols;
* ``stop_words``: stop words by words, whatever their case.

Words are those of ``Document.words``, compared without case for ``stop_words`` and as they are written for repetition
(Data-Juicer: white-space words in lower case without the punctuation around them). Fewer characters or words than a
stretch has repeat nothing: 0.

Its other rules are elsewhere: flagged words are ``keywords`` (0.045 of the words is ``max_per_thousand: 45``), language and
perplexity filters of those names, the length of the text ``length``; its limit of tokens needs a tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numba import njit
from pydantic import Field

from filters import characters
from filters.characters import ALNUM, ALPHA, CLASS_BITS, EXTEND
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.heuristics.redpajama import STOP_WORDS
from filters.segment import Array, mix

_STRETCH: Final = 10


@register
class DataJuicer(Filter):
    """Remove a document of too short lines, too many odd characters, too few stop words, or too much repetition."""

    name: ClassVar[str] = "data_juicer"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("data_juicer.alphanumeric", 0, 1, "share of letters and digits in the characters"),
        Signal("data_juicer.mean_line", 0, math.inf, "mean length of the lines in characters"),
        Signal("data_juicer.longest_line", 0, math.inf, "characters of the longest line"),
        Signal("data_juicer.character_repetition", 0, 1, "share of the most frequent stretches of 10 characters"),
        Signal("data_juicer.word_repetition", 0, 1, "share of the stretches of 10 words that occur more than once"),
        Signal("data_juicer.special_characters", 0, 1, "share of characters that are no letters"),
        Signal("data_juicer.stop_words", 0, 1, "stop words by words"),
    )

    min_alphanumeric: float | None = 0.25
    min_mean_line: float | None = 10
    min_longest_line: int | None = 10
    max_character_repetition: float | None = 0.5
    max_word_repetition: float | None = 0.5
    max_special_characters: float | None = 0.25
    min_stop_words: float | None = 0.3
    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="stop words of the language, in lower case")

    def measure(self, document: Document) -> Mapping[str, float]:
        """Shares of characters, words and stretches, and the lengths of lines."""
        text, words = document.text, document.words
        if not text:
            return {}
        points = document.codepoints
        alphanumeric, letters = _letters(points, characters.flags())
        lengths = list(map(len, text.splitlines()))
        signals = {
            "data_juicer.alphanumeric": alphanumeric / len(text),
            "data_juicer.special_characters": 1 - letters / len(text),
            "data_juicer.mean_line": sum(lengths) / len(lengths),
            "data_juicer.longest_line": max(lengths),
            "data_juicer.character_repetition": _most_frequent(_stretches(points)),
            "data_juicer.word_repetition": _repeated(_stretches(words.hashes)),
        }
        if len(words):
            stops = frozenset(self.stop_words)
            spans = zip(words.starts.tolist(), words.stops.tolist(), strict=True)
            found = sum(text[start:stop].lower() in stops for start, stop in spans)
            signals["data_juicer.stop_words"] = found / len(words)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """Characters, lines, words, repetition."""
        return (
            *rule_when(self.min_alphanumeric, "data_juicer.alphanumeric", "<", "data_juicer.too_few_alphanumeric"),
            *rule_when(
                self.max_special_characters,
                "data_juicer.special_characters",
                ">",
                "data_juicer.too_many_special_characters",
            ),
            *rule_when(self.min_mean_line, "data_juicer.mean_line", "<", "data_juicer.short_lines"),
            *rule_when(self.min_longest_line, "data_juicer.longest_line", "<", "data_juicer.no_long_line"),
            *rule_when(self.min_stop_words, "data_juicer.stop_words", "<", "data_juicer.too_few_stop_words"),
            *rule_when(
                self.max_character_repetition,
                "data_juicer.character_repetition",
                ">",
                "data_juicer.character_repetition",
            ),
            *rule_when(self.max_word_repetition, "data_juicer.word_repetition", ">", "data_juicer.word_repetition"),
        )


def _most_frequent(stretches: Array) -> float:
    if not len(stretches):
        return 0.0
    counts = np.sort(np.unique(stretches, return_counts=True)[1])[::-1]
    taken = min(math.isqrt(len(counts)), int(np.count_nonzero(counts > 1)))
    return int(counts[:taken].sum()) / len(stretches)


def _repeated(stretches: Array) -> float:
    if not len(stretches):
        return 0.0
    counts = np.unique(stretches, return_counts=True)[1]
    return int(counts[counts > 1].sum()) / len(stretches)


@njit(cache=True)
def _stretches(values: Array) -> Array:
    """A hash of every ten values in a row: uint64, empty for fewer."""
    hashes = np.empty(max(0, len(values) - _STRETCH + 1), np.uint64)
    for i in range(len(hashes)):
        running = np.uint64(_STRETCH)
        for k in range(i, i + _STRETCH):
            running = mix(running, np.uint64(values[k]))
        hashes[i] = running
    return hashes


@njit(cache=True)
def _letters(points: Array, flags: Array) -> tuple[int, int]:
    """Letters and digits; letters and the marks on them."""
    alphanumeric = letters = 0
    for point in points:
        flag = flags[point]
        alphanumeric += flag & ALNUM != 0
        letters += flag & ALPHA != 0 or flag & CLASS_BITS == EXTEND
    return alphanumeric, letters
