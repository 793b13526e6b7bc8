"""The head and its cross-entropy in one, chunk by chunk: the logits of a whole batch never exist.

Each chunk's logits are made, turned into the loss and its gradient, and dropped, all in the forward pass, so the backward pass
only scales. Memory is that of one chunk of logits and one fp32 gradient of the head.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

IGNORED = -100
"""The target of a position that takes no part in the loss."""
CHUNK = 4096
"""Positions whose logits exist at a time: large enough for matrix kernels, 400 MB of bf16 logits for 50,304 tokens."""


def head_loss(hidden: Tensor, weight: Tensor, targets: Tensor, vocabulary: int, chunk: int = CHUNK) -> Tensor:
    """The summed cross-entropy, an fp32 scalar, of the logits ``hidden @ weight.T``.

    ``hidden`` is (positions, width), ``weight`` (padded vocabulary, width), ``targets`` (positions,) with IGNORED where there
    is no loss. Rows of the weight beyond the vocabulary are as if they were not there. Products are made in hidden's
    type, everything else in fp32.
    """
    gradients = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    loss: Tensor = _HeadLoss.apply(hidden, weight, targets, vocabulary, chunk, gradients)
    return loss


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, vocabulary: int, chunk: int, gradients: bool
    ) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(hidden.dtype)
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            to_hidden = torch.empty_like(hidden) if gradients else None
            to_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if gradients else None
            for start in range(0, len(hidden), chunk):
                part = slice(start, start + chunk)
                logits = hidden[part] @ matrix.T
                loss, slope = (_fused() if logits.is_cuda else _cross_entropy)(logits, targets[part], vocabulary)
                total += loss
                if to_hidden is not None and to_weight is not None:
                    torch.matmul(slope, matrix, out=to_hidden[part])
                    to_weight += slope.T @ hidden[part]
        if gradients:
            ctx.save_for_backward(to_hidden, to_weight)
            ctx.weight_type = weight.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_weight = ctx.saved_tensors
        return to_hidden * scale.to(to_hidden.dtype), (to_weight * scale).to(ctx.weight_type), None, None, None, None


def _cross_entropy(logits: Tensor, targets: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """The summed loss of (positions, padded vocabulary) logits, and its slope by them in their type."""
    scores = logits.float()
    scores[:, vocabulary:] = -math.inf
    logsums = scores.logsumexp(1, keepdim=True)
    used = targets != IGNORED
    chosen = torch.where(used, targets, 0)[:, None]
    loss = ((logsums - scores.gather(1, chosen))[:, 0] * used).sum()
    slope = (scores - logsums).exp_()
    slope.scatter_add_(1, chosen, torch.full_like(logsums, -1.0))
    slope *= used[:, None]
    return loss, slope.to(logits.dtype)


@cache
def _fused() -> Any:
    """``_cross_entropy`` as few kernels, for a GPU."""
    return torch.compile(_cross_entropy, dynamic=False)


def plain_loss(hidden: Tensor, weight: Tensor, targets: Tensor, vocabulary: int) -> Tensor:
    """``head_loss`` by its definition, with all logits at once."""
    logits = functional.linear(hidden, weight.to(hidden.dtype)).float()[:, :vocabulary]
    return functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
