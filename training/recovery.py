"""Recovery: a loss spike or a gradient that is no number takes the training back to a checkpoint before it, and past the data.

PaLM's authors (Chowdhery et al. 2022, section 5.1) did so by hand: they began again about 100 steps before a spike, left out
200 to 500 batches, and it did not come back, though the same batches did no harm elsewhere. Here positions in the stream
make it arithmetic. Which data is left out is part of the state, so of every checkpoint after; the losses that a new one is
compared with are too, so that a resumed training judges as one that was never interrupted.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from training.checkpoint.keeper import put_back
from training.checkpoint.manager import Checkpoints
from training.config import RecoveryConfig
from training.data.stream import TokenStream
from training.hooks import StepReport, Watcher
from training.state import TrainState

_DEVIATION = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
_NAMED_DOCUMENTS = 5


class RecoveryFailed(RuntimeError):  # noqa: N818 - what happened
    """The training was taken back as often as allowed, and the trouble came again. The message is a report for a person."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong: from the first step that showed it to the one at which it was decided."""

    kind: str
    """``spike``, ``loss`` or ``gradient`` (no number)."""
    step: int
    """The first step."""
    start: int
    """Positions in the stream from where the first step …"""
    stop: int
    """… to where the last one read."""
    last_start: int
    """Where the last step began to read."""
    loss: float
    """Of the last step, as its gradient norm."""
    gradient_norm: float
    usual: float | None
    """Median of the losses before."""
    limit: float | None
    """The loss that is too high."""

    def facts(self) -> dict[str, Any]:
        """As JSON, which has no NaN."""
        return {
            key: str(one) if isinstance(one, float) and not math.isfinite(one) else one
            for key, one in asdict(self).items()
        }

    def __str__(self) -> str:
        if self.kind == "spike":
            return f"the loss rose to {self.loss:.4g}, above {self.limit:.4g}, where {self.usual:.4g} was usual"
        return f"the {self.kind} is no finite number (loss {self.loss}, gradient norm {self.gradient_norm})"


class Detector:
    """Tells trouble from the numbers of the steps alone, which all ranks share, so all tell the same."""

    def __init__(self, config: RecoveryConfig, warmup_tokens: int) -> None:
        self._config = config
        self._warmup = warmup_tokens
        self._losses: deque[float] = deque(maxlen=config.window)
        self._suspects: list[tuple[int, int]] = []

    def judge(self, report: StepReport) -> Trouble | None:
        """Take note of a step's numbers. Trouble, if the training is to go back."""
        finite = math.isfinite(report.loss)
        if not (finite and math.isfinite(report.gradient_norm)):
            return self._trouble("gradient" if finite else "loss", report)
        if report.loss <= self._limit(report):
            self._suspects.clear()
            self._losses.append(report.loss)
            return None
        self._suspects.append((report.step, report.start))
        return self._trouble("spike", report) if len(self._suspects) >= self._config.patience else None

    def _limit(self, report: StepReport) -> float:
        """The loss above which a step is suspect."""
        if report.tokens <= self._warmup or len(self._losses) < self._config.window // 2:
            return math.inf
        middle = median(self._losses)
        deviation = _DEVIATION * median(abs(loss - middle) for loss in self._losses)
        return middle + max(self._config.deviations * deviation, self._config.rise)

    def _trouble(self, kind: str, report: StepReport) -> Trouble:
        step, start = self._suspects[0] if self._suspects else (report.step, report.start)
        limit = self._limit(report)
        return Trouble(
            kind, step, start, report.stop, report.start, report.loss, report.gradient_norm,
            median(self._losses) if self._losses else None, limit if math.isfinite(limit) else None,
        )  # fmt: skip

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"losses": list(self._losses), "suspects": list(self._suspects)}

    def remember(self, memory: dict[str, Any]) -> None:
        """Go on from what was saved."""
        self._losses = deque(memory.get("losses", ()), self._config.window)
        self._suspects = [(int(step), int(start)) for step, start in memory.get("suspects", ())]


class Recovery:
    """The training loop's guard (`training.hooks.Guard`)."""

    def __init__(
        self,
        config: RecoveryConfig,
        warmup_tokens: int,
        checkpoints: Checkpoints,
        log: Path,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        """Events go to ``log``, a JSON object a line, and to the watchers."""
        self._config = config
        self._detector = Detector(config, warmup_tokens)
        self._checkpoints = checkpoints
        self._log = log
        self._watchers = watchers
        self.rollbacks: list[dict[str, Any]] = []
        """All that there were, as they are logged; positions count tokens of the stream."""

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {**self._detector.memory(), "rollbacks": self.rollbacks}

    def remember(self, memory: dict[str, Any]) -> None:
        """Go on from what was saved, which may be by a training without a guard."""
        self._detector.remember(memory)
        self.rollbacks = list(memory.get("rollbacks", ()))

    def sound(self, state: TrainState, report: StepReport) -> bool:
        """Whether to use the gradient of a step; if not, the state is that of an earlier checkpoint, with data to leave out.

        Raises RecoveryFailed if that was tried too often.
        """
        trouble = self._detector.judge(report)
        if not state.ranks.any(trouble is not None):
            return True
        if trouble is None:
            raise RuntimeError("another rank saw other numbers in the same step: the ranks have run apart")
        self._go_back(state, trouble, report.stop - report.start)
        return False

    def _go_back(self, state: TrainState, trouble: Trouble, step_tokens: int) -> None:
        wanted = trouble.step - 1 - self._config.lookback
        oldest = self._checkpoints.oldest()
        found = None if oldest is None else self._checkpoints.newest(max(wanted, oldest))
        if found is None or found.step >= trouble.step:
            self._give_up(state, trouble, "there is no checkpoint from before it")
        tries = 1 + sum(one["to_step"] >= found.step for one in self.rollbacks)
        if tries > self._config.tries:
            self._give_up(state, trouble, f"going back to step {found.step} did not help {self._config.tries} times")
        position = int(found.state["data"]["tokens"])
        first = max(position, trouble.start - self._config.skip_before * step_tokens)
        last = trouble.stop + self._config.skip_after * step_tokens
        skipped = [*state.skipped, (first, last)]  # the checkpoint may be older than earlier skips
        self._checkpoints.discard_after(found.step)
        put_back(state, found)
        state.skipped = skipped
        self._detector.remember(found.state["memory"])
        facts = {
            "trouble": trouble.facts(),
            "to_step": found.step,
            "to_position": position,
            "skip": [first, last],
            "try": tries,
            "documents": documents(state.loader.stream, trouble),
        }
        self.rollbacks.append(facts)
        self._tell(state, "rollback", facts)

    def _give_up(self, state: TrainState, trouble: Trouble, why: str) -> NoReturn:
        """Raise the report."""
        named = documents(state.loader.stream, trouble)
        self._tell(state, "gave up", {"trouble": trouble.facts(), "why": why, "documents": named})
        tried = [
            f"  from step {one['trouble']['step']} to {one['to_step']}, without {one['skip']}" for one in self.rollbacks
        ]
        raise RecoveryFailed(
            "\n".join(
                [
                    f"training stopped at step {trouble.step}: {trouble}, and {why}.",
                    f"It was at the positions {trouble.start} to {trouble.stop} of the stream. The first documents of the last batch:",
                    *(f"  {one['document_id']} ({one['source']}, {one['shard']}, row {one['row']})" for one in named),
                    f"Rollbacks until now: {len(tried) or 'none'}",
                    *tried,
                    "What to do: look at these documents (corpusmill trace). If they are fine, it is not the data: lower "
                    "optimization.learning_rate, or lengthen the warm-up, or clip lower. Then start again: the run goes on from its last "
                    f"whole checkpoint. If the loss is no spike to you, raise recovery.deviations or recovery.rise. All events: {self._log}",
                ]
            )
        )

    def _tell(self, state: TrainState, kind: str, facts: dict[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.event(state, kind, facts)
        if state.ranks.first:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("a") as stream:
                stream.write(json.dumps({"event": kind, **facts}) + "\n")


def documents(stream: TokenStream, trouble: Trouble) -> list[dict[str, Any]]:
    """The first documents that the last step of a trouble read, and where they lie. Raises as reading them does."""
    return [
        {
            "document_id": str(piece.batch.load().document_ids[piece.row].as_py()),
            "source": piece.batch.file.source,
            "shard": piece.batch.file.path,
            "row": piece.row + sum(len(piece.batch.shard.batch(number)) for number in range(piece.batch.number)),
        }
        for piece in islice(stream.pieces(trouble.last_start, trouble.stop), _NAMED_DOCUMENTS)
    ]
