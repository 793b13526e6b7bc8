"""What a tokenizer is worth and what it shows of the corpus: bytes per token beside other settings, long and odd tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tokenizer import bpe, words
from tokenizer.bpe import TokenizerSettings
from tokenizer.encode import Encoder

SHOWN = 40
"""Tokens listed of each kind."""

ODD: Mapping[str, re.Pattern[str]] = {
    "markup": re.compile(r"</?\w|\w>|&\w+;|\{\{|\}\}|\[\[|\]\]|\w=\"|href|https?:|www\."),
    "broken characters": re.compile(r"\ufffd|Ã.|â€|Â[\s«»°]|ï»¿"),
    "one character over and over": re.compile(r"\s*([^\s])\1{7,}\s*"),
    "encoded data": re.compile(r"(?=\w*[0-9])(?=\w*[A-Za-z])\w{8,}|[0-9a-fA-F]{12,}"),
    "boilerplate": re.compile(
        r"cookie|copyright|javascript|login|subscribe|privacy|newsletter|facebook|twitter|whatsapp|版权|登录|注册", re.I
    ),
}
"""Tokens that a clean corpus would hardly have earned. A pattern is searched for in the token's text."""


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to look at in a vocabulary."""

    longest: tuple[str, ...]
    odd: Mapping[str, tuple[str, ...]]
    """By name of the kind, in the order of their ids: the earlier, the more frequent in the sample."""


def look(tokens: Sequence[bytes]) -> Look:
    """The longest tokens and the odd ones. Bytes that are not UTF-8 (part of a character) show as U+FFFD at the ends."""
    texts = [token.decode("utf-8", "replace") for token in tokens]
    longest = sorted(range(len(texts)), key=lambda one: (-len(texts[one]), one))[:SHOWN]
    odd = {
        name: tuple([text for text in texts if pattern.search(text.strip("\ufffd"))][:SHOWN])
        for name, pattern in ODD.items()
    }
    return Look(tuple(texts[one] for one in longest), {name: found for name, found in odd.items() if found})


@dataclass(frozen=True, slots=True)
class Compared:
    """How a setting does: UTF-8 bytes of the sample, and tokens that it becomes."""

    name: str
    bytes: int
    tokens: int

    @property
    def bytes_per_token(self) -> float:
        """The higher, the shorter the sequences."""
        return self.bytes / max(1, self.tokens)


def compare(texts: Iterable[str], settings: TokenizerSettings) -> list[Compared]:
    """The recipe's settings beside GPT-2's and Llama 3's with as large a vocabulary, each trained on these texts and then
    applied to them."""
    sample = list(texts)
    others = {
        "this recipe": settings,
        "as GPT-2": settings.model_copy(update={"pretokenizer": "gpt2", "digits": None}),
        "as Llama 3": settings.model_copy(update={"pretokenizer": "llama3", "digits": None}),
    }
    found: dict[str, Compared] = {}
    for name, chosen in others.items():
        same = next((one for one, other in others.items() if one in found and other.pattern == chosen.pattern), None)
        if same is not None:
            found[name] = Compared(name, found[same].bytes, found[same].tokens)
            continue
        table = words.table(words.count_words(sample, chosen.pattern), chosen.distinct)
        encoder = Encoder(bpe.to_text(bpe.train(table, chosen)))
        found[name] = Compared(name, *_sizes(encoder, table))
    return list(found.values())


def _sizes(encoder: Encoder, table: pa.Table) -> tuple[int, int]:
    """Bytes and tokens of all the words of a table, each as often as it occurs."""
    counts = table.column("count").to_numpy()
    spelled = table.column("word").to_pylist()
    lengths = np.array([len(word) for word in spelled], np.int64)
    tokens = np.array([len(ids) for ids in encoder.encode([word.decode() for word in spelled])], np.int64)
    return int(lengths @ counts), int(tokens @ counts)
