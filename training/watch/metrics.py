"""Where the numbers of a training go: a JSONL file that everything else is made from, TensorBoard, Weights & Biases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

METRICS = "metrics.jsonl"


class Sink(Protocol):
    """Takes numbers as they come."""

    def write(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """Something that was measured at a step."""

    def close(self) -> None:
        """No more will come."""


class JsonLines:
    """``metrics.jsonl``: a line for everything, each whole before the next begins. A run that goes on adds to it."""

    def __init__(self, run: Path) -> None:
        path = run / METRICS
        torn = path.exists() and path.read_bytes()[-1:] not in (b"\n", b"")
        self._stream = path.open("a", encoding="utf-8")
        if torn:  # the process was killed in the middle of a line
            self._stream.write("\n")

    def write(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """One line; numbers that are none are null."""
        self._stream.write(json.dumps({"kind": kind, "step": step, **_plain(facts)}, allow_nan=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


class TensorBoard:
    """Event files in ``RUN/tensorboard``; what was written of steps that are done again is hidden."""

    def __init__(self, run: Path, step: int) -> None:
        """Raises ModuleNotFoundError with what to do where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "watching.tensorboard needs TensorBoard: pip install tensorboard, or set it to false"
            ) from error
        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """Numbers under ``kind/name``, texts as texts."""
        for name, value in _numbers(kind, facts).items():
            self._writer.add_scalar(name, value, step)
        if kind == "sample":
            self._writer.add_text("sample", f"{facts['prompt']} … {facts['text']}", step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run in a Weights & Biases project; one that goes on is the same run there."""

    def __init__(self, run: Path, project: str, config: Mapping[str, Any], identity: str) -> None:
        """Raises ModuleNotFoundError with what to do where wandb is not installed."""
        try:
            import wandb
        except ImportError as error:
            raise ModuleNotFoundError(
                "watching.wandb needs Weights & Biases: pip install wandb, or leave it out"
            ) from error
        self._run: Any = wandb.init(
            project=project, name=run.name, id=identity, resume="allow", dir=str(run), config=dict(config)
        )

    def write(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """Numbers under ``kind/name``."""
        if numbers := _numbers(kind, facts):
            self._run.log(numbers, step=step)

    def close(self) -> None:
        self._run.finish()


def read(run: Path) -> list[dict[str, Any]]:
    """The records of a run as it went in the end: steps that were done again after a rollback or a restart stand there once.

    Lines that were cut by a kill are left out. Raises FileNotFoundError where the folder has no log.
    """
    path = run / METRICS
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: {run} is no training's folder, or it has not begun")
    kept: list[dict[str, Any]] = []
    last = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if found["kind"] == "step":
            if found["step"] <= last:
                kept = [one for one in kept if one["step"] < found["step"] or one["kind"] in ("start", "event")]
            last = found["step"]
        kept.append(found)
    return kept


def _plain(facts: Any) -> Any:
    if isinstance(facts, Mapping):
        return {str(name): _plain(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_plain(value) for value in facts]
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts


def _numbers(kind: str, facts: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the facts, those of nested facts too, by path."""
    found: dict[str, float] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found |= _numbers(f"{kind}/{name}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{kind}/{name}"] = float(value)
    return found
