"""KenLM models with what belongs to them: how text becomes their tokens, and their cut-offs between head, middle and tail.

A model is ``NAME.arpa.bin`` (or any file that KenLM reads). Beside it may lie ``NAME.sp.model``, the SentencePiece model
whose pieces are its tokens, and ``NAME.json``, which ``corpusmill models train-perplexity`` writes. That is how CCNet
publishes its models (``en.arpa.bin`` and ``en.sp.model``), so these are used as they are.
"""

from __future__ import annotations

import csv
import functools
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import regex

from filters import segment

Tokens = Literal["sentencepiece", "space", "word"]
Lines = Literal["each", "joined", "ccnet"]
BUCKETS: Final = ("head", "middle", "tail")
"""CCNet's names for documents like the training text, less like it, and unlike it."""
PERCENTILES: Final = {"head": 30, "middle": 60}
"""CCNet's: where head and middle end, in the perplexities of a crawl's documents."""
LANGUAGE: Final = "{language}"
"""Stands in the name of a file for the language of a document."""
ENDINGS: Final = (".arpa.bin", ".arpa", ".binary", ".bin", ".klm")
_REMEMBERED: Final = 200_000
"""Words whose tokens are kept, some 40 MB; then they are forgotten together."""
_LARGEST_EXPONENT: Final = 300.0
"""10^300 is still a float; a text of nothing but unknown tokens can exceed it."""

_MARKS: Final = regex.compile(r"\p{Mn}+")
_DIGITS: Final = re.compile(r"\d")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline
_PLAIN: Final = (
    dict.fromkeys(map(chr, (*range(9), *range(11, 32), *range(127, 160))), "")
    | {"\t": " ", "．": ". ", "—": " - ", "…": "..."}
    | dict.fromkeys("“”„«»「」《》", '"')
    | dict.fromkeys("’´", "'")
    | dict(zip("，、。：∶；？！（）【】〈〉％～–━►", ",,.::;?!()[]<>%~---", strict=True))
)
"""CCNet's plain forms of control characters and of typographic and full-width punctuation."""
_TO_PLAIN: Final = re.compile("[" + re.escape("".join(_PLAIN)) + "]")  # eight times as fast as str.translate


def normalize(text: str) -> str:
    """CCNet's normalisation of a text before it is split into tokens; newlines stay, a tab becomes a space.

    Lower case; accents dropped (NFD without marks); every digit is 0; typographic and full-width punctuation becomes ASCII;
    control characters vanish.
    """
    text = text.lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFD", text))
    return _TO_PLAIN.sub(lambda found: _PLAIN[found[0]], _DIGITS.sub("0", text))


class Tokenizer:
    """Makes lines of tokens, joined by single spaces, from a text: what a model is trained on and asked for."""

    def __init__(self, tokens: Tokens, normalized: bool, lines: Lines, pieces: str | bytes | None = None) -> None:
        """``pieces`` is the path of a SentencePiece model, or the model. Raises ValueError where it is none."""
        self._kind = tokens
        self._normalized = normalized
        self._lines = lines
        self._model = _sentencepiece(pieces) if tokens == "sentencepiece" else None
        # Where no piece spans white space, the pieces of a word are the same in any line, and are looked up.
        self._by_word = self._model is None or _words_apart(self._model)
        self._of_word = _Remembered(self._tokens_of)

    def __call__(self, text: str) -> Iterator[str]:
        """The lines of a text that hold any token."""
        if self._normalized:
            text = _CONTROLS.sub("", text)
        if self._lines == "ccnet":
            text = text.strip().replace("\n", "").replace("\t", "")
        for line in text.split("\n") if self._lines == "each" else (text.replace("\n", " "),):
            tokens = self._line(line)
            if tokens:
                yield tokens

    def _line(self, line: str) -> str:
        if self._kind == "word":
            line = normalize(line) if self._normalized else line
            found = segment.words(segment.codepoints(line))
            return " ".join(
                line[start:stop] for start, stop in zip(found.starts.tolist(), found.stops.tolist(), strict=True)
            )
        if self._by_word:
            return " ".join(filter(None, map(self._of_word.__getitem__, line.split())))
        return self._tokens_of(line)

    def _tokens_of(self, text: str) -> str:
        text = normalize(text) if self._normalized else text
        return " ".join(self._model.EncodeAsPieces(text) if self._model else text.split())


class _Remembered(dict[str, str]):
    """Remembers what a function made of a word; the number of words is bounded."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        made = self[word] = self._make(word)
        return made


class LanguageModel:
    """A KenLM model at work."""

    def __init__(self, path: str, tokenizer: Tokenizer, cutoffs: dict[str, float]) -> None:
        """Raises FileNotFoundError, or ValueError for a file that is no model."""
        self._model = _kenlm(path)
        self._tokenizer = tokenizer
        self.cutoffs = cutoffs

    def perplexity(self, text: str) -> float | None:
        """Perplexity by token, each line's end being one; None for a text without any token."""
        score, length = 0.0, 0
        for line in self._tokenizer(text):
            score += self._model.score(line)
            length += line.count(" ") + 2
        return 10.0 ** min(-score / length, _LARGEST_EXPONENT) if length else None

    def bucket(self, perplexity: float) -> int | None:
        """Place in BUCKETS; None where the cut-offs are not known."""
        if not self.cutoffs:
            return None
        return sum(perplexity >= self.cutoffs[name] for name in PERCENTILES)


def model_files(path: str) -> dict[str, str]:
    """Paths of models by language for a folder or a path with ``{language}`` in it, else this one under the empty name.

    A folder means the KenLM models in it, each called as its language. Empty where there is none.
    """
    if LANGUAGE not in Path(path).name:
        if not Path(path).is_dir():
            return {"": path}
        found = [one for one in sorted(Path(path).iterdir()) if one.name.endswith(ENDINGS)]
        return {one.name.partition(".")[0]: str(one) for one in found}
    folder, (before, after) = Path(path).parent, Path(path).name.split(LANGUAGE, 1)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    fitting = [one for one in found if one.name.startswith(before) and one.name.endswith(after)]
    return {one.name[len(before) : len(one.name) - len(after)]: str(one) for one in fitting}


def language_of(wanted: str, name: str) -> str | None:
    """The language that ``{language}`` in ``wanted`` stands for where that means ``name``: empty where it has none.

    None where it does not mean that name.
    """
    if LANGUAGE not in wanted:
        return "" if wanted == name else None
    before, after = wanted.split(LANGUAGE, 1)
    inside = name[len(before) : len(name) - len(after)]
    return inside if inside and wanted.replace(LANGUAGE, inside, 1) == name else None


def beside(path: str, ending: str) -> str | None:
    """The file of the model's name with another ending, if there is one: ``en.sp.model`` for ``en.arpa.bin``."""
    known = next((one for one in ENDINGS if path.endswith(one)), Path(path).suffix)
    other = path.removesuffix(known) + ending
    return other if Path(other).is_file() else None


@functools.cache
def load(
    path: str,
    tokens: Tokens | None = None,
    normalized: bool | None = None,
    lines: Lines | None = None,
    cutoffs: str | None = None,
    language: str = "",
) -> LanguageModel:
    """The model at a path; what is None is as ``NAME.json`` says, else as CCNet has it, each line by itself.

    ``cutoffs`` is a table of CCNet's form (``cutoff.csv``), whose column ``language`` is taken. Raises FileNotFoundError or
    ValueError with what to do.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no KenLM model at {path}")
    about = _about(path)
    pieces = beside(path, ".sp.model")
    kind: Tokens = tokens or about.get("tokens") or ("sentencepiece" if pieces else "space")
    if kind == "sentencepiece" and pieces is None:
        raise FileNotFoundError(f"tokens: sentencepiece needs a SentencePiece model beside {path}, ending in .sp.model")
    tokenizer = Tokenizer(
        kind,
        about.get("normalize", True) if normalized is None else normalized,
        lines or about.get("lines", "each"),
        pieces,
    )
    known = _published(cutoffs, language) if cutoffs else about.get("cutoffs") or {}
    return LanguageModel(path, tokenizer, known)


def _about(path: str) -> dict[str, Any]:
    """What is written beside a model about it."""
    description = beside(path, ".json")
    if description is None:
        return {}
    try:
        about = json.loads(Path(description).read_text(encoding="utf-8"))
        if about["kind"] != "perplexity":
            raise ValueError(f"it describes a model of the kind {about['kind']!r}")
        return about | {"cutoffs": {name: float(about["cutoffs"][name]) for name in about["cutoffs"]}}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{description} does not describe a perplexity model: {error}") from error


@functools.cache
def _published(path: str, language: str) -> dict[str, float]:
    """The cut-offs of a language in CCNet's table: a row a percentile, a column a language; empty where it has none."""
    with Path(path).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    if language not in header[1:]:
        return {}
    column = header.index(language, 1)
    by_percentile = {int(float(row[0])): float(row[column]) for row in rows if row}
    return {name: by_percentile[percentile] for name, percentile in PERCENTILES.items()}


def _sentencepiece(pieces: str | bytes | None) -> Any:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor()
    try:
        if isinstance(pieces, bytes):
            model.LoadFromSerializedProto(pieces)
        else:
            model.Load(pieces)
    except (RuntimeError, OSError, TypeError) as error:
        raise ValueError(f"{pieces!r:.200} is not a SentencePiece model: {error}") from error
    return model


def _words_apart(model: Any) -> bool:
    """Whether every word is split by itself: it begins with the sign for white space, which stands nowhere else."""
    inside = any("▁" in model.IdToPiece(one)[1:] for one in range(model.GetPieceSize()))
    return not inside and "".join(model.EncodeAsPieces("a  b")) == "▁a▁b"


@functools.cache
def _kenlm(path: str) -> Any:
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, config)
    except OSError as error:
        raise ValueError(f"{path} is not a KenLM model: {error}") from error
