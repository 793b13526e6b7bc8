"""What a runner is: something that takes the items of a stage and leaves their commits behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.layout import Layout
from pipeline.stage import Item, Stage


class Watcher(Protocol):
    """Is told how a stage goes on, to show it."""

    def done(self, item: Item) -> None:
        """An item is finished."""

    def progress(self, counted: int, kept: int) -> None:
        """So many records (or what the stage counts) so far, and so many of them kept."""

    def note(self, message: str) -> None:
        """Something a user should know: a worker died, a record was given up."""


class Runner(Protocol):
    """Runs the items of a stage; afterwards every item has its commit. Raises StageFailed."""

    def run(self, stage: Stage, items: Sequence[Item], layout: Layout, watcher: Watcher) -> None:
        """Run these items. Items that are already committed are not among them."""

    def close(self) -> None:
        """Stop whatever the runner started."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that could not be done and its error."""

    item: str
    error: str


class StageFailed(Exception):  # noqa: N818
    """A stage could not be finished; what is finished stays, and the same command goes on from there."""

    def __init__(self, stage: str, failed: Sequence[Failed]) -> None:
        super().__init__(f"stage {stage!r}: " + "; ".join(f"{one.item}: {one.error}" for one in failed))
        self.stage = stage
        self.failed = tuple(failed)


class EngineMissing(Exception):  # noqa: N818
    """What an engine needs is not there; the message says what to get and where to put it."""
