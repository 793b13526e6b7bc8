"""The model: a decoder-only Transformer of the Llama kind. Nothing in here knows of ranks, shards of parameters or precision.

RMSNorm before every sub-layer, SwiGLU or GeGLU, RoPE or ALiBi, grouped-query attention, no biases. The loss is made in here,
since head and cross-entropy are one (see `training.loss`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.attention import Plan, alibi_slopes, attend, make_plan
from training.cache import Cache, Layer
from training.config import ModelConfig
from training.loss import head_loss

_DEVIATION = 0.02
"""Of the first parameters, as GPT-2's; those that write to the residual stream are divided by sqrt(2 · layers)."""


class Transformer(nn.Module):
    """Tokens in; logits out, or the summed loss if targets are given."""

    def __init__(self, config: ModelConfig) -> None:
        """The config must know its vocabulary. Parameters are as torch leaves them until ``initialize``."""
        super().__init__()
        self.config = config
        self.vocabulary = config.vocabulary or 0
        self.embedding = nn.Embedding(config.padded_vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.head = nn.Linear(config.width, config.padded_vocabulary, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight

    def forward(
        self, tokens: Tensor, targets: Tensor | None = None, plan: Plan | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Logits (sequences, length, vocabulary) of tokens (sequences, length), or with targets their summed cross-entropy.

        Without a plan attention is causal, and each sequence one document. With a cache the tokens follow those that it holds, and
        the plan has so many keys more; the cache holds them too afterwards.
        """
        if plan is None:
            plan = make_plan(None, None, self.slopes(), tokens.shape[1], tokens.device)
        hidden = self.embedding(tokens).to(_compute_type(tokens.device, self.embedding.weight))
        past = cache.length if cache else 0
        turns = None
        if self.config.positions == "rope":
            turns = rotations(past + tokens.shape[1], self.config, tokens.device, past)
        for number, block in enumerate(self.blocks):
            hidden = block(hidden, turns, plan, cache.layers[number] if cache else None)
        hidden = self.norm(hidden)
        if targets is None:
            logits: Tensor = self.head(hidden)
            return logits[..., : self.vocabulary]
        return head_loss(hidden.flatten(0, 1), self.head.weight, targets.flatten(), self.vocabulary)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Draw the parameters anew: the same for the same seed and kind of device, on every rank."""
        generator = torch.Generator(self.embedding.weight.device).manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
                continue
            residual = name.endswith(("output.weight", "down.weight"))
            deviation = _DEVIATION / math.sqrt(2 * len(self.blocks)) if residual else _DEVIATION
            parameter.normal_(0.0, deviation, generator=generator)

    def slopes(self) -> Tensor | None:
        """ALiBi's slope of every head, where positions are told by it."""
        if self.config.positions != "alibi":
            return None
        return torch.tensor(alibi_slopes(self.config.heads), device=self.embedding.weight.device)


class Block(nn.Module):
    """Attention and feed-forward layer, each added to what came in."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor] | None, plan: Plan, cache: Layer | None = None
    ) -> Tensor:
        """(sequences, length, width) in and out."""
        hidden = hidden + self.attention(self.attention_norm(hidden), turns, plan, cache)
        out: Tensor = hidden + self.feed_forward(self.feed_forward_norm(hidden))
        return out


class Attention(nn.Module):
    """Queries, keys and values by head; several queries may share keys and values (Ainslie et al. 2023)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        self.query = nn.Linear(config.width, config.heads * self.head_width, bias=False)
        self.key = nn.Linear(config.width, config.kv_heads * self.head_width, bias=False)
        self.value = nn.Linear(config.width, config.kv_heads * self.head_width, bias=False)
        self.output = nn.Linear(config.heads * self.head_width, config.width, bias=False)

    def forward(
        self, hidden: Tensor, turns: tuple[Tensor, Tensor] | None, plan: Plan, cache: Layer | None = None
    ) -> Tensor:
        """(sequences, length, width) in and out."""
        query, key, value = (
            made(hidden).unflatten(2, (-1, self.head_width)).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        )
        if turns is not None:
            query, key = rotate(query, turns), rotate(key, turns)
        if cache is not None:
            key, value = cache.extend(key, value)
        seen = attend(query, key, value, plan)
        out: Tensor = self.output(seen.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """SwiGLU or GeGLU (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gelu = config.activation == "geglu"
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) in and out."""
        gate = self.gate(hidden)
        opened = functional.gelu(gate, approximate="tanh") if self.gelu else functional.silu(gate)
        out: Tensor = self.down(opened * self.up(hidden))
        return out


class RMSNorm(nn.Module):
    """Divides by the root mean square (Zhang and Sennrich 2019), in fp32 whatever comes in."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) in and out, of the same type."""
        return functional.rms_norm(hidden.float(), hidden.shape[-1:], self.weight.float(), self.eps).to(hidden.dtype)


def rotations(length: int, config: ModelConfig, device: torch.device, start: int = 0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of RoPE's angles (Su et al. 2021) for positions from ``start`` on, each (length - start, head width / 2),
    fp32."""
    half = torch.arange(0, config.head_width, 2, device=device, dtype=torch.float32) / config.head_width
    angles = torch.outer(torch.arange(start, length, device=device, dtype=torch.float32), config.rope_theta**-half)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn (…, length, head width) by position; number i of the first half goes with number i of the second, as in Llama's
    Hugging Face form."""
    cosines, sines = turns
    first, second = heads.float().chunk(2, dim=-1)
    turned = torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)
    return turned.to(heads.dtype)


def _compute_type(device: torch.device, weight: Tensor) -> torch.dtype:
    """The type of the residual stream: that of the products, but for fp16, whose range it may leave."""
    if torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) is torch.bfloat16:
        return torch.bfloat16
    return weight.dtype
