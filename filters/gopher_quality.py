"""Gopher's quality rules: is this running text, of a sensible length, in words of a sensible length?

Rae et al. 2021, appendix A.1.1, measured as DCLM does (``content_filters.py`` with ``dclm_baseline_refinedweb.yaml``):

* ``words``: Unicode words that begin with a letter or digit; punctuation is not a word.
* The other word statistics are over white-space words (``str.split``): mean length; symbols (occurrences of ``#``,
  ``...``, ``. . .`` and ``…`` together) by words; share of the words that contain a letter; stop words, by occurrence
  and in lower case.
* Lines are stripped, empty ones dropped: share that starts with one of ``● • * -``, share that ends with ``...``,
  ``. . .`` or ``…``.

For languages other than English give ``stop_words`` of that language, or set ``min_stop_words`` to null. A stop word in
a script without spaces (Han, kana, Thai, Lao, Khmer, Burmese) counts wherever it occurs; for such scripts also set
``max_mean_word_length`` to null, and leave the rest.
"""

# datatrove takes its words from a tokenizer, so that commas count as words without a letter, tests "#" and the ellipsis
# separately, and wants two DIFFERENT stop words. Dolma takes the median word length, and of ellipses only "…". Both
# match stop words with their case; empty lines count as lines in Dolma.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from filters import characters, segment
from filters.characters import ALPHA, SPACE, UNSPACED, UPPER
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.segment import Segments, mix

Array = NDArray[Any]

HASH, FULL_STOP, BLANK, ELLIPSIS = (ord(character) for character in "#. …")
BULLETS = tuple(ord(character) for character in "●•*-")


@register
class GopherQuality(Filter):
    """Remove a document with too few, too odd or too many words, or with lines that are no sentences."""

    name: ClassVar[str] = "gopher_quality"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("gopher.words", 0, math.inf, "words that begin with a letter or digit"),
        Signal("gopher.mean_word_length", 1, math.inf, "mean length of white-space words in characters"),
        Signal("gopher.symbols_per_word", 0, math.inf, "hash signs and ellipses by white-space words"),
        Signal("gopher.bullet_lines", 0, 1, "share of the lines that start with a bullet"),
        Signal("gopher.ellipsis_lines", 0, 1, "share of the lines that end with an ellipsis"),
        Signal("gopher.alphabetic_words", 0, 1, "share of the white-space words that contain a letter"),
        Signal("gopher.stop_words", 0, math.inf, "occurrences of stop words"),
    )

    min_words: int | None = 50
    max_words: int | None = 100_000
    min_mean_word_length: float | None = 3.0
    max_mean_word_length: float | None = 10.0
    max_symbols_per_word: float | None = 0.1
    max_bullet_lines: float | None = 0.9
    max_ellipsis_lines: float | None = 0.3
    min_alphabetic_words: float | None = 0.8
    min_stop_words: int | None = 2
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    def measure(self, document: Document) -> Mapping[str, float]:
        """Statistics of the words and of how the lines begin and end."""
        points = document.codepoints
        table, longest, unspaced = _stop_words(self.stop_words)
        count, letters, alphabetic, stop_words, symbols = _count_words(
            points, characters.flags(), _lower(), table, longest
        )
        stop_words += sum(map(document.text.count, unspaced))
        signals: dict[str, float] = {"gopher.words": len(document.words), "gopher.stop_words": stop_words}
        if count:
            signals["gopher.mean_word_length"] = letters / count
            signals["gopher.symbols_per_word"] = symbols / count
            signals["gopher.alphabetic_words"] = alphabetic / count
        lines: Segments = document.lines
        if len(lines):
            bullets, ellipses = _count_lines(points, lines.starts, lines.stops)
            signals["gopher.bullet_lines"] = bullets / len(lines)
            signals["gopher.ellipsis_lines"] = ellipses / len(lines)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """The rules in DCLM's order, length first."""
        return (
            *rule_when(self.min_words, "gopher.words", "<", "gopher.too_few_words"),
            *rule_when(self.max_words, "gopher.words", ">", "gopher.too_many_words"),
            *rule_when(self.min_mean_word_length, "gopher.mean_word_length", "<", "gopher.short_words"),
            *rule_when(self.max_mean_word_length, "gopher.mean_word_length", ">", "gopher.long_words"),
            *rule_when(self.max_symbols_per_word, "gopher.symbols_per_word", ">", "gopher.too_many_symbols"),
            *rule_when(self.max_bullet_lines, "gopher.bullet_lines", ">", "gopher.too_many_bullets"),
            *rule_when(self.max_ellipsis_lines, "gopher.ellipsis_lines", ">", "gopher.too_many_ellipses"),
            *rule_when(self.min_alphabetic_words, "gopher.alphabetic_words", "<", "gopher.too_few_letters"),
            *rule_when(self.min_stop_words, "gopher.stop_words", "<", "gopher.too_few_stop_words"),
        )


@functools.cache
def _lower() -> Array:
    """The lower-case form of every code point: uint32, shape (0x110000,)."""
    flags = characters.flags()
    table = np.arange(len(flags), dtype=np.uint32)
    for point in np.flatnonzero(flags & UPPER).tolist():
        table[point] = ord(chr(point).lower()[0])
    return table


@functools.cache
def _stop_words(stop_words: tuple[str, ...]) -> tuple[Array, int, tuple[str, ...]]:
    """A hash table of the stop words in lower case, the length of the longest, and those of scripts without spaces."""
    lower = _lower()
    hashes = {int(_hash(lower[segment.codepoints(word)])) or 1 for word in stop_words}
    table = np.zeros(max(64, 1 << (8 * len(hashes)).bit_length()), np.uint64)  # sparse: most look-ups end at once
    for value in sorted(hashes):
        slot = value % len(table)
        while table[slot]:
            slot = (slot + 1) % len(table)
        table[slot] = value
    unspaced = tuple(word for word in stop_words if UNSPACED.search(word))
    return table, max(map(len, stop_words), default=0), unspaced


@njit(cache=True)
def _hash(points: Array) -> np.uint64:
    running = np.uint64(0)
    for point in points:
        running = mix(running, np.uint64(point))
    return running


@njit(cache=True)
def _is_in(table: Array, hashed: np.uint64) -> bool:
    """Whether a hash table that is never full holds a hash; 0 is held as 1."""
    hashed = max(hashed, np.uint64(1))
    mask = np.uint64(len(table) - 1)
    slot = hashed & mask
    while table[slot]:
        if table[slot] == hashed:
            return True
        slot = (slot + np.uint64(1)) & mask
    return False


@njit(cache=True)
def _count_words(
    points: Array, flags: Array, lower: Array, stop_words: Array, longest_stop_word: int
) -> tuple[int, int, int, int, int]:
    """White-space words, their characters, those with a letter, those that are stop words; symbols in the text."""
    count = letters = alphabetic = stops = symbols = length = 0
    dots = spaced_dots = 0  # lengths of the runs "..." and ". . ." up to here, so that no dot counts twice in a symbol
    has_letter = inside = False
    running = np.uint64(0)
    for i in range(len(points) + 1):
        point = points[i] if i < len(points) else np.uint32(BLANK)
        flag = flags[point]
        if flag & SPACE:
            if inside:
                count += 1
                if has_letter:
                    alphabetic += 1
                if length <= longest_stop_word and _is_in(stop_words, running):
                    stops += 1
            inside = has_letter = False
            length = 0
            running = np.uint64(0)
        else:
            inside = True
            letters += 1
            length += 1
            has_letter = has_letter or flag & ALPHA != 0
            if length <= longest_stop_word:
                running = mix(running, np.uint64(lower[point]))
        if point in (HASH, ELLIPSIS):
            symbols += 1
        if point == FULL_STOP:
            dots += 1
            spaced_dots = spaced_dots + 1 if spaced_dots % 2 == 0 else 1
            if dots == 3:
                symbols += 1
                dots = 0
            if spaced_dots == 5:
                symbols += 1
                spaced_dots = 0
        else:
            dots = 0
            spaced_dots = spaced_dots + 1 if point == BLANK and spaced_dots % 2 == 1 else 0
    return count, letters, alphabetic, stops, symbols


@njit(cache=True)
def _count_lines(points: Array, starts: Array, stops: Array) -> tuple[int, int]:
    """Lines that start with a bullet, lines that end with an ellipsis."""
    bullets = ellipses = 0
    for k in range(len(starts)):
        start = np.int64(starts[k])
        stop = np.int64(stops[k])
        if points[start] in BULLETS:
            bullets += 1
        if points[stop - 1] == ELLIPSIS:
            ellipses += 1
        elif points[stop - 1] == FULL_STOP:
            step = 1 if stop - start > 1 and points[stop - 2] == FULL_STOP else 2
            dotted = stop - start > 2 * step and points[stop - 1 - step] == FULL_STOP
            dotted = dotted and points[stop - 1 - 2 * step] == FULL_STOP
            if dotted and (step == 1 or (points[stop - 2] == BLANK and points[stop - 4] == BLANK)):
                ellipses += 1
    return bullets, ellipses
