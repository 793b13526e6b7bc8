"""The tensors of a training, whole and in CPU memory, whatever the parallelism: gathered for a checkpoint, spread again after it.

A tensor that is sharded over ranks (FSDP2) is gathered, one after another, so a GPU never holds more than one whole tensor
besides its shards; a replicated one (DDP) is taken as it is. What is saved so depends on no number of ranks, and is loaded on
any. torch.distributed.checkpoint, which could save the shards, keeps its index as a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


class Copies:
    """Copies tensors into CPU memory; those of a GPU into pinned memory, the same each time."""

    def __init__(self) -> None:
        self._pinned: dict[str, Tensor] = {}

    def take(self, tensors: Mapping[str, Tensor], first: bool) -> dict[str, Tensor]:
        """Whole copies of these tensors, valid until the next call; none but on the rank that is ``first``. All ranks must call it."""
        copies: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
            if first:
                copies[name] = self._copied(name, whole.detach())
        if self._pinned:
            torch.cuda.current_stream().synchronize()
        return copies

    def _copied(self, name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_cuda:
            return tensor.clone(memory_format=torch.contiguous_format)
        if name not in self._pinned:
            self._pinned[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return self._pinned[name].copy_(tensor, non_blocking=True)


@torch.no_grad()
def spread(saved: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into a training's, each rank the part that it has: nothing is sent.

    Raises ValueError where names, shapes or types are not the same; then nothing was changed.
    """
    wrong = [
        f"{name}: {_kind(saved.get(name))} in the checkpoint, {_kind(targets.get(name))} here"
        for name in sorted({*saved, *targets})
        if _kind(saved.get(name)) != _kind(targets.get(name))
    ]
    if wrong:
        raise ValueError(
            f"the checkpoint is of another model or optimizer: {len(wrong)} tensors differ. {'; '.join(wrong[:3])}. "
            "Give the configuration that it was trained with, or another output folder to start anew"
        )
    for name, target in targets.items():
        if isinstance(target, DTensor):
            whole = saved[name].to(target.device)
            target.copy_(distribute_tensor(whole, target.device_mesh, target.placements, src_data_rank=None))
        else:
            target.copy_(saved[name])


def _kind(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
