"""Undoes gzip, bzip2, xz and zstd one member at a time, in bounded pieces whatever the input is."""

from __future__ import annotations

import bz2
import lzma
import re
from typing import Any, Protocol

import zstandard
from isal import igzip_lib, isal_zlib

_OUTPUT = 1 << 18
_XZ_MEMORY = 1 << 30
# Dumps made with ``zstd --long=31`` need a window of 2 GiB; the memory is taken only as far as it is really filled.
MAX_ZSTD_WINDOW = 1 << 31

SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""How a zstd frame begins that holds no data (RFC 8878, 3.1.2)."""

# bz2 reports damage as OSError, as if the disk were at fault.
DAMAGE: tuple[Any, ...] = (
    igzip_lib.IsalError,
    lzma.LZMAError,
    zstandard.ZstdError,
    OSError,
    EOFError,
    ValueError,
    MemoryError,
)
"""What ``feed`` raises for input that is damaged, or that asks for more memory than it may."""


class Decompressor(Protocol):
    """What one compressed member or frame is undone with."""

    @property
    def finished(self) -> bool: ...
    @property
    def leftover(self) -> bytes:
        """Input after the end of this member; meaningful once finished."""
        ...

    @property
    def wants_input(self) -> bool: ...
    def feed(self, data: bytes) -> bytes:
        """Some output, as bounded as the library allows; ``b""`` as data where no input is wanted. Raises ``DAMAGE``."""
        ...


class Inflate:
    """One gzip member, by Intel's inflate: 2.5 times as fast as zlib's on web pages."""

    __slots__ = ("_inner",)

    def __init__(self) -> None:
        self._inner = isal_zlib.decompressobj(wbits=31)

    @property
    def finished(self) -> bool:
        return self._inner.eof

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data

    @property
    def wants_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data or self._inner.unconsumed_tail, _OUTPUT)


class Bz2OrXz:
    """One bzip2 or xz stream."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    @property
    def finished(self) -> bool:
        return self._inner.eof

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data

    @property
    def wants_input(self) -> bool:
        return self._inner.needs_input

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data, _OUTPUT)


class Unzstd:
    """One zstd frame, with a dictionary or without."""

    # A block of four bytes can stand for 128 KiB, and all its output comes at once: so input goes in by small pieces.
    _PIECE = 512

    def __init__(
        self, dictionary: zstandard.ZstdCompressionDict | None = None, max_window: int = MAX_ZSTD_WINDOW
    ) -> None:
        self._inner = zstandard.ZstdDecompressor(dictionary, max_window_size=max_window).decompressobj()
        self._waiting = b""

    @property
    def finished(self) -> bool:
        return bool(self._inner.eof)

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data + self._waiting

    @property
    def wants_input(self) -> bool:
        return not self._waiting

    def feed(self, data: bytes) -> bytes:
        data = data or self._waiting
        made: list[bytes] = []
        size = at = 0
        while at < len(data) and size < _OUTPUT and not self._inner.eof:
            made.append(self._inner.decompress(data[at : at + self._PIECE]))
            size += len(made[-1])
            at += self._PIECE
        self._waiting = data[at:]
        return b"".join(made)


def decompressor(head: bytes) -> Decompressor | None:
    """The decompressor for a stream that begins with these bytes; None where they are no magic number that we know."""
    if head.startswith(b"\x1f\x8b"):
        return Inflate()
    if head.startswith(b"BZh"):
        return Bz2OrXz(bz2.BZ2Decompressor())
    if head.startswith(b"\xfd7zXZ\x00"):
        return Bz2OrXz(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
    if head.startswith(b"\x28\xb5\x2f\xfd") or SKIPPABLE.match(head):
        return Unzstd()
    return None
