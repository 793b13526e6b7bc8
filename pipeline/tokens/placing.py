"""Which shards there are, and in which of them a document goes: by keyed hash of its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.recipe import Shards

HELD_OUT: Final = "validation"
TRAIN: Final = "train"


@dataclass(frozen=True, slots=True)
class ShardName:
    """One shard of one source: the held-out or the training part, its number, and how many there are."""

    source: str
    part: str
    number: int
    of: int

    @property
    def path(self) -> str:
        """Path below the output folder."""
        return f"shards/{self.part}/{self.source}/{self.number:05d}-of-{self.of:05d}.arrow"


def shard_counts(settings: Shards, texts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """How many shards each source gets, by (source, part), from its bytes of text."""
    shares = {TRAIN: 1 - settings.validation, HELD_OUT: settings.validation}
    return {
        (source, part): max(1, -int(-text * share // settings.size))
        for source, text in texts.items()
        for part, share in shares.items()
    }
