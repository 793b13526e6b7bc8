"""Blocked addresses: by domain, by whole word, by part of a word.

* ``url.blocked`` is 1 if the host, or a domain that it lies in, is in a list of domains (``shop.example.org`` is
  blocked by ``example.org``). Lists are one domain a line, as those of UT1 Toulouse, which FineWeb and RefinedWeb
  use.
* ``url.words`` counts hits in the whole address in lower case: runs of letters and digits that are a blocked word, and
  occurrences of blocked sub-words with ``-`` and ``.`` taken out, so that ``free-ca.sino`` is seen (RefinedWeb, DCLM).

A document without an address has no signal, so books are not judged.
"""

# datatrove blocks a subdomain only if it is listed itself, and compares its extra words with their case. DCLM and
# datatrove know "soft" words too, of which it takes two: set max_words to 1.

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from filters import word_lists
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_WORD: Final = re.compile(r"[^\W_]+")


@register
class Url(Filter):
    """Remove a document whose address is blocked."""

    name: ClassVar[str] = "url"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("url.blocked", 0, 1, "1 if the host or a domain above it is blocked"),
        Signal("url.words", 0, math.inf, "blocked words and sub-words in the address"),
    )

    domains: tuple[str, ...] = Field((), description="blocked domains, with all below them")
    domain_lists: tuple[str, ...] = Field((), description="paths of lists of domains, one a line")
    words: tuple[str, ...] = Field((), description="words blocked where they stand alone")
    word_lists: tuple[str, ...] = Field((), description="paths of lists of such words")
    subwords: tuple[str, ...] = Field((), description="words blocked even inside others")
    subword_lists: tuple[str, ...] = Field((), description="paths of lists of such words")
    max_words: int | None = 0

    @model_validator(mode="after")
    def _something_to_block(self) -> Url:
        if not (self._by_domain() or self._by_word()):
            raise ValueError("nothing to block: give domains, words or subwords, or lists of them")
        return self

    def prepare(self) -> None:
        """Reads the lists."""
        _entries(self.domains, self.domain_lists)
        _entries(self.words, self.word_lists)
        _alternation(self.subwords, self.subword_lists)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Whether the domain is blocked, and how many blocked words the address has."""
        url = document.url.lower()
        if not url:
            return {}
        blocked = _entries(self.domains, self.domain_lists)
        words = _entries(self.words, self.word_lists)
        hits = sum(word in words for word in _WORD.findall(url)) if words else 0
        subwords = _alternation(self.subwords, self.subword_lists)
        if subwords is not None:
            hits += sum(1 for _ in subwords.finditer(url.replace("-", "").replace(".", "")))
        return {"url.blocked": float(any(domain in blocked for domain in _domains(url))), "url.words": hits}

    def rules(self) -> tuple[Rule, ...]:
        """Domains first; a rule for which nothing is listed is left out."""
        return (
            *rule_when(1 if self._by_domain() else None, "url.blocked", ">=", "url.blocked_domain"),
            *rule_when(self.max_words if self._by_word() else None, "url.words", ">", "url.blocked_word"),
        )

    def files(self) -> tuple[str, ...]:
        """All lists given by path."""
        return (*self.domain_lists, *self.word_lists, *self.subword_lists)

    def _by_domain(self) -> bool:
        return bool(self.domains or self.domain_lists)

    def _by_word(self) -> bool:
        return bool(self.words or self.word_lists or self.subwords or self.subword_lists)


def _domains(url: str) -> list[str]:
    """The host of an address and every domain above it; none for what is not an address."""
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return []
    labels = host.rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(min(len(labels), 127))]  # a name has no more labels


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
