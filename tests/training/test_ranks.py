"""Two ranks train what one rank trains, however the work is shared; and they decide alike."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus
from two_ranks import CASES, STEP, run_case

from training.parallel import Ranks

ROOT = Path(__file__).resolve().parents[2]
ONE = Ranks(0, 1, torch.device("cpu"))
LENGTHS = {"web": [[30, 7, 55, 20, 3, 61] * 30], "books": [[90, 12, 5] * 40]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), LENGTHS)


@pytest.fixture(scope="module")
def two(corpus, tmp_path_factory):
    """What became of every case on two ranks: reports and parameters of either rank."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(ROOT / "tests/training/two_ranks.py"), str(corpus), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-4000:]

    def read(name: str, rank: int):
        return json.loads((out / f"{name}.{rank}.json").read_text()), dict(np.load(out / f"{name}.{rank}.npz"))

    return {name: (read(name, 0), read(name, 1)) for name in CASES}


def told(reports, *fields):
    return [[one[field] for field in fields] for one in reports]


@pytest.mark.parametrize("name", CASES)
def test_both_ranks_tell_and_have_the_same(two, name):
    (first, parameters), (second, others) = two[name]
    alike = [field for field in first[0] if field not in ("seconds", "waited")]
    assert json.dumps(told(first, *alike)) == json.dumps(told(second, *alike))
    assert all(np.array_equal(parameters[key], others[key]) for key in parameters)


@pytest.mark.parametrize("name", ["ddp", "zero3", "zero2-muon", "prefix"])
def test_two_ranks_train_what_one_trains(two, corpus, name):
    (reports, parameters), _ = two[name]
    alone, expected = run_case(name, corpus, ONE)
    alone = [asdict(one) for one in alone]
    assert len(alone) == 4
    exact = ("step", "tokens", "start", "stop", "valid", "learning_rate")
    assert told(reports, *exact) == told(alone, *exact)
    assert len({one["valid"] for one in alone}) > 1  # ranks and passes had unlike shares of the targets
    for one, other in zip(reports, alone, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4)
    for key, value in expected.items():
        np.testing.assert_allclose(parameters[key], value, atol=2e-3 if "muon" in name else 2e-5, err_msg=key)
    assert alone[-1]["loss"] < alone[0]["loss"] - 0.1


@pytest.mark.parametrize("cut", [(1, 32), (8, 32), (16, 32)])
def test_passes_of_any_size_train_the_same(corpus, cut):
    """The loss is a mean over the targets of the batch, not a mean of means."""
    (expected, parameters), (found, others) = run_case("ddp", corpus, ONE), run_case("ddp", corpus, ONE, cut)
    for one, other in zip(found, expected, strict=True):
        assert (one.tokens, one.valid) == (other.tokens, other.valid)
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
    for key, value in parameters.items():
        np.testing.assert_allclose(others[key], value, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("name", ["fp16", "fp16-zero3"])
def test_an_overflow_on_one_rank_is_skipped_on_all(two, corpus, name):
    (reports, parameters), _ = two[name]
    assert [one["overflowed"] for one in reports] == [False, True, False, False]
    assert [one["scale"] for one in reports] == [65536.0, 65536.0, 32768.0, 32768.0]
    assert told(reports, "tokens", "stop") == [[STEP * i, STEP * i] for i in range(1, 5)]  # its data is used up
    assert not math.isfinite(reports[1]["gradient_norm"])
    assert all(np.isfinite(one).all() for one in parameters.values())
    alone, _ = run_case(name, corpus, ONE)
    assert reports[-1]["loss"] == pytest.approx(alone[-1].loss, rel=1e-2)
    assert reports[-1]["loss"] < reports[0]["loss"] - 0.1


def test_bf16_with_copies_follows_fp32(two):
    (bf16, parameters), _ = two["bf16-master"]
    (fp32, _), _ = two["ddp"]
    assert [one["loss"] for one in bf16] == pytest.approx([one["loss"] for one in fp32], rel=2e-2)
    assert [one["loss"] for one in bf16] != [one["loss"] for one in fp32]
    assert all(one.dtype == np.float32 for one in parameters.values())


def test_batches_grow_alike_and_every_token_is_used_once(two):
    (reports, _), _ = two["growing"]
    sizes = [one["stop"] - one["start"] for one in reports]
    assert sizes == sorted(sizes)
    assert sizes[0] == STEP < max(sizes)
    assert [one["start"] for one in reports] == [0, *(one["stop"] for one in reports[:-1])]
    assert reports[-1]["tokens"] == sum(sizes) == 6 * STEP
    assert reports[-1]["noise_scale"] > 0
