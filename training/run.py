"""A whole training from its config file: what ``corpusmill train`` and ``torchrun -m training`` do."""

from __future__ import annotations

from pathlib import Path

from tokenizer.shard import DamagedShard
from training.config import TrainConfig, load
from training.loop import Diverged, build, train
from training.parallel import Ranks, ranks


class Failed(Exception):  # noqa: N818 - what happened
    """The training can't begin or can't go on; the message says why and what to do."""


def run(path: str | Path, device: str | None = None) -> None:
    """Train as the config at ``path`` says, on the ranks that torchrun started, or one. Raises Failed."""
    try:
        config = load(path)
        with ranks(device) as here:
            run_on(config, here)
    except (OSError, ValueError, DamagedShard, Diverged) as error:
        raise Failed(str(error)) from error


def run_on(config: TrainConfig, here: Ranks) -> None:
    """``run`` for ranks that exist already."""
    train(build(config, here))
