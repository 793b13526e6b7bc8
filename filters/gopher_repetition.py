"""Gopher's repetition rules: pages that say the same again and again.

Rae et al. 2021 ("Scaling Language Models: Methods, Analysis & Insights from Training Gopher", table A1) give thirteen
thresholds; what they are measured on follows DCLM (``massive_web_repetition_filters``), whose boundary cases are our
tests:

* Lines lie between newlines, paragraphs between two newlines; stripped, empty ones dropped. *Duplicate* are all members
  of a group of equal ones, the first included. Shares are of the number, and of the characters, of lines or paragraphs.
* Words are Unicode words that begin with a letter or digit, as they are written; n-grams of them are measured in
  characters of words, as a share of the characters of all words. ``top_n_gram``: the most frequent n-gram's length
  times its count, of ties the longest, 0 if nothing occurs twice; overlapping occurrences count, so it may exceed 1.
  ``duplicate_n_grams``: the words that lie in any n-gram occurring twice, each once.

A text shorter than n words repeats no n-gram: 0. Without any word (or line) the signals are left out. DCLM also drops
the empty page here; we leave that to ``gopher_quality``.

A Han character is a word, so that five of them are two or three words of another language and repeat more often: for
Chinese 0.25 and 0.20 for duplicate 5-grams and 6-grams leave clean text alone.
"""

# The thresholds are the same everywhere, the filters are not. datatrove and RedPajama count only the repeats after
# the first, datatrove relative to all characters, white space included, Dolma per white-space word; datatrove and
# Dolma give an n-gram that occurs ONCE a score too, so that they drop short clean texts in which nothing is repeated.
# NeMo Curator drops texts with fewer than n words, and its ties depend on the hash seed. Dolma's released
# configuration misspells the names of the top n-grams: those rules never fired.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from filters import repetition
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class GopherRepetition(Filter):
    """Remove a document that repeats more than a share of its lines, paragraphs or n-grams."""

    name: ClassVar[str] = "gopher_repetition"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("gopher.duplicate_lines", 0, 1, "share of the lines that occur more than once"),
        Signal("gopher.duplicate_paragraphs", 0, 1, "share of the paragraphs that occur more than once"),
        Signal("gopher.duplicate_line_characters", 0, 1, "share of the lines' characters in lines that occur twice"),
        Signal("gopher.duplicate_paragraph_characters", 0, 1, "the same for paragraphs"),
        *(
            Signal(
                f"gopher.top_{n}_gram", 0, math.inf, f"most frequent {n}-gram, length times count, by all characters"
            )
            for n in (2, 3, 4)
        ),
        *(
            Signal(f"gopher.duplicate_{n}_grams", 0, 1, f"share of the words' characters in repeated {n}-grams")
            for n in range(5, 11)
        ),
    )

    max_duplicate_lines: float | None = 0.30
    max_duplicate_paragraphs: float | None = 0.30
    max_duplicate_line_characters: float | None = 0.20  # Dolma: 0.30
    max_duplicate_paragraph_characters: float | None = 0.20
    max_top_2_gram: float | None = 0.20
    max_top_3_gram: float | None = 0.18
    max_top_4_gram: float | None = 0.16
    max_duplicate_5_grams: float | None = 0.15
    max_duplicate_6_grams: float | None = 0.14
    max_duplicate_7_grams: float | None = 0.13
    max_duplicate_8_grams: float | None = 0.12
    max_duplicate_9_grams: float | None = 0.11
    max_duplicate_10_grams: float | None = 0.10

    def measure(self, document: Document) -> Mapping[str, float]:
        """Duplicate lines and paragraphs, and repeated n-grams."""
        signals: dict[str, float] = {}
        for unit, segments in (("line", document.lines), ("paragraph", document.paragraphs)):
            found = repetition.repeats(segments)
            if found.total:
                signals[f"gopher.duplicate_{unit}s"] = found.members / found.total
                signals[f"gopher.duplicate_{unit}_characters"] = found.member_characters / found.total_characters
        total, characters = repetition.ngram_characters(document.words)
        if total:
            shares = (characters / total).tolist()
            signals |= {f"gopher.top_{n}_gram": shares[n] for n in (2, 3, 4)}
            signals |= {f"gopher.duplicate_{n}_grams": shares[n] for n in range(5, 11)}
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """DCLM's order: lines and paragraphs by number, then by characters, then n-grams from short to long."""
        kinds = [signal.name.removeprefix("gopher.") for signal in self.signals]
        return tuple(
            rule
            for kind in kinds
            for rule in rule_when(getattr(self, f"max_{kind}"), f"gopher.{kind}", ">", f"gopher.{kind}")
        )
