"""The intermediate arrays of dedup: sorted by document, a folder a block of documents, read by mapping them into memory."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from pipeline import files
from pipeline.dedup import inputs
from pipeline.dedup.candidates import PAIR
from pipeline.dedup.runs import CROWD, REPEAT, Rows, distinct
from pipeline.layout import Layout

DECISION: Final = np.dtype([("number", "<u8"), ("kept", "<u8"), ("similarity", "<f4")])
"""A document that dedup removes as a whole, the one that stays for it, and how similar they are (NaN: not compared)."""

VERIFIED: Final = np.dtype(
    [("number", "<u8"), ("kept", "<u8"), ("rank", "<u8"), ("kept_rank", "<u8"), ("similarity", "<f4")]
)
"""Two documents that are similar enough, their ranks, and how similar they are."""

KINDS: Final = {
    "exact": DECISION,
    "url": DECISION,
    "near": DECISION,
    "spans": REPEAT,
    "boilerplate": CROWD,
    "pairs": PAIR,
    "claims": PAIR,
    "verified": VERIFIED,
}
"""What there is, by the name of its folder."""


def write(layout: Layout, kind: str, block: int, item: str, array: Rows) -> files.Written:
    """Write what one item of a stage found for the documents of a block."""
    return save(layout.work(f"dedup/{kind}/{block:06d}/{item}.npy"), array)


def block(layout: Layout, kind: str, number: int) -> Rows:
    """All that was found for the documents of a block, sorted by document where it came from one item."""
    found = files.find(layout.work(f"dedup/{kind}/{number:06d}/*.npy"))
    arrays = [_load(one.path, one.changed) for one in found]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.empty(0, KINDS[kind]), *arrays])


def between(layout: Layout, kind: str, first: int, last: int) -> Rows:
    """What was found for the documents with numbers from ``first`` to ``last``, sorted."""
    low, high = np.array([first, last], np.uint64)
    found = [np.empty(0, KINDS[kind])]
    start, stop = inputs.load(layout).blocks_of(np.array([low, high]))
    for number in range(int(start), int(stop) + 1):
        for one in files.find(layout.work(f"dedup/{kind}/{number:06d}/*.npy")):
            array = _load(one.path, one.changed)
            numbers = array["number"]
            found.append(array[np.searchsorted(numbers, low) : np.searchsorted(numbers, high, side="right")])
    return distinct(np.concatenate(found))


def save(path: str, array: Rows) -> files.Written:
    """Write an array in NumPy's format."""
    with files.replacing(path) as written:
        np.lib.format.write_array(written.stream, np.ascontiguousarray(array), allow_pickle=False)
    return written


def load(path: str) -> Rows:
    """An array that ``save`` wrote, mapped into memory where the file is local. Raises FileNotFoundError."""
    found = files.find(path)
    if not found:
        raise FileNotFoundError(f"{path} is gone")
    return _load(path, found[0].changed)


@functools.lru_cache(maxsize=1024)
def _load(path: str, changed: float) -> Rows:
    del changed
    if files.is_remote(path):
        with files.open_read(path) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    return np.load(path, mmap_mode="r", allow_pickle=False)
