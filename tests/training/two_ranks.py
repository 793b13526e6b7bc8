"""Trains small models on as many ranks as torchrun starts, and writes down what became of them: see test_ranks.py.

One job runs every case, because starting a process that knows torch takes longer than all the training.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.config import TrainConfig
from training.hooks import StepReport, Watcher
from training.loop import build, train
from training.parallel import Ranks, ranks
from training.state import TrainState

torch.set_num_threads(1)  # two would spin more than they compute

SHAPE = {"preset": "tiny", "layers": 2, "width": 32, "heads": 2, "kv_heads": 1, "hidden": 48}
STEP = 512
BASE = {"tokens": 4 * STEP, "batch_tokens": STEP, "learning_rate": 1e-2, "eps": 1e-4}
NOISE = {"kind": "noise", "most": 4 * STEP, "least_measurements": 1, "smoothing": 0.5, "factor": 1e6}

CASES: dict[str, dict[str, Any]] = {
    "ddp": {},
    "zero3": {"parallel": {"strategy": "zero3"}},
    "zero2-muon": {"parallel": {"strategy": "zero2"}, "optimization": BASE | {"optimizer": "muon"}},
    "prefix": {"model": SHAPE | {"objective": "prefix", "positions": "alibi"}},
    "growing": {"optimization": BASE | {"tokens": 6 * STEP, "growth": NOISE}},
    "bf16-master": {"precision": "bf16-master"},
    "fp16": {"precision": "fp16"},
    "fp16-zero3": {"precision": "fp16", "parallel": {"strategy": "zero3"}},
}


class Notes(Watcher):
    """Keeps every report. In fp16 cases it makes the gradient of one rank overflow in the second step."""

    def __init__(self, overflow_on: int | None) -> None:
        self.reports: list[StepReport] = []
        self.overflow_on = overflow_on

    def start(self, state: TrainState) -> None:
        if self.overflow_on == state.ranks.rank:
            state.model.register_forward_hook(
                lambda model, given, loss: loss * (float("inf") if len(self.reports) == 1 else 1.0)
            )

    def step(self, state: TrainState, report: StepReport) -> None:
        self.reports.append(report)


def run_case(
    name: str, corpus: Path, here: Ranks, cut: tuple[int, int] = (2, 32)
) -> tuple[list[StepReport], dict[str, Any]]:
    """Train one case; its reports, and the parameters at the end."""
    micro_batch, length = cut
    settings = {
        "output": "unused",
        "data": {"corpus": str(corpus), "sequence_length": length, "micro_batch": micro_batch, "mask_joins": True},
        "model": SHAPE,
        "optimization": BASE,
        **CASES[name],
    }
    state = build(TrainConfig.model_validate(settings), here)
    notes = Notes(here.size - 1 if name.startswith("fp16") else None)
    train(state, watchers=[notes])
    tensors = {key: value for key, value in state.tensors().items() if key.startswith("model.")}
    whole = {key: value.full_tensor() if hasattr(value, "full_tensor") else value for key, value in tensors.items()}
    return notes.reports, {key: value.numpy().copy() for key, value in whole.items()}


def main(corpus: str, out: str) -> None:
    """Run every case and write ``CASE.RANK.json`` and ``CASE.RANK.npz``."""
    with ranks("cpu") as here:
        for name in CASES:
            reports, parameters = run_case(name, Path(corpus), here)
            Path(out, f"{name}.{here.rank}.json").write_text(json.dumps([asdict(one) for one in reports]))
            np.savez(Path(out, f"{name}.{here.rank}.npz"), **parameters)


if __name__ == "__main__":
    main(*sys.argv[1:])
