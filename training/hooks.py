"""Where others take part in the training loop: what a step reports, and who may look at it or stop it.

The loop (`training.loop`) calls, in this order: ``Keeper.restore`` once; then for every step ``Guard.sound`` after the gradient
is there and before it is used, ``Watcher.step`` after the update, and ``Keeper.after_step`` last. `training.checkpoint` is the
keeper, `training.recovery` the guard, `training.watch` holds the watchers. All are called on every rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from training.state import TrainState


@dataclass(frozen=True, slots=True)
class StepReport:
    """What is known of a step; the same numbers on every rank but for ``seconds``."""

    step: int
    """Number of the step, from 1."""
    tokens: int
    """Tokens trained on, this step among them."""
    start: int
    """Positions in the stream from which …"""
    stop: int
    """… to which the step read."""
    loss: float
    """Mean over the valid targets of all ranks, in nats."""
    valid: int
    """Targets that counted."""
    gradient_norm: float
    """Of the mean gradient, before clipping."""
    learning_rate: float
    scale: float
    """fp16's loss scale, else 1."""
    overflowed: bool
    """Whether the gradient is not finite. With fp16 the step is then left out and the scale halved."""
    noise_scale: float | None
    """Tokens; see `training.optimization.growth`."""
    seconds: float
    """From the end of the step before to the end of this one, without what watchers and the keeper took in between."""
    waited: float
    """Of these, seconds in which this rank waited for data."""


class Keeper(Protocol):
    """Keeps checkpoints."""

    def restore(self, state: TrainState) -> bool:
        """Put back the newest checkpoint, if there is one; says whether there was."""

    def after_step(self, state: TrainState) -> bool:
        """Save, if it is time to. Whether to go on: not if a signal came; the same on all ranks."""

    def close(self, state: TrainState) -> None:
        """Save the end of the training, and wait until it is written."""


class Guard(Protocol):
    """Judges steps before they change anything."""

    def sound(self, state: TrainState, report: StepReport) -> bool:
        """Whether to use the gradient. False: the state was put back to an earlier one, and the loop goes on from there.

        Must say the same on all ranks; the report's numbers are the same. Raises when it gives up.
        """


class Watcher:
    """Looks on. Subclasses override what they need."""

    def start(self, state: TrainState) -> None:
        """The training begins, or goes on."""

    def step(self, state: TrainState, report: StepReport) -> None:
        """A step was done."""

    def event(self, state: TrainState, kind: str, facts: dict[str, Any]) -> None:
        """Something out of the ordinary, such as a rollback."""

    def finish(self, state: TrainState) -> None:
        """The training has ended."""
