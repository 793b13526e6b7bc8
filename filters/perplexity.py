"""Perplexity under an n-gram language model: how surprising the text is for a model of good text.

Wenzek et al. 2020 (CCNet): every line that is not blank is scored by KenLM with sentence begin and end; perplexity is
10^(-score / length), where score is the sum of the lines' log10 probabilities and length that of their tokens + 1
(the sentence end). Low is like the training text; very low is often boilerplate. Thresholds mean something for one
model only, so there is no default: for its own English model CCNet calls up to 340 "head" and up to 520 "middle".

``normalize`` does what CCNet does before it splits: lower case; accents dropped (NFD without marks); every digit is
0; typographic and full-width punctuation becomes ASCII; control characters vanish. Tokens are what is between white
space (``tokens: space``) or Unicode words without punctuation (``tokens: word``, which makes Han characters tokens);
the model must have been trained on the same.
"""

# CCNet removes newlines before it splits, which joins the words around them, and reads the full-width 1 as a quote;
# ours does neither. CCNet's own models expect SentencePiece pieces. DCLM and Data-Juicer score the document as a
# single line.

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import regex
from pydantic import Field

from filters import segment
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_MARKS: Final = regex.compile(r"\p{Mn}+")
_DIGITS: Final = re.compile(r"\d")
_PLAIN: Final = (
    dict.fromkeys(map(chr, (*range(9), *range(11, 32), *range(127, 160))), "")
    | {"\t": " ", "．": ". ", "—": " - ", "…": "..."}
    | dict.fromkeys("“”„«»「」《》", '"')
    | dict.fromkeys("‘’´", "'")
    | dict(zip("，、。：∶；？！（）【】〈〉％～–━►", ",,.::;?!()[]<>%~---", strict=True))
)
"""Plain forms of control characters and of typographic and full-width punctuation."""
_TO_PLAIN: Final = re.compile("[" + re.escape("".join(_PLAIN)) + "]")  # eight times as fast as str.translate
_LARGEST_EXPONENT: Final = 300.0
"""10^300 is still a float; a text of nothing but unknown tokens can exceed it."""


@register
class Perplexity(Filter):
    """Remove a document that surprises the language model too much, or too little."""

    name: ClassVar[str] = "perplexity"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("perplexity.perplexity", 1, math.inf, "perplexity by token under the model"),
    )

    model: str = Field(description="path of a KenLM model, binary or ARPA")
    max: float | None = None
    min: float | None = None
    normalize: bool = True
    tokens: Literal["space", "word"] = "space"

    def prepare(self) -> None:
        """Loads the model."""
        _load(self.model)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Perplexity, unless the text has no token."""
        model = _load(self.model)
        score = 0.0
        length = 0
        text = normalize(document.text) if self.normalize else document.text
        for line in text.split("\n"):
            tokens = line.split() if self.tokens == "space" else _words(line)
            if tokens:
                score += model.score(" ".join(tokens), bos=True, eos=True)
                length += len(tokens) + 1
        if not length:
            return {}
        return {"perplexity.perplexity": 10.0 ** min(-score / length, _LARGEST_EXPONENT)}

    def rules(self) -> tuple[Rule, ...]:
        """At most ``max``, at least ``min``."""
        return (
            *rule_when(self.max, "perplexity.perplexity", ">", "perplexity.too_high"),
            *rule_when(self.min, "perplexity.perplexity", "<", "perplexity.too_low"),
        )

    def files(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)


def normalize(text: str) -> str:
    """CCNet's normalisation of a text before it is split into tokens; newlines stay."""
    text = text.lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFD", text))
    return _TO_PLAIN.sub(lambda found: _PLAIN[found[0]], _DIGITS.sub("0", text))


def _words(line: str) -> list[str]:
    found = segment.words(segment.codepoints(line))
    return [line[start:stop] for start, stop in zip(found.starts.tolist(), found.stops.tolist(), strict=True)]


@functools.cache
def _load(path: str) -> Any:
    """The KenLM model at a path. Raises FileNotFoundError, or ValueError for a file that is no model."""
    import kenlm

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no KenLM model at {path}")
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, config)
    except OSError as error:
        raise ValueError(f"{path} is not a KenLM model: {error}") from error
