"""The optimizers of a training: AdamW, or Muon for the matrices of the layers and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.config import OptimizationConfig
from training.optimization.muon import Muon


class Optimizers:
    """Changes named parameters. All state exists from the beginning, so that a checkpoint can be copied into it."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], config: OptimizationConfig) -> None:
        """``parameters`` are those that are changed: the model's, or their fp32 copies, by the model's names."""
        self.parameters = dict(parameters)
        self._muon: Muon | None = None
        for_muon = {
            name: one
            for name, one in self.parameters.items()
            if config.optimizer == "muon" and one.dim() == 2 and name.startswith("blocks.")
        }
        rest = [one for name, one in self.parameters.items() if name not in for_muon]
        self._adamw = torch.optim.AdamW(
            [
                {"params": [one for one in rest if one.dim() >= 2], "weight_decay": config.weight_decay},
                {"params": [one for one in rest if one.dim() < 2], "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=config.betas,
            eps=config.eps,
            fused=True,
        )
        for one in rest:
            self._adamw.state[one] = {
                "step": torch.zeros((), dtype=torch.float32, device=one.device),
                "exp_avg": torch.zeros_like(one),
                "exp_avg_sq": torch.zeros_like(one),
            }
        if for_muon:
            self._muon = Muon(for_muon.values(), config.learning_rate, config.muon_momentum, config.weight_decay)
            for one in for_muon.values():
                self._muon.state[one] = {"momentum": torch.zeros_like(one)}

    @property
    def _all(self) -> list[torch.optim.Optimizer]:
        return [self._adamw] if self._muon is None else [self._adamw, self._muon]

    def gradients(self) -> list[Tensor]:
        """The gradients that there are."""
        return [one.grad for one in self.parameters.values() if one.grad is not None]

    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for optimizer in self._all:
            optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """All state, as ``NAME.exp_avg`` and so on; the tensors themselves, to read from or copy into."""
        return {
            f"{name}.{key}": value
            for name, parameter in self.parameters.items()
            for optimizer in self._all
            for key, value in optimizer.state.get(parameter, {}).items()
        }
