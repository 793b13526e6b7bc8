"""A checkpoint as a folder: written whole or not at all, with a SHA-256 of each file that is checked before it is used.

``step-00001200/`` holds ``model.safetensors`` and ``optimizer.safetensors``; ``state.json`` with all that is no tensor; and
``manifest.json`` with the size and SHA-256 of each of them. Nothing in it is a pickle, so reading a stranger's checkpoint
runs none of his code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.json"

_NAME = re.compile(r"step-(\d{8,})")
_PARTIAL = re.compile(r"\.partial-step-\d{8,}")


class DamagedCheckpoint(ValueError):  # noqa: N818 - what it is
    """A checkpoint is not what was written: a file is missing, cut or changed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose files were compared with their digests."""

    path: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps that were done when it was taken."""
        return int(self.state["step"])

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """The tensors of ``model`` or ``optimizer`` by name, in CPU memory. Raises DamagedCheckpoint."""
        try:
            found: dict[str, torch.Tensor] = load_file(self.path / f"{part}.safetensors")
        except (OSError, SafetensorError) as error:
            raise DamagedCheckpoint(f"{self.path / part}.safetensors can't be read: {error}") from error
        return found


def listed(folder: Path) -> dict[int, Path]:
    """The checkpoints of a run by step, oldest first; whether they are whole is not looked at."""
    if not folder.is_dir():
        return {}
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def write(folder: Path, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any]) -> Path:
    """Write the checkpoint of the step ``state["step"]`` and return its folder.

    It is made under a temporary name, every file and the folder are forced to the disk, and then it gets its name: a
    power cut at any moment leaves it whole or absent. Raises OSError, FileExistsError where the step has a checkpoint.
    """
    final = folder / f"step-{state['step']:08}"
    if final.exists():
        raise FileExistsError(f"{final} is already there")
    partial = folder / f".partial-{final.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for part, named in tensors.items():
            _save(named, partial / f"{part}.safetensors")
        (partial / STATE).write_text(json.dumps(state, allow_nan=False))
        rows = {path.name: _digest(path) for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": rows}, indent=1))
        for path in [*partial.iterdir(), partial]:
            _force(path)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # the room it takes may be what is missing
        raise
    _force(folder)
    return final


def read(path: Path) -> Checkpoint:
    """Open a checkpoint after comparing all its files with their digests.

    Raises FileNotFoundError where there is none, DamagedCheckpoint with the file that is not as it was written.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is no checkpoint: give a folder like checkpoints/step-00001000")
    manifest = _json(path / MANIFEST)
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), dict):
        raise DamagedCheckpoint(f"{path / MANIFEST} is no manifest of format {FORMAT}")
    for name, row in manifest["files"].items():
        file = path / Path(name).name
        if not file.is_file():
            raise DamagedCheckpoint(f"{file} is missing")
        if file.stat().st_size != row.get("bytes"):
            raise DamagedCheckpoint(f"{file} has {file.stat().st_size} bytes, of {row.get('bytes')} that were written")
        if _digest(file) != row:
            raise DamagedCheckpoint(f"{file} has changed since it was written: its SHA-256 is another")
    if STATE not in manifest["files"]:
        raise DamagedCheckpoint(f"{path / MANIFEST} does not list {STATE}")
    return opened(path)


def opened(path: Path) -> Checkpoint:
    """Open a checkpoint that has been compared with its digests already. Raises DamagedCheckpoint without a readable state."""
    return Checkpoint(path, _json(path / STATE))


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint, so that its step can be saved anew and nobody takes it for a whole one."""
    number = 0
    while (aside := path.with_name(f"damaged-{path.name}" + (f"-{number}" if number else ""))).exists():
        number += 1
    return path.rename(aside)


def remove(path: Path) -> None:
    """Delete a checkpoint; one that is only half deleted when the process ends is no longer taken for one."""
    doomed = path.with_name(f".partial-{path.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed have left half written or half deleted."""
    if folder.is_dir():
        for path in folder.iterdir():
            if _PARTIAL.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)


def _save(named: Mapping[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(dict(named), path)
    except SafetensorError as error:  # a full disk, as safetensors tells it
        raise OSError(f"{path} can't be written: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedCheckpoint(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise DamagedCheckpoint(f"{path} holds no object")
    return found


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _force(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
