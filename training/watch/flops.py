"""How much of a machine a training uses: FLOPs of a token, and what a device could do.

Model FLOPs are counted as PaLM counts them (Chowdhery et al. 2022, appendix B) and nanochat after it: six for every
parameter of a matrix that is multiplied, the head among them and the look-up of embeddings not, and 12 · layers · width ·
length for attention, as if everyone saw everyone. Causal attention needs half of the latter, so the share is told both ways.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from training.config import ModelConfig

PUBLISHED = {
    "B200": 2250e12,
    "H200": 989.4e12,
    "GH200": 989.4e12,
    "H100 NVL": 835.5e12,
    "H100 PCIe": 756.5e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362.1e12,
    "A10G": 70e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 FLOP/s as the makers state them (without sparsity), by a part of the device's name; the longest that fits counts."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a model by what they do. ``embedding`` is 0 where it is the head too."""

    embedding: int
    matrices: int
    head: int
    norms: int

    @property
    def all(self) -> int:
        """Every parameter once."""
        return self.embedding + self.matrices + self.head + self.norms

    @property
    def multiplied(self) -> int:
        """Those that every token is multiplied with: matrices and head. The N of our scaling laws."""
        return self.matrices + self.head


def parameters(config: ModelConfig) -> Parameters:
    """The parameters of a model, padding of the vocabulary included."""
    table = config.padded_vocabulary * config.width
    keys = config.kv_heads * config.head_width
    layer = 2 * config.width**2 + 2 * config.width * keys + 3 * config.width * config.hidden
    return Parameters(
        embedding=0 if config.tied else table,
        matrices=config.layers * layer,
        head=table,
        norms=(2 * config.layers + 1) * config.width,
    )


def flops_per_token(config: ModelConfig, length: int, causal: bool = False) -> float:
    """Training FLOPs of a token in sequences of a length; ``causal`` counts only attention to what comes before."""
    attention = 12 * config.layers * config.width * length
    return 6.0 * parameters(config).multiplied + (attention / 2 if causal else attention)


@dataclass(frozen=True, slots=True)
class Peak:
    """FLOP/s that a device can reach, and whether its maker says so or a matrix product was timed."""

    flops: float
    measured: bool


def peak(device: torch.device) -> Peak:
    """What a device can reach in bf16. One that is not in the table is not guessed at: its matrix products are timed."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        fits = [part for part in PUBLISHED if part.lower() in name.lower()]
        if fits:
            return Peak(PUBLISHED[max(fits, key=len)], measured=False)
    return Peak(ceiling(device), measured=True)


def ceiling(device: torch.device, size: int | None = None, repeats: int = 5) -> float:
    """FLOP/s of the fastest of some square matrix products: bf16 on a GPU, fp32 on a CPU."""
    cuda = device.type == "cuda"
    size = size or (8192 if cuda else 1024)
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16 if cuda else torch.float32)
    best = float("inf")
    for _ in range(repeats + 2):
        if cuda:
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        one @ one
        if cuda:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def mfu(flops: float, seconds: float, peak_flops: float) -> float:
    """The share of the FLOPs that were possible: 0 to 1."""
    return flops / (seconds * peak_flops)
