"""What the report says of the tokenizer: how well it fits each source and language, beside other settings, and its odd tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filters.filter import ratio
from pipeline import files
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from tokenizer.inspection import Compared

SMALL = 0.02
"""Languages that have less than this share of a source's tokens are shown together."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Text and tokens of one language in one source; ``language`` ``?`` is text that was not identified."""

    source: str
    language: str
    bytes: int
    tokens: int

    @property
    def bytes_per_token(self) -> float:
        """End-of-text tokens are counted."""
        return ratio(self.bytes, self.tokens)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is shown of a tokenizer."""

    fits: tuple[Fit, ...]
    compared: tuple[Compared, ...]
    longest: tuple[str, ...]
    odd: Mapping[str, tuple[str, ...]]


def gather(recipe: Recipe, layout: Layout, manifest: Mapping[str, Any]) -> Vocabulary | None:
    """The facts on the run's tokenizer; None where it has none."""
    row = next((one for one in manifest["files"] if one["kind"] == "vocabulary"), None)
    if row is None:
        return None
    about = files.read_json(layout.path(row["path"]))
    fits = [fit for source in recipe.sources for fit in _fits(source.name, manifest["sources"][source.name]["facts"])]
    return Vocabulary(
        tuple(fits),
        tuple(Compared(**one) for one in about["compared"]),
        tuple(about["longest"]),
        {name: tuple(tokens) for name, tokens in about["odd"].items()},
    )


def _fits(source: str, facts: Mapping[str, int]) -> list[Fit]:
    """A source's languages, those with most tokens first, the small ones together."""
    languages = [name.partition(".")[2] for name in facts if name.startswith("encoded_tokens.")]
    found = [Fit(source, one, facts[f"encoded_bytes.{one}"], facts[f"encoded_tokens.{one}"]) for one in languages]
    found.sort(key=lambda one: (-one.tokens, one.language))
    whole = sum(one.tokens for one in found)
    large = [one for one in found if one.tokens >= SMALL * whole]
    small = [one for one in found if one.tokens < SMALL * whole]
    if len(small) < 2:
        return found
    others = Fit(source, f"{len(small)} others", sum(one.bytes for one in small), sum(one.tokens for one in small))
    return [*large, others]
