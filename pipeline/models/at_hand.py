"""Brings models that lie in an object store to where the libraries that read them can open them: a local file."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from pathlib import Path
from typing import Final

from filters.filter import Filter
from pipeline import files

_BLOCK: Final = 1 << 20


def at_hand(filter_: Filter) -> Filter:
    """The filter with its model on this machine: itself, unless that lies in an object store."""
    path = filter_.reads_model()
    if path is None or not files.is_remote(path):
        return filter_
    return filter_.with_models({path: _fetched(path)})


@functools.cache
def _fetched(path: str) -> str:
    """A local copy of a model and of what lies beside it, in a folder that is deleted when this process ends."""
    folder = _folder()
    top, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    for found in files.find(f"{top}/{stem}.*"):
        target = folder / hashlib.sha256(top.encode()).hexdigest()[:16] / found.path.rpartition("/")[2]
        target.parent.mkdir(exist_ok=True)
        with files.open_read(found.path) as stream, target.open("wb") as copy:
            while block := stream.read(_BLOCK):
                copy.write(block)
    return str(folder / hashlib.sha256(top.encode()).hexdigest()[:16] / name)


@functools.cache
def _folder() -> Path:
    kept = tempfile.TemporaryDirectory(prefix="corpusmill-models-")
    _KEPT.append(kept)
    return Path(kept.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
