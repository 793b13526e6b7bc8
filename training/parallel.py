"""Ranks: who there is, how they add up numbers, and how a model is put on them. torchrun starts them; without it there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from training.precision import Precision

Strategy = Literal["ddp", "zero2", "zero3"]


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which speaks for all."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add up tensors of every rank, in place; every rank gets the same bits."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def from_first(self, values: Tensor) -> Tensor:
        """Rank 0's values, in place, on every rank."""
        if self.size > 1:
            distributed.broadcast(values, 0)
        return values

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank. Told by way of the CPUs, so no GPU is waited for."""
        return bool(self.sum(torch.tensor(float(flag))).item())

    def barrier(self) -> None:
        """Wait for every rank."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def ranks(device: str | None = None) -> Iterator[Ranks]:
    """The ranks that torchrun started, or one. ``device``: ``cpu`` or ``cuda``; a GPU if there is one, unless said."""
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(place)
    if size == 1:
        yield Ranks(0, 1, place)
        return
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", device_id=place if kind == "cuda" else None
    )
    try:
        yield Ranks(rank, size, place)
    finally:
        distributed.destroy_process_group()


class Parallel:
    """A model on its ranks. Call it as the model; gradients are sums over ranks of what each one's loss says.

    ``model`` is the model itself, whose parameters the optimizer changes: whole ones, or this rank's shards.
    """

    def __init__(self, model: nn.Module, ranks: Ranks, strategy: Strategy, precision: Precision) -> None:
        """Put the model, which is alike on all ranks, on them. It must hold its layers in ``blocks``."""
        self.model = model
        self.ranks = ranks
        self.sharded = strategy != "ddp" and ranks.size > 1
        self.local_passes = strategy == "ddp" and ranks.size > 1 and precision != "bf16-master"
        """Whether ranks add up their gradients in the last pass of a step only."""
        self._wrapped: nn.Module = model
        if ranks.size == 1:
            return
        if self.sharded:
            _shard(model, strategy, precision)
        else:
            ids = [ranks.device.index] if ranks.device.type == "cuda" else None
            self._wrapped = DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)

    def __call__(self, *arguments: Any) -> Tensor:
        """The summed loss of this rank's part, times the number of ranks: DDP and FSDP take the mean of gradients, and the mean of
        this is the sum."""
        loss: Tensor = self._wrapped(*arguments)
        return loss * self.ranks.size

    def accumulating(self, last: bool) -> AbstractContextManager[Any]:
        """The context of a backward pass: before the last of a step DDP need not add up gradients.

        It must if they are moved away after each pass (``bf16-master``). FSDP adds them up every time, as it could else not shard
        them.
        """
        if isinstance(self._wrapped, DistributedDataParallel) and self.local_passes and not last:
            return self._wrapped.no_sync()
        return nullcontext()


def _shard(model: nn.Module, strategy: Strategy, precision: Precision) -> None:
    """FSDP2 layer by layer; parameters stay fp32 in their shards, so bf16 needs no other copies."""
    types = {"bf16": torch.bfloat16, "bf16-master": torch.bfloat16}
    policy = MixedPrecisionPolicy(param_dtype=types.get(precision), reduce_dtype=torch.float32)
    again = strategy == "zero3"
    for block in model.blocks:  # type: ignore[union-attr]
        fully_shard(block, mp_policy=policy, reshard_after_forward=again)
    fully_shard(model, mp_policy=policy, reshard_after_forward=False)
