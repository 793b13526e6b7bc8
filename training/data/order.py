"""The order in which documents are read: arithmetic, so that any position is found without reading what comes before it.

Within an epoch of a source its shards come in a keyed permutation; within a shard its record batches; and within a window
of ``WINDOW_BATCHES`` of these batches their documents. Shards and rows are placed by keyed hashes of the document ids
when they are written, so a window is a random sample of the source, and what is in memory is a window, not an index.

Sources are merged by weight. A source that has given c tokens and has the weight w stands at the time c / w; the next
document is that of the source that stands furthest back (of several the first by name order of the corpus). So after
T tokens in all, every source has given w·T of them to within a document, wherever one begins to count.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenizer.shard import Batch, Shard
from training.data.corpus import Corpus, ShardFile

WINDOW_BATCHES = 4
"""Record batches, of about a million tokens each, whose documents are shuffled together."""

Int = NDArray[np.int64]


def seed_of(*parts: int | str) -> int:
    """A 64-bit key made of these parts; the same for ever, on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def permutation(size: int, key: int) -> NDArray[np.intp]:
    """The numbers 0 to ``size`` - 1 in the order of their keyed hashes (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return np.argsort(x, kind="stable")


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """One record batch of an open shard."""

    shard: Shard
    file: ShardFile
    number: int

    def load(self) -> Batch:
        """Its documents. Raises DamagedShard."""
        return self.shard.batch(self.number)


@dataclass(frozen=True, slots=True)
class Window:
    """The documents of a few record batches in the order in which they are read.

    Document i has the tokens ``starts[i]`` to ``starts[i] + lengths[i]`` of the batch ``batches[batch[i]]`` and is its row
    ``rows[i]``. It begins at the token ``begins[i]`` of the epoch and at the time ``times[i]`` (see ``SourceOrder``).
    ``end`` and ``end_time`` are where the next window begins.
    """

    epoch: int
    batches: tuple[ShardBatch, ...]
    batch: Int
    rows: Int
    starts: Int
    lengths: Int
    begins: Int
    times: Int
    end: int
    end_time: int


@dataclass(frozen=True, slots=True)
class _Epoch:
    shards: tuple[ShardFile, ...]
    begins: list[int]
    """First token of each shard in the epoch, and the end."""


@dataclass(frozen=True, slots=True)
class _ShardOrder:
    shard: Shard
    windows: tuple[tuple[int, ...], ...]
    """The numbers of the record batches of each window."""
    begins: list[int]
    """First token of each window in the shard, and the end."""


class SourceOrder:
    """The endless stream of one source's documents, epoch after epoch, each in an order of its own.

    The time of a document is the tokens that all sources have given when its turn comes: its first token's number
    divided by the weight, rounded down, so times grow from document to document. Epoch e begins at the time
    e·tokens/weight, computed exactly, so nothing drifts however long the stream.
    """

    def __init__(self, corpus: Corpus, source: str, weight: Fraction, seed: int) -> None:
        self.source = source
        self.tokens = corpus.tokens[source]
        self._corpus = corpus
        self._files = corpus.sources[source]
        self._over, self._under = weight.as_integer_ratio()
        self._slowness = float(1 / weight)
        self._key = (corpus.digest, seed, source)
        self._epochs: OrderedDict[int, _Epoch] = OrderedDict()
        self._shards: OrderedDict[tuple[int, int], _ShardOrder] = OrderedDict()
        self._windows: OrderedDict[tuple[int, int, int], Window] = OrderedDict()

    def time_of_epoch(self, epoch: int) -> int:
        """The time at which an epoch begins."""
        return epoch * self.tokens * self._under // self._over

    def window_at(self, epoch: int, token: int) -> tuple[Window, tuple[int, int, int]]:
        """The window that holds a token of an epoch, and its place: epoch, shard and window. Raises DamagedShard."""
        begins = self._epoch(epoch).begins
        shard = bisect_right(begins, token, hi=len(begins) - 1) - 1
        inside = self._shard(epoch, shard).begins
        window = bisect_right(inside, token - begins[shard], hi=len(inside) - 1) - 1
        place = (epoch, shard, window)
        return self.window(place), place

    def next_place(self, place: tuple[int, int, int]) -> tuple[int, int, int]:
        """The place of the window that follows."""
        epoch, shard, window = place
        if window + 1 < len(self._shard(epoch, shard).windows):
            return epoch, shard, window + 1
        if shard + 1 < len(self._files):
            return epoch, shard + 1, 0
        return epoch + 1, 0, 0

    def window(self, place: tuple[int, int, int]) -> Window:
        """The window at a place. The last few are kept. Raises DamagedShard."""
        if place in self._windows:
            self._windows.move_to_end(place)
            return self._windows[place]
        epoch, shard, number = place
        order = self._shard(epoch, shard)
        begin = self._epoch(epoch).begins[shard] + order.begins[number]
        made = self._make_window(place, order, begin)
        self._windows[place] = made
        for old in _forget(self._windows, 2):
            for batch in old.batches:
                batch.shard.release(batch.number)
        return made

    def given_before(self, time: int) -> tuple[int, tuple[int, int, int], int]:
        """How many tokens are given by the documents whose time is below ``time``; then the place of the window, and the
        number of the document in it, that is next. Raises DamagedShard."""
        if time <= 0:
            return 0, (0, 0, 0), 0
        epoch = (time - 1) * self._over // (self._under * self.tokens)
        while self.time_of_epoch(epoch) >= time:
            epoch -= 1
        while self.time_of_epoch(epoch + 1) < time:
            epoch += 1
        token = (time - self.time_of_epoch(epoch)) * self._over // self._under
        window, place = self.window_at(epoch, min(token, self.tokens - 1))
        while len(window.times) and window.times[0] >= time:  # the first document of an epoch is before it
            window, place = self.window_at(epoch, int(window.begins[0]) - 1)
        while window.end_time < time and window.end < self.tokens:
            place = self.next_place(place)
            window = self.window(place)
        index = int(np.searchsorted(window.times, time))
        if index < len(window.times):
            return epoch * self.tokens + int(window.begins[index]), place, index
        return epoch * self.tokens + window.end, self.next_place(place), 0

    def _times(self, epoch: int, tokens: Int) -> Int:
        begin, end = self.time_of_epoch(epoch), self.time_of_epoch(epoch + 1)
        inside = np.floor(tokens * self._slowness).astype(np.int64)
        # Rounding must not carry a document over the end of its epoch.
        times: Int = np.minimum(inside, end - begin - 1) + begin
        return times

    def _epoch(self, epoch: int) -> _Epoch:
        if epoch not in self._epochs:
            order = permutation(len(self._files), seed_of(*self._key, "shards", epoch))
            shards = tuple(self._files[i] for i in order)
            begins = [0, *np.cumsum([one.tokens for one in shards], dtype=np.int64).tolist()]
            self._epochs[epoch] = _Epoch(shards, begins)
            _forget(self._epochs, 2)
        return self._epochs[epoch]

    def _shard(self, epoch: int, number: int) -> _ShardOrder:
        key = (epoch, number)
        if key not in self._shards:
            files = self._epoch(epoch).shards
            shard = self._corpus.open(files[number])
            self._corpus.prefetch(files[number + 1] if number + 1 < len(files) else self._epoch(epoch + 1).shards[0])
            tokens = shard.batch_tokens
            order = permutation(len(tokens), seed_of(*self._key, "batches", epoch, number)).tolist()
            windows = tuple(tuple(order[at : at + WINDOW_BATCHES]) for at in range(0, len(order), WINDOW_BATCHES))
            begins = [0]
            for one in windows:
                begins.append(begins[-1] + sum(tokens[batch] for batch in one))
            self._shards[key] = _ShardOrder(shard, windows, begins)
            _forget(self._shards, 2)
        return self._shards[key]

    def _make_window(self, place: tuple[int, int, int], order: _ShardOrder, begin: int) -> Window:
        epoch, shard, number = place
        file = self._epoch(epoch).shards[shard]
        batches = tuple(ShardBatch(order.shard, file, batch) for batch in order.windows[number])
        offsets = [one.load().offsets for one in batches]
        sizes = [len(one) - 1 for one in offsets]
        lengths = np.concatenate([np.diff(one) for one in offsets]).astype(np.int64)
        starts = np.concatenate([one[:-1] for one in offsets]).astype(np.int64)
        batch = np.repeat(np.arange(len(batches)), sizes)
        rows = np.concatenate([np.arange(size) for size in sizes])
        shuffled = permutation(len(lengths), seed_of(*self._key, "documents", epoch, shard, number))
        shuffled = shuffled[lengths[shuffled] > 0]  # a document without tokens takes no turn
        lengths = lengths[shuffled]
        ends = np.cumsum(lengths) + begin
        begins = ends - lengths
        end = int(ends[-1]) if len(ends) else begin
        end_time = self.time_of_epoch(epoch + 1) if end == self.tokens else int(self._times(epoch, np.array([end]))[0])
        return Window(
            epoch, batches, batch[shuffled], rows[shuffled], starts[shuffled], lengths, begins,
            self._times(epoch, begins), end, end_time,
        )  # fmt: skip


def _forget(kept: OrderedDict[Any, Any], most: int) -> list[Any]:
    """Take the oldest out until no more than ``most`` are left; gives what was taken."""
    return [kept.popitem(last=False)[1] for _ in range(len(kept) - most)]
