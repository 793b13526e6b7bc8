"""A training that meets bad data or bad gradients goes back, leaves the data out, and ends as well as one that never met it."""

from __future__ import annotations

import json
import math
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.small import BATCH, HERE, Recorder, config, corpus, on_ranks
from training.checkpoint import files
from training.config import RecoveryConfig
from training.data.stream import Part, TokenStream
from training.hooks import StepReport
from training.parallel import Ranks
from training.recovery import Detector, RecoveryFailed
from training.run import run_on
from training.state import TrainState

STEPS = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Positions of the stream from where to where it holds random tokens instead of its own."""
    ranges: list[tuple[int, int]] = []
    read = TokenStream.read

    def poisoned(self: TokenStream, start: int, stop: int, out: Any = None) -> Part:
        part = read(self, start, stop, out)
        for first, last in ranges:
            places = np.arange(max(first, start), min(last, stop))
            part.tokens[places - start] = places * 0x9E3779B1 % 2**32 // 7 % 900 + 1
        return part

    monkeypatch.setattr(TokenStream, "read", poisoned)
    yield ranges


class Corrupted(Recorder):
    """Multiplies gradients by infinity in the steps that read from certain positions, before ranks add them up."""

    def __init__(self, *ranges: tuple[int, int]) -> None:
        super().__init__()
        self.ranges = ranges

    def start(self, state: TrainState) -> None:
        def corrupt(gradient: torch.Tensor) -> torch.Tensor:
            at = state.loader.position - 1
            return gradient * math.inf if any(first <= at < last for first, last in self.ranges) else gradient

        def forward(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if output.requires_grad:
                output.register_hook(corrupt)

        state.model.embedding.register_forward_hook(forward)


def steps(first: int, last: int) -> tuple[int, int]:
    """Positions that the steps ``first`` to ``last`` (from 1, inclusive) read when nothing is left out."""
    return (first - 1) * BATCH, last * BATCH


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_poisoned_batch_is_rolled_back_and_skipped(tmp_path: Path, data: Path, poison: list[tuple[int, int]]) -> None:
    clean = Recorder()
    run_on(config(tmp_path / "clean", data, STEPS), HERE, [clean])
    poison.append(steps(36, 39))
    alone = Recorder()
    run_on(config(tmp_path / "alone", data, STEPS, recovery=False), HERE, [alone])
    seen = Recorder()
    state = run_on(config(tmp_path / "run", data, STEPS), HERE, [seen])

    # steps 36 and 37 are too high; back to the checkpoint of step 30, which is 5 or more before 36
    (event,) = logged(tmp_path / "run")
    assert seen.events == [("rollback", {key: value for key, value in event.items() if key != "event"})]
    assert event["trouble"]["kind"] == "spike"
    assert event["trouble"]["step"] == 36
    assert (event["trouble"]["start"], event["trouble"]["stop"]) == steps(36, 37)
    assert event["trouble"]["loss"] > event["trouble"]["limit"] > event["trouble"]["usual"]
    assert (event["to_step"], event["to_position"], event["try"]) == (30, 30 * BATCH, 1)
    assert tuple(event["skip"]) == steps(34, 40)  # 2 before, 3 after

    expected = [steps(i, i) for i in range(1, 37)]  # the 37th was not used
    expected += [steps(i, i) for i in range(31, 34)] + [steps(i, i) for i in range(41, 41 + STEPS - 33)]
    assert seen.read == expected
    assert seen.losses[36:39] == seen.losses[30:33] == clean.losses[30:33]
    assert state.step == STEPS
    assert max(seen.losses[36:]) < 1.5 * max(clean.losses[30:])
    assert sum(seen.losses[-5:]) < sum(clean.losses[-5:]) + 5 * 0.3
    assert alone.losses[37] > seen.losses[39] + 1  # what would have been

    newest = files.read(tmp_path / f"run/checkpoints/step-{STEPS:08}")
    assert newest.state["skipped"] == [list(steps(34, 40))]
    assert newest.state["memory"]["rollbacks"][0]["skip"] == list(steps(34, 40))


def test_the_documents_that_did_it_are_named(tmp_path: Path, data: Path, poison: list[tuple[int, int]]) -> None:
    poison.append(steps(36, 39))
    state = run_on(config(tmp_path, data, 40), HERE)
    (event,) = logged(tmp_path)
    first, last = steps(37, 37)  # the step at which it was decided
    pieces = list(state.loader.stream.pieces(first, last))
    assert 0 < len(event["documents"]) <= min(5, len(pieces))
    for named, piece in zip(event["documents"], pieces, strict=False):
        shard = piece.batch.shard
        assert shard.path.endswith(named["shard"])
        assert shard.document_id(named["row"]) == named["document_id"]
        assert np.array_equal(shard.tokens(named["row"]), piece.batch.load().tokens(piece.row))


@pytest.mark.parametrize("stop", [36, 38, 45], ids=["before", "between", "after"])
def test_a_resumed_training_skips_the_same(
    tmp_path: Path, data: Path, poison: list[tuple[int, int]], stop: int
) -> None:
    """Stopped within the spike, after the rollback but before the data that is left out, and after that."""

    class StopAfter(Recorder):
        def step(self, state: TrainState, report: StepReport) -> None:
            super().step(state, report)
            if len(self.reports) == stop:
                os.kill(os.getpid(), signal.SIGTERM)

    poison.append(steps(36, 39))
    sections: dict[str, Any] = {"checkpoints": {"every": 1, "keep": 30}}
    once, parts = Recorder(), [StopAfter(), Recorder()]
    run_on(config(tmp_path / "once", data, STEPS, **sections), HERE, [once])
    for part in parts:
        run_on(config(tmp_path / "twice", data, STEPS, **sections), HERE, [part])
    assert len(parts[0].reports) == stop
    assert parts[0].read + parts[1].read == once.read
    assert parts[0].losses + parts[1].losses == once.losses
    assert logged(tmp_path / "twice") == logged(tmp_path / "once")
    one, other = (files.read(tmp_path / name / f"checkpoints/step-{STEPS:08}").state for name in ("once", "twice"))
    assert {**one, "config": 0} == {**other, "config": 0}
    # what a loss is compared with went back too: steps 26 to 30, and 31 to 33 as they were the second time
    memory = files.read(tmp_path / "once/checkpoints/step-00000033").state["memory"]
    assert memory["losses"] == once.losses[25:30] + once.losses[36:39]
    assert memory["suspects"] == []


@pytest.mark.parametrize(
    ("kind", "strategy", "bad"), [("spike", "ddp", 36), ("gradient", "ddp", 6), ("gradient", "zero3", 6)]
)
def test_ranks_decide_alike_when_one_alone_sees_it(
    tmp_path: Path, data: Path, poison: list[tuple[int, int]], kind: str, strategy: str, bad: int
) -> None:
    settings = config(tmp_path, data, bad + 6, parallel={"strategy": strategy})
    first, last = steps(bad, bad + 1)
    if kind == "spike":  # a pass of two ranks reads 128 tokens: rank 1 the second half of them
        poison += [(start + 64, start + 128) for start in range(first, last, 128)]

    def work(here: Ranks) -> Any:
        seen = Corrupted(*[(first, last)] if kind == "gradient" and here.rank == 1 else [])
        run_on(settings, here, [seen])
        return seen.read, seen.losses, seen.events

    (code, (read, losses, events)), (other_code, other) = on_ranks(2, work)
    assert code == other_code == 0
    assert other == (read, losses, events)
    ((_, event),) = events
    assert event["trouble"]["kind"] == kind
    assert tuple(event["skip"]) == steps(bad - 2, bad + (4 if kind == "spike" else 3))
    assert all(math.isfinite(loss) for loss in losses)
    assert len(logged(tmp_path)) == 1


def test_a_single_hard_batch_is_no_spike(tmp_path: Path, data: Path, poison: list[tuple[int, int]]) -> None:
    poison.append(steps(36, 36))
    seen = Recorder()
    run_on(config(tmp_path, data, 40), HERE, [seen])
    assert seen.losses[35] > seen.losses[34] + 1
    assert len(seen.reports) == 40
    assert not seen.events


def test_trouble_in_the_first_steps_goes_back_to_the_beginning(tmp_path: Path, data: Path) -> None:
    seen = Corrupted(steps(3, 3))
    run_on(config(tmp_path, data, 8), HERE, [seen])
    ((_, event),) = seen.events
    assert (event["trouble"]["kind"], event["to_step"], event["skip"]) == ("gradient", 0, [0, 6 * BATCH])
    assert seen.read == [steps(1, 1), steps(2, 2), *(steps(i, i) for i in range(7, 15))]


def test_a_damaged_checkpoint_is_not_gone_back_to(tmp_path: Path, data: Path) -> None:
    class Damaging(Corrupted):
        def step(self, state: TrainState, report: StepReport) -> None:
            super().step(state, report)
            path = tmp_path / "checkpoints/step-00000010/model.safetensors"
            if report.step == 18 and path.exists():
                path.write_bytes(b"")

    seen = Damaging(steps(19, 19))
    run_on(config(tmp_path, data, 24), HERE, [seen])
    ((_, event),) = seen.events
    assert event["to_step"] == 0
    assert (tmp_path / "checkpoints/damaged-step-00000010").exists()


def test_it_stops_with_a_report_after_so_many_tries(tmp_path: Path, data: Path) -> None:
    settings = config(tmp_path, data, STEPS, recovery={"tries": 2})
    seen = Corrupted(steps(36, 10_000))
    with pytest.raises(RecoveryFailed) as raised:
        run_on(settings, HERE, [seen])
    assert [kind for kind, _ in seen.events] == ["rollback", "rollback", "gave up"]
    # the second time it is data after what was left out
    assert [facts["skip"] for _, facts in seen.events[:2]] == [list(steps(34, 39)), list(steps(38, 43))]
    report = str(raised.value)
    assert "stopped at step 34" in report
    assert "gradient is no finite number" in report
    assert "going back to step 20 did not help 2 times" in report or "step 30" in report
    for fact in (
        "web-",
        "shards/train/web",
        "row ",
        "What to do",
        "events.jsonl",
        "learning_rate",
        str(steps(44, 44)[0]),
    ):
        assert fact in report
    # and who starts again, with a lower rate or without the data, begins before the trouble
    fixed = Recorder()
    run_on(settings, HERE, [fixed])
    assert fixed.reports[0].step in (21, 31)
    assert all(math.isfinite(loss) for loss in fixed.losses)


@pytest.mark.parametrize("size", [1, 2])
def test_fp16_overflow_is_the_scalers_business(tmp_path: Path, data: Path, size: int) -> None:
    settings = config(tmp_path, data, 16, precision="fp16", optimization={"learning_rate": 3e-3})

    def work(here: Ranks) -> Any:
        seen = Corrupted(*([steps(5, 5), steps(9, 10)] if here.rank == size - 1 else []))
        state = run_on(settings, here, [seen])
        return seen.events, [(one.overflowed, one.scale) for one in seen.reports], seen.read, state.scaler.scale

    results = on_ranks(size, work)
    for code, (events, scales, read, scale) in results:
        assert code == 0
        assert events == []
        assert [i + 1 for i, (overflowed, _) in enumerate(scales) if overflowed] == [5, 9, 10]
        assert [value for _, value in scales] == [65536.0] * 5 + [32768.0] * 4 + [16384.0] + [8192.0] * 6
        assert scale == 8192.0
        assert read == [steps(i, i) for i in range(1, 17)]


def test_fp16_overflow_that_persists_is_trouble(tmp_path: Path, data: Path) -> None:
    """The scale halves 16 times, from 65536 to 1, where it can't be the scale's fault."""
    settings = config(tmp_path, data, 40, precision="fp16", recovery={"skip_before": 18})
    seen = Corrupted(steps(12, 30))
    state = run_on(settings, HERE, [seen])
    ((kind, event),) = seen.events
    assert kind == "rollback"
    assert event["trouble"]["step"] == 12 + 16
    assert event["to_step"] == 20
    assert state.step == 40
    assert not seen.reports[-1].overflowed


# --- the decision itself ---


def report(step: int, loss: float, norm: float = 1.0) -> StepReport:
    return StepReport(
        step, step * 100, (step - 1) * 100, step * 100, loss, 100, norm, 1e-3, 1.0, False, None, 0.1, 0.0
    )  # fmt: skip


def judged(detector: Detector, losses: list[float]) -> list[int]:
    """The steps, from 1, at which it said trouble."""
    return [i + 1 for i, loss in enumerate(losses) if detector.judge(report(i + 1, loss)) is not None]


def test_the_limit_is_the_median_plus_robust_deviations() -> None:
    # losses 1.0, 1.1 .. 1.7: median 1.35; distances .35 .25 .15 .05 .05 .15 .25 .35, their median .2
    # deviation 1.4826 * .2 = .29652; limit 1.35 + 2 * .29652 = 1.94304
    losses = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
    for loss, expected in ((1.9430, []), (1.9431, [9])):
        detector = Detector(RecoveryConfig(window=8, deviations=2, rise=0.1, patience=1), 800)
        assert judged(detector, [*losses, loss]) == expected
    for loss, expected in ((2.3499, []), (2.3501, [9])):  # where the deviation is small the rise decides: 1.35 + 1
        detector = Detector(RecoveryConfig(window=8, deviations=2, rise=1.0, patience=1), 800)
        assert judged(detector, [*losses, loss]) == expected


def test_warm_up_and_a_short_history_are_respected() -> None:
    settings = RecoveryConfig(window=8, patience=1)
    assert judged(Detector(settings, 0), [1.0] * 3 + [9.0]) == []
    assert judged(Detector(settings, 0), [1.0] * 4 + [9.0]) == [5]
    assert judged(Detector(settings, 500), [1.0] * 4 + [9.0]) == []
    assert judged(Detector(settings, 500), [1.0] * 5 + [9.0]) == [6]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_trouble_at_once(loss: float) -> None:
    found = Detector(RecoveryConfig(), 10**9).judge(report(1, loss))
    assert found is not None
    assert found.kind == "loss"
    json.dumps(found.facts(), allow_nan=False)
    found = Detector(RecoveryConfig(), 10**9).judge(report(1, 1.0, loss))
    assert found is not None
    assert found.kind == "gradient"


def test_patience_counts_steps_in_a_row() -> None:
    settings = RecoveryConfig(window=8, patience=3)
    assert judged(Detector(settings, 0), [1.0] * 8 + [9.0, 9.0, 1.0, 9.0, 9.0, 1.0]) == []
    detector = Detector(settings, 0)
    assert judged(detector, [1.0] * 8 + [9.0, 9.0]) == []
    found = detector.judge(report(11, 9.0))
    assert found is not None
    assert (found.step, found.start, found.last_start, found.stop) == (9, 800, 1000, 1100)


@given(st.lists(st.floats(0.5, 12), min_size=20, max_size=60), st.integers(1, 19))
def test_a_detector_that_was_saved_goes_on_the_same(losses: list[float], cut: int) -> None:
    settings = RecoveryConfig(window=8, patience=2, deviations=3)
    whole, first, second = (Detector(settings, 400) for _ in range(3))
    for i, loss in enumerate(losses):
        if i == cut:
            second.remember(json.loads(json.dumps(first.memory())))
        assert whole.judge(report(i + 1, loss)) == (first if i < cut else second).judge(report(i + 1, loss))


def test_ordinary_training_has_no_spikes_and_true_ones_are_found() -> None:
    """A falling loss with noise; at step 3000 the loss rises by a nat over ten steps, as instabilities do."""
    draw = random.Random(0)
    noise = 0.05
    curve = [2.5 + 8 * (step + 10) ** -0.4 + draw.gauss(0, noise) for step in range(4000)]
    assert judged(Detector(RecoveryConfig(), 10_000), curve) == []
    spiked = [loss + max(0.0, min(1.0, (step - 3000) / 10)) for step, loss in enumerate(curve)]
    first, *_ = judged(Detector(RecoveryConfig(), 10_000), spiked)
    assert 3001 < first < 3012
