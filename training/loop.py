"""The training loop, and how what it needs is put together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch.nn.attention import sdpa_kernel

from training.attention import backends
from training.config import ModelConfig, TrainConfig
from training.data.corpus import Corpus
from training.data.loader import Loader
from training.data.stream import TokenStream
from training.hooks import Guard, Keeper, StepReport, Watcher
from training.model import Transformer
from training.optimization.growth import BatchSize
from training.optimization.optimizers import Optimizers
from training.optimization.schedule import learning_rate
from training.parallel import Parallel, Ranks
from training.precision import LossScaler, MasterWeights
from training.state import TrainState
from training.step import Gradient, compute_gradient, update


class Diverged(RuntimeError):  # noqa: N818 - what happened
    """The loss or the gradient is no number any more, and nobody is there to go back."""


def build(config: TrainConfig, ranks: Ranks) -> TrainState:
    """A training before its first step. Raises OSError, DamagedShard, ValueError where the config and the data don't fit."""
    data = config.data
    corpus = Corpus(data.corpus, cache=data.cache, cache_bytes=data.cache_bytes)
    loader = Loader(
        TokenStream(corpus, data.weights, data.seed, data.on_damage),
        micro_batch=data.micro_batch,
        sequence_length=data.sequence_length,
        rank=ranks.rank,
        world_size=ranks.size,
        mask_joins=data.mask_joins,
        pinned=ranks.device.type == "cuda",
    )
    batch_size = BatchSize(config.optimization, loader.tokens_per_batch)
    model = Transformer(_with_vocabulary(config.model, corpus)).to(ranks.device)
    model.initialize(config.optimization.seed)
    sharded = config.parallel.strategy != "ddp" and ranks.size > 1
    masters = MasterWeights(model) if config.precision == "bf16-master" and not sharded else None
    if config.parallel.compile or (config.parallel.compile is None and ranks.device.type == "cuda"):
        for block in model.blocks:
            block.compile(dynamic=False)
    parallel = Parallel(model, ranks, config.parallel.strategy, config.precision)
    parameters = masters.masters if masters else dict(model.named_parameters())
    optimizers = Optimizers(parameters, config.optimization)
    scaler = LossScaler(config.precision == "fp16")
    return TrainState(config, ranks, model, parallel, masters, optimizers, scaler, batch_size, loader)


def train(
    state: TrainState, keeper: Keeper | None = None, guard: Guard | None = None, watchers: Sequence[Watcher] = ()
) -> None:
    """Train to the end or until the keeper says stop, from the newest checkpoint if there is one.

    Raises Diverged, and what the hooks raise.
    """
    if keeper is not None:
        keeper.restore(state)
    for watcher in watchers:
        watcher.start(state)
    clock = time.perf_counter()
    with state.loader, _kernels(state.ranks):
        while state.tokens < state.config.optimization.tokens:
            gradient = compute_gradient(state)
            now = time.perf_counter()
            report = _report(state, gradient, now - clock)
            clock = now
            overflowed = not gradient.finite and state.scaler.enabled and state.scaler.scale > 1
            if not overflowed and guard is not None and not guard.sound(state, report):
                continue
            if overflowed:
                state.optimizers.zero_grad()
            elif gradient.finite:
                update(state, gradient)
            else:
                raise Diverged(f"step {report.step}: loss {report.loss}, gradient norm {report.gradient_norm}")
            state.scaler.update(overflowed)
            state.step, state.tokens, state.validation_loss = report.step, report.tokens, None
            pause = time.perf_counter()
            for watcher in watchers:
                watcher.step(state, report)
            if keeper is not None and not keeper.after_step(state):
                break
            clock += time.perf_counter() - pause  # what others took, such as a validation, is not the next step's
        if keeper is not None:
            keeper.close(state)
    for watcher in watchers:
        watcher.finish(state)


def _report(state: TrainState, gradient: Gradient, seconds: float) -> StepReport:
    return StepReport(
        step=state.step + 1,
        tokens=state.tokens + gradient.stop - gradient.start,
        start=gradient.start,
        stop=gradient.stop,
        loss=gradient.loss,
        valid=gradient.valid,
        gradient_norm=gradient.norm,
        learning_rate=learning_rate(state.config.optimization, state.tokens),
        scale=state.scaler.scale,
        overflowed=not gradient.finite,
        noise_scale=state.batch_size.noise.value if state.batch_size.noise else None,
        seconds=seconds,
        waited=gradient.waited,
    )


def _with_vocabulary(config: ModelConfig, corpus: Corpus) -> ModelConfig:
    """The model's config with the vocabulary of the shards, unless it says a larger one."""
    shard = next(iter(corpus.sources.values()))[0]
    found = corpus.open(shard).about.vocabulary
    if config.vocabulary is not None and config.vocabulary < found:
        raise ValueError(f"model.vocabulary is {config.vocabulary}, but the shards hold token ids up to {found - 1}")
    return config.model_copy(update={"vocabulary": config.vocabulary or found})


def _kernels(ranks: Ranks) -> AbstractContextManager[Any]:
    if ranks.device.type != "cuda":
        return nullcontext()
    kernels: AbstractContextManager[Any] = sdpa_kernel(backends(ranks.device), set_priority=True)
    return kernels
