"""The gradient scaler's rules, and fp32 copies that keep what bf16 would lose."""

from __future__ import annotations

import torch
from torch import nn

from training.precision import LossScaler, MasterWeights, squared_norm


def test_the_scale_halves_on_overflow_and_doubles_after_an_interval():
    scaler = LossScaler(enabled=True, scale=8.0, interval=3)
    scales = []
    for overflowed in (True, False, False, True, False, False, False, False, False, False):
        scaler.update(overflowed)
        scales.append(scaler.scale)
    assert scales == [4, 4, 4, 2, 2, 2, 4, 4, 4, 8]
    other = LossScaler(enabled=True)
    other.resume(scaler.state())
    assert (other.scale, other.good_steps) == (8, 0)


def test_the_scale_never_falls_below_one_and_is_one_when_unused():
    scaler = LossScaler(enabled=True, scale=2.0)
    for _ in range(5):
        scaler.update(overflowed=True)
    assert scaler.scale == 1
    unused = LossScaler(enabled=False)
    unused.update(overflowed=True)
    assert unused.scale == 1


def test_copies_keep_updates_and_gradients_that_bf16_would_lose():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    masters = MasterWeights(model)
    (master,) = masters.masters.values()
    assert model.weight.dtype == torch.bfloat16
    for _ in range(256):  # in bf16 1 + 1/512 is 1
        with torch.no_grad():
            master += 1 / 512
        masters.write()
    assert model.weight.tolist() == [[1.5, 1.5]]
    for size in (256.0, 1.0):  # in bf16 256 + 1 is 256
        (model.weight.sum() * size).backward()
        masters.collect()
    assert master.grad.tolist() == [[257.0, 257.0]]
    assert model.weight.grad is None


def test_the_squared_norm_is_over_all_gradients():
    assert squared_norm([torch.tensor([3.0]), torch.tensor([[4.0, 12.0]])]).item() == 169
    assert squared_norm([]).item() == 0
    assert not torch.isfinite(squared_norm([torch.tensor([float("nan")])]))
