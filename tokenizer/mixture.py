"""How much of each source a model reads: weights by name, the published tables, and how often a source is repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

PUBLISHED: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        # Touvron et al. 2023, table 1
        "llama": {
            "commoncrawl": 67.0,
            "c4": 15.0,
            "github": 4.5,
            "wikipedia": 4.5,
            "books": 4.5,
            "arxiv": 2.5,
            "stackexchange": 2.0,
        },
        # Chowdhery et al. 2022, table 2
        "palm": {
            "social_media": 50.0,
            "webpages": 27.0,
            "books": 13.0,
            "github": 5.0,
            "wikipedia": 4.0,
            "news": 1.0,
        },
        # Brown et al. 2020, table 2.2; the paper's numbers add up to 101
        "gpt3": {
            "commoncrawl": 60.0,
            "webtext2": 22.0,
            "books1": 8.0,
            "books2": 8.0,
            "wikipedia": 3.0,
        },
    }
)
"""Shares of a training batch, in per cent, as the papers give them."""

MANY_EPOCHS = 4
"""Repeating data up to four times is nearly as good as new data (Muennighoff et al. 2023, section 6)."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a source contributes to ``tokens`` of training: its part of every batch, and how often it is read."""

    source: str
    weight: Fraction
    """Part of the tokens, above 0 and up to 1. All shares of a mixture add up to 1."""
    available: int
    """Tokens of the source."""
    tokens: int
    """Tokens of it that training reads, rounded."""

    @property
    def epochs(self) -> float:
        """How often each of its documents is read."""
        return self.tokens / self.available

    @property
    def repeated_too_often(self) -> bool:
        """Whether more is to be gained from other data than from reading this once more."""
        return self.epochs > MANY_EPOCHS


def weights(available: Mapping[str, int], wanted: Mapping[str, float] | str | None = None) -> dict[str, Fraction]:
    """The part of the tokens that comes from each source, exact, adding up to 1; in the order of ``available``.

    ``available`` gives the tokens of each source. ``wanted`` gives weights in any unit, or names a published table; without it
    every source has the part of its size, and all end their epochs together. A source that ``wanted`` does not name is
    not read. Raises ValueError for a weight that is no positive number, and for names that are not there: of a
    published table too, as its shares mean little where some are missing.
    """
    if not available or any(tokens <= 0 for tokens in available.values()):
        empty = [name for name, tokens in available.items() if tokens <= 0]
        raise ValueError(f"no tokens in {', '.join(empty)}" if empty else "no source has tokens")
    if wanted is None:
        whole = sum(available.values())
        return {name: Fraction(tokens, whole) for name, tokens in available.items()}
    if isinstance(wanted, str):
        if wanted not in PUBLISHED:
            raise ValueError(f"no published mixture {wanted!r}; there are {', '.join(PUBLISHED)}")
        wanted = PUBLISHED[wanted]
    missing = [name for name in wanted if name not in available]
    if missing:
        raise ValueError(
            f"the mixture names {', '.join(missing)}, but the corpus has {', '.join(available)}: "
            f"name your sources so, or write the weights of those you have"
        )
    if bad := [name for name, weight in wanted.items() if not 0 < weight < float("inf")]:
        raise ValueError(f"the weight of {', '.join(bad)} must be a number above 0; leave out what is not to be read")
    exact = {name: Fraction(str(wanted[name])) for name in available if name in wanted}
    whole_weight = sum(exact.values())
    return {name: weight / whole_weight for name, weight in exact.items()}


def shares(available: Mapping[str, int], tokens: int, wanted: Mapping[str, float] | str | None = None) -> list[Share]:
    """What every source contributes to a training of so many tokens. Raises ValueError as ``weights`` does."""
    return [
        Share(name, weight, available[name], round(weight * tokens))
        for name, weight in weights(available, wanted).items()
    ]


def parse(text: str) -> dict[str, float] | str:
    """Weights written as ``web=0.7,books=0.3``, or the name of a published table. Raises ValueError."""
    if text in PUBLISHED:
        return text
    found: dict[str, float] = {}
    for one in text.split(","):
        name, equals, weight = (part.strip() for part in one.partition("="))
        try:
            found[name] = float(weight)
        except ValueError:
            equals = ""
        if not name or not equals:
            raise ValueError(
                f"{text!r} is no mixture: write web=0.7,books=0.3, or the name of a published one: {', '.join(PUBLISHED)}"
            )
    return found


def parse_count(text: str) -> int:
    """A number of tokens written as 5000000, 300M, 2B or 1.5T. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([kMBT]?)", text.strip().replace(",", "").replace("_", ""))
    if match is None:
        raise ValueError(f"{text!r} is no number of tokens: write 5000000, 300M or 2B")
    return int(Fraction(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[match[2]])
