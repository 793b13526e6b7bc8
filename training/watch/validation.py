"""Validation: the loss on held-out shards, source by source, every token once; in nats a token and in bits a byte.

Bits per byte compare models across tokenizers. They are those of all tokens in the loss, ends of documents among them, over
the bytes that these tokens spell; an end of text spells none, so the code is one from which the documents can be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tokenizer.encode import encoder_of
from training.data.corpus import Corpus
from training.data.loader import IGNORED, Batch, Loader
from training.data.stream import TokenStream
from training.objective import make_task
from training.precision import autocast
from training.state import TrainState


@dataclass(frozen=True, slots=True)
class Score:
    """What a model gives held-out text."""

    nats: float
    """Of all targets together."""
    targets: int
    bytes: int
    """What the targets spell; 0 where the corpus has no tokenizer."""

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / max(1, self.targets)

    @property
    def bits_per_byte(self) -> float | None:
        """None where the bytes are not known."""
        return self.nats / math.log(2) / self.bytes if self.bytes else None

    def __add__(self, other: Score) -> Score:
        return Score(self.nats + other.nats, self.targets + other.targets, self.bytes + other.bytes)


class Validation:
    """The held-out text of a training. Raises ValueError where its corpus has no validation shards."""

    def __init__(self, state: TrainState) -> None:
        data = state.config.data
        self._corpus = Corpus(data.corpus, "validation", cache=data.cache, cache_bytes=data.cache_bytes)
        self._limit = state.config.watching.validation_tokens
        self._bytes = token_bytes(self._corpus)
        self.sources = {name: min(tokens, self._limit) for name, tokens in self._corpus.tokens.items()}
        """Tokens of each source that are read."""

    def scores(self, state: TrainState) -> dict[str, Score]:
        """The score of every source. All ranks must call it; each reads its part, and all get the same scores."""
        return {source: self._score(state, source) for source in self.sources}

    @torch.no_grad()
    def _score(self, state: TrainState, source: str) -> Score:
        total = torch.zeros(3, dtype=torch.float64, device=state.ranks.device)
        slopes = state.model.slopes()
        for batch in self._batches(state, source):
            task = make_task(
                batch, state.model.config, slopes, state.ranks.device, state.config.optimization.seed
            )  # fmt: skip
            with autocast(state.config.precision, state.ranks.device):
                loss = state.model(task.inputs, task.targets, task.plan)
            used = task.targets[task.targets != IGNORED]
            total[0] += loss
            total[1] += len(used)
            if self._bytes is not None:
                total[2] += int(self._bytes[used.cpu().numpy()].sum())
        nats, targets, spelled = state.ranks.sum(total).tolist()
        return Score(nats, int(targets), int(spelled))

    def _batches(self, state: TrainState, source: str) -> Iterator[Batch]:
        """This rank's batches of a source, in the shape of training; what lies beyond its tokens is not in the loss."""
        data, end = state.config.data, self.sources[source]
        loader = Loader(
            TokenStream(self._corpus, {source: 1.0}),
            micro_batch=data.micro_batch,
            sequence_length=data.sequence_length,
            rank=state.ranks.rank,
            world_size=state.ranks.size,
            mask_joins=data.mask_joins,
        )
        with loader:
            while loader.position < end - 1:
                batch = next(loader)
                places = batch.start + 1 + np.arange(batch.targets.size).reshape(batch.targets.shape)
                targets = np.where(places < end, batch.targets, IGNORED)
                yield Batch(batch.inputs, targets, batch.starts, batch.start, batch.stop)


def token_bytes(corpus: Corpus) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """How many bytes each token id spells, special tokens none; None where the corpus has no tokenizer."""
    found = corpus.tokenizer_bytes()
    if found is None:
        return None
    encoder = encoder_of(found)
    lengths = np.array([len(spelled) for spelled in encoder.token_bytes()], np.int64)
    lengths[encoder.end_of_text] = 0
    return lengths
