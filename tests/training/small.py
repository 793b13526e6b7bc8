"""Trainings of a model so small that a hundred steps take a second, on one rank or on several, for the tests of the trainer's room."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.training.corpora import write_corpus
from training.config import TrainConfig
from training.hooks import StepReport, Watcher
from training.parallel import Ranks, ranks
from training.state import TrainState

torch.set_num_threads(1)  # of these sizes more are slower, and a fork must not inherit them

BATCH = 256
"""Tokens of a step."""
HERE = Ranks(0, 1, torch.device("cpu"))


def corpus(folder: Path, shards: int = 2, documents: int = 150) -> Path:
    """A corpus of two shards whose documents count up, which a model learns at once."""
    draw = np.random.default_rng(0)
    return write_corpus(folder, {"web": [draw.integers(20, 200, documents).tolist() for _ in range(shards)]})


def config(folder: Path, data: Path, steps: int, /, **sections: Mapping[str, Any] | str) -> TrainConfig:
    """A training of so many steps, on ``data`` and into ``folder``; sections override single keys."""
    written: dict[str, Any] = {
        "output": str(folder),
        "data": {"corpus": str(data), "sequence_length": 16, "micro_batch": 4},
        "model": {"layers": 2, "width": 32, "heads": 2, "hidden": 64, "document_mask": False},
        "optimization": {"tokens": steps * BATCH, "batch_tokens": BATCH, "learning_rate": 1e-2},
        "checkpoints": {"every": 10},
        "recovery": {"window": 8, "deviations": 3, "lookback": 5, "skip_before": 2, "skip_after": 3, "patience": 2},
    }
    for name, section in sections.items():
        written[name] = {**written.get(name, {}), **section} if isinstance(section, Mapping) else section
    return TrainConfig.model_validate(written)


class Recorder(Watcher):
    """Keeps what each step reported, and the events."""

    def __init__(self) -> None:
        self.reports: list[StepReport] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def step(self, state: TrainState, report: StepReport) -> None:
        self.reports.append(report)

    def event(self, state: TrainState, kind: str, facts: dict[str, Any]) -> None:
        self.events.append((kind, facts))

    @property
    def losses(self) -> list[float]:
        return [one.loss for one in self.reports]

    @property
    def read(self) -> list[tuple[int, int]]:
        """From where to where each step read."""
        return [(one.start, one.stop) for one in self.reports]


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Exit code of a process that does the work, and what the work returned. A fork: importing torch anew takes seconds."""
    return on_ranks(1, lambda _: work())[0]


def on_ranks(size: int, work: Callable[[Ranks], Any]) -> list[tuple[int, Any]]:
    """Exit code and result of every rank, processes that are joined by gloo if they are several."""
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [context.Pipe(duplex=False) for _ in range(size)]

    def rank(number: int) -> None:
        places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": size, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in places.items()} | {"MASTER_ADDR": "127.0.0.1"})
        torch.set_num_threads(1)
        with ranks("cpu") as here:
            pipes[number][1].send(work(here))

    processes = [context.Process(target=rank, args=(number,)) for number in range(size)]
    for process in processes:
        process.start()
    for _, sender in pipes:
        sender.close()
    results = []
    for process, (receiver, _) in zip(processes, pipes, strict=True):
        try:
            results.append(receiver.recv())
        except EOFError:
            results.append(None)
        process.join()
    return [(int(process.exitcode or 0), result) for process, result in zip(processes, results, strict=True)]
