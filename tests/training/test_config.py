"""The trainer's config: presets have the sizes they are named for, and whatever is wrong is told with what was meant."""

from __future__ import annotations

import pytest
import torch

from training.config import ConfigError, ModelConfig, count, load, loads
from training.model import Transformer

SMALLEST = "output: runs/a\ndata: {corpus: out}\noptimization: {tokens: 1B}\n"


def test_the_smallest_config_has_sensible_defaults():
    config = loads(SMALLEST)
    assert config.model.preset == "124m"
    assert config.optimization.tokens == 1_000_000_000
    assert config.optimization.warmup_tokens == 10_000_000
    assert config.recovery is not False


@pytest.mark.parametrize(
    ("written", "number"), [("2.5B", 2_500_000_000), ("512Ki", 524288), ("1Mi", 1 << 20), ("500k", 500_000), ("7", 7)]
)
def test_counts_are_read_with_their_units(written, number):
    assert count(written) == number


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("datta: {}\n", "datta: unknown key; did you mean 'data'?"),
        ("model: {layrs: 3}\n", "model.layrs: unknown key; did you mean 'layers'?"),
        ("recovery: {trys: 3}\n", "recovery.trys: unknown key; did you mean 'tries'?"),
        ("model: {preset: 125m}\n", "model.preset: Input should be 'tiny', '124m', '350m' or '1.3b'"),
        ("model: {width: 100, heads: 3}\n", "width 100 must be an even multiple of heads 3"),
        ("model: {heads: 6, kv_heads: 4}\n", "heads 6 must be a multiple of kv_heads 4"),
        ("precision: int4\n", "precision: Input should be 'fp32'"),
        ("parallel: {compile: [}\n", "not valid YAML"),
        ("- 3\n", "not valid YAML"),
        ("output: !!python/object:os.system x\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_with_what_was_meant(text, told):
    with pytest.raises(ConfigError) as caught:
        loads(SMALLEST + text, "train.yaml")
    assert told in str(caught.value)
    assert all(problem.startswith("train.yaml: ") for problem in caught.value.problems)


def test_unknown_keys_of_a_growth_are_told_by_its_kind():
    growth = "optimization: {tokens: 1B, growth: {kind: noise, most: 1Mi, smothing: 0.9}}\n"
    with pytest.raises(ConfigError, match=r"optimization.growth.smothing: unknown key; did you mean 'smoothing'"):
        loads("output: a\ndata: {corpus: out}\n" + growth)
    growth = "optimization: {tokens: 1B, growth: {kind: schedule, at: {1M: 64Ki, 2M: 32Ki}}}\n"
    with pytest.raises(ConfigError, match="no size that is below an earlier one"):
        loads("output: a\ndata: {corpus: out}\n" + growth)


def test_every_problem_is_told_at_once(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("data: {corpus: out, seed: -1}\noptimization: {learning_rate: fast}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.problems) == 4
    assert f"{path}: output: is missing" in caught.value.problems


@pytest.mark.parametrize(
    ("preset", "millions"), [("tiny", 2.85), ("124m", 123.6), ("350m", 350.4), ("1.3b", 1317.4)]
)  # tiny: 4 (4·128² + 3·128·352 + 256) + 128 = 0.804M, and 128 · 16,000 = 2.048M of embedding; the others by the same sum
def test_presets_have_the_sizes_that_they_are_named_for(preset, millions):
    config = ModelConfig.model_validate({"preset": preset, "vocabulary": 16_000 if preset == "tiny" else 50_257})
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert config.padded_vocabulary == (16_000 if preset == "tiny" else 50_304)
    assert config.head_width == (64 if preset == "tiny" else 128)
