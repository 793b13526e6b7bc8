"""What all recognizers share that read only the surroundings of key words: presidio's interface over ``around``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple, cast

from filters.pii.anchors import Anchor
from filters.pii.gates import read_whole
from filters.pii.presidio import EntityRecognizer, RecognizerResult
from filters.pii.settings import Entity

CONTEXT_BOOST: Final = 0.35
CONTEXT_SCORE: Final = 0.4
"""presidio's ``LemmaContextAwareEnhancer``: what a key word adds to a score, and the least that it makes of it."""

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d(?:\D{0,3}\d){3}")
"""No number here has fewer than four digits."""
_BROKEN = re.compile(r"[.!?;]\s|\n\s*\n|\d")


class Found(NamedTuple):
    """Characters ``[start, end)`` of a text and how sure the recognizer is (0 to 1)."""

    start: int
    end: int
    score: float


class Anchored(EntityRecognizer):
    """A recognizer that finds something only around its anchors, within reach of them.

    ``around`` alone decides; who knows where the anchors are may call it for each of them and gets what ``analyze``
    finds in the whole text.
    """

    anchors: tuple[Anchor, ...]
    prose_only: ClassVar[bool] = False
    """Not looked for in code."""

    def __init__(self, entity: str, anchors: Sequence[Anchor]) -> None:
        super().__init__(supported_entities=[entity], name=type(self).__name__)
        self.entity = cast(Entity, entity)
        self.anchors = tuple(anchors)

    def load(self) -> None:
        """Nothing to load; presidio asks for the method."""

    def around(self, text: str, start: int, end: int) -> Iterable[Found]:
        """What the anchor at ``[start, end)`` leads to."""
        raise NotImplementedError

    def find(self, text: str, spans: Iterable[tuple[int, int]]) -> list[Found]:
        """What the anchors lead to, each once, in order."""
        return sorted({found for start, end in spans for found in self.around(text, start, end)})

    def analyze(self, text: str, entities: Sequence[str] = (), nlp_artifacts: object = None) -> list[RecognizerResult]:
        """presidio's interface: what is found in the whole text."""
        spans = sorted({span for anchor in self.anchors for span in anchor.spans(text)})
        return [RecognizerResult(self.entity, *found) for found in self.find(text, spans)]


class InContext(Anchored):
    """presidio's recognizers behind a key word, for numbers that mean nothing without one.

    The key word counts as presidio's context does: it adds ``CONTEXT_BOOST`` to the score and makes it
    ``CONTEXT_SCORE`` at least. Between it and the number there may be ``reach`` characters, no digit and no end of a
    sentence.
    """

    def __init__(
        self, entity: str, recognizers: Sequence[EntityRecognizer], words: Iterable[str], reach: int = 40
    ) -> None:
        super().__init__(entity, [Anchor(word, digit_after=reach + 8) for word in words])
        self._recognizers: tuple[Any, ...] = tuple(recognizers)
        self._reach = reach

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The number that follows the key word."""
        digit = _DIGIT.search(text, end, end + self._reach + 8)
        if digit is None or not _NUMBER.match(text, digit.start()):
            return
        region = read_whole(text[end : whole_word(text, digit.start() + 40)])
        for recognizer in self._recognizers:
            for found in recognizer.analyze(region, []):
                if found.start <= self._reach and not _BROKEN.search(region, 0, found.start):
                    score = min(max(found.score + CONTEXT_BOOST, CONTEXT_SCORE), 1.0)
                    yield Found(end + found.start, end + found.end, score)


def whole_word(text: str, place: int, most: int = 40) -> int:
    """The place, moved to the end of the word it is in, but no further than ``most``."""
    limit = min(place + most, len(text))
    while place < limit and (text[place].isalnum() or text[place] in "_-"):
        place += 1
    return min(place, len(text))
