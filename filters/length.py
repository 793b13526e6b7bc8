"""Bounds on the length of a document, in characters and in words.

``length.characters`` is the number of code points, ``length.words`` that of Unicode words which begin with a letter
or digit (a Han character is a word). All bounds are inclusive: a document of exactly ``min_words`` words is kept.
Anchors with such a rule: CCNet (300 characters), Dolma's books and Wikipedia (25 words), C4 (at most 190,000
characters); none is on by default but the shortest one that is useful, one character.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class Length(Filter):
    """Remove a document that is too short or too long."""

    name: ClassVar[str] = "length"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("length.characters", 0, math.inf, "characters of the text"),
        Signal("length.words", 0, math.inf, "words that begin with a letter or digit"),
    )

    min_characters: int | None = 1
    max_characters: int | None = None
    min_words: int | None = None
    max_words: int | None = None

    def measure(self, document: Document) -> Mapping[str, float]:
        """Characters and words."""
        return {"length.characters": len(document.text), "length.words": len(document.words)}

    def rules(self) -> tuple[Rule, ...]:
        """Characters first, then words."""
        return (
            *rule_when(self.min_characters, "length.characters", "<", "length.too_few_characters"),
            *rule_when(self.max_characters, "length.characters", ">", "length.too_many_characters"),
            *rule_when(self.min_words, "length.words", "<", "length.too_few_words"),
            *rule_when(self.max_words, "length.words", ">", "length.too_many_words"),
        )
