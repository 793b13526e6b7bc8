"""FineWeb's own quality rules: lists, menus and repeated lines give themselves away by their line breaks.

Penedo et al. 2024 ("The FineWeb Datasets"), as in datatrove's ``FineWebQualityFilter``; over lines that are not blank:

* ``terminal_lines``: share of the lines that end with a sentence's end mark;
* ``short_lines``: share of the lines of at most ``short_line`` characters;
* ``duplicate_characters``: characters of lines equal to an earlier one, by all characters but newlines;
* ``newlines_per_word``: newlines by words.

End marks are the characters that Unicode calls Sentence_Terminal: 172 in Unicode 17, full-width ones included; neither
quotes nor the ellipsis ``…`` are among them, so that a line of dialogue that ends with a quote has no end mark.
"""

# datatrove lists 159 end marks of an older Unicode. It tests lines as they are, so that a space after the full stop
# hides it and indentation makes a line longer; ours are stripped. Its words include punctuation marks, ours do not:
# our newlines_per_word is some tenth higher. Its first version also counted quotes as end marks and blank lines as
# lines.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filters import characters, repetition
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class FineWeb(Filter):
    """Remove a document whose lines are too short, too often repeated, too many, or no sentences."""

    name: ClassVar[str] = "fineweb"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("fineweb.lines", 0, math.inf, "lines that are not blank"),
        Signal("fineweb.terminal_lines", 0, 1, "share of the lines that end with a sentence's end mark"),
        Signal("fineweb.short_lines", 0, 1, "share of the lines that are short"),
        Signal("fineweb.duplicate_characters", 0, 1, "share of the characters in lines that came before"),
        Signal("fineweb.newlines_per_word", 0, math.inf, "newlines by words"),
    )

    min_lines: int | None = 1
    min_terminal_lines: float | None = 0.12
    max_short_lines: float | None = 0.67
    max_duplicate_characters: float | None = 0.01
    max_newlines_per_word: float | None = 0.3
    short_line: int = Field(30, ge=0, description="the longest line that counts as short, in characters")

    def measure(self, document: Document) -> Mapping[str, float]:
        """Statistics of the lines' ends and lengths."""
        lines = document.lines
        signals: dict[str, float] = {"fineweb.lines": len(lines)}
        newlines = document.text.count("\n")
        if len(lines):
            ends = terminal_marks()[document.codepoints[lines.stops - 1]]
            signals["fineweb.terminal_lines"] = float(np.count_nonzero(ends)) / len(lines)
            short = np.count_nonzero(lines.stops - lines.starts <= self.short_line)
            signals["fineweb.short_lines"] = float(short) / len(lines)
            later = repetition.repeats(lines).later_characters
            signals["fineweb.duplicate_characters"] = later / (len(document.text) - newlines)
        if len(document.words):
            signals["fineweb.newlines_per_word"] = newlines / len(document.words)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """datatrove's order."""
        return (
            *rule_when(self.min_lines, "fineweb.lines", "<", "fineweb.empty"),
            *rule_when(self.min_terminal_lines, "fineweb.terminal_lines", "<", "fineweb.too_few_terminal_lines"),
            *rule_when(self.max_short_lines, "fineweb.short_lines", ">", "fineweb.too_many_short_lines"),
            *rule_when(
                self.max_duplicate_characters, "fineweb.duplicate_characters", ">", "fineweb.duplicate_characters"
            ),
            *rule_when(self.max_newlines_per_word, "fineweb.newlines_per_word", ">", "fineweb.too_many_newlines"),
        )


@functools.cache
def terminal_marks() -> NDArray[Any]:
    """Whether a code point ends sentences: bool, shape (0x110000,)."""
    table = (characters.flags() & characters.STOP) != 0
    table[ord("…")] = False  # a mark for our sentences, but not Unicode's
    return table
