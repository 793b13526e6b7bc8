"""A whole training from its config file: what ``corpusmill train`` and ``torchrun -m training`` do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tokenizer.shard import DamagedShard
from training.checkpoint.keeper import Keeper, checkpoints_of
from training.checkpoint.manager import SaveFailed
from training.config import TrainConfig, load
from training.hooks import Watcher
from training.loop import Diverged, build, train
from training.parallel import Ranks, ranks
from training.recovery import Recovery, RecoveryFailed
from training.state import TrainState
from training.stopping import StopSignals
from training.watch.watcher import Watch


class Failed(Exception):  # noqa: N818 - what happened
    """The training can't begin or can't go on; the message says why and what to do."""


def run(path: str | Path, device: str | None = None) -> None:
    """Train as the config at ``path`` says, on the ranks that torchrun started, or one. Raises Failed."""
    try:
        config = load(path)
        with ranks(device) as here:
            run_on(config, here, [Watch()])
    except (OSError, ValueError, ModuleNotFoundError, DamagedShard, Diverged, RecoveryFailed, SaveFailed) as error:
        raise Failed(str(error)) from error


def run_on(config: TrainConfig, here: Ranks, watchers: Sequence[Watcher] = ()) -> TrainState:
    """``run`` for ranks that exist already; the training at its end, or where SIGTERM or SIGINT ended it, with a checkpoint.

    Raises what ``run`` makes Failed of.
    """
    with StopSignals() as stop, checkpoints_of(config, here) as checkpoints:
        state = build(config, here)
        guard = None
        if config.recovery:
            log = Path(config.output) / "events.jsonl"
            guard = Recovery(config.recovery, config.optimization.warmup_tokens, checkpoints, log, watchers)
        train(state, Keeper(checkpoints, stop, guard), guard, watchers)
        if stop.received and here.first:
            sys.stderr.write(f"{stop.received}: saved at step {state.step}; the same command goes on from there\n")
    return state
