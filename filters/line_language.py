"""How much of a document is in its own language, line by line: pages that mix languages, or code and prose.

Every line with at least ``min_letters`` letters is given a language by the same kind of model as the document (shorter ones can't be
told apart). ``line_share`` is the share of the lines so judged, ``character_share`` that of their characters, that are in the
document's language; both are undefined where no line is long enough. At most ``max_lines`` lines are judged, as far apart as
there are, so that the price has a bound.

MADLAD-400 (Kudugunta et al. 2023) calls a document questionable when more than 20 % of its sentences are in another language
than the document; with ``min_line_share: 0.8`` that is removed here. Run ``language`` before: it says what the document's language is.
"""

# MADLAD's rule is one of five that count together, over sentences of a regular expression; Dolma's port leaves this one out. CCNet keeps
# paragraphs of any language. Lines are what pages are made of, and a sentence is often too short for a language.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from filters import characters, fasttext_models
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.language_codes import short_code


@register
class LineLanguage(Filter):
    """Remove a document too many of whose lines are in other languages than its own."""

    name: ClassVar[str] = "line_language"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("line_language.lines", 0, math.inf, "lines long enough to be judged, at most `max_lines`"),
        Signal("line_language.line_share", 0, 1, "share of them in the document's language"),
        Signal("line_language.character_share", 0, 1, "share of their characters in lines of the document's language"),
    )

    min_line_share: float | None = Field(0.8, description="MADLAD: 0.8")
    min_character_share: float | None = None
    model: str | None = Field(None, description="path of a fastText model with language labels; null: lid.176.ftz")
    min_letters: int = Field(40, ge=1, description="letters that a line must have to be judged")
    max_lines: int = Field(64, ge=1, description="lines that are judged")

    def prepare(self) -> None:
        """Loads the model."""
        fasttext_models.load(fasttext_models.path_or_default(self.model))

    def measure(self, document: Document) -> Mapping[str, float]:
        """The shares, unless the document has no language or no line that is long enough."""
        if not document.language:
            return {}
        letters = np.concatenate(([0], np.cumsum(characters.flags()[document.codepoints] & characters.ALPHA != 0)))
        lines = document.lines
        long_enough = np.flatnonzero(letters[lines.stops] - letters[lines.starts] >= self.min_letters)
        if len(long_enough) > self.max_lines:
            long_enough = long_enough[np.arange(self.max_lines) * len(long_enough) // self.max_lines]
        signals: dict[str, float] = {"line_language.lines": len(long_enough)}
        if not len(long_enough):
            return signals
        texts = [document.text[lines.starts[line] : lines.stops[line]] for line in long_enough]
        labels = fasttext_models.best_labels(fasttext_models.path_or_default(self.model), texts)
        own = [document.language in (label, short_code(label)) for label in labels]
        sizes = [len(text) for text in texts]
        signals["line_language.line_share"] = sum(own) / len(own)
        same = sum(size for size, is_own in zip(sizes, own, strict=True) if is_own)
        signals["line_language.character_share"] = same / sum(sizes)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """By lines, then by characters."""
        return (
            *rule_when(self.min_line_share, "line_language.line_share", "<", "line_language.mixed_lines"),
            *rule_when(self.min_character_share, "line_language.character_share", "<", "line_language.mixed_text"),
        )

    def files(self) -> tuple[str, ...]:
        """The model, if it is not the one that comes with the installation."""
        return () if self.model is None else (self.model,)
