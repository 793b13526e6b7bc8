"""Muon (Jordan et al. 2024): momentum whose update is made orthogonal, for the matrices of the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic polynomial that Newton-Schulz iterates: chosen by the author so that small singular values grow fastest."""
_STEPS = 5


def orthogonalized(matrix: Tensor, steps: int = _STEPS) -> Tensor:
    """The matrix with all singular values near 1 (between about 0.7 and 1.2), in bf16."""
    a, b, c = _COEFFICIENTS
    x: Tensor = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x.T if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized, times 0.2 · sqrt(larger side): the root mean square of AdamW's updates (Liu et al.
    2025), so that learning rate and decay mean what they mean there.

    Momentum is kept in shards like the parameters. Each rank gathers one whole matrix at a time, and all make the same of it.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                size = 0.2 * max(parameter.shape) ** 0.5
                parameter.add_(_whole(update), alpha=-group["lr"] * size)


def _whole(update: Tensor) -> Tensor:
    """The update made orthogonal, in the layout and type that it has."""
    if not isinstance(update, DTensor):
        return orthogonalized(update).to(update.dtype)
    made = orthogonalized(update.full_tensor()).to(update.dtype)
    return distribute_tensor(made, update.device_mesh, update.placements, src_data_rank=None)
