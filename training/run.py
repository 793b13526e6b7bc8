"""A whole training as a config says: the loop with its keeper, guard and watchers, until it is done or a signal ends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.checkpoint.keeper import Keeper, checkpoints_of
from training.config import TrainConfig
from training.hooks import Watcher
from training.loop import build, train
from training.parallel import Ranks
from training.recovery import Recovery
from training.state import TrainState
from training.stopping import StopSignals


def run(config: TrainConfig, ranks: Ranks, watchers: Sequence[Watcher] = ()) -> TrainState:
    """Train, from the newest checkpoint in the config's output folder if there is one; the state at the end.

    SIGTERM and SIGINT end it after a step, with a checkpoint. Raises what ``build`` and ``train`` raise, RecoveryFailed, SaveFailed,
    DamagedCheckpoint, and BlockingIOError where another process trains into the same folder.
    """
    with StopSignals() as stop, checkpoints_of(config, ranks) as checkpoints:
        state = build(config, ranks)
        guard = None
        if config.recovery:
            log = Path(config.output) / "events.jsonl"
            guard = Recovery(config.recovery, config.optimization.warmup_tokens, checkpoints, log, watchers)
        train(state, Keeper(checkpoints, stop, guard), guard, watchers)
    return state
