"""The learning rate as a function of the tokens trained on, so that it means the same whatever size the batches have."""

from __future__ import annotations

import math

from training.config import OptimizationConfig


def learning_rate(config: OptimizationConfig, tokens: int) -> float:
    """The rate of the step that begins after so many tokens.

    It rises linearly over the warm-up, whose first step already has the rate of its end (a rate of 0 would waste it). Then
    ``cosine`` falls as half a cosine wave to ``floor`` times the peak at the end of the training (Chinchilla: the end of the
    wave must be the end of the training), and ``wsd`` stays at the peak until the last ``decay`` of the tokens, over which it
    falls linearly (Hu et al. 2024).
    """
    peak, low = config.learning_rate, config.learning_rate * config.floor
    warmup = config.warmup_tokens
    if tokens < warmup:
        return peak * min(1.0, (tokens + config.batch_tokens) / warmup)
    if config.schedule == "cosine":
        done = min(1.0, (tokens - warmup) / max(1, config.tokens - warmup))
        return low + (peak - low) * 0.5 * (1 + math.cos(math.pi * done))
    decay = max(1, round(config.decay * config.tokens))
    left = max(0.0, min(1.0, (config.tokens - tokens) / decay))
    return low + (peak - low) * left
