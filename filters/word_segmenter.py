"""Cuts Han text into words of a dictionary, for the filters that come after it.

Without it every Han character is a word, which is right for counting and comparing but not for rules about n-grams: five
characters are two or three words, and repeat in any longer text. Behind this filter ``gopher_repetition``, ``gopher_quality``,
``fineweb``, ``length`` and ``keywords`` count words as jieba's dictionary has them, so that thresholds that were found
on segmented text, like those of FineWeb-2, mean what they say. Dedup goes on comparing characters.

``mean_word_length`` is measured over all words, those of other scripts included. FineWeb-2 (``configs/cmn_Hani.yml``) removes Chinese
documents above 5.

Other scripts are left alone. For Japanese set ``languages: []`` only if you want its kanji cut by a Chinese dictionary.
"""

# datatrove cuts Chinese by jieba too, with its hidden Markov model. That guesses words which are in no dictionary, mostly names; for
# n-grams it makes no difference, and we leave it out.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from filters import han_words
from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when


@register
class WordSegmenter(Filter):
    """Cut Han text into words; remove it where these are too long to be any."""

    name: ClassVar[str] = "word_segmenter"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("word_segmenter.words", 0, math.inf, "words, by a dictionary for Han text"),
        Signal("word_segmenter.mean_word_length", 1, math.inf, "their mean length in characters"),
    )

    languages: tuple[str, ...] = Field(("zh",), description="only documents in these languages are cut; none: all")
    max_mean_word_length: float | None = 5.0

    def prepare(self) -> None:
        """Loads the dictionary."""
        han_words.load()

    def clean(self, document: Document) -> None:
        """Leaves the text as it is: only its words change."""
        if not document.dictionary_words:
            document.forget_views()
            document.dictionary_words = True

    def measure(self, document: Document) -> Mapping[str, float]:
        """Number and mean length of the words."""
        words = document.words
        signals: dict[str, float] = {"word_segmenter.words": len(words)}
        if len(words):
            signals["word_segmenter.mean_word_length"] = ratio(float((words.stops - words.starts).sum()), len(words))
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """One rule."""
        return rule_when(
            self.max_mean_word_length, "word_segmenter.mean_word_length", ">", "word_segmenter.words_too_long"
        )
