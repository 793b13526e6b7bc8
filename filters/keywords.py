"""Blocked words and phrases: how often they occur, and in every how many words.

Lists are one entry a line, as LDNOOBW's ("List of Dirty, Naughty, Obscene, and Otherwise Bad Words", which C4 uses);
two small ones of spam words come with the filter. Case does not matter, and white space in a phrase is any white
space. An entry counts where neither end lies inside a word; for scripts without spaces (Han, kana, Thai, Lao, Khmer,
Burmese) it counts wherever it occurs. Of overlapping entries the first counts, and the longest of those. All entries
are looked for at once, by one automaton in one pass (RE2), however long the lists are.
"""

# C4 and DCLM remove a page for a single bad word, which also removes much medicine and law; Data-Juicer allows 4.5 % of
# the words, RedPajama only counts. datatrove keeps a share of the pages by a random number drawn in document order.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from filters import word_lists
from filters.characters import UNSPACED
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_AUTOMATON_BYTES: Final = 256 << 20
"""Memory that RE2 may use; beyond it (some hundred thousand entries) matching would turn slow."""


@register
class Keywords(Filter):
    """Remove a document in which blocked words are frequent."""

    name: ClassVar[str] = "keywords"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("keywords.count", 0, math.inf, "occurrences of blocked words and phrases"),
        Signal("keywords.per_thousand_words", 0, math.inf, "the same by a thousand words"),
    )

    built_in: tuple[Literal["en", "zh"], ...] = Field(("en", "zh"), description="lists that come with the filter")
    lists: tuple[str, ...] = Field((), description="paths of lists, one word or phrase a line")
    words: tuple[str, ...] = Field((), description="further words and phrases")
    max_count: int | None = None
    max_per_thousand: float | None = 20.0

    @model_validator(mode="after")
    def _something_to_block(self) -> Keywords:
        if not (self.built_in or self.lists or self.words):
            raise ValueError("nothing to look for: give `built_in`, `lists` or `words`")
        return self

    def prepare(self) -> None:
        """Reads the lists."""
        _automaton(self.built_in, self.lists, self.words)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Occurrences, in all and by a thousand words."""
        text = document.text
        found = _automaton(self.built_in, self.lists, self.words).finditer(text)
        count = sum(_is_whole(text, match.start(), match.end()) for match in found)
        signals: dict[str, float] = {"keywords.count": count}
        if len(document.words):
            signals["keywords.per_thousand_words"] = 1000 * count / len(document.words)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """By number, then by frequency."""
        return (
            *rule_when(self.max_count, "keywords.count", ">", "keywords.too_many"),
            *rule_when(self.max_per_thousand, "keywords.per_thousand_words", ">", "keywords.too_frequent"),
        )

    def files(self) -> tuple[str, ...]:
        """The lists given by path."""
        return self.lists


@functools.cache
def _automaton(languages: tuple[str, ...], paths: tuple[str, ...], words: tuple[str, ...]) -> Any:
    """The compiled alternation of all entries. Raises FileNotFoundError, or ValueError if the lists hold no entry."""
    import re2

    entries = word_lists.built_in(languages)
    for path in paths:
        entries += word_lists.read(path)
    entries += [word.lower() for word in words if word.strip()]
    if not entries:
        raise ValueError(f"the keyword lists are empty: {', '.join(paths)}")
    options = re2.Options()
    options.case_sensitive = False
    options.longest_match = True
    options.max_mem = _AUTOMATON_BYTES
    return re2.compile("|".join(map(_pattern, sorted(set(entries)))), options)


def _pattern(entry: str) -> str:
    """The regular expression of an entry; RE2's ``\\b`` knows ASCII letters only, ``_is_whole`` sees to the others."""
    import re2

    start = r"\b" if entry[0].isascii() and entry[0].isalnum() else ""
    end = r"\b" if entry[-1].isascii() and entry[-1].isalnum() else ""
    return start + r"\s+".join(re2.escape(part) for part in entry.split()) + end


def _is_whole(text: str, start: int, stop: int) -> bool:
    """Whether a match is not part of a longer word on either side."""
    return not (
        (start > 0 and _joined(text[start - 1], text[start]))
        or (stop < len(text) and _joined(text[stop - 1], text[stop]))
    )


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters lie in the same word, in a script that has spaces between words."""
    return left.isalnum() and right.isalnum() and not UNSPACED.match(left) and not UNSPACED.match(right)
