"""Reads an object as a file: by ranges that grow while reading goes straight on."""

from __future__ import annotations

import io
from typing import Any

from pipeline import pulse
from pipeline.stores.store import Object, Store

_FIRST = 1 << 18
_MOST = 1 << 22
"""Bytes asked for at a time: few where a reader jumps, twice as many with each request that goes on."""


class Reader(io.RawIOBase):
    """An object as a file. Whoever reads straight on gets at most as much too much as was read, and never over 4 MiB."""

    def __init__(self, store: Store, found: Object) -> None:
        self._store = store
        self._object = found
        self._place = 0
        self._block, self._base = b"", 0
        self._ahead = _FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._object.size}[whence] + offset
        if place < 0:
            raise ValueError(f"negative place {place} in {self._object.path}")
        self._place = place
        return place

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        if self._place >= self._object.size or not len(wanted):
            return 0
        at = self._place - self._base
        if not 0 <= at < len(self._block):
            self._fetch(len(wanted))
            at = 0
        count = min(len(wanted), len(self._block) - at)
        wanted[:count] = memoryview(self._block)[at : at + count]
        self._place += count
        return count

    def _fetch(self, least: int) -> None:
        goes_on = bool(self._block) and self._place == self._base + len(self._block)
        self._ahead = min(self._ahead * 2, _MOST) if goes_on else _FIRST
        stop = min(self._object.size, self._place + max(self._ahead, min(least, _MOST)))
        with pulse.waiting():
            self._block = self._store.piece(self._object, self._place, stop)
        self._base = self._place
