r"""MADLAD-400's rules for sentences: lists in title case, and strings that no text contains.

Kudugunta et al. 2023 (section 2.3 and its appendix) as Dolma 3 applies them (``Madlad400SentenceAnnotator`` in
allenai/datamap-rs). Sentences lie between ``[.!?]+\s+``, those of white space alone left out. A sentence is questionable by

* rule 2, *list case*: it has at least 12 words (those that begin with a letter or digit) and more than half of them
  begin with an upper-case letter;
* rule 3, *abnormal length*: it has fewer than 20 or more than 500 characters;
* rule 4, *technical*: more than 20 % of its characters are digits or among ``{}+/()>``;
* rule 5, *cursed*: it contains one of the paper's strings or patterns (names of shops and services, filler text, single
  letters apart, adult content).

Each signal is the share of the sentences that a rule finds; ``questionable`` counts a sentence that rule 2 or rule 5 finds,
and it is what removes a document, as in Dolma 3: more than 20 %. Shares are not measured for a document of fewer than five
sentences, which Dolma 3 removes and this filter does unless ``min_sentences`` is null.

Rules 3 and 4 are measured and not judged unless a threshold is given. datamap-rs measures them in bytes, so that its limits are
others for every script but Latin; the paper's characters are ours. Rule 1, the language of each sentence, is the filter
``language``'s.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numba import njit
from pydantic import Field

from filters import characters
from filters.characters import UPPER
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.segment import Array

CURSED: Final = (
    " №", "���", r"\|\s*$", r" nr\.$", "aute irure dolor ", " sunt in culpa qui ", "orem ipsum ", " quis nostrud ",
    " adipisicing ", " dolore eu ", " cupidatat ", "autem vel eum", "wisi enim ad", " sex ", " porn ", "黄色电影", "mp3",
    "ownload", r"Vol\.", r" Ep\.", "Episode", r" г\.\s*$", r" кг\.\s*$", r" шт\.", "Develop", "Facebook", " crusher ",
    " xxx ", r" \.\.\. \.\.\. \.\.\. \.\.\. \.\.\. \.\.\. \.\.\. \.\.\. \.\.\.",
    r" \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\. \.\.\.\.",
    " [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ] [^ ]", r", \.\.,,? \.\.,,? \.\.,,? \.\.,,?",
)  # fmt: skip
"""The strings and patterns of rule 5 as the paper lists them, case and spaces included."""

_END: Final = re.compile(r"[.!?]+\s+")
_TECHNICAL: Final = "0123456789{}+/()>"
_LIST_WORDS: Final = 12
_LIST_SHARE: Final = 0.5
_SHORTEST, _LONGEST = 20, 500
_TECHNICAL_SHARE: Final = 0.2


@register
class Madlad(Filter):
    """Remove a document in which too many sentences are lists of names or hold strings that no text does."""

    name: ClassVar[str] = "madlad"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("madlad.sentences", 0, math.inf, "stretches between end marks that white space follows"),
        Signal("madlad.list_case", 0, 1, "share of the sentences in title case (rule 2)"),
        Signal("madlad.abnormal_length", 0, 1, "share of the sentences that are too short or too long (rule 3)"),
        Signal("madlad.technical", 0, 1, "share of the sentences full of digits and brackets (rule 4)"),
        Signal("madlad.cursed", 0, 1, "share of the sentences with strings that give them away (rule 5)"),
        Signal("madlad.questionable", 0, 1, "share of the sentences that rule 2 or rule 5 finds"),
    )

    min_sentences: int | None = 5
    max_list_case: float | None = None
    max_abnormal_length: float | None = None
    max_technical: float | None = None
    max_cursed: float | None = None
    max_questionable: float | None = 0.2
    cursed: tuple[str, ...] = Field(
        CURSED, description="regular expressions of rule 5 (RE2), matched with their case; `$` only at their end"
    )

    def prepare(self) -> None:
        """Compile the patterns. Raises ValueError for one that is no regular expression."""
        _pattern(self.cursed)

    def measure(self, document: Document) -> Mapping[str, float]:
        """The share of questionable sentences, rule by rule."""
        text, words = document.text, document.words
        stops = np.array([*(match.start() for match in _END.finditer(text)), len(text)], np.int64)
        starts = np.array([0, *(match.end() for match in _END.finditer(text))], np.int64)
        whole = np.array([bool(text[i:j].strip()) for i, j in zip(starts.tolist(), stops.tolist(), strict=True)])
        starts, stops = starts[whole], stops[whole]
        signals: dict[str, float] = {"madlad.sentences": len(starts)}
        if (self.min_sentences is not None and len(starts) < self.min_sentences) or not len(starts):
            return signals
        cursed = self._cursed(text, starts, stops)
        listed, abnormal, technical = _judge(
            document.codepoints, characters.flags(), starts, stops, words.starts, _technical()
        )
        for name, found in (
            ("list_case", listed),
            ("abnormal_length", abnormal),
            ("technical", technical),
            ("cursed", cursed),
            ("questionable", listed | cursed),
        ):
            signals[f"madlad.{name}"] = float(np.count_nonzero(found)) / len(starts)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """Length first, then what rules 2 and 5 find together, then each rule for itself."""
        return (
            *rule_when(self.min_sentences, "madlad.sentences", "<", "madlad.too_few_sentences"),
            *rule_when(self.max_questionable, "madlad.questionable", ">", "madlad.questionable"),
            *rule_when(self.max_list_case, "madlad.list_case", ">", "madlad.list_case"),
            *rule_when(self.max_abnormal_length, "madlad.abnormal_length", ">", "madlad.abnormal_length"),
            *rule_when(self.max_technical, "madlad.technical", ">", "madlad.technical"),
            *rule_when(self.max_cursed, "madlad.cursed", ">", "madlad.cursed"),
        )

    def _cursed(self, text: str, starts: Array, stops: Array) -> Array:
        """Which sentences rule 5 finds: the text is searched once, and only sentences with a trace are looked at."""
        strict, anywhere = _pattern(self.cursed), _pattern(tuple(map(_unanchored, self.cursed)))
        found = np.zeros(len(starts), np.bool_)
        trace = anywhere.search(text) if anywhere else None
        while trace is not None:
            k = int(np.searchsorted(stops, trace.start(), side="right"))
            if k == len(starts):
                break
            start, stop = int(starts[k]), int(stops[k])
            found[k] = strict.search(text[start:stop]) is not None
            trace = anywhere.search(text, max(stop, trace.start() + 1))
        return found


def _unanchored(pattern: str) -> str:
    """A pattern that finds at least what the given one does, wherever a sentence may end."""
    return pattern.removesuffix("$").removesuffix(r"\s*") if pattern.endswith("$") else pattern


@functools.cache
def _pattern(cursed: tuple[str, ...]) -> Any:
    import re2

    if not cursed:
        return None
    try:
        return re2.compile("|".join(f"(?:{one})" for one in cursed))
    except re2.error as error:
        raise ValueError(f"madlad.cursed: {error}") from error


@functools.cache
def _technical() -> Array:
    table = np.zeros(128, np.bool_)
    table[[ord(character) for character in _TECHNICAL]] = True
    return table


@njit(cache=True)
def _judge(
    points: Array, flags: Array, starts: Array, stops: Array, words: Array, technical: Array
) -> tuple[Array, Array, Array]:
    """Which sentences rules 2, 3 and 4 find; ``words`` are the places where words start."""
    number = len(starts)
    listed = np.zeros(number, np.bool_)
    abnormal = np.zeros(number, np.bool_)
    crowded = np.zeros(number, np.bool_)
    w = 0
    for k in range(number):
        start, stop = starts[k], stops[k]
        while w < len(words) and words[w] < start:
            w += 1
        count = capital = marks = 0
        while w < len(words) and words[w] < stop:
            count += 1
            capital += flags[points[words[w]]] & UPPER != 0
            w += 1
        for i in range(start, stop):
            if points[i] < 128:
                marks += technical[points[i]]
        listed[k] = count >= _LIST_WORDS and capital > count * _LIST_SHARE
        abnormal[k] = stop - start < _SHORTEST or stop - start > _LONGEST
        crowded[k] = marks > (stop - start) * _TECHNICAL_SHARE
    return listed, abnormal, crowded
