"""A resumed training is the uninterrupted one: bit for bit on as many ranks, in its data on any, and after any kind of end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small import HERE, Recorder, config, corpus, forked, on_ranks
from training.checkpoint import files
from training.checkpoint.manager import SaveFailed
from training.config import TrainConfig
from training.hooks import StepReport
from training.parallel import Ranks
from training.run import run_on
from training.state import TrainState

STEPS = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("corpus"))


class StopAt(Recorder):
    """Sends this process a signal after a step."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.step_to_stop, self.number = step, number

    def step(self, state: TrainState, report: StepReport) -> None:
        super().step(state, report)
        if report.step == self.step_to_stop:
            os.kill(os.getpid(), self.number)


def trained(
    settings: TrainConfig, here: Ranks = HERE, stop: int = 0
) -> tuple[list[float], list[tuple[int, int]], float]:
    """Losses, what was read, and the first learning rate."""
    seen = StopAt(stop) if stop else Recorder()
    run_on(settings, here, [seen])
    return seen.losses, seen.read, seen.reports[0].learning_rate


def whole_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and numbers of the newest checkpoint, without what names the folder."""
    found = files.read(max(files.listed(folder / "checkpoints").values()))
    state = {key: value for key, value in found.state.items() if key != "config"}
    return {**found.tensors("model"), **found.tensors("optimizer")}, state


def assert_same(one: Path, other: Path) -> None:
    tensors, state = whole_state(one)
    others, other_state = whole_state(other)
    assert state == other_state
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == others[name].dtype
        assert torch.equal(tensor, others[name]), name


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "muon": {"optimization": {"optimizer": "muon"}},
    "masters": {"precision": "bf16-master"},
    "noise": {"optimization": {"growth": {"kind": "noise", "most": 1024, "least_measurements": 3, "smoothing": 0.5}}},
    "synchronous": {"checkpoints": {"asynchronous": False}},
}


@pytest.mark.parametrize("sections", SETTINGS.values(), ids=SETTINGS)
def test_resumed_is_bitwise_the_uninterrupted(tmp_path: Path, data: Path, sections: dict[str, Any]) -> None:
    """Stopped twice, as a second resume may begin elsewhere than the first; once right at a checkpoint."""
    once = trained(config(tmp_path / "once", data, STEPS, **sections))
    settings = config(tmp_path / "often", data, STEPS, **sections)
    parts = [trained(settings, stop=7), trained(settings, stop=10), trained(settings)]
    losses, read = ([value for part in parts for value in part[i]] for i in (0, 1))
    assert (losses, read) == once[:2]
    assert losses[-1] < losses[0] - 0.5
    assert_same(tmp_path / "once", tmp_path / "often")


def test_a_finished_training_is_not_trained_on(tmp_path: Path, data: Path) -> None:
    settings = config(tmp_path, data, 5)
    trained(settings)
    before = whole_state(tmp_path)[1]
    seen = Recorder()
    run_on(settings, HERE, [seen])
    assert not seen.reports
    assert whole_state(tmp_path)[1] == before


@pytest.mark.parametrize("strategy", ["ddp", "zero3"])
def test_resumed_on_two_ranks_is_bitwise_the_uninterrupted(tmp_path: Path, data: Path, strategy: str) -> None:
    sections = {"parallel": {"strategy": strategy}}

    def work(here: Ranks) -> Any:
        once = trained(config(tmp_path / "once", data, 14, **sections), here)
        settings = config(tmp_path / "often", data, 14, **sections)
        # the signal comes to one rank alone, and both stop after the same step
        parts = [trained(settings, here, stop=7 if here.rank else 0), trained(settings, here)]
        return once, parts

    results = on_ranks(2, work)
    for code, (once, parts) in results:
        assert code == 0
        assert len(parts[0][0]) == 7
        assert parts[0][0] + parts[1][0] == once[0]
        assert parts[0][1] + parts[1][1] == once[1]
    assert results[0][1][0][0] == results[1][1][0][0]
    assert_same(tmp_path / "once", tmp_path / "often")


@pytest.mark.parametrize("strategies", [("ddp", "ddp"), ("zero3", "zero2"), ("zero2", "ddp")])
def test_the_number_of_ranks_may_change(tmp_path: Path, data: Path, strategies: tuple[str, str]) -> None:
    """2 -> 1 -> 2 ranks, of one strategy and another: the same data, and losses that differ by rounding alone."""

    def on_two(strategy: str, stop: int) -> tuple[list[float], list[tuple[int, int]], float]:
        settings = config(tmp_path / "changed", data, 14, parallel={"strategy": strategy})
        (code, found), _ = on_ranks(2, lambda here: trained(settings, here, stop))
        assert code == 0
        return found

    once = trained(config(tmp_path / "once", data, 14))
    parts = [
        on_two(strategies[0], 6),
        trained(config(tmp_path / "changed", data, 14), stop=8),
        on_two(strategies[1], 0),
    ]
    assert [len(part[0]) for part in parts] == [6, 2, 6]
    assert [one for part in parts for one in part[1]] == once[1]
    assert [value for part in parts for value in part[0]] == pytest.approx(once[0], rel=1e-4)
    tensors, numbers = whole_state(tmp_path / "once")
    others, other_numbers = whole_state(tmp_path / "changed")
    assert numbers["data"] == other_numbers["data"]
    for name, tensor in tensors.items():
        torch.testing.assert_close(others[name], tensor, rtol=2e-2, atol=2e-4)


def test_batches_may_be_cut_otherwise(tmp_path: Path, data: Path) -> None:
    once = trained(config(tmp_path / "once", data, STEPS))
    settings = [
        config(tmp_path / "changed", data, STEPS, data={"micro_batch": micro, "sequence_length": length})
        for micro, length in ((4, 16), (2, 32), (16, 16))
    ]
    parts = [trained(settings[0], stop=6), trained(settings[1], stop=15), trained(settings[2])]
    assert [one for part in parts for one in part[1]] == once[1]
    assert parts[0][0] == once[0][:6]


def test_a_killed_training_goes_on_as_if_nothing_had_been(tmp_path: Path, data: Path) -> None:
    once = trained(config(tmp_path / "once", data, STEPS))
    settings = config(tmp_path / "killed", data, STEPS, checkpoints={"every": 4})
    for step in (2, 6, 14):  # before the first save, between saves, while a save runs
        code, _ = forked(lambda step=step: run_on(settings, HERE, [StopAt(step, signal.SIGKILL)]))
        assert code == -signal.SIGKILL
    first = min(files.listed(tmp_path / "killed/checkpoints"), default=0)
    assert first in (0, 4, 8, 12)
    losses, read, _ = trained(settings)
    assert 10 <= len(losses) <= STEPS
    assert (losses, read) == (once[0][-len(losses) :], once[1][-len(losses) :])
    assert_same(tmp_path / "once", tmp_path / "killed")


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = trained(config(tmp_path / "once", data, STEPS))
    settings = config(tmp_path / "damaged", data, STEPS)
    trained(settings, stop=21)
    newest = tmp_path / "damaged/checkpoints/step-00000021/optimizer.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    losses, read, rate = trained(settings)
    assert "step-00000021/optimizer.safetensors has" in capsys.readouterr().err
    assert (losses, read) == (once[0][20:], once[1][20:])
    assert rate < 1e-2
    assert_same(tmp_path / "once", tmp_path / "damaged")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"width": 48}}, r"another model or optimizer.*float32\[.*32\] in the checkpoint.*48\] here"),
        ({"model": {"tied": False}}, "nothing in the checkpoint"),
        ({"optimization": {"optimizer": "muon"}}, "another model or optimizer"),
        ({"data": {"seed": 1}}, "made with other data, another seed or mixture"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    tmp_path: Path, data: Path, sections: dict[str, Any], message: str
) -> None:
    trained(config(tmp_path, data, 3))
    with pytest.raises(ValueError, match=message):
        run_on(config(tmp_path, data, 6, **sections), HERE)


def test_a_failed_save_ends_the_training_on_all_ranks(tmp_path: Path, data: Path) -> None:
    """fms-fsdp lost 400 B tokens of work to saves that failed in silence."""

    def work(here: Ranks) -> tuple[str, int]:
        class Obstacle(Recorder):
            def step(self, state: TrainState, report: StepReport) -> None:
                super().step(state, report)
                if report.step == 4 and here.first:  # a file where the next checkpoint is to be
                    (tmp_path / "checkpoints/step-00000005").write_text("")

        seen = Obstacle()
        try:
            run_on(config(tmp_path, data, 100, checkpoints={"every": 5}), here, [seen])
        except SaveFailed as error:
            return str(error), len(seen.reports)
        return "no error", len(seen.reports)

    results = on_ranks(2, work)
    assert [code for code, _ in results] == [0, 0]
    assert "step-00000005 is already there" in results[0][1][0]
    assert "rank 0 says why" in results[1][1][0]
    assert results[0][1][1] == results[1][1][1] < 100


def test_ctrl_c_ends_a_training_well(tmp_path: Path, data: Path) -> None:
    settings = config(tmp_path, data, STEPS)
    seen = StopAt(3, signal.SIGINT)
    assert run_on(settings, HERE, [seen]).step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert max(files.listed(tmp_path / "checkpoints")) == 3


def test_a_signal_ends_the_command_well(tmp_path: Path, data: Path) -> None:
    settings = config(tmp_path / "run", data, 100_000, checkpoints={"every": 50})
    written = tmp_path / "train.yaml"
    written.write_text(json.dumps(settings.model_dump(mode="json")))
    command = [sys.executable, "-m", "training", str(written)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        while max(files.listed(tmp_path / "run/checkpoints"), default=0) == 0 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    assert process.returncode == 0, told
    step = files.read(max(files.listed(tmp_path / "run/checkpoints").values())).step
    assert f"SIGTERM: saved at step {step}" in told
    assert 50 <= step < 100_000
