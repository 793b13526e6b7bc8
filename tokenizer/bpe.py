"""Trains a corpus's byte-level BPE tokenizer, the same from the same texts always; reads and writes tokenizer.json."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

from tokenizer.merges import find_merges
from tokenizer.splits import GPT2, Digits, Pretokenizer, pattern

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

BYTES = 256


class TokenizerSettings(BaseModel):
    """The ``tokenizer`` section of a recipe: how to train one, or the path of one that exists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(32_000, le=1 << 24, description="ids, special tokens and the 256 bytes included")
    pretokenizer: Pretokenizer = Field("gpt4", description="whose split into words")
    digits: Digits | None = Field(
        None,
        description="numbers as words of any length, as single digits or in threes; null: as the pretokenizer has it",
    )
    normalization: Literal["NFC", "NFKC"] | None = Field(
        None,
        description="Unicode form that text is brought into first; null: none, so that every text comes back whole",
    )
    special_tokens: tuple[str, ...] = Field(
        ("<|endoftext|>",), min_length=1, description="ids from 0 on, in this order"
    )
    path: str | None = Field(None, description="a tokenizer.json or SentencePiece model to use instead of training one")
    sample: ByteSize = Field(
        ByteSize(1 << 30),
        gt=0,
        description="bytes of text to count words in, about; drawn from every source by its weight",
    )
    distinct: ByteSize = Field(
        ByteSize(32 << 20),
        gt=0,
        description="bytes of distinct words to train on at most, the most frequent: training holds some 60 bytes of "
        "memory for each",
    )
    compare: ByteSize = Field(
        ByteSize(8 << 20),
        ge=0,
        description="bytes of the sample on which GPT-2's and Llama 3's settings are tried beside these, for the report; 0: none",
    )
    min_frequency: int = Field(2, ge=1, description="how often a pair must occur to be merged")

    @model_validator(mode="after")
    def _fits(self) -> TokenizerSettings:
        if len(set(self.special_tokens)) < len(self.special_tokens):
            raise ValueError(f"special_tokens holds one token twice: {self.special_tokens}")
        if short := [token for token in self.special_tokens if len(token) < 2]:
            raise ValueError(f"special tokens need two characters or more, or they would be ordinary bytes: {short}")
        least = BYTES + len(self.special_tokens)
        if self.path is None and self.vocab_size < least:
            raise ValueError(
                f"vocab_size is {self.vocab_size}, but {BYTES} bytes and {len(self.special_tokens)} special tokens "
                f"need {least} ids before the first merge"
            )
        return self

    @property
    def pattern(self) -> str:
        """The regular expression of the words."""
        return pattern(self.pretokenizer, self.digits)


def train(words: pa.Table, settings: TokenizerSettings) -> Tokenizer:
    """Train a byte-level BPE tokenizer from counted words (``tokenizer.words``), in whatever order they come.

    All 256 bytes are in its alphabet; without ``normalization`` any string comes back. The merges are those that
    ``BpeTrainer`` of tokenizers finds for texts with these words. Too few pairs make a smaller vocabulary than asked for, and a
    warning in the log. Raises ValueError where merging ordinary text makes a special token, so that the two
    could not be told apart.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    alphabet = byte_alphabet()
    characters = {byte: character for character, byte in alphabet.items()}
    counts = dict(zip(words.column("word").to_pylist(), words.column("count").to_pylist(), strict=True))
    reserved = [_alphabetic(token, alphabet) for token in settings.special_tokens]
    order = [alphabet[character] for character in sorted(alphabet)]
    found = find_merges(counts, settings.vocab_size, order, reserved, settings.min_frequency)
    names = [
        *settings.special_tokens,
        *("".join(map(characters.__getitem__, one)) for one in found.tokens[len(reserved) :]),
    ]
    if len(names) < settings.vocab_size:
        log.warning("too few pairs to merge: a vocabulary of %d ids instead of %d", len(names), settings.vocab_size)
    merges = [(names[first], names[second]) for first, second in found.merges]
    for token in settings.special_tokens:
        if any(first + second == token for first, second in merges):
            raise ValueError(f"special token {token!r} is also a word of the texts; choose one that no text contains")
    tokenizer = Tokenizer(models.BPE(vocab={name: at for at, name in enumerate(names)}, merges=merges))
    if settings.normalization:
        tokenizer.normalizer = {"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[settings.normalization]()
    if settings.pattern == GPT2:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    else:
        split = pre_tokenizers.Split(Regex(settings.pattern), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(settings.special_tokens))
    return tokenizer


def _alphabetic(token: str, alphabet: Mapping[str, int]) -> bytes:
    """The bytes that merging would have to come to for this token; for one that it can't come to, bytes that no text has."""
    if all(character in alphabet for character in token):
        return bytes(map(alphabet.__getitem__, token))
    return b"\xff" + token.encode()  # no UTF-8 begins so


def well_formed(text: str) -> str:
    """The text as UTF-8 can hold it: surrogate pairs joined to the character that they mean, lone ones made U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies, as GPT-2 defined them: character to byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(BYTES) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(BYTES + place): byte for place, byte in enumerate(others)}


def to_text(tokenizer: Tokenizer) -> str:
    """The tokenizer as the text of its tokenizer.json."""
    return str(tokenizer.to_str(pretty=True))


def digest(text: str) -> str:
    """SHA-256 of a tokenizer.json: the name of the tokenizer in every shard made with it."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str) -> Tokenizer:
    """The tokenizer that a tokenizer.json describes. Raises ValueError where it describes none."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the bindings raise bare Exception for all of it
        raise ValueError(f"not a tokenizer.json that tokenizers can read: {error}") from error
