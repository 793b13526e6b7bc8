"""The training loop's keeper: goes on from the newest checkpoint, saves every so many steps, on a signal, and at the end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol

from training.checkpoint.files import Checkpoint
from training.checkpoint.manager import Checkpoints, Policy, SaveFailed
from training.checkpoint.tensors import spread
from training.config import TrainConfig
from training.parallel import Ranks
from training.state import TrainState
from training.stopping import StopSignals


class Remembers(Protocol):
    """Something whose memory is saved along with the training, such as `training.recovery.Recovery`."""

    def memory(self) -> dict[str, Any]:
        """What it knows, as JSON."""

    def remember(self, memory: dict[str, Any]) -> None:
        """Go on from what was saved."""


def checkpoints_of(config: TrainConfig, ranks: Ranks) -> Checkpoints:
    """The checkpoints in the folder that a config names. Raises BlockingIOError where another process trains there."""
    section = config.checkpoints
    policy = Policy(
        section.keep,
        section.keep_every or 0,
        section.keep_best,
        config.recovery.lookback + config.recovery.patience if config.recovery else 0,
    )
    return Checkpoints(Path(config.output) / "checkpoints", policy, ranks, background=section.asynchronous)


def put_back(state: TrainState, checkpoint: Checkpoint) -> None:
    """Set a training to where a checkpoint was taken. Raises ValueError where it is of another model, optimizer or data."""
    saved = {
        f"{part}.{name}": tensor for part in ("model", "optimizer") for name, tensor in checkpoint.tensors(part).items()
    }
    spread(saved, state.tensors())
    state.loaded(checkpoint.state)
    state.validation_loss = checkpoint.state["validation_loss"]


class Keeper:
    """Saves and restores one training (`training.hooks.Keeper`)."""

    def __init__(self, checkpoints: Checkpoints, stop: StopSignals, memory: Remembers | None = None) -> None:
        """``memory`` is what else is saved and given back."""
        self._checkpoints = checkpoints
        self._stop = stop
        self._memory = memory
        self._saved: tuple[int, int] | None = None

    def restore(self, state: TrainState) -> bool:
        """Put back the newest whole checkpoint. Where there is none the beginning is saved, so that a spike may go back to it.

        Raises DamagedCheckpoint where there are checkpoints but none is whole, ValueError where it is of another training.
        """
        found = self._checkpoints.newest()
        if found is None:
            self._save(state)
            return False
        put_back(state, found)
        self._saved = state.step, state.tokens
        if self._memory is not None:
            self._memory.remember(found.state["memory"])
        return True

    def after_step(self, state: TrainState) -> bool:
        """Save if it is time to; False if a signal came to any rank. Raises SaveFailed on all ranks if the last save failed."""
        if state.ranks.any(self._stop.received is not None or self._checkpoints.failed):
            self._raise_if_failed(state)
            return False
        if state.step % state.config.checkpoints.every == 0:
            self._save(state)
        return True

    def close(self, state: TrainState) -> None:
        """Save the state as it is now, if it is not saved, and wait until it is written. Raises SaveFailed."""
        if self._saved != (state.step, state.tokens):
            self._save(state)
        self._checkpoints.wait()

    def _save(self, state: TrainState) -> None:
        loss = state.validation_loss
        numbers = {
            **state.numbers(),
            "validation_loss": loss if loss is not None and math.isfinite(loss) else None,
            "memory": self._memory.memory() if self._memory is not None else {},
            "config": state.config.model_copy(update={"model": state.model.config}).model_dump(mode="json"),
        }
        self._checkpoints.save(state.tensors(), numbers)
        self._saved = state.step, state.tokens

    def _raise_if_failed(self, state: TrainState) -> None:
        if state.ranks.any(self._checkpoints.failed):
            if self._checkpoints.failed:
                self._checkpoints.wait()
            raise SaveFailed("a checkpoint could not be saved: rank 0 says why")
