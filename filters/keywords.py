"""Blocked words and phrases: how often they occur, in every how many words, and how much of the text they are.

Lists are one entry a line, as LDNOOBW's ("List of Dirty, Naughty, Obscene, and Otherwise Bad Words", which C4 uses); two small ones of
spam words come with the filter. ``by_language`` is a folder of lists that are named by language (``en``, ``zh.txt``), as LDNOOBW's
repository is: each document is compared with the list of its own language, besides those that all are compared with.

Case does not matter, and white space in a phrase is any white space. An entry counts where neither end lies inside a word, as in
C4; for scripts without spaces (Han, kana, Thai, Lao, Khmer, Burmese) it counts wherever it occurs. Of overlapping entries the
first counts, and the longest of those. All entries are looked for at once, by one Aho-Corasick automaton
(``daachorse``): the time depends on the text, not on the length of the lists.

``share`` is the share of the characters, white space counted once, that lie in such entries: for Chinese, where a word of a
list is several of the text's, it says more than ``per_thousand_words``.
"""

# C4 and DCLM remove a page for a single bad word, which also removes much medicine and law; Data-Juicer allows 4.5 % of
# the words, RedPajama only counts. datatrove keeps a share of the pages by a random number drawn in document order.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from filters import word_lists
from filters.characters import UNSPACED
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class Keywords(Filter):
    """Remove a document in which blocked words are frequent."""

    name: ClassVar[str] = "keywords"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("keywords.count", 0, math.inf, "occurrences of blocked words and phrases"),
        Signal("keywords.per_thousand_words", 0, math.inf, "the same by a thousand words"),
        Signal("keywords.share", 0, 1, "share of the characters that lie in blocked words and phrases"),
    )

    built_in: tuple[Literal["en", "zh"], ...] = Field(("en", "zh"), description="lists that come with the filter")
    lists: tuple[str, ...] = Field((), description="paths of lists, one word or phrase a line")
    by_language: str | None = Field(None, description="a folder of lists named by language: en, zh.txt, …")
    words: tuple[str, ...] = Field((), description="further words and phrases")
    max_count: int | None = None
    max_per_thousand: float | None = 20.0
    max_share: float | None = None

    @model_validator(mode="after")
    def _something_to_block(self) -> Keywords:
        if not (self.built_in or self.lists or self.by_language or self.words):
            raise ValueError("nothing to look for: give `built_in`, `lists`, `by_language` or `words`")
        return self

    def prepare(self) -> None:
        """Reads the lists."""
        for language in self._lists_by_language() or ("",):
            self._automaton(language)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Occurrences in all, by a thousand words, and the share of their characters."""
        automaton = self._automaton(document.language)
        text = " ".join(document.text.lower().split())
        found = _whole(automaton, text) if automaton else []
        signals: dict[str, float] = {"keywords.count": len(found)}
        if len(document.words):
            signals["keywords.per_thousand_words"] = 1000 * len(found) / len(document.words)
        if text:
            signals["keywords.share"] = sum(stop - start for start, stop in found) / len(text)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """By number, by frequency, by share."""
        return (
            *rule_when(self.max_count, "keywords.count", ">", "keywords.too_many"),
            *rule_when(self.max_per_thousand, "keywords.per_thousand_words", ">", "keywords.too_frequent"),
            *rule_when(self.max_share, "keywords.share", ">", "keywords.too_much"),
        )

    def files(self) -> tuple[str, ...]:
        """The lists given by path; the folder itself where it has none."""
        if self.by_language is not None and not _named_in(self.by_language):
            return (*self.lists, self.by_language)
        return (*self.lists, *self._lists_by_language().values())

    def _lists_by_language(self) -> Mapping[str, str]:
        return {} if self.by_language is None else _lists_in(self.by_language)

    def _automaton(self, language: str) -> Any:
        """What documents in a language are searched with."""
        own = self._lists_by_language().get(language)
        return _automaton(self.built_in, (*self.lists, own) if own else self.lists, self.words)


@functools.cache
def _lists_in(folder: str) -> Mapping[str, str]:
    """The lists of a folder by language. Raises FileNotFoundError where it has none."""
    named = _named_in(folder)
    if not named:
        raise FileNotFoundError(f"{folder} is no folder with lists named by language, as en or zh.txt")
    return named


def _named_in(folder: str) -> dict[str, str]:
    files = sorted(path for path in Path(folder).glob("*") if path.is_file()) if Path(folder).is_dir() else []
    return {path.stem.lower(): str(path) for path in files if path.suffix in ("", ".txt") and len(path.stem) <= 8}


@functools.cache
def _automaton(languages: tuple[str, ...], paths: tuple[str, ...], words: tuple[str, ...]) -> Any:
    """One automaton for all entries, None if there are none. Raises FileNotFoundError, or ValueError for empty lists."""
    from daachorse import MATCH_KIND_STANDARD, CharwiseDoubleArrayAhoCorasick

    entries = word_lists.built_in(languages)
    for path in paths:
        entries += word_lists.read(path)
    entries += [word.lower() for word in words if word.strip()]
    if not entries:
        if paths or words:
            raise ValueError(f"the keyword lists are empty: {', '.join(paths)}")
        return None  # lists by language, and none for this one
    return CharwiseDoubleArrayAhoCorasick(sorted({" ".join(entry.split()) for entry in entries}), MATCH_KIND_STANDARD)


def _whole(automaton: Any, text: str) -> list[tuple[int, int]]:
    """Start and stop of the entries in the text that are no part of a longer word, without those that overlap an earlier one."""
    matches = ((start, stop) for start, stop, _ in automaton.find_overlapping(text) if _is_whole(text, start, stop))
    found: list[tuple[int, int]] = []
    for start, stop in sorted(matches, key=lambda match: (match[0], -match[1])):
        if not found or start >= found[-1][1]:
            found.append((start, stop))
    return found


def _is_whole(text: str, start: int, stop: int) -> bool:
    """Whether a match is not part of a longer word on either side."""
    return not (
        (start > 0 and _joined(text[start - 1], text[start]))
        or (stop < len(text) and _joined(text[stop - 1], text[stop]))
    )


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters lie in the same word, in a script that has spaces between words."""
    return left.isalnum() and right.isalnum() and not UNSPACED.match(left) and not UNSPACED.match(right)
