"""What a micro-batch asks of the model: which tokens are inputs, which are to be foretold, and who sees whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.attention import Plan, make_plan
from training.config import ModelConfig
from training.data.loader import IGNORED, Batch
from training.data.order import seed_of


@dataclass(frozen=True, slots=True)
class Task:
    """A micro-batch on the device that computes."""

    inputs: Tensor
    targets: Tensor
    plan: Plan
    valid: int
    """Targets that count."""


def make_task(batch: Batch, config: ModelConfig, slopes: Tensor | None, device: torch.device, seed: int = 0) -> Task:
    """The task that a batch is. ``slopes`` are the model's, ``seed`` that of the prefixes."""
    inputs, targets = batch.tensors()
    documents = batch.documents() if config.document_mask else None
    ends = None
    if config.objective == "prefix":
        ends = prefix_ends(batch, documents, seed)
        kept = np.arange(batch.inputs.shape[1]) >= ends - 1
        targets = torch.from_numpy(np.where(kept, batch.targets, IGNORED))
    valid = int((targets != IGNORED).sum())
    plan = make_plan(_on(documents, device), _on(ends, device), slopes, inputs.shape[1], device)
    return Task(inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True), plan, valid)


def prefix_ends(batch: Batch, documents: NDArray[np.int32] | None, seed: int) -> NDArray[np.int32]:
    """Where the prefix of each position's document, or without ``documents`` of its row, ends: (sequences, length).

    A prefix is a share of the document's part in the row, from none of it to all but the last token, every length as likely.
    It follows from where in the stream that part begins, so it is the same however ranks and batches cut the stream. Inside
    it everyone sees everyone, and its tokens are not in the loss; its last one foretells the first after it.
    """
    rows, length = batch.inputs.shape
    ends = np.zeros((rows, length), np.int32)
    for row in range(rows):
        begins = [0] if documents is None else [0, *(np.flatnonzero(np.diff(documents[row])) + 1)]
        for begin, end in zip(begins, [*begins[1:], length], strict=True):
            place = batch.start + row * length + int(begin)
            ends[row, begin:end] = begin + seed_of("prefix", seed, place) % int(end - begin)
    return ends


def _on(values: NDArray[np.int32] | None, device: torch.device) -> Tensor | None:
    return None if values is None else torch.from_numpy(values).to(device, non_blocking=True)
