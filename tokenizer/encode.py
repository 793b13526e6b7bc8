"""Turns texts into token ids: those of Hugging Face tokenizers, by way of tiktoken where that is proven equal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tokenizer import bpe, splits
from tokenizer.ids import TokenIds, id_type

if TYPE_CHECKING:
    from tiktoken import Encoding
    from tokenizers import Tokenizer

    from tokenizer.sentencepiece_model import SentencePieceEncoder

END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>")
"""What tokenizers call the token that ends a document; the first of them that is a special token is taken."""

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space property, which is ``\\s`` in the splits; ``str.isspace`` differs from it."""
_WHITE_SPACE_RUN = re.compile(f"[{WHITE_SPACE}]*")
_BLOCK = 1 << 15
_NEVER = "<|never special|>"  # tiktoken looks at every byte for a special token unless it has one to look for

_NEW_LETTERS = (
    "\u1c89\u1c90\u1cbf\ua7c2\ua7cb\ua7ce\ua7dc\U0001057a\U00010940\U00010d4a\U00010e80\U00011070\U000113ce\U00011bc0"
    "\U00011db0\U000122ff\U00012f90\U00016a70\U00016d40\U00016ea0\U0001b11f\U0001df00\U0001e290\U0001e4d0\U0001e5d0"
    "\U0001e7e0\U0002b739\U0002ebf0\U00030000\U00031350\U000323b0"
)
_NEW_NUMBERS = (
    "\U00010d40\U00010ec5\U00011bf0\U00011de0\U00011f50\U00016ac0\U00016d70\U0001ccf0\U0001d2c0\U0001e4f0\U0001e5f1"
)
PROBES = (
    "It's what they'd SAY: DON'T! we'Ll I'M you'rE they'ſe 'ſ o'K rock'n'roll ''s 've",
    "1 12 123 1234 12345678 3.14 1,000,000 １２３４ ٣٤٥٦ ½ Ⅷ ² ①② x1y22z333",
    "a  b   c\n\n d\r\n\r\n  e \t\tf\u00a0\u00a0g\u3000h\u2003 \u2003i\x85j\u2028k\n \n \nl ",
    "   leading",
    "trailing   ",
    "trailing\n  ",
    " \n",
    "\n",
    " ",
    "  ",
    "",
    "x\n\n\n",
    "x \n \n",
    "?\n\n \n!\r\n\r\r\n",
    "...!? (a) [b] {c} -- --- $%^&* #tag @user https://example.org/a?b=c&d=e#f <p class='x'>\t\t</p> _a_b__c",
    "<|endoftext|> a<|endoftext|>b </s><s> [CLS] <eos>",
    "naïve cafe\u0301 Straße ŉ ﬀ ſt K Å İi ıI ǅ ʰ ª º ー々〆〇",
    "中文没有空格，真的。日本語のテキスト、カタカナ。한국어 텍스트 ไทยไม่มีช่องว่าง हिन्दी में العربية עברית",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇨🇳 👍🏽 e\u0300\u0301\u0302 \u200b\u200d\ufeff\u00ad\u180e",
    "\x00\x01\x1b\x1c\x1d\x1e\x1f\x7f a\x1cb \x1d\x1e \ufffd\ufffe\U0010ffff \ue000 \u0378",
    "a" * 600,
    "ab" * 300,
    " " * 600 + "x",
    "\n" * 600,
    " \n" * 300 + " ",
    "-" * 600,
    "\u4e00" * 600,
    "=" * 80 + "\n" * 3,
    *(f" a{letter}b1{letter}{letter}2 --{letter}-- {letter}'s  {letter}" for letter in _NEW_LETTERS),
    *(f" a{number}b1{number}{number}2 --{number}-- {number}'s  {number}" for number in _NEW_NUMBERS),
)
"""Texts on which the two libraries must agree before tiktoken is trusted.

They hold what splits differ over: contractions, digits, white space of all kinds, symbols, and of every Unicode version
since 10 letters and numbers that an older table takes for unassigned.
"""


class UnencodableText(ValueError):  # noqa: N818 - what it is, not that it is one
    """A text that neither library can encode: the fallback gives up on tens of megabytes of white space."""


class _NeedsTokenizers(Exception):  # noqa: N818 - an outcome
    """The reason why tiktoken can't stand in."""


class Encoder:
    """Token ids of texts under one tokenizer.json, single threaded (worker processes are the parallelism).

    Ids are those of ``tokenizers`` with special tokens switched off: a text that spells ``<|endoftext|>`` is encoded as
    those characters, never as the token. tiktoken finds the same ids several times faster; ``engine`` says which of the
    two is used, ``reason`` why not tiktoken. Lone surrogates are encoded as U+FFFD.
    """

    def __init__(self, text: str, end_of_text: str | None = None) -> None:
        """Read a tokenizer.json. ``end_of_text`` names the token that ends a document (default: ``END_OF_TEXT``).

        Raises ValueError where the text is no tokenizer, or the token is not among its special tokens.
        """
        self.digest = bpe.digest(text)
        self._tokenizer = bpe.parse(text)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocabulary: int = max(ids.values(), default=-1) + 1
        """Ids run from 0 to one below this."""
        self.dtype = id_type(self.vocabulary)
        self.end_of_text: int = ids[self._end_of_text_token(end_of_text)]
        self.reason = ""
        self._fast: Encoding | None = None
        try:
            self._split, self._ranks = _tiktoken_parts(self._tokenizer)
            self._fast = _encoding(self._split, self._ranks)
            self._prove()
        except _NeedsTokenizers as needs:
            self._fast = None
            self.reason = str(needs)

    @property
    def engine(self) -> str:
        """The library that encodes: ``tiktoken`` or ``tokenizers``."""
        return "tokenizers" if self._fast is None else "tiktoken"

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """The ids of each text, of type ``dtype``. Raises UnencodableText."""
        return [self._ids(bpe.well_formed(text)).astype(self.dtype) for text in texts]

    def encode_documents(self, texts: Sequence[str]) -> list[TokenIds]:
        """The ids of each text, with ``end_of_text`` after the last: what a shard holds. Raises UnencodableText."""
        documents = []
        for text in texts:
            ids = self._ids(bpe.well_formed(text))
            document = np.empty(len(ids) + 1, self.dtype)
            document[:-1] = ids
            document[-1] = self.end_of_text
            documents.append(document)
        return documents

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        """The text of these ids, special tokens spelled out; bytes that are not UTF-8 (half a character): U+FFFD."""
        return str(self._tokenizer.decode([int(one) for one in ids], skip_special_tokens=False))

    def token_bytes(self) -> list[bytes]:
        """What each id spells; special tokens, and ids that no token has, by their names or empty."""
        alphabet = bpe.byte_alphabet()
        special = self._tokenizer.get_added_tokens_decoder()
        spelled = [b""] * self.vocabulary
        for token, number in self._tokenizer.get_vocab(with_added_tokens=True).items():
            plain = number in special or not all(character in alphabet for character in token)
            spelled[number] = token.encode() if plain else bytes(map(alphabet.__getitem__, token))
        return spelled

    def _ids(self, text: str) -> NDArray[np.uint32]:
        if self._fast is None:
            return self._reference(text)
        if _long_white_space(text, 0) < 0:
            return _fast_ids(self._fast, text)
        whole = _encoding(r"(?s:.+)", self._ranks)
        parts = cut_at_white_space(text, newlines_cling=r"[\r\n]" in self._split)
        return np.concatenate([_fast_ids(whole if one_piece else self._fast, part) for part, one_piece in parts])

    def _reference(self, text: str) -> NDArray[np.uint32]:
        try:
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        except BaseException as error:
            # A panic in Rust arrives as a BaseException, which no pipeline counts as a failed document.
            if type(error).__name__ != "PanicException":
                raise
            raise UnencodableText(f"a text of {len(text)} characters can't be encoded: {error}") from error
        return np.array(ids, dtype=np.uint32)

    def _end_of_text_token(self, wanted: str | None) -> str:
        special = [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]
        for token in END_OF_TEXT if wanted is None else (wanted,):
            if token in special:
                return token
        missing = "that ends a document" if wanted is None else repr(wanted)
        raise ValueError(f"no special token {missing}; this tokenizer has {', '.join(special) or 'none at all'}")

    def _prove(self) -> None:
        """Compare both libraries on ``PROBES``, pieces first, then ids. Raises _NeedsTokenizers where they differ."""
        assert self._fast is not None
        alphabet = bpe.byte_alphabet()
        split = self._tokenizer.pre_tokenizer
        pieces = [
            [bytes(map(alphabet.__getitem__, piece)) for piece, _ in split.pre_tokenize_str(probe)] for probe in PROBES
        ]
        # tiktoken looks a whole piece up before it merges, so a vocabulary of these pieces shows where it splits.
        ranks = {bytes([byte]): byte for byte in range(bpe.BYTES)}
        for piece in (piece for of_probe in pieces for piece in of_probe):
            ranks.setdefault(piece, len(ranks))
        splitter = _encoding(self._split, ranks)
        for probe, expected in zip(PROBES, pieces, strict=True):
            if _fast_ids(splitter, probe).tolist() != [ranks[piece] for piece in expected]:
                raise _NeedsTokenizers(f"tiktoken splits {probe[:40]!r} otherwise")
            if not np.array_equal(_fast_ids(self._fast, probe), self._reference(probe)):
                raise _NeedsTokenizers(f"tiktoken has other ids for {probe[:40]!r}")


def encoder_of(data: bytes) -> Encoder | SentencePieceEncoder:
    """The encoder of a tokenizer.json or of a SentencePiece model. Raises ValueError where the bytes are neither."""
    from tokenizer.sentencepiece_model import SentencePieceEncoder

    if data.lstrip()[:1] == b"{":
        return Encoder(data.decode())
    return SentencePieceEncoder(data)


def _encoding(split: str, ranks: dict[bytes, int]) -> Encoding:
    from tiktoken import Encoding

    never = {_NEVER: max(ranks.values()) + 1}
    return Encoding("corpusmill", pat_str=split, mergeable_ranks=ranks, special_tokens=never)


def _fast_ids(encoding: Encoding, text: str) -> NDArray[np.uint32]:
    ids: NDArray[np.uint32] = encoding.encode_to_numpy(text, disallowed_special=())
    return ids


def _tiktoken_parts(tokenizer: Tokenizer) -> tuple[str, dict[bytes, int]]:
    """The split and the ranks with which tiktoken has the same ids. Raises _NeedsTokenizers where there are none.

    tokenizers merges the pair that comes first in its list of merges; tiktoken merges the pair whose bytes have the
    lowest id, whichever two tokens they come from. The two do the same where (1) merges are listed by the id that they
    make, and (2) every token, encoded alone, comes out as itself. For what happens between two places in a text is what
    happens to that stretch alone, until a merge crosses one of them. So two neighbours that spell token T are the only
    two parts that T alone comes to before it is whole, and by (2) that pair is in the list. The pairs that may be
    merged are then the same for both at every step, one for each token, and by (1) in the same order.
    """
    description = json.loads(tokenizer.to_str())
    model = description["model"]
    alphabet = bpe.byte_alphabet()
    if model["type"] != "BPE":
        raise _NeedsTokenizers(f"the model is {model['type']}, not BPE")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(option):
            raise _NeedsTokenizers(f"the model sets {option}")
    if description["normalizer"] is not None:
        raise _NeedsTokenizers("it has a normalizer")
    if ordinary := [token["content"] for token in description["added_tokens"] if not token["special"]]:
        raise _NeedsTokenizers(f"added tokens that are not special: {ordinary[:3]}")
    split = _known_split(description["pre_tokenizer"])
    vocabulary: dict[str, int] = model["vocab"]
    if missing := [byte for character, byte in alphabet.items() if character not in vocabulary]:
        raise _NeedsTokenizers(f"{len(missing)} bytes have no token")

    made = [first + second for first, second in model["merges"]]
    ids = [vocabulary[token] for token in made]
    if ids != sorted(ids):
        raise _NeedsTokenizers("merges are not in the order of the ids that they make")
    tokens = dict.fromkeys([*alphabet, *made])
    special = [token["content"] for token in description["added_tokens"]]
    if clash := [token for token in special if token in tokens]:
        raise _NeedsTokenizers(f"special tokens that merges make: {clash[:3]}")
    merger = tokenizer.model
    if model.get("ignore_merges"):
        never = {
            token for token in special if token.isascii() and len(tokenizer.pre_tokenizer.pre_tokenize_str(token)) > 1
        }
        others = vocabulary.keys() - tokens.keys() - never
        if unmade := sorted(token for token in others if set(token) <= alphabet.keys()):
            raise _NeedsTokenizers(f"tokens that no merge makes but a whole word may match: {unmade[:3]}")
        merger = bpe.parse(json.dumps(description | {"model": model | {"ignore_merges": False}})).model
    if dead := [token for token in tokens if len(merger.tokenize(token)) != 1]:
        raise _NeedsTokenizers(f"tokens that merging never reaches: {dead[:3]}")
    return split, {bytes(map(alphabet.__getitem__, token)): vocabulary[token] for token in tokens}


def _known_split(description: dict[str, Any] | None) -> str:
    """The split of a pre-tokenizer: GPT-2's inside ByteLevel, or one of ours before a ByteLevel that splits no more."""
    steps: list[dict[str, Any]] = [] if description is None else description.get("pretokenizers", [description])
    last = steps[-1] if steps else {"type": "none"}
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        raise _NeedsTokenizers("the pre-tokenizer is not ByteLevel without a prefix space")
    if len(steps) == 1 and last["use_regex"]:
        return splits.GPT2
    if len(steps) == 2 and steps[0]["type"] == "Split" and not last["use_regex"]:
        # Keeping matches as pieces of their own, or dropping what lies between them: nothing lies between them.
        keeps = (steps[0]["behavior"], steps[0]["invert"]) in (("Isolated", False), ("Removed", True))
        pattern = steps[0]["pattern"].get("Regex")
        if keeps and pattern in splits.KNOWN:
            return str(pattern)
    raise _NeedsTokenizers("the pre-tokenizer splits in a way that is not known to be the same in tiktoken")


def _long_white_space(text: str, start: int) -> int:
    """Where a block of white space lies at or after ``start``, or -1; finds every run of two ``_BLOCK`` or more."""
    for place in range(start, len(text) - _BLOCK + 1, _BLOCK):
        if text[place] in WHITE_SPACE and not text[place : place + _BLOCK].strip(WHITE_SPACE):
            return place
    return -1


def cut_at_white_space(text: str, newlines_cling: bool) -> Iterator[tuple[str, bool]]:
    """Cut a text at its very long runs of white space, so that the parts encode to what the text encodes to.

    tiktoken panics on a million characters of white space: its regex keeps a way back for each (``\\s+(?!\\S)``). But
    where the pieces of such a run end can be said without a regex. GPT-2's split takes all of it but the last
    character, which may belong to the word that follows. GPT-4's and Llama 3's (``newlines_cling``) let punctuation
    take the line ends that follow it at once, then make one piece of all up to the last line end, then go on as
    GPT-2's. Yields each part with whether it is one piece as a whole.
    """
    start = 0
    while (block := _long_white_space(text, start)) >= 0:
        run = start + len(text[start:block].rstrip(WHITE_SPACE))
        stop = _end_of_white_space(text, block)
        lines = run
        if newlines_cling:
            if run > start and not _is_letter_or_number(text[run - 1]):
                run = stop - len(text[run:stop].lstrip("\r\n"))
            lines = max(run, text.rfind("\n", run, stop) + 1, text.rfind("\r", run, stop) + 1)
        last = max(lines, stop if stop == len(text) else stop - 1)
        yield from (
            part for part in ((text[start:run], False), (text[run:lines], True), (text[lines:last], True)) if part[0]
        )
        start = last
    if start < len(text):
        yield text[start:], False


def _end_of_white_space(text: str, start: int) -> int:
    match = _WHITE_SPACE_RUN.match(text, start)
    assert match is not None
    return match.end()


def _is_letter_or_number(character: str) -> bool:
    """Whether the splits take it for a letter or number (Python's own tables may be of another Unicode version)."""
    from tokenizers import Regex, pre_tokenizers

    return not pre_tokenizers.Split(Regex(r"[\p{L}\p{N}]"), behavior="removed").pre_tokenize_str(character)
