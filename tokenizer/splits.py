"""How text falls into words before merging: the published patterns, and what becomes of digits."""

from __future__ import annotations

from typing import Literal, get_args

Pretokenizer = Literal["gpt2", "gpt4", "llama3"]
Digits = Literal["any", "single", "threes"]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Radford et al. 2019, ``encoder.py`` of openai/gpt-2. A number is one word, however long."""
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""``cl100k_base`` as openai/tiktoken first published it; Llama 3 took it over unchanged. Numbers fall into threes."""

_PUBLISHED = {"gpt2": (GPT2, r" ?\p{N}+"), "gpt4": (GPT4, r"\p{N}{1,3}"), "llama3": (GPT4, r"\p{N}{1,3}")}
_DIGITS = {"any": r" ?\p{N}+", "single": r"\p{N}", "threes": r"\p{N}{1,3}"}


def pattern(pretokenizer: Pretokenizer, digits: Digits | None = None) -> str:
    """The regular expression whose matches, one after the other, are the words.

    ``digits`` splits numbers otherwise than published: ``any`` length in one word (with a space before it, as GPT-2),
    every digit a word of its own (``single``: Llama 1, PaLM), or ``threes`` from the left (GPT-4).
    """
    published, numbers = _PUBLISHED[pretokenizer]
    return published if digits is None else published.replace(numbers, _DIGITS[digits])


KNOWN = frozenset(pattern(name, digits) for name in get_args(Pretokenizer) for digits in (None, *get_args(Digits)))
"""Every pattern that ``pattern`` gives."""
