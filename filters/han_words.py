"""Joins Han characters into the words of a dictionary: jieba's, by its port to Rust (``rjieba``).

Cutting is by the most probable path through the dictionary's words, without jieba's hidden Markov model for words that it
does not know: the same text gives the same words, and what is in no dictionary stays single characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from filters import characters

if TYPE_CHECKING:
    from filters.segment import Segments

Array = NDArray[Any]


def load() -> None:
    """Load the dictionary (half a second, once per process). Raises ValueError where ``rjieba`` is not installed."""
    try:
        import rjieba
    except ImportError as error:
        raise ValueError("cutting Chinese into words needs the package rjieba: pip install rjieba") from error
    rjieba.cut("词", False)


def joined(text: str, points: Array, words: Segments) -> Segments:
    """The words of a text, where each Han character is one, with those joined that form a word of the dictionary."""
    import rjieba

    from filters import segment

    if len(words) < 2:
        return words
    han = characters.han()[points[words.starts]]
    follows = np.zeros(len(words), np.bool_)
    follows[1:] = han[1:] & han[:-1] & (words.starts[1:] == words.stops[:-1])
    if not follows.any():
        return words
    begins = np.zeros(len(text) + 1, np.bool_)
    begins[np.cumsum([len(word) for word in rjieba.cut(text, False)])] = True
    first = ~follows | begins[words.starts]
    starts = words.starts[first]
    stops = words.stops[np.append(first[1:], True)]
    return segment.Segments(starts, stops, segment.hashes(points, starts, stops))
