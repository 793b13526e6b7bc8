"""The one stream of tokens that a training reads: sources merged by weight, documents one after another, any part at once.

The stream is a function of the corpus (its digest), the seed and the weights. Batch sizes, sequence lengths and ranks are only
ways to cut it, so a position in it, the number of tokens before it, is all there is to know about where a training stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tokenizer import mixture
from tokenizer.ids import TokenIds
from tokenizer.shard import DamagedShard
from training.data.corpus import Corpus, ShardFile
from training.data.order import Int, ShardBatch, SourceOrder, Window, seed_of

_WALK = 1 << 24
"""Tokens that are passed over by going from block to block; further away a position is looked for."""

OnDamage = Literal["stop", "skip"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a document as it lies in the stream: tokens ``start`` to ``stop`` of a row of a record batch."""

    batch: ShardBatch
    row: int
    start: int
    stop: int
    length: int
    """Tokens of the whole document."""


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of the stream and what is known of them; indexes count from the part's beginning."""

    tokens: NDArray[Any]
    starts: Int
    """Where documents begin."""
    unreadable: tuple[tuple[int, int], ...] = ()
    """From where to where the tokens could not be read; end-of-text stands there. Only with ``on_damage="skip"``."""


@dataclass(slots=True)
class _Block:
    """Documents that follow one another in the stream: columns, a row a document; ``begins`` has one entry more."""

    batches: list[ShardBatch]
    batch: Int
    rows: Int
    starts: Int
    lengths: Int
    begins: Int
    values: list[TokenIds | None]
    """The tokens of each batch, None until they were checked."""


class TokenStream:
    """The stream of one training. Reading forward is fast; reading from elsewhere takes some milliseconds once."""

    def __init__(
        self,
        corpus: Corpus,
        weights: Mapping[str, float] | str | None = None,
        seed: int = 0,
        on_damage: OnDamage = "stop",
    ) -> None:
        """Merge the sources of a corpus by ``weights``: see ``tokenizer.mixture.weights``. Unless given they are the recipe's,
        and where it has none every source has its size.

        ``on_damage`` says what becomes of a record batch whose checksum is wrong: ``stop`` raises DamagedShard where its
        first token is read, ``skip`` gives end-of-text for its tokens, so that everything else keeps its position,
        and counts them in ``skipped``. Raises ValueError for weights that can't be had.
        """
        self.weights: dict[str, Fraction] = mixture.weights(
            corpus.tokens, corpus.mixture if weights is None else weights
        )
        self.seed = seed
        self.skipped: dict[tuple[str, int], int] = {}
        """Tokens of each record batch (path, number) that could not be read."""
        settled = [corpus.digest, seed, {name: str(weight) for name, weight in self.weights.items()}]
        self.digest = hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()
        """Of all that decides the stream. Positions mean the same in streams of the same digest."""
        self._corpus = corpus
        self._on_damage = on_damage
        self._orders = [SourceOrder(corpus, name, weight, seed) for name, weight in self.weights.items()]
        self._cursors: list[tuple[tuple[int, int, int], int]] = []
        self._next = 0
        self._block: _Block | None = None
        self._checked: dict[tuple[str, int], bool] = {}

    @property
    def epoch_tokens(self) -> int:
        """Tokens of one epoch of all sources; an epoch of the stream where the weights are the sources' sizes."""
        return sum(order.tokens for order in self._orders)

    def epochs(self, position: int) -> dict[str, float]:
        """How often each source has been read before a position, about (to within a document)."""
        return {order.source: float(position * self.weights[order.source] / order.tokens) for order in self._orders}

    def read(self, start: int, stop: int, out: NDArray[Any] | None = None) -> Part:
        """The tokens from ``start`` to ``stop``, into ``out`` where it is given (of that length, any integer type).

        Raises ValueError for a start below 0 or behind the stop, DamagedShard, OSError.
        """
        if not 0 <= start < stop:
            raise ValueError(f"no tokens from {start} to {stop}")
        pieces: list[TokenIds] = []
        starts: list[Int] = []
        unreadable: list[tuple[int, int]] = []
        for block, first, last in self._documents(start, stop):
            begins = block.begins[first : last + 1] - start
            starts.append(begins[:-1])
            self._collect(block, first, last, begins, stop - start, pieces, unreadable)
        size = stop - start
        if out is None:
            out = np.empty(size, pieces[0].dtype)
        np.concatenate(pieces, out=out, casting="same_kind")
        found = np.concatenate(starts)
        return Part(out, found[found >= 0], tuple(unreadable))

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Which documents the tokens from ``start`` to ``stop`` are of, in order. Raises as ``read`` does."""
        for block, first, last in self._documents(start, stop):
            for i in range(first, last):
                begin, length = int(block.begins[i]), int(block.lengths[i])
                batch = block.batches[block.batch[i]]
                yield Piece(batch, int(block.rows[i]), max(0, start - begin), min(length, stop - begin), length)

    def _collect(
        self,
        block: _Block,
        first: int,
        last: int,
        begins: Int,
        size: int,
        pieces: list[TokenIds],
        unreadable: list[tuple[int, int]],
    ) -> None:
        """Append views of the documents ``first`` to ``last``, cut to the part that begins at 0 and has this size."""
        values = block.values
        which = block.batch[first:last].tolist()
        for number in set(which):
            if values[number] is None:
                values[number] = self._values(block.batches[number])
        low, high = block.starts[first:last].copy(), block.starts[first:last] + block.lengths[first:last]
        low[0] -= min(0, int(begins[0]))
        high[-1] -= max(0, int(begins[-1]) - size)
        made = [values[batch][a:b] for batch, a, b in zip(which, low.tolist(), high.tolist(), strict=True)]
        if self.skipped:
            for i, batch in enumerate(which):
                if not self._checked[_name(block.batches[batch])]:
                    unreadable.append((max(0, int(begins[i])), min(size, int(begins[i + 1]))))
        pieces += made

    def _values(self, batch: ShardBatch) -> TokenIds:
        """The tokens of a record batch, checked the first time."""
        name = _name(batch)
        values = batch.load().values
        if name not in self._checked:
            try:
                batch.shard.verify_batch(batch.number)
                self._checked[name] = True
            except DamagedShard:
                if self._on_damage == "stop":
                    raise
                self._checked[name] = False
                self.skipped[name] = len(values)
        if self._checked[name]:
            return values
        return np.full(len(values), batch.shard.about.end_of_text, values.dtype)

    def _documents(self, start: int, stop: int) -> Iterator[tuple[_Block, int, int]]:
        """The documents that have tokens from ``start`` to ``stop``: blocks, with the first and last + 1 of each."""
        block = self._block
        if block is None or start < block.begins[0] or start > block.begins[-1] + _WALK:
            self._seek(start)
            block = self._advance()
        while True:
            begins = block.begins
            if begins[-1] > start:
                first = int(np.searchsorted(begins, start, side="right")) - 1
                last = int(np.searchsorted(begins, stop))
                yield block, max(first, 0), min(last, len(begins) - 1)
                if begins[-1] >= stop:
                    return
                start = int(begins[-1])
            block = self._advance()

    def _seek(self, position: int) -> None:
        """Set the cursors to the last time by which no more than ``position`` tokens are given."""
        # By the time T at least T tokens are given, and more by as much as the last documents stand out.
        high, step = position + 1, 1 << 12
        low = max(0, high - step)
        while self._given(low)[0] > position:
            high, step = low, step * 4
            low = max(0, low - step)
        while high - low > 1:
            middle = (low + high) // 2
            if self._given(middle)[0] <= position:
                low = middle
            else:
                high = middle
        self._next, self._cursors = self._given(low)

    def _given(self, time: int) -> tuple[int, list[tuple[tuple[int, int, int], int]]]:
        """Tokens of all documents with times below ``time``, and where each source stands then."""
        found = [order.given_before(time) for order in self._orders]
        return sum(given for given, _, _ in found), [(place, index) for _, place, index in found]

    def _advance(self) -> _Block:
        """The block after the present one: of every source, the documents up to where the first window ends."""
        while True:
            windows = [order.window(place) for order, (place, _) in zip(self._orders, self._cursors, strict=True)]
            time = min(window.end_time for window in windows)
            takes = []
            for window, (_, index) in zip(windows, self._cursors, strict=True):
                takes.append((index, max(index, int(np.searchsorted(window.times, time)))))
            if all(first == last for first, last in takes):  # what is left of that window shares its time with the next
                takes = [
                    (first, len(window.times) if window.end_time == time else last)
                    for window, (first, last) in zip(windows, takes, strict=True)
                ]
            self._cursors = [
                (order.next_place(place), 0) if last == len(window.times) and window.end_time == time else (place, last)
                for order, window, (place, _), (_, last) in zip(
                    self._orders, windows, self._cursors, takes, strict=True
                )
            ]
            if any(first < last for first, last in takes):
                self._block = _merged(windows, takes, self._next)
                self._next = int(self._block.begins[-1])
                return self._block


def _merged(windows: list[Window], takes: list[tuple[int, int]], begin: int) -> _Block:
    """The documents of these parts of the windows by time; of equal times, in the windows' order."""
    batches = [batch for window in windows for batch in window.batches]
    before = np.cumsum([0, *(len(window.batches) for window in windows)])
    cut = [slice(first, last) for first, last in takes]
    times = np.concatenate([window.times[one] for window, one in zip(windows, cut, strict=True)])
    order = np.argsort(times, kind="stable")

    def column(name: str) -> Int:
        whole: Int = np.concatenate([getattr(window, name)[one] for window, one in zip(windows, cut, strict=True)])
        return whole[order]

    numbers = [window.batch[one] + before[i] for i, (window, one) in enumerate(zip(windows, cut, strict=True))]
    lengths = column("lengths")
    begins = np.empty(len(lengths) + 1, np.int64)
    begins[0] = begin
    np.cumsum(lengths, out=begins[1:])
    begins[1:] += begin
    return _Block(
        batches, np.concatenate(numbers)[order], column("rows"), column("starts"), lengths, begins, [None] * len(batches)
    )  # fmt: skip


def _name(batch: ShardBatch) -> tuple[str, int]:
    return batch.file.path, batch.number


# --- proof that every token was read once -----------------------------------------------------------

_STEP = np.uint64(0x9E3779B97F4A7C15)


def checksum(stream: TokenStream, start: int, stop: int) -> int:
    """A 64-bit sum over the tokens from ``start`` to ``stop`` that does not depend on how they are cut or in what order.

    The sum, modulo 2^64, of (token + 1) · (key of the document + number of the token in it · odd constant). Sums of parts add up,
    over steps and ranks, to the sum of the whole; an epoch that was read exactly once has the sum ``checksum_of`` gives.
    """
    total = 0
    for piece in stream.pieces(start, stop):
        batch = piece.batch.load()
        key = _key(piece.batch.file, piece.batch.number, piece.row)
        total += _sum(batch.tokens(piece.row)[piece.start : piece.stop], key, piece.start)
    return total % (1 << 64)


def checksum_of(corpus: Corpus) -> int:
    """The ``checksum`` of every token of a corpus once, read in the order in which it is stored."""
    total = 0
    for file in (one for shards in corpus.sources.values() for one in shards):
        for number, batch in enumerate(corpus.open(file).batches()):
            for row in range(len(batch)):
                total += _sum(batch.tokens(row), _key(file, number, row), 0)
    return total % (1 << 64)


def _key(file: ShardFile, batch: int, row: int) -> int:
    return seed_of(file.sha256, batch, row) | 1


def _sum(tokens: TokenIds, key: int, first: int) -> int:
    with np.errstate(over="ignore"):
        factors = np.arange(first, first + len(tokens), dtype=np.uint64) * _STEP + np.uint64(key)
        return int(((tokens.astype(np.uint64) + np.uint64(1)) * factors).sum(dtype=np.uint64))
