"""Schedules against their closed forms, optimizers against references, batch growth and the gradient noise scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.config import OptimizationConfig
from training.optimization.growth import BatchSize, NoiseScale
from training.optimization.muon import Muon, orthogonalized
from training.optimization.optimizers import Optimizers
from training.optimization.schedule import learning_rate


def optimization(**settings) -> OptimizationConfig:
    return OptimizationConfig.model_validate({"tokens": 100_000, "batch_tokens": 1000, "learning_rate": 1.0} | settings)


def test_cosine_is_its_closed_form():
    config = optimization(warmup=10_000)
    rates = [learning_rate(config, tokens) for tokens in range(0, 100_001, 1000)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])  # the first step has a rate already
    for step in range(10, 101):  # (1 + 0.1)/2 + (1 - 0.1)/2 · cos
        assert rates[step] == pytest.approx(0.55 + 0.45 * math.cos(math.pi * (step - 10) / 90))
    assert rates[10], rates[100] == pytest.approx((1.0, 0.1))
    assert learning_rate(config, 10**9) == pytest.approx(0.1)


def test_cosine_is_torchs():
    config = optimization(warmup=10_000)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=90, eta_min=0.1)
    for step in range(90):
        assert learning_rate(config, 10_000 + 1000 * step) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        reference.step()


def test_warm_up_then_stable_then_decay():
    config = optimization(schedule="wsd", warmup=0.05, decay=0.2, floor=0.1)
    expected = {0: 0.2, 4000: 1.0, 5000: 1.0, 50_000: 1.0, 80_000: 1.0, 90_000: 0.55, 100_000: 0.1}
    assert {tokens: learning_rate(config, tokens) for tokens in expected} == pytest.approx(expected)


def test_the_rate_does_not_depend_on_the_size_of_later_batches():
    fixed, grown = optimization(), optimization(growth={"kind": "schedule", "at": {"10k": 4000}})
    assert [learning_rate(fixed, t) for t in range(0, 100_000, 7)] == [
        learning_rate(grown, t) for t in range(0, 100_000, 7)
    ]


def test_adamw_is_its_formula_and_decays_matrices_only():
    generator = torch.Generator().manual_seed(0)
    named = {
        "blocks.0.query.weight": nn.Parameter(torch.randn(4, 3, generator=generator)),
        "norm.weight": nn.Parameter(torch.randn(4, generator=generator)),
    }
    config = optimization(weight_decay=0.1, betas=(0.9, 0.95), eps=1e-8)
    optimizers = Optimizers(named, config)
    values = {name: one.detach().double().clone() for name, one in named.items()}
    mean = {name: torch.zeros_like(one) for name, one in values.items()}
    square = {name: torch.zeros_like(one) for name, one in values.items()}
    for step in range(1, 6):
        for name, one in named.items():
            one.grad = torch.randn(one.shape, generator=generator)
            gradient = one.grad.double()
            mean[name] = 0.9 * mean[name] + 0.1 * gradient
            square[name] = 0.95 * square[name] + 0.05 * gradient**2
            values[name] *= 1 - 0.01 * (0.1 if one.dim() == 2 else 0.0)
            root = (square[name] / (1 - 0.95**step)).sqrt() + 1e-8
            values[name] -= 0.01 * mean[name] / (1 - 0.9**step) / root
        optimizers.step(0.01)
        optimizers.zero_grad()
    for name, one in named.items():
        torch.testing.assert_close(one.detach().double(), values[name], atol=1e-6, rtol=1e-5)
    assert optimizers.tensors()["norm.weight.step"].item() == 5


@pytest.mark.parametrize("shape", [(64, 64), (48, 160), (160, 48)])
def test_muon_makes_updates_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.logspace(0, -2, shape[1])
    )
    left, before, right = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonalized(matrix).float()
    after = torch.linalg.svdvals(made)
    assert before.max() / before.min() > 10
    assert after.max() < 1.25
    assert after[: len(after) * 3 // 4].min() > 0.6
    assert (left.T @ made @ right.T).diagonal().min() > 0.0  # same directions
    assert made.shape == matrix.shape


def test_muon_is_torchs():
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(24, 40, generator=generator), torch.randn(5, 24, 40, generator=generator)
    mine, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    one = Muon([mine], lr=0.02, momentum=0.95, weight_decay=0.1)
    other = torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for gradient in gradients:
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
    torch.testing.assert_close(mine, theirs, atol=2e-3, rtol=2e-2)
    assert (mine - start).abs().mean() > 0.01


def test_muon_takes_the_matrices_of_the_layers_only():
    named = {"embedding.weight": nn.Parameter(torch.ones(8, 4)), "blocks.0.up.weight": nn.Parameter(torch.ones(4, 4))}
    named["blocks.0.norm.weight"] = nn.Parameter(torch.ones(4))
    found = set(Optimizers(named, optimization(optimizer="muon")).tensors())
    of_adamw = {
        f"{name}.{key}"
        for name in ("embedding.weight", "blocks.0.norm.weight")
        for key in ("step", "exp_avg", "exp_avg_sq")
    }
    assert found == of_adamw | {"blocks.0.up.weight.momentum"}


def test_batches_grow_at_their_places_and_every_token_is_counted():
    growth = {"kind": "schedule", "at": {"10k": 2000, "30k": 8000}}
    sizes = BatchSize(optimization(growth=growth, tokens=59_500), tokens_per_pass=500)
    trained, batches = 0, []
    while trained < 59_500:
        size = 500 * sizes.passes(trained)
        batches.append(size)
        trained += size
    assert batches == [1000] * 10 + [2000] * 10 + [8000] * 3 + [5500]
    assert trained == 59_500  # the last batch ends with the training


def test_sizes_that_ranks_cannot_share_are_refused():
    with pytest.raises(ValueError, match=r"a batch of 1000 tokens is no multiple of the 768 .* the next is 1536"):
        BatchSize(optimization(), tokens_per_pass=768)
    with pytest.raises(ValueError, match="batch_tokens must be at least 2000"):
        BatchSize(optimization(growth={"kind": "noise", "most": 8000}), tokens_per_pass=1000)


def test_the_noise_scale_of_a_known_problem_is_found():
    random = np.random.default_rng(0)
    signal = random.standard_normal(200) * 0.1
    deviations = random.uniform(0.5, 2.0, 200)
    true = (deviations**2).sum() / (signal**2).sum()  # tr(Σ) / |G|², in samples
    estimate = NoiseScale(smoothing=0.999)
    for _ in range(6000):
        parts = signal + random.standard_normal((16, 200)) * deviations / math.sqrt(8)  # 16 parts of 8 samples each
        estimate.add(8, float((parts[0] ** 2).sum()), 128, float((parts.mean(0) ** 2).sum()))
    assert estimate.value == pytest.approx(true, rel=0.1)


def test_batches_double_up_to_the_noise_scale_and_their_limit():
    growth = {"kind": "noise", "most": 8000, "least_measurements": 3, "smoothing": 0.5}
    sizes = BatchSize(optimization(growth=growth), tokens_per_pass=500)
    seen = []
    for _ in range(12):  # |G|² = 1 and tr(Σ) = 5000: E|G_B|² = 1 + 5000/B
        sizes.measured(500, 1 + 5000 / 500, 1000, 1 + 5000 / 1000)
        seen.append(sizes.tokens)
    assert seen == [1000] * 2 + [2000] * 3 + [4000] * 7  # 8000 is above the noise scale of 5000
    assert sizes.noise.value == pytest.approx(5000)
    again = BatchSize(optimization(growth=growth), tokens_per_pass=500)
    again.resume(sizes.state())
    assert (again.tokens, again.noise.value) == (4000, sizes.noise.value)
    sizes.measured(500, 0.1, 1000, 1.0)  # noise alone: no scale can be told, and none is invented
    for _ in range(20):
        sizes.measured(500, 1.0, 1000, 2.0)
    assert sizes.noise.value is None
    assert sizes.tokens == 4000
