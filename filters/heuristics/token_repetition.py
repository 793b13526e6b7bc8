"""Dolma's token repetition rule: a text that says the same few tokens a hundred times in a row.

Soldaini et al. 2024 (Dolma v1.6, ``tokenizer_repetitions`` with a score of 100 in the mixer) and OLMo's training data filter: a
sequence of 1 to 13 tokens that is repeated at least three times in a row, nothing between. Tokens here are words and
punctuation (``Document.tokens``); in Dolma they are those of GPT-NeoX's tokenizer, of which a word has one or more, so that
its 13 tokens are some ten of ours.

* ``most_times``: the largest number of times that any such sequence stands in a row, the last one whole; 1 if none is
  repeated three times (Dolma can't see fewer and says 0);
* ``share``: share of the text's characters in tokens that lie in any such run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numba import njit

from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when
from filters.segment import Array

LONGEST_PERIOD: Final = 13
FEWEST_TIMES: Final = 3


@register
class TokenRepetition(Filter):
    """Remove a document in which a short sequence of tokens is repeated very often in a row."""

    name: ClassVar[str] = "token_repetition"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("token_repetition.most_times", 1, math.inf, "most times that 1 to 13 tokens stand in a row, from 3 on"),
        Signal("token_repetition.share", 0, 1, "share of the tokens' characters in such runs"),
    )

    max_times: int | None = 99
    max_share: float | None = None

    def measure(self, document: Document) -> Mapping[str, float]:
        """The longest run, and what share of the text lies in runs."""
        tokens = document.tokens
        times, inside, characters = _runs(tokens.starts, tokens.stops, tokens.hashes)
        return {"token_repetition.most_times": times, "token_repetition.share": ratio(inside, characters)}

    def rules(self) -> tuple[Rule, ...]:
        """Dolma's, and one for the share."""
        return (
            *rule_when(self.max_times, "token_repetition.most_times", ">", "token_repetition.too_many_times"),
            *rule_when(self.max_share, "token_repetition.share", ">", "token_repetition.too_much"),
        )


@njit(cache=True)
def _runs(starts: Array, stops: Array, hashes: Array) -> tuple[int, int, int]:
    size = len(hashes)
    most = 1
    covered = np.zeros(size, np.bool_)
    for period in range(1, min(LONGEST_PERIOD, size // FEWEST_TIMES) + 1):
        run = 0  # tokens in a row that are equal to the one a period before
        for i in range(period, size + 1):
            if i < size and hashes[i] == hashes[i - period]:
                run += 1
                continue
            times = run // period + 1
            if times >= FEWEST_TIMES:
                most = max(most, times)
                covered[i - run - period : i] = True
            run = 0
    inside = characters = 0
    for i in range(size):
        length: Any = np.int64(stops[i]) - np.int64(starts[i])
        characters += length
        if covered[i]:
            inside += length
    return most, inside, characters
