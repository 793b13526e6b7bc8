"""Trains a corpus's byte-level BPE tokenizer, the same from the same texts always; reads and writes tokenizer.json."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Radford et al. 2019, ``encoder.py`` of openai/gpt-2."""
GPT4_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""``cl100k_base`` as openai/tiktoken first published it; Llama 3 took it over unchanged."""
SPLITS = {"gpt2": GPT2_SPLIT, "gpt4": GPT4_SPLIT, "llama3": GPT4_SPLIT}
"""How text falls into pieces before merging; no merge crosses from one piece to the next."""

BYTES = 256
LONGEST_RUN = 256
"""Characters of one kind (letters and digits, punctuation, white space) in a row that training sees as one stretch."""
_RUN = re.compile(rf"\w+|[^\w\s]+|\s{{{LONGEST_RUN + 1},}}")


class TokenizerSettings(BaseModel):
    """The ``tokenizer`` section of a recipe: how to train one, or the path of one that exists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(32_000, le=1 << 24, description="ids, special tokens and the 256 bytes included")
    pretokenizer: Literal["gpt2", "gpt4", "llama3"] = Field("gpt4", description="whose split into words")
    special_tokens: tuple[str, ...] = Field(
        ("<|endoftext|>",), min_length=1, description="ids from 0 on, in this order"
    )
    path: str | None = Field(None, description="a tokenizer.json to use instead of training one")
    sample: ByteSize = Field(ByteSize(256 << 20), gt=0, description="bytes of text to train on at most")
    distinct: ByteSize = Field(
        ByteSize(32 << 20),
        gt=0,
        description="bytes of distinct words to train on at most: training holds some 125 bytes of memory for each. "
        "Text without spaces, such as Chinese, meets this limit long before that of sample",
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


def train(texts: Iterable[str], settings: TokenizerSettings, progress: bool = False) -> Tokenizer:
    """Train a byte-level BPE tokenizer: all 256 bytes in its alphabet, no normalisation; any string comes back.

    Texts are taken in the order given until ``settings.sample`` or ``settings.distinct`` is reached; ``sample_rank``
    says which documents to give. The texts taken make the same ``to_text``, to the byte, whatever their order, the
    number of threads or the hash seed. A sample with too few pairs makes a smaller vocabulary than asked for, and a
    warning in the log. Uses all cores (RAYON_NUM_THREADS). Raises ValueError where merging ordinary text makes a
    special token, so that the two could not be told apart.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    if settings.pretokenizer == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    else:
        split = pre_tokenizers.Split(Regex(SPLITS[settings.pretokenizer]), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=progress,
    )
    tokenizer.train_from_iterator(bounded(texts, settings.sample, settings.distinct), trainer)
    size = tokenizer.get_vocab_size()
    if size < settings.vocab_size:
        log.warning("the sample held too few pairs: a vocabulary of %d ids instead of %d", size, settings.vocab_size)
    for token in settings.special_tokens:
        if [piece.value for piece in tokenizer.model.tokenize(token)] == [token]:
            raise ValueError(f"special token {token!r} is also a word of the texts; choose one that no text contains")
    return tokenizer


def sample_rank(document_id: str, seed: int = 0) -> int:
    """The place of a document in the queue for the training sample, 0 to 2**64 - 1: a keyed hash of its id.

    The documents of lowest rank are the sample, so it depends neither on the order of reading nor on the run. Raises
    ValueError for a seed that is negative or above 64 bits.
    """
    return keyed_hash(document_id, seed, b"sample")


def keyed_hash(document_id: str, seed: int, purpose: bytes) -> int:
    """64 bits of BLAKE2b of the id, keyed by seed and purpose: the hashes for two purposes are independent.

    Never changes: where documents lie in published corpora follows from it.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"a seed is between 0 and 2**64 - 1, not {seed}")
    data = document_id.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(data, digest_size=8, key=seed.to_bytes(8, "little"), person=purpose)
    return int.from_bytes(digest.digest(), "little")


def bounded(texts: Iterable[str], sample: int, distinct: int) -> Iterator[str]:
    """What training sees: ``sample`` bytes of text, or the texts up to ``distinct`` bytes of distinct words.

    The trainer keeps every distinct piece of text as a list of symbols and an index of their pairs, and the split
    takes a megabyte of letters for one piece. So a stretch of more than ``LONGEST_RUN`` characters of one kind is
    cut, every so many characters, into strings of their own (pairs are counted as before but for the one at each
    cut), and the distinct words (stretches of letters and digits, or of punctuation) are added up. Lone surrogates
    become U+FFFD.
    """
    seen: set[str] = set()
    held = 0
    for text in texts:
        data = well_formed(text).encode()[:sample]
        sample -= len(data)
        part = data.decode(errors="ignore")  # a character that the limit cuts is left out
        runs = set(_RUN.findall(part))
        yield from _cut(part) if max(map(len, runs), default=0) > LONGEST_RUN else (part,)
        runs -= seen
        held += sum(len(run.encode()) for run in runs)
        seen |= runs
        if held >= distinct:
            log.warning("training on fewer texts: they brought %d bytes of distinct words (tokenizer.distinct)", held)
            return
        if sample <= 0:
            return


def _cut(text: str) -> Iterator[str]:
    start = 0
    for run in _RUN.finditer(text):
        for stop in range(run.start() + LONGEST_RUN, run.end(), LONGEST_RUN):
            yield text[start:stop]
            start = stop
    yield text[start:]


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


def save(tokenizer: Tokenizer, path: str | Path) -> str:
    """Write tokenizer.json to a local path; returns its ``digest``. Raises OSError."""
    text = to_text(tokenizer)
    Path(path).write_bytes(text.encode())
    return digest(text)


def load(path: str | Path) -> tuple[str, str]:
    """The text of a local tokenizer.json, and its ``digest``. Raises OSError, ValueError where it is no tokenizer."""
    text = Path(path).read_bytes().decode()
    try:
        parse(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return text, digest(text)


def parse(text: str) -> Tokenizer:
    """The tokenizer that a tokenizer.json describes. Raises ValueError where it describes none."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the bindings raise bare Exception for all of it
        raise ValueError(f"not a tokenizer.json that tokenizers can read: {error}") from error
