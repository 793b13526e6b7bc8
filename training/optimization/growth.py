"""The size of the batch: fixed, growing at given places, or growing as the measured gradient noise scale says.

A larger batch is more accumulation steps, never another shape. The gradient noise scale (McCandlish et al. 2018) is the batch
size at which noise and signal of a gradient are equal: far below it a batch of twice the size halves the steps that are
needed, far above it it changes little.
"""

from __future__ import annotations

from typing import Any

from training.config import NoiseGrowth, OptimizationConfig, ScheduledGrowth


class NoiseScale:
    """Running estimate of tr(Σ) / |G|² in tokens, from squared norms of gradients over a small and a large batch.

    With E|G_B|² = |G|² + tr(Σ) / B for either batch, |G|² = (B |G_B|² - b |G_b|²) / (B - b) and
    tr(Σ) = (|G_b|² - |G_B|²) / (1/b - 1/B). Both are unbiased, their quotient is not, so each is averaged before
    they are divided (appendix A.1 of the paper).
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing
        self.measurements = 0
        self._signal = 0.0
        self._noise = 0.0

    def add(self, small_tokens: float, small: float, large_tokens: float, large: float) -> None:
        """Take note of squared norms of the mean gradient over so many tokens. The sizes must differ."""
        signal = (large_tokens * large - small_tokens * small) / (large_tokens - small_tokens)
        noise = (small - large) / (1 / small_tokens - 1 / large_tokens)
        self._signal += (1 - self.smoothing) * (signal - self._signal)
        self._noise += (1 - self.smoothing) * (noise - self._noise)
        self.measurements += 1

    @property
    def value(self) -> float | None:
        """The noise scale in tokens; None while it can't be told, as when noise hides the signal."""
        return self._noise / self._signal if self._signal > 0 and self._noise > 0 else None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"measurements": self.measurements, "signal": self._signal, "noise": self._noise}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.measurements = int(state["measurements"])
        self._signal, self._noise = float(state["signal"]), float(state["noise"])


class BatchSize:
    """Tokens of each step's batch, and how many accumulation steps they are."""

    def __init__(self, config: OptimizationConfig, tokens_per_pass: int) -> None:
        """``tokens_per_pass`` is what all ranks read at a time. Raises ValueError for sizes that are no multiple of it."""
        self._config = config
        self._growth = config.growth
        self._pass = tokens_per_pass
        self.tokens = config.batch_tokens
        self.noise = NoiseScale(self._growth.smoothing) if isinstance(self._growth, NoiseGrowth) else None
        self._grown_at = 0
        sizes = [config.batch_tokens]
        if isinstance(self._growth, ScheduledGrowth):
            sizes += self._growth.at.values()
        for size in sizes:
            if size % tokens_per_pass:
                raise ValueError(
                    f"a batch of {size} tokens is no multiple of the {tokens_per_pass} that all ranks read at a time "
                    f"(ranks x micro_batch x sequence_length); the next is {-(-size // tokens_per_pass) * tokens_per_pass}"
                )
        if self.noise and config.batch_tokens < 2 * tokens_per_pass:
            raise ValueError(
                "growth by noise compares gradients of a part of the batch with the whole: batch_tokens must be at least "
                f"{2 * tokens_per_pass}, two accumulation steps; or use a smaller micro_batch"
            )

    def passes(self, trained: int) -> int:
        """Accumulation steps of the step that begins after so many tokens; the last step ends with the training."""
        if isinstance(self._growth, ScheduledGrowth):
            sizes = [size for start, size in sorted(self._growth.at.items()) if start <= trained]
            self.tokens = sizes[-1] if sizes else self._config.batch_tokens
        left = -(-(self._config.tokens - trained) // self._pass)
        return max(1, min(self.tokens // self._pass, left))

    def measures(self, step: int) -> bool:
        """Whether the noise is measured in this step."""
        return isinstance(self._growth, NoiseGrowth) and step % self._growth.every == 0

    def measured(self, small_tokens: float, small: float, large_tokens: float, large: float) -> None:
        """Take note of a measurement, alike on all ranks, and grow if it is time to: at most twofold at a time."""
        if self.noise is None or not isinstance(self._growth, NoiseGrowth) or small_tokens == large_tokens:
            return
        self.noise.add(small_tokens, small, large_tokens, large)
        rested = self.noise.measurements - self._grown_at >= self._growth.least_measurements
        scale, doubled = self.noise.value, 2 * self.tokens
        if rested and scale is not None and doubled <= min(self._growth.most, self._growth.factor * scale):
            self.tokens = doubled
            self._grown_at = self.noise.measurements

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"tokens": self.tokens, "grown_at": self._grown_at, "noise": self.noise.state() if self.noise else None}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.tokens, self._grown_at = int(state["tokens"]), int(state["grown_at"])
        if self.noise and state["noise"]:
            self.noise.resume(state["noise"])
