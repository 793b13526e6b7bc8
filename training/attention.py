"""Attention: who sees whom is written down once, as a function of positions, and carried out by the fastest kernel there is.

Plain causal attention is left to SDPA. Masks by document or prefix, and ALiBi, go to FlexAttention on a GPU, which skips the
blocks in which nobody sees anybody, and to SDPA with a dense mask elsewhere; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of (sequence, head, query, key), as index tensors that broadcast: whether the query sees the key."""
Score = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of (score, sequence, head, query, key): the score with its bias."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What every layer needs to know of a micro-batch. Empty: plain causal attention."""

    dense: Tensor | None = None
    """Added to the scores, (sequences or 1, heads or 1, queries, keys); booleans if there is nothing but a mask."""
    blocks: BlockMask | None = None
    score: Score | None = None


def sees(documents: Tensor | None, prefixes: Tensor | None) -> Sees:
    """The mask: earlier positions and oneself; within one's document; and all of one's prefix.

    ``documents`` numbers the document of each position and ``prefixes`` says where the prefix of its document (or sequence)
    ends; both (sequences, length), integers.
    """

    def mask(sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = key <= query
        if prefixes is not None:
            seen = seen | (key < prefixes[sequence, query])
        if documents is not None:
            seen = seen & (documents[sequence, query] == documents[sequence, key])
        return seen

    return mask


def alibi(slopes: Tensor) -> Score:
    """ALiBi (Press et al. 2022): a head's slope times the distance is taken from the score."""

    def score(value: Tensor, sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return value - slopes[head] * (query - key).abs()

    return score


def alibi_slopes(heads: int) -> list[float]:
    """A slope for each head: 2^(-8i/n), and for n that is no power of two those of the next lower power, then every second one
    of twice that power, as the authors' code does."""
    power = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    return slopes + [2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]


def make_plan(
    documents: Tensor | None, prefixes: Tensor | None, slopes: Tensor | None, length: int, device: torch.device
) -> Plan:
    """The plan of a micro-batch, for the kernels of a device."""
    if documents is None and prefixes is None and slopes is None:
        return Plan()
    mask = sees(documents, prefixes)
    score = alibi(slopes) if slopes is not None else None
    shared = documents if documents is not None else prefixes
    sequences = None if shared is None else len(shared)
    if device.type == "cuda":
        return Plan(
            blocks=_compiled(create_block_mask)(mask, sequences, None, length, length, device=device), score=score
        )
    return Plan(dense=dense(mask, score, sequences or 1, 1 if slopes is None else len(slopes), length, device))


def dense(mask: Sees, score: Score | None, sequences: int, heads: int, length: int, device: torch.device) -> Tensor:
    """Mask and bias for every pair of positions, as SDPA takes them."""
    sequence = torch.arange(sequences, device=device)[:, None, None, None]
    head = torch.arange(heads, device=device)[None, :, None, None]
    query = torch.arange(length, device=device)[None, None, :, None]
    key = torch.arange(length, device=device)[None, None, None, :]
    seen = mask(sequence, head, query, key)
    if score is None:
        return seen
    bias = score(torch.zeros((), device=device), sequence, head, query, key)
    return bias.masked_fill(~seen, -math.inf)


def attend(query: Tensor, key: Tensor, value: Tensor, plan: Plan) -> Tensor:
    """Attention of (sequences, heads, length, head width); keys and values may have fewer heads, which divide the queries'."""
    grouped = query.shape[1] != key.shape[1]
    if plan.blocks is not None:
        kernel: Any = flex_attention if torch.compiler.is_compiling() else _compiled(flex_attention)
        out: Tensor = kernel(query, key, value, plan.score, plan.blocks, enable_gqa=grouped)
        return out
    mask = plan.dense
    if mask is not None and mask.is_floating_point():
        mask = mask.to(query.dtype)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
    )


def backends(device: torch.device) -> list[SDPBackend]:
    """SDPA's kernels, the fastest first: on Hopper and later cuDNN's, which beats FlashAttention-2 there, and only there."""
    rest = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    hopper = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (9, 0)
    return [SDPBackend.CUDNN_ATTENTION, *rest] if hopper else rest


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of FlexAttention made into kernels; as it is it would make every pair of positions. Not done on import, since
    loading the compiler takes seconds."""
    made: Callable[..., Any] = torch.compile(function, dynamic=False)
    return made
