"""Precision: which types products are made in, fp32 copies of bf16 parameters, and fp16's gradient scaler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16", "bf16-master", "fp16"]


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which the forward pass runs."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    if precision == "fp16":
        return torch.autocast(device.type, torch.float16)
    return nullcontext()


class MasterWeights:
    """fp32 copies of bf16 parameters: gradients are added up in them, and the optimizer changes them.

    Without them an update smaller than 1/256 of a parameter would be lost. ``collect`` after every backward pass, ``write``
    after every update.
    """

    def __init__(self, model: nn.Module) -> None:
        """Make the copies, then turn the model's own parameters to bf16."""
        self.masters: dict[str, nn.Parameter] = {
            name: nn.Parameter(parameter.detach().clone().float()) for name, parameter in model.named_parameters()
        }
        model.to(torch.bfloat16)
        self._pairs = [(self.masters[name], parameter) for name, parameter in model.named_parameters()]

    @torch.no_grad()
    def collect(self) -> None:
        """Move the gradients of the last backward pass to the copies."""
        for master, parameter in self._pairs:
            if parameter.grad is None:
                continue
            if master.grad is None:
                master.grad = torch.zeros_like(master)
            master.grad += parameter.grad
            parameter.grad = None

    @torch.no_grad()
    def write(self) -> None:
        """Give the model what the optimizer made of the copies."""
        for master, parameter in self._pairs:
            parameter.copy_(master)

    @contextmanager
    def exact(self) -> Iterator[dict[str, nn.Parameter]]:
        """The fp32 values by the names of the model's parameters, for a checkpoint; changes in them reach the model after."""
        yield self.masters
        self.write()


class LossScaler:
    """Keeps fp16 gradients within range: the loss is multiplied by ``scale``, which halves when a gradient overflows and doubles
    after ``interval`` steps in which none did (Micikevicius et al. 2018).

    Whether one overflowed must have been agreed over the ranks before it is told.
    """

    def __init__(self, enabled: bool, scale: float = 65536.0, interval: int = 2000) -> None:
        self.enabled = enabled
        self.scale = scale if enabled else 1.0
        self.interval = interval
        self.good_steps = 0

    def update(self, overflowed: bool) -> None:
        """Take note of a step."""
        if not self.enabled:
            return
        self.good_steps = 0 if overflowed else self.good_steps + 1
        if overflowed:
            self.scale = max(1.0, self.scale / 2)
        elif self.good_steps == self.interval:
            self.scale, self.good_steps = self.scale * 2, 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if self.enabled:
            self.scale, self.good_steps = float(state["scale"]), int(state["good_steps"])


def squared_norm(gradients: list[Tensor]) -> Tensor:
    """The sum of squares of these gradients, an fp32 scalar; of sharded ones over all ranks."""
    if not gradients:
        return torch.zeros(())
    norm = torch.nn.utils.get_total_norm(gradients)
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return whole.float() ** 2
