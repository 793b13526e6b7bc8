"""Blocked addresses: by domain, by page, by whole word, by part of a word.

* ``url.blocked`` is 1 if the host, a domain that it lies in, or a folder or page on it is in a list of addresses
  (``shop.example.org`` is blocked by ``example.org``, ``example.org/~me/page`` by ``example.org/~me``). Lists are one entry a line; UT1
  Toulouse's, which FineWeb, RefinedWeb and RedPajama use, are read as they are unpacked: ``ut1`` is the folder, ``categories``
  its folders.
* ``url.category`` is the place of the category in ``categories``, from 1, that blocks it; 0 if none does.
* ``url.words`` counts hits in the whole address in lower case: runs of letters and digits that are a blocked word, and
  occurrences of blocked sub-words with ``-`` and ``.`` taken out, so that ``free-ca.sino`` is seen (RefinedWeb, DCLM).
* ``url.soft_words`` counts runs of letters and digits that are a "soft" word: one may be chance, two are not.

A document without an address has no signal, so books are not judged.
"""

# datatrove blocks a subdomain only if it is listed itself, and compares its extra words with their case. RedPajama has a
# signal for UT1's category and leaves the judgement to its readers. RefinedWeb curated UT1 (some of its adult sites are clinics)
# before it used it.

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field, model_validator

from filters import address_lists, word_lists
from filters.document import Document, Origin
from filters.filter import Filter, Rule, Signal, register, rule_when

_WORD: Final = re.compile(r"[^\W_]+")


@register
class Url(Filter):
    """Remove a document whose address is blocked."""

    name: ClassVar[str] = "url"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("url.blocked", 0, 1, "1 if the host, a domain above it, or a folder or page on it is blocked"),
        Signal("url.category", 0, math.inf, "the place in `categories`, from 1, of the first that blocks it; else 0"),
        Signal("url.words", 0, math.inf, "blocked words and sub-words in the address"),
        Signal("url.soft_words", 0, math.inf, "words in the address that are suspicious together"),
    )

    domains: tuple[str, ...] = Field((), description="blocked domains and addresses, with all below them")
    domain_lists: tuple[str, ...] = Field(
        (), description="paths of lists of domains or addresses, one a line, also .gz"
    )
    ut1: str | None = Field(None, description="a folder of such lists by category, as UT1 Toulouse's unpacked archive")
    categories: tuple[str, ...] = Field((), description="the categories of `ut1` that are blocked, as adult, gambling")
    words: tuple[str, ...] = Field((), description="words blocked where they stand alone")
    word_lists: tuple[str, ...] = Field((), description="paths of lists of such words")
    subwords: tuple[str, ...] = Field((), description="words blocked even inside others")
    subword_lists: tuple[str, ...] = Field((), description="paths of lists of such words")
    soft_words: tuple[str, ...] = Field((), description="words of which more than `max_soft_words` are blocked")
    soft_word_lists: tuple[str, ...] = Field((), description="paths of lists of such words")
    max_words: int | None = 0
    max_soft_words: int | None = Field(1, description="RefinedWeb, FineWeb: 1")

    @model_validator(mode="after")
    def _something_to_block(self) -> Url:
        if bool(self.ut1) != bool(self.categories):
            raise ValueError("`ut1` and `categories` belong together: a folder, and which of its folders to block")
        if not (self._by_domain() or self._by_word() or self._by_soft_word()):
            raise ValueError("nothing to block: give domains, words or subwords, or lists of them")
        return self

    def prepare(self) -> None:
        """Reads the lists."""
        self.measure(Document("", "", "", _NOWHERE, url="https://example.org/"))

    def measure(self, document: Document) -> Mapping[str, float]:
        """Whether the address is blocked, by which category, and how many blocked words it has."""
        if not document.url:
            return {}
        url = document.url.lower()
        host, path = address_lists.split(url)
        given = address_lists.read(self.domain_lists) if self.domain_lists else None
        blocked = _listed(self.domains).holds(host, path) or (given is not None and given.holds(host, path))
        category = 0
        for number, name in enumerate(self.categories, 1):
            if not category and address_lists.read_category(str(self.ut1), name).holds(host, path):
                category = number
        words = _entries(self.words, self.word_lists)
        found = _WORD.findall(url)
        hits = sum(word in words for word in found) if words else 0
        subwords = _alternation(self.subwords, self.subword_lists)
        if subwords is not None:
            hits += sum(1 for _ in subwords.finditer(url.replace("-", "").replace(".", "")))
        soft = _entries(self.soft_words, self.soft_word_lists)
        return {
            "url.blocked": float(blocked or category > 0),
            "url.category": category,
            "url.words": hits,
            "url.soft_words": sum(word in soft for word in found) if soft else 0,
        }

    def rules(self) -> tuple[Rule, ...]:
        """Domains first; a rule for which nothing is listed is left out."""
        soft = self.max_soft_words if self._by_soft_word() else None
        return (
            *rule_when(1 if self._by_domain() else None, "url.blocked", ">=", "url.blocked_domain"),
            *rule_when(self.max_words if self._by_word() else None, "url.words", ">", "url.blocked_word"),
            *rule_when(soft, "url.soft_words", ">", "url.blocked_soft_words"),
        )

    def files(self) -> tuple[str, ...]:
        """All lists given by path."""
        by_category = (
            path for category in self.categories for path in address_lists.category_files(str(self.ut1), category)
        )
        return (*self.domain_lists, *by_category, *self.word_lists, *self.subword_lists, *self.soft_word_lists)

    def _by_domain(self) -> bool:
        return bool(self.domains or self.domain_lists or self.ut1)

    def _by_word(self) -> bool:
        return bool(self.words or self.word_lists or self.subwords or self.subword_lists)

    def _by_soft_word(self) -> bool:
        return bool(self.soft_words or self.soft_word_lists)


_NOWHERE: Final = Origin("", 0, 0)
_listed = functools.cache(address_lists.of_entries)


@functools.cache
def _entries(given: tuple[str, ...], paths: tuple[str, ...]) -> frozenset[str]:
    """The entries given in the recipe and in lists, in lower case."""
    entries = [entry.strip().lower() for entry in given]
    for path in paths:
        entries += word_lists.read(path)
    return frozenset(entry for entry in entries if entry)


@functools.cache
def _alternation(given: tuple[str, ...], paths: tuple[str, ...]) -> Any:
    """One automaton for all sub-words, or None if there are none."""
    import re2

    entries = sorted(_entries(given, paths))
    return re2.compile("|".join(map(re2.escape, entries))) if entries else None
