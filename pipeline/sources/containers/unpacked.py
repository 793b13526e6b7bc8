"""Reads compressed files forward: gzip, bzip2, xz and zstd, several members in a row, in bounded memory."""

from __future__ import annotations

import io
import re
from typing import IO

from pipeline.files import open_read
from pipeline.sources.containers.decompressors import DAMAGE, decompressor
from pipeline.sources.source import UnreadableRecord

_INPUT_CHUNK = 1 << 18
_COMPRESSION_SUFFIX = re.compile(r"\.(gz|bz2|xz|zst|zstd)$", re.IGNORECASE)


class Unpacked(io.RawIOBase):
    """The bytes of a file without its compression (several members in a row included), to be read forward.

    ``read(n)`` gives up to ``n`` bytes, and ``b""`` only at the end; ``position`` counts the bytes given out.
    Raises UnreadableRecord where the compressed stream is damaged or cut, after all that could be read before.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._input = raw.read(_INPUT_CHUNK)
        self._output = memoryview(b"")
        self._member = decompressor(self._input)
        self._read_in = len(self._input)
        self._damage: UnreadableRecord | None = None
        self.compressed = self._member is not None
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._output:
            if self._damage is not None:
                raise self._damage
            try:
                made = self._next()
            except UnreadableRecord as error:
                self._damage = error
                raise
            if made is None:
                return 0
            self._output = memoryview(made)
        count = min(len(target), len(self._output))
        target[:count] = self._output[:count]
        self._output = self._output[count:]
        self.position += count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _next(self) -> bytes | None:
        """The next piece of output, perhaps empty; None at the end."""
        if not self.compressed:
            piece, self._input = self._input or self._raw.read(_INPUT_CHUNK), b""
            return piece or None
        if self._member is None and not self._begin_member():
            return None
        member = self._member
        assert member is not None
        data = b""
        if member.wants_input:
            data, self._input = self._input or self._fetch(), b""
            if not data:
                raise UnreadableRecord(
                    f"the compressed stream ends in its middle, after {self._read_in} bytes of the file"
                )
        try:
            made = member.feed(data)
        except DAMAGE as error:
            raise UnreadableRecord(
                f"the compressed stream is damaged before byte {self._read_in} of the file: {error}"
            ) from error
        if member.finished:
            self._input, self._member = member.leftover, None
        return made

    def _fetch(self) -> bytes:
        data = self._raw.read(_INPUT_CHUNK)
        self._read_in += len(data)
        return data

    def _begin_member(self) -> bool:
        """Find the next member; False at the end. Members may be padded with zeros, as gzip and xz allow."""
        while True:
            self._input = self._input.lstrip(b"\0")
            if len(self._input) < 6 and (more := self._fetch()):
                self._input += more
                continue
            break
        if not self._input:
            return False
        self._member = decompressor(self._input)
        if self._member is None:
            place = self._read_in - len(self._input)
            raise UnreadableRecord(f"byte {place} of the file begins neither a compressed member nor its padding")
        return True


def open_unpacked(path: str) -> Unpacked:
    """Open a file and undo gzip, bzip2, xz or zstd, told by the first bytes and not by the name. Raises OSError."""
    return Unpacked(open_read(path))


def without_compression(name: str) -> str:
    """A file's name without the suffix of its compression: ``book.txt.gz`` is ``book.txt``."""
    return _COMPRESSION_SUFFIX.sub("", name)
