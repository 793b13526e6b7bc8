"""The loader: batches of one rank, cut from the stream of tokens by a background thread, with a position that is one integer.

A global batch is ``world_size`` times ``micro_batch`` sequences of ``sequence_length`` tokens, which follow one another in the
stream; rank r reads the r-th part of them. Whoever reads the same part of the stream in other cuts reads the same tokens.
There are no worker processes: one thread makes the next batches while the last are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from training.data.ahead import Ahead
from training.data.stream import Part, TokenStream, checksum

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The target of a token that takes no part in the loss, as torch's cross-entropy has it."""

_GROUP_TOKENS = 1 << 19
"""Batches are made and handed over in groups of about so many tokens: handing over costs more than making a batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One rank's part of a global batch. Arrays are (micro_batch, sequence_length), int64."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    """The token that follows each input; IGNORED where it is not to be learnt."""
    starts: NDArray[np.int64]
    """Where documents begin in the flattened inputs, ascending. What stands before the first began in an earlier batch."""
    start: int
    """Position in the stream of the first input of this rank."""
    stop: int
    """Position in the stream after the global batch: what has been consumed when every rank has used its part."""

    checksum: int = 0
    """Of the inputs, if the loader is to prove what it gave."""
    memory: torch.Tensor | None = None
    """Inputs and targets once more, (2, micro_batch, sequence_length), in pinned memory, if it was asked for."""

    def documents(self) -> NDArray[np.int32]:
        """Which document each input is of, as numbers that grow within a row, from 0; for attention that stays within it."""
        begins = np.zeros(self.inputs.size, np.int32)
        begins[self.starts] = 1
        rows = begins.reshape(self.inputs.shape)
        rows[:, 0] = 0
        numbers: NDArray[np.int32] = np.cumsum(rows, axis=1, dtype=np.int32)
        return numbers

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets as torch tensors that share this memory, pinned if the loader was told so."""
        import torch

        if self.memory is None:
            return torch.from_numpy(self.inputs), torch.from_numpy(self.targets)
        return self.memory[0], self.memory[1]


class Loader:
    """Endless batches of one rank. Iterate; ``state`` says at any time where to go on, on however many ranks."""

    def __init__(
        self,
        stream: TokenStream,
        *,
        micro_batch: int,
        sequence_length: int,
        rank: int = 0,
        world_size: int = 1,
        position: int = 0,
        mask_joins: bool = False,
        prove: bool = False,
        pinned: bool = False,
    ) -> None:
        """Read from a position of the stream on.

        ``mask_joins`` takes the first token of every document out of the loss, as nothing before it foretells it. ``prove`` sums
        a checksum of what this rank was given (see ``proof``), at some nanoseconds a token. ``pinned`` puts batches where a GPU
        copies them from without waiting (needs torch with CUDA). Raises ValueError for sizes below 1 and a rank that the
        world does not have.
        """
        if min(micro_batch, sequence_length, world_size) < 1 or position < 0:
            raise ValueError(
                "micro_batch, sequence_length and world_size must be 1 or more, and the position 0 or more"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size}: ranks count from 0")
        self.stream = stream
        self.micro_batch = micro_batch
        self.sequence_length = sequence_length
        self.rank = rank
        self.world_size = world_size
        self._mask_joins = mask_joins
        self._prove = prove
        self._pinned = pinned
        self._proof = 0
        self._position = position
        self._groups: Ahead[list[Batch]] | None = None
        self._given: Iterator[Batch] = iter(())

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of a global batch."""
        return self.world_size * self.micro_batch * self.sequence_length

    @property
    def position(self) -> int:
        """Tokens consumed by all ranks together: those of the batches given out."""
        return self._position

    @property
    def proof(self) -> int:
        """Checksum of the tokens that this rank was given, if ``prove`` was set. Added over ranks and runs, modulo 2^64,
        it is that of the part of the stream that they read: ``training.data.stream.checksum`` and ``checksum_of``."""
        return self._proof

    def state(self) -> dict[str, Any]:
        """What to keep in a checkpoint: the position, and the digest of the stream it is a position of."""
        return {"tokens": self._position, "digest": self.stream.digest}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken, whatever the world, batch and sequence were then.

        Raises ValueError where the state is of another corpus, seed or mixture.
        """
        if state["digest"] != self.stream.digest:
            raise ValueError(
                f"the checkpoint was made with other data, another seed or mixture (stream {state['digest'][:12]}, "
                f"now {self.stream.digest[:12]}): give what it was trained with, or start from position 0"
            )
        self.seek(int(state["tokens"]))

    def seek(self, position: int) -> None:
        """Go on at a position of the stream: forward to skip data, backward to read it again. Raises ValueError."""
        if position < 0:
            raise ValueError(f"position {position} is below 0")
        self.close()
        self._position = position

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch. Raises what reading it raised: DamagedShard, OSError."""
        if self._groups is None:
            self._groups = Ahead(self._read_groups(self._position))
        while (found := next(self._given, None)) is None:
            self._given = iter(next(self._groups))
        self._position = found.stop
        self._proof = (self._proof + found.checksum) % (1 << 64)
        return found

    def close(self) -> None:
        """End the background thread; the loader can be used again."""
        groups, self._groups = self._groups, None
        self._given = iter(())
        if groups is not None:
            groups.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_groups(self, position: int) -> Iterator[list[Batch]]:
        """Batches in groups, from a position on. The first group is one batch, so that training begins at once."""
        most = max(1, _GROUP_TOKENS // (self.micro_batch * self.sequence_length))
        count = 1
        while True:
            yield self._read(position, count)
            position += count * self.tokens_per_batch
            count = min(most, count * 2)

    def _read(self, position: int, count: int) -> list[Batch]:
        """This rank's parts of so many global batches, the first of which begins at a position."""
        part = self.micro_batch * self.sequence_length
        if self.world_size == 1:  # they follow one another
            return self._cut(position, position + part, count)
        stops = [position + (i + 1) * self.tokens_per_batch for i in range(count)]
        return [self._cut(stop - (self.world_size - self.rank) * part, stop, 1)[0] for stop in stops]

    def _cut(self, start: int, stop: int, count: int) -> list[Batch]:
        """Batches that follow one another from ``start`` on; ``stop`` is where the first one's global batch ends."""
        size = self.micro_batch * self.sequence_length
        begins = [start + i * size for i in range(count)]
        checksums = [checksum(self.stream, one, one + size) if self._prove else 0 for one in begins]
        flat = np.empty(count * size + 1, np.int64)
        part = self.stream.read(start, start + len(flat), flat)
        inputs, targets = flat[:-1], flat[1:]
        if self._mask_joins or part.unreadable:
            targets = self._masked(targets.copy(), part)
        shape = count, self.micro_batch, self.sequence_length
        memory: list[torch.Tensor | None] = [None] * count
        if self._pinned:
            memory = [*_pinned(inputs.reshape(shape), targets.reshape(shape))]
        bounds = np.searchsorted(part.starts, np.arange(0, (count + 1) * size, size)).tolist()
        return [
            Batch(
                inputs.reshape(shape)[i],
                targets.reshape(shape)[i],
                part.starts[bounds[i] : bounds[i + 1]] - i * size,
                begins[i],
                stop + i * self.tokens_per_batch,
                checksums[i],
                memory[i],
            )
            for i in range(count)
        ]

    def _masked(self, targets: NDArray[np.int64], part: Part) -> NDArray[np.int64]:
        """Targets without the joins of documents, if so wished, and without what could not be read."""
        if self._mask_joins:
            starts = part.starts[part.starts > 0]
            targets[starts - 1] = IGNORED
        for begin, end in part.unreadable:
            targets[max(0, begin - 1) : end] = IGNORED
        return targets


def _pinned(inputs: NDArray[np.int64], targets: NDArray[np.int64]) -> torch.Tensor:
    """Both (count, …) as (count, 2, …) in pinned memory, which torch keeps and hands out again."""
    import torch

    memory = torch.empty((len(inputs), 2, *inputs.shape[1:]), dtype=torch.int64, pin_memory=True)
    memory.numpy()[:, 0] = inputs
    memory.numpy()[:, 1] = targets
    return memory
