r"""RedPajama v2's quality signals: all of the 46 that need no model, no list and no other document.

Weber et al. 2024 (``app/src/core/quality_signals`` in togethercomputer/RedPajama-Data). ``rps.doc_word_count`` here is
``rps_doc_word_count`` there, and so on. Two views of the text:

* *raw words*: runs of letters, digits and ``_``, and runs of anything else but white space (NLTK's WordPunct tokens);
* *normalised words*: the text without ASCII punctuation, in lower case, decomposed (NFD), split at white space.

An undefined value is left out. Values are not rounded (RedPajama: eight decimals). The signals of lines, lists there, are
numbers here: the mean over all lines, blank ones included, and for ``lines_javascript_counts`` the sum; a line includes its
newline.

The filter measures and has no rule of its own. ``min`` and ``max`` make rules: ``max: {doc_frac_chars_top_2gram: 0.2}``
removes what is above as ``rps.doc_frac_chars_top_2gram_too_high``.

Of the other signals, ``ccnet_language_score`` is `language`'s, ``ccnet_perplexity`` and ``ccnet_bucket`` are `perplexity`'s,
``rps_doc_ldnoobw_words`` is `keywords`', ``rps_doc_ut1_blacklist`` `url`'s; the importance weights and classifier scores are
models, the MinHash signatures belong to dedup, and ``ccnet_original_*`` to CCNet's own line dedup.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numba import njit
from pydantic import Field, model_validator

from filters import characters, repetition, segment
from filters.characters import SPACE, UPPER
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register
from filters.segment import Array, Segments, _hash

_RAW_WORD: Final = re.compile(r"\w+|[^\w\s]+")
_SENTENCE: Final = re.compile(r"\b[^.!?]+[.!?]*")
_LETTER: Final = re.compile(r"[a-zA-Z]")
_SYMBOLS: Final = ("#", "...", "…")
_END_MARKS: Final = (".", "!", "?", "”")
_BULLETS: Final = tuple("•‣▶◀◦■□▪▫–")
_NO_PUNCTUATION: Final = dict.fromkeys(map(ord, string.punctuation))

STOP_WORDS: Final = tuple(
    "a about above after again against all am an and any are as at be because been before being below between both but by "
    "can did do does doing down during each few for from further had has have having he her here hers herself him himself "
    "his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other our "
    "ours ourselves out over own s same she should so some such t than that the their theirs them themselves then there "
    "these they this those through to too under until up very was we were what when where which while who whom why will "
    "with you your yours yourself yourselves".split()
)
"""Function words of English; ``s`` and ``t`` are what WordPunct leaves of contractions."""


def _signals() -> tuple[Signal, ...]:
    inf = math.inf
    return (
        Signal("rps.ccnet_length", 0, inf, "characters of the text"),
        Signal("rps.ccnet_nlines", 0, inf, "lines"),
        Signal("rps.doc_word_count", 0, inf, "normalised words"),
        Signal("rps.doc_mean_word_length", 0, inf, "mean length of the normalised words in characters"),
        Signal("rps.doc_num_sentences", 0, inf, r"matches of `\b[^.!?]+[.!?]*`"),
        Signal("rps.doc_symbol_to_word_ratio", 0, inf, "occurrences of `#`, `...` and `…` by raw words"),
        Signal("rps.doc_frac_lines_end_with_ellipsis", 0, 1, "share of the lines that end with `...` or `…`"),
        Signal("rps.doc_frac_no_alph_words", 0, 1, "share of the raw words without a letter from a to z"),
        Signal("rps.doc_frac_unique_words", 0, 1, "different normalised words by normalised words"),
        Signal("rps.doc_unigram_entropy", 0, inf, "entropy of the normalised words in nats"),
        Signal("rps.doc_frac_all_caps_words", 0, 1, "share of the raw words in upper case"),
        Signal("rps.doc_stop_word_fraction", 0, 1, "share of the raw words that are stop words"),
        Signal("rps.doc_lorem_ipsum", 0, 1, "occurrences of lorem ipsum by characters of the normalised text"),
        Signal("rps.doc_curly_bracket", 0, 1, "share of curly brackets in the characters"),
        *(
            Signal(
                f"rps.doc_frac_chars_top_{n}gram",
                0,
                inf,
                f"most frequent {n}-gram of normalised words, length times count, by their characters; 0 if it occurs once",
            )
            for n in (2, 3, 4)
        ),
        *(
            Signal(
                f"rps.doc_frac_chars_dupe_{n}grams", 0, 1, f"share of their characters in words of repeated {n}-grams"
            )
            for n in range(5, 11)
        ),
        Signal("rps.lines_ending_with_terminal_punctuation_mark", 0, 1, "share of the lines that end with `. ! ? ”`"),
        Signal("rps.lines_javascript_counts", 0, inf, "times that javascript is a normalised word"),
        Signal("rps.lines_num_words", 0, inf, "normalised words by lines"),
        Signal("rps.lines_numerical_chars_fraction", 0, 1, "mean share of numeric characters in a line"),
        Signal("rps.lines_uppercase_letter_fraction", 0, 1, "mean share of upper-case characters in a line"),
        Signal("rps.lines_start_with_bulletpoint", 0, 1, "share of the lines that start with a bullet or en dash"),
    )


@register
class RedPajama(Filter):
    """Measure RedPajama v2's signals; remove by those that the recipe sets limits for."""

    name: ClassVar[str] = "redpajama"
    signals: ClassVar[tuple[Signal, ...]] = _signals()

    stop_words: tuple[str, ...] = Field(STOP_WORDS, description="stop words of the language, as they are written")
    min: dict[str, float] = Field({}, description="smallest value that stays, by signal (without `rps.`)")
    max: dict[str, float] = Field({}, description="largest value that stays, by signal (without `rps.`)")

    @model_validator(mode="after")
    def _known(self) -> RedPajama:
        known = {signal.name.removeprefix("rps.") for signal in self.signals}
        for name in (*self.min, *self.max):
            if name not in known:
                raise ValueError(f"no signal {name!r}; known: {', '.join(sorted(known))}")
        return self

    def __hash__(self) -> int:
        """Of the settings as text: mappings have no hash of their own."""
        return hash(self.model_dump_json())

    def measure(self, document: Document) -> Mapping[str, float]:
        """All signals that are defined for the text."""
        text = document.text
        normal = _normalised(text)
        signals: dict[str, float] = {"ccnet_length": len(text), "doc_num_sentences": len(_SENTENCE.findall(text))}
        signals |= _of_lines(document, normal) | _of_raw_words(text, frozenset(self.stop_words))
        signals |= _of_normalised_words(normal)
        if text:
            signals["doc_curly_bracket"] = (text.count("{") + text.count("}")) / len(text)
        collapsed = " ".join(normal.split())
        if collapsed:
            signals["doc_lorem_ipsum"] = collapsed.count("lorem ipsum") / len(collapsed)
        return {f"rps.{name}": value for name, value in signals.items()}

    def rules(self) -> tuple[Rule, ...]:
        """Those that the recipe asks for, lower limits first."""
        return (
            *(Rule(f"rps.{name}", "<", limit, f"rps.{name}_too_low") for name, limit in self.min.items()),
            *(Rule(f"rps.{name}", ">", limit, f"rps.{name}_too_high") for name, limit in self.max.items()),
        )


def _normalised(text: str) -> str:
    """The text without ASCII punctuation, in lower case and decomposed; its lines are still there."""
    plain = text.translate(_NO_PUNCTUATION).lower()
    return plain if plain.isascii() else unicodedata.normalize("NFD", plain)


def _of_lines(document: Document, normal: str) -> dict[str, float]:
    text = document.text
    lines = text.split("\n")
    plain = normal.split("\n")
    if not lines[-1]:  # a newline at the end begins no line
        del lines[-1], plain[-1]
    signals: dict[str, float] = {"ccnet_nlines": len(lines)}
    if not lines:
        return signals
    sizes = np.array([len(line) + 1 for line in lines])
    sizes[-1] -= not text.endswith("\n")
    upper = (characters.flags()[document.codepoints] & UPPER) != 0
    uppers = np.add.reduceat(upper, np.cumsum(sizes) - sizes, dtype=np.int64)
    numeric = np.array(list(map(_numeric, plain)))
    longest = np.maximum(sizes, [len(line) for line in plain])  # decomposing may make a line longer than it was
    stripped = [line.rstrip() for line in lines]
    sums = {
        "doc_frac_lines_end_with_ellipsis": sum(line.endswith(("...", "…")) for line in stripped),
        "lines_ending_with_terminal_punctuation_mark": sum(line.endswith(_END_MARKS) for line in stripped),
        "lines_start_with_bulletpoint": sum(line.lstrip().startswith(_BULLETS) for line in lines),
        "lines_num_words": sum(len(line.split()) for line in plain),
        "lines_uppercase_letter_fraction": float((uppers / sizes).sum()),
        "lines_numerical_chars_fraction": float((numeric / longest).sum()),
    }
    signals |= {name: value / len(lines) for name, value in sums.items()}
    signals["lines_javascript_counts"] = sum(line.split().count("javascript") for line in plain if "javascript" in line)
    return signals


def _numeric(line: str) -> int:
    """How many characters of a line are numeric, in Unicode's sense."""
    return sum(map(line.count, "0123456789")) if line.isascii() else sum(map(str.isnumeric, line))


def _of_raw_words(text: str, stop_words: frozenset[str]) -> dict[str, float]:
    words = _RAW_WORD.findall(text)
    if not words:
        return {}
    count = len(words)
    return {
        "doc_symbol_to_word_ratio": sum(map(text.count, _SYMBOLS)) / count,
        "doc_frac_no_alph_words": sum(_LETTER.search(word) is None for word in words) / count,
        "doc_frac_all_caps_words": sum(map(str.isupper, words)) / count,
        "doc_stop_word_fraction": sum(word in stop_words for word in words) / count,
    }


def _of_normalised_words(normal: str) -> dict[str, float]:
    points = segment.codepoints(normal)
    words = Segments(*_split(points, characters.flags()))
    signals: dict[str, float] = {"doc_word_count": len(words)}
    if not len(words):
        return signals
    total, repeated = repetition.first_most_frequent(words)
    shares = np.unique(words.hashes, return_counts=True)[1] / len(words)
    signals["doc_mean_word_length"] = total / len(words)
    signals["doc_frac_unique_words"] = len(shares) / len(words)
    signals["doc_unigram_entropy"] = max(0.0, float(-(shares * np.log(shares)).sum()))
    signals |= {f"doc_frac_chars_top_{n}gram": int(repeated[n]) / total for n in (2, 3, 4)}
    signals |= {f"doc_frac_chars_dupe_{n}grams": int(repeated[n]) / total for n in range(5, 11)}
    return signals


@njit(cache=True)
def _split(points: Array, flags: Array) -> tuple[Array, Array, Array]:
    """White-space words with their hashes."""
    capacity = len(points) // 2 + 1
    starts = np.empty(capacity, np.uint32)
    stops = np.empty(capacity, np.uint32)
    hashes = np.empty(capacity, np.uint64)
    count = 0
    start = -1
    for i in range(len(points) + 1):
        space = i == len(points) or flags[points[i]] & SPACE != 0
        if not space and start < 0:
            start = i
        elif space and start >= 0:
            starts[count] = start
            stops[count] = i
            hashes[count] = _hash(points, start, i)
            count += 1
            start = -1
    return starts[:count].copy(), stops[:count].copy(), hashes[:count].copy()
