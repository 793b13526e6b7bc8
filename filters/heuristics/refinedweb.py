r"""RefinedWeb's line-wise corrections: cuts lines that belong to the page and not to its text, and says what it cut.

Penedo et al. 2023 (section 3.1) as released in DCLM (``dclm_baseline_refinedweb.yaml``, ``mappers/modifiers.py``). Lines lie
between newlines and are judged as they are, white space included; a line without any character stays. In this order:

1. a line goes if more than ``max_uppercase`` of its characters are upper case;
2. if more than ``max_digits`` of its characters are digits (only digits);
3. if it is a counter: ``3 likes``, ``12.5K followers``, nothing else but punctuation around it;
4. if it has fewer than ``min_words`` white-space words;
5. a line of at most ``phrase_words`` white-space words loses "items in cart" anywhere, then "read more..." at its end, then
   "sign-in" at its beginning, each with a white-space character before it (after it at the beginning), whatever the case;
   it goes if nothing is left of it. Such a line counts under ``lines_phrase``, whether it is shortened or goes.

White space at both ends of what is left is stripped. ``words_removed`` is the share of the words (those that begin with a
letter or digit) that the corrections took; a document that lost more than ``max_words_removed`` of them goes. For every
reason the document keeps how many lines and how many characters were cut, newlines not counted.

DCLM writes "Read more..." with dots that stand for any character; here they are dots. It removes addresses from the text
before: that is no part of this filter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numba import njit
from pydantic import Field

from filters import characters
from filters.characters import ALNUM, SPACE, UPPER
from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when
from filters.segment import Array

_COUNTER: Final = re.compile(
    r"\W*\d[\d,.]*[kmb]?\s+"
    r"(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers)\W*"
)
_PHRASES: Final = (
    ("items in cart", re.compile(r"\s?items in cart", re.IGNORECASE)),
    ("read more...", re.compile(r"\s?read more\.\.\.$", re.IGNORECASE)),
    ("sign-in", re.compile(r"^sign-in\s?", re.IGNORECASE)),
)
_REASONS: Final = ("uppercase", "digits", "counter", "short", "phrase")
LF: Final = 10


@register
class RefinedWeb(Filter):
    """Cut shouting, numbers, counters, single words and shop phrases; remove what lost too many words by it."""

    name: ClassVar[str] = "refinedweb"
    signals: ClassVar[tuple[Signal, ...]] = (
        *(
            Signal(f"refinedweb.{kind}_{reason}", 0, math.inf, f"{kind} cut: {meaning}")
            for reason, meaning in (
                ("uppercase", "mostly upper case"),
                ("digits", "nothing but digits"),
                ("counter", "a counter of likes, views and the like"),
                ("short", "too few words"),
                ("phrase", "phrases of shops and teasers"),
            )
            for kind in ("lines", "characters")
        ),
        Signal("refinedweb.words_removed", 0, 1, "share of the words that the corrections took"),
    )

    max_uppercase: float = Field(0.5, ge=0, le=1, description="largest share of upper-case characters in a line")
    max_digits: float = Field(0.999999, ge=0, le=1, description="largest share of digits in a line")
    min_words: int = Field(2, ge=0, description="words that a line needs")
    phrase_words: int = Field(10, ge=0, description="words of the longest line from which phrases are cut")
    max_words_removed: float | None = 0.05

    def clean(self, document: Document) -> None:
        """Cut lines and phrases; how much, and why, goes into the document's signals."""
        before = len(document.words)
        lines, cut = [], dict.fromkeys(_REASONS, 0)
        lost = dict.fromkeys(_REASONS, 0)
        page = document.text.lower()
        phrases = [pattern for phrase, pattern in _PHRASES if phrase in page]
        verdicts, words = _judge(
            document.codepoints, characters.flags(), self.max_uppercase, self.max_digits, self.min_words
        )
        for line, verdict, count in zip(document.text.split("\n"), verdicts.tolist(), words.tolist(), strict=True):
            reason, left = self._line(line, verdict, count, phrases)
            if reason:
                cut[reason] += 1
                lost[reason] += len(line) - len(left or "")
            if left is not None:
                lines.append(left)
        if any(cut.values()):
            document.replace_text("\n".join(lines).strip())
        for reason in _REASONS:
            document.signals[f"refinedweb.lines_{reason}"] = cut[reason]
            document.signals[f"refinedweb.characters_{reason}"] = lost[reason]
        gone = before - len(document.words)
        document.signals["refinedweb.words_removed"] = max(0.0, ratio(gone, before))

    def measure(self, document: Document) -> Mapping[str, float]:
        """Nothing more: what there is to say was found while cleaning."""
        return {}

    def rules(self) -> tuple[Rule, ...]:
        """One: too much was cut."""
        return rule_when(self.max_words_removed, "refinedweb.words_removed", ">", "refinedweb.too_many_words_removed")

    def _line(self, line: str, verdict: int, words: int, phrases: list[re.Pattern[str]]) -> tuple[str, str | None]:
        """Why a line is cut (empty: it is not), and what is left of it, None if it goes."""
        if verdict in (UPPERCASE, DIGITS):
            return _REASONS[verdict - 1], None
        if verdict & COUNTING and _COUNTER.fullmatch(line.lower()):
            return "counter", None
        if verdict & SHORT:
            return "short", None
        reason = ""
        for pattern in phrases if words <= self.phrase_words else ():
            left = pattern.sub("", line)
            if left == line:
                continue
            reason = "phrase"
            if not left.strip():
                return reason, None
            line = left
        return reason, line


UPPERCASE, DIGITS, COUNTING, SHORT = 1, 2, 4, 8


@njit(cache=True)
def _judge(points: Array, flags: Array, max_uppercase: float, max_digits: float, min_words: int) -> tuple[Array, Array]:
    """For each line between newlines a verdict, and its white-space words.

    The verdict is UPPERCASE, DIGITS, or the sum of COUNTING (it may be a counter: the first letter or digit is a digit)
    and SHORT.
    """
    number = 1
    for point in points:
        number += point == LF
    verdicts = np.zeros(number, np.uint8)
    counts = np.zeros(number, np.int64)
    k = 0
    size = upper = digits = words = 0
    first = inside = False
    counting = False
    for i in range(len(points) + 1):
        point = points[i] if i < len(points) else np.uint32(LF)
        flag = flags[point]
        if point != LF:
            size += 1
            upper += (flag & UPPER) != 0
            digit = _is_digit(point, flag)
            digits += digit
            if not first and flag & ALNUM:
                first = True
                counting = digit
            space = flag & SPACE != 0
            words += not space and not inside
            inside = not space
            continue
        if size and upper > max_uppercase * size:
            verdicts[k] = UPPERCASE
        elif size and digits > max_digits * size:
            verdicts[k] = DIGITS
        else:
            verdicts[k] = (COUNTING if counting else 0) + (SHORT if size and words < min_words else 0)
        counts[k] = words
        k += 1
        size = upper = digits = words = 0
        first = inside = counting = False
    return verdicts, counts


@njit(cache=True, inline="always")
def _is_digit(point: np.uint32, flag: np.uint16) -> bool:
    """Whether a character is a decimal digit, of any script."""
    return bool(flag & characters.CLASS_BITS == characters.NUMERIC or 0xFF10 <= point <= 0xFF19)
