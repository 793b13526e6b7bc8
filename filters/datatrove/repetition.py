"""Gopher's repetition rules as datatrove has them (``gopher_repetition_filter.py``): those that made FineWeb.

The thresholds are those of ``gopher_repetition``; what they are measured on is not:

* Lines lie between runs of newlines, paragraphs between runs of two or more newlines in the stripped text. Neither is
  stripped; a text that begins or ends with a newline has an empty line there. *Duplicate* are those that come again: all
  of a group of equal ones but the first. Shares of them are of the number of lines or paragraphs; shares of their
  characters are of all characters of the text, white space included.
* n-grams are of tokens (``Document.tokens``), punctuation included, as a share of all characters of the text.
  ``top_n_gram``: the most frequent n-gram's length, with a space between its tokens, times its count; of ties the first in
  the text. A count of 1 has a length too, so that a short text scores high although it repeats nothing.
  ``duplicate_n_grams``: the text is read from the left; an n-gram that was met before counts with the characters of its
  tokens, and reading goes on behind it.

An empty text has no signals (datatrove divides by zero). datatrove's tokens are spaCy's; ours differ in contractions
(``don't`` is one of ours and two of spaCy's), in addresses and in brackets that are written together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from filters import repetition
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class DatatroveRepetition(Filter):
    """Remove a document that repeats more than a share of its lines, paragraphs or n-grams, as datatrove counts them."""

    name: ClassVar[str] = "datatrove_repetition"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("datatrove.duplicate_paragraphs", 0, 1, "share of the paragraphs that came before"),
        Signal("datatrove.duplicate_paragraph_characters", 0, 1, "share of the text's characters in them"),
        Signal("datatrove.duplicate_lines", 0, 1, "share of the lines that came before"),
        Signal("datatrove.duplicate_line_characters", 0, 1, "share of the text's characters in them"),
        *(
            Signal(
                f"datatrove.top_{n}_gram",
                0,
                math.inf,
                f"most frequent {n}-gram, length with spaces times count, by the text's characters",
            )
            for n in (2, 3, 4)
        ),
        *(
            Signal(
                f"datatrove.duplicate_{n}_grams", 0, 1, f"share of the text's characters in {n}-grams that came before"
            )
            for n in range(5, 11)
        ),
    )

    max_duplicate_paragraphs: float | None = 0.30
    max_duplicate_paragraph_characters: float | None = 0.20
    max_duplicate_lines: float | None = 0.30
    max_duplicate_line_characters: float | None = 0.20
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
        text = document.text
        if not text:
            return {}
        signals: dict[str, float] = {}
        for unit, segments in (("paragraph", _paragraphs(text)), ("line", _lines(text))):
            later, characters = _later(segments)
            signals[f"datatrove.duplicate_{unit}s"] = later / len(segments)
            signals[f"datatrove.duplicate_{unit}_characters"] = characters / len(text)
        shares = (repetition.skipping_characters(document.tokens) / len(text)).tolist()
        signals |= {f"datatrove.top_{n}_gram": shares[n] for n in (2, 3, 4)}
        signals |= {f"datatrove.duplicate_{n}_grams": shares[n] for n in range(5, 11)}
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """datatrove's order: paragraphs, lines, then n-grams from short to long."""
        kinds = [signal.name.removeprefix("datatrove.") for signal in self.signals]
        return tuple(
            rule
            for kind in kinds
            for rule in rule_when(getattr(self, f"max_{kind}"), f"datatrove.{kind}", ">", f"datatrove.{kind}")
        )


def _lines(text: str) -> list[str]:
    """The stretches between runs of newlines: ``re.split(r"\\n+", text)``, but a quarter of the time."""
    first, last = text[:1] == "\n", text[-1:] == "\n"
    return [*[""][: int(first)], *filter(None, text.split("\n")), *[""][: int(last)]]


def _paragraphs(text: str) -> list[str]:
    """The stretches between runs of two or more newlines in the stripped text, in the same way."""
    return [part for part in (part.lstrip("\n") for part in text.strip().split("\n\n")) if part] or [""]


def _later(segments: Sequence[str]) -> tuple[int, int]:
    """How many segments are equal to an earlier one, and how many characters those have."""
    if len(set(segments)) == len(segments):
        return 0, 0
    met: set[str] = set()
    later = characters = 0
    for segment in segments:
        if segment in met:
            later += 1
            characters += len(segment)
        met.add(segment)
    return later, characters
