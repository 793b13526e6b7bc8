"""The checkpoints of one run: saved in the background while training goes on, kept by a policy, and the newest whole one found."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from training.checkpoint import files
from training.checkpoint.files import Checkpoint, DamagedCheckpoint
from training.checkpoint.tensors import Copies
from training.parallel import Ranks

_NONE, _ALL_DAMAGED = -1, -2


class SaveFailed(RuntimeError):  # noqa: N818 - what it is
    """A checkpoint could not be written. Those before it are untouched."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which checkpoints stay: the ``last`` so many; for good, every one whose step is a multiple of ``every`` (0: none); the
    ``best`` so many by validation loss; and the newest that is at least ``lookback`` steps older than the last, for recovery."""

    last: int = 3
    every: int = 0
    best: int = 1
    lookback: int = 0

    def kept(self, losses: Mapping[int, float | None]) -> set[int]:
        """The steps that stay, of these with their validation losses (None: not measured)."""
        steps = sorted(losses)
        kept = {*steps[-self.last :]}
        if self.every:
            kept |= {step for step in steps if step % self.every == 0}
        measured = sorted((loss, -step) for step, loss in losses.items() if loss is not None)
        kept |= {-step for _, step in measured[: self.best]}
        return kept | {*[step for step in steps if step <= steps[-1] - self.lookback][-1:]}


class Checkpoints:
    """Saves and finds the checkpoints in a folder. Every rank makes one and calls the same methods; rank 0 alone writes.

    All ranks read the files, so the folder must be one that all nodes see.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        ranks: Ranks,
        *,
        background: bool = True,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Raises BlockingIOError where another process trains in this folder. ``tell`` is told of damage and of what was done."""
        self.folder = folder
        self._policy = policy
        self._ranks = ranks
        self._background = background
        self._tell = tell or (lambda text: print(text, file=sys.stderr, flush=True))
        self._copies = Copies()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future[None] | None = None
        self._losses: dict[int, float | None] = {}
        self._lock: int | None = None
        if ranks.first:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder / ".lock")
            files.sweep(folder)

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take a checkpoint of the step ``state["step"]``; returns when all is copied, and writes it meanwhile.

        Tensors are named ``model.NAME`` and ``optimizer.NAME``; ``state`` is JSON, and a ``validation_loss`` in it decides which is
        best. Waits for the save before this one first. Raises SaveFailed if that one failed.
        """
        self.wait()
        copies = self._copies.take(tensors, self._ranks.first)
        if self._ranks.first:
            self._saving = self._writer.submit(self._write, _by_file(copies), dict(state))
        if not self._background:
            self.wait()

    @property
    def failed(self) -> bool:
        """Whether the save in the background has failed: then ``wait`` raises."""
        return self._saving is not None and self._saving.done() and self._saving.exception() is not None

    def wait(self) -> None:
        """Wait until the last save is on the disk. Raises SaveFailed."""
        saving, self._saving = self._saving, None
        if saving is None:
            return
        try:
            saving.result()
        except Exception as error:
            newest = max(files.listed(self.folder), default=None)
            raise SaveFailed(
                f"a checkpoint could not be saved: {error}. Those before it are whole, "
                + (f"the newest is of step {newest}. " if newest is not None else "but there are none. ")
                + f"Mend what is wrong with {self.folder} (is the disk full?) and start again: the run goes on from there"
            ) from error

    def newest(self, at_most: int | None = None) -> Checkpoint | None:
        """The newest whole checkpoint, of no step beyond ``at_most``; None where there are none at all.

        All ranks must call it and get the same. A damaged one is named and renamed, and the one before it is taken. Raises
        DamagedCheckpoint where all are damaged.
        """
        self.wait()
        found, step, damage = None, _NONE, ""
        if self._ranks.first:
            found, damage = self._newest_whole(at_most)
            step = found.step if found else _ALL_DAMAGED if damage else _NONE
        step = int(self._ranks.from_first(torch.tensor([step])).item())
        if step == _ALL_DAMAGED:
            raise DamagedCheckpoint(f"no checkpoint in {self.folder} is whole: {damage or 'rank 0 names the damage'}")
        if step == _NONE or found is not None:
            return found
        return files.opened(files.listed(self.folder)[step])

    def oldest(self) -> int | None:
        """Step of the oldest checkpoint, as rank 0 sees it; for all ranks."""
        self.wait()
        step = min(files.listed(self.folder), default=_NONE) if self._ranks.first else _NONE
        step = int(self._ranks.from_first(torch.tensor([step])).item())
        return None if step == _NONE else step

    def discard_after(self, step: int) -> None:
        """Delete the checkpoints beyond a step to which the run goes back: they may hold what went wrong."""
        self.wait()
        if self._ranks.first:
            for later, path in reversed(files.listed(self.folder).items()):
                if later > step:
                    files.remove(path)
                    self._losses.pop(later, None)

    def close(self) -> None:
        """Wait for the last save, and let others use the folder. Raises SaveFailed."""
        try:
            self.wait()
        finally:
            self._writer.shutdown()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, parts: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> None:
        files.write(self.folder, parts, state)
        found = files.listed(self.folder)
        for step in found.keys() - self._losses.keys():
            self._losses[step] = _validation_loss(found[step])
        for step in found.keys() - self._policy.kept({step: self._losses[step] for step in found}):
            files.remove(found[step])

    def _newest_whole(self, at_most: int | None) -> tuple[Checkpoint | None, str]:
        """It, or what is damaged."""
        damage = []
        for step, path in reversed(files.listed(self.folder).items()):
            if at_most is None or step <= at_most:
                try:
                    return files.read(path), ""
                except DamagedCheckpoint as error:
                    aside = files.set_aside(path)
                    self._tell(f"{error}. It is now {aside.name}; the checkpoint before it is taken")
                    damage.append(str(error))
        return None, "; ".join(damage)


def _by_file(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    return parts


def _validation_loss(path: Path) -> float | None:
    try:
        found = files.opened(path).state.get("validation_loss")
    except DamagedCheckpoint:
        return None
    return None if found is None else float(found)


def _locked(path: Path) -> int:
    """An open handle of a file that no other process has locked; the lock ends with the process, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise BlockingIOError(
            f"another process trains in {path.parent}: wait for it, stop it, or give another folder"
        ) from error
    return handle
