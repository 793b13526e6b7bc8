"""Unpacks 7z archives of one compressed stream, forward and in bounded memory: Wikimedia's history dumps are such.

The libraries for 7z unpack whole members into memory or onto a disk; a history dump unpacks to a hundred times its
size. The format: https://py7zr.readthedocs.io/en/latest/archive_format.html and 7zFormat.txt in the LZMA SDK. Methods are
LZMA, LZMA2, bzip2 and none, with no filters before them; what else there is (PPMd, encryption, several files packed as
one) is said to be so.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from pipeline.http_files import Unreachable
from pipeline.sources.source import UnreadableRecord

SIGNATURE = b"7z\xbc\xaf\x27\x1c"

_COPY, _LZMA, _LZMA2, _BZIP2 = b"\x00", b"\x03\x01\x01", b"\x21", b"\x04\x02\x02"
_MAX_HEADER = 16 << 20
_MAX_DICTIONARY = 1 << 30
_DEEPEST = 4
_PIECE = 1 << 16
_OUTPUT = 1 << 18


@dataclass(slots=True)
class _Folder:
    """One packed stream: how it was packed, and how many bytes it has unpacked."""

    method: bytes = b""
    properties: bytes = b""
    coders: int = 0
    outputs: int = 0
    size: int = 0


@dataclass(slots=True)
class _Streams:
    """What a header says of the packed streams: where they lie, and their folders."""

    offset: int = 0
    sizes: list[int] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)
    files_of: list[int] = field(default_factory=list)


class _Header:
    """Reads the fields of a header. Raises UnreadableRecord, IndexError or ValueError where it is damaged."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def bytes(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise ValueError("a field reaches beyond the header")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        """7z's variable length: leading ones of the first byte count the bytes that follow it."""
        first = self.byte()
        extra = 8 - (~first & 0xFF).bit_length()
        value = int.from_bytes(self.bytes(extra), "little")
        return value | ((first & ((1 << (7 - extra)) - 1)) << (8 * extra) if extra < 7 else 0)

    def count(self) -> int:
        """A number of things, each of which takes a byte at least."""
        value = self.number()
        if value > len(self._data):
            raise ValueError(f"{value} entries in a header of {len(self._data)} bytes")
        return value

    def digests(self, count: int) -> None:
        if not self.byte():  # not all are defined: a bit for each says which
            bits = self.bytes((count + 7) // 8)
            count = sum(bits[at // 8] >> (7 - at % 8) & 1 for at in range(count))
        self.bytes(4 * count)

    def streams(self) -> _Streams:
        """The part of a header that says where streams are and how to unpack them."""
        found = _Streams()
        while kind := self.byte():
            if kind == 6:
                found.offset = self.number()
                count = self.count()
                while part := self.byte():
                    if part == 9:
                        found.sizes = [self.number() for _ in range(count)]
                    else:
                        self.digests(count)
            elif kind == 7:
                self._folders(found)
            elif kind == 8:
                self._substreams(found)
            else:
                raise ValueError(f"an unknown property {kind}")
        return found

    def _folders(self, found: _Streams) -> None:
        self.byte()
        count = self.count()
        if self.byte():
            raise ValueError("its folders are described elsewhere")
        found.folders = [self._folder() for _ in range(count)]
        found.files_of = [1] * count
        while part := self.byte():
            if part == 12:
                for folder in found.folders:
                    folder.size = [self.number() for _ in range(folder.outputs)][-1]
            else:
                self.digests(count)

    def _folder(self) -> _Folder:
        folder = _Folder(coders=self.count())
        inputs = 0
        for _ in range(folder.coders):
            flags = self.byte()
            folder.method = self.bytes(flags & 15)
            received, given = (self.number(), self.number()) if flags & 16 else (1, 1)
            inputs += received
            folder.outputs += given
            folder.properties = self.bytes(self.count()) if flags & 32 else b""
        bonds = folder.outputs - 1
        if bonds < 0 or inputs < bonds or inputs > len(self._data):
            raise ValueError("a folder of impossible shape")
        for _ in range(2 * bonds):
            self.number()
        if inputs - bonds > 1:
            for _ in range(inputs - bonds):
                self.number()
        return folder

    def _substreams(self, found: _Streams) -> None:
        while part := self.byte():
            if part == 13:
                found.files_of = [self.count() for _ in found.folders]
            elif part == 9:
                for files in found.files_of:
                    for _ in range(files - 1):
                        self.number()
            else:
                self.digests(sum(found.files_of))


def unpacked(raw: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of the one file in the archive, piece by piece. Raises UnreadableRecord, after all that could be read."""
    try:
        streams = _streams(raw, size)
    except Unreachable:
        raise
    except (IndexError, ValueError, EOFError, lzma.LZMAError, OSError, MemoryError) as error:
        raise UnreadableRecord(f"a 7z archive whose header can't be read: {error}") from error
    if sum(streams.files_of) != 1 or len(streams.folders) != 1 or len(streams.sizes) != 1:
        raise UnreadableRecord(f"a 7z archive of {sum(streams.files_of)} files; a dump has one: unpack it")
    yield from _inflated(raw, 32 + streams.offset, streams.sizes[0], streams.folders[0])


def _streams(raw: IO[bytes], size: int) -> _Streams:
    start = raw.read(32)
    if len(start) < 32 or zlib.crc32(start[12:32]) != int.from_bytes(start[8:12], "little"):
        raise ValueError("its start is damaged")
    offset, length = int.from_bytes(start[12:20], "little"), int.from_bytes(start[20:28], "little")
    if length > _MAX_HEADER or 32 + offset + length > size:
        raise ValueError(f"the header should lie at bytes {32 + offset} to {32 + offset + length} of {size}")
    raw.seek(32 + offset)
    data = raw.read(length)
    if zlib.crc32(data) != int.from_bytes(start[28:32], "little"):
        raise ValueError("the header's checksum is wrong")
    header = _Header(data)
    kind = header.byte() if data else 0
    for _ in range(_DEEPEST):  # the header itself may be packed
        if kind != 0x17:
            break
        packed = header.streams()
        if len(packed.folders) != 1 or len(packed.sizes) != 1 or packed.folders[0].size > _MAX_HEADER:
            raise ValueError("the packed header is too large")
        header = _Header(b"".join(_inflated(raw, 32 + packed.offset, packed.sizes[0], packed.folders[0])))
        kind = header.byte()
    if kind != 1:
        return _Streams()
    while kind := header.byte():
        if kind == 4:
            return header.streams()
        if kind != 2:
            break
        while header.byte():
            header.bytes(header.count())
    return _Streams()


def _inflated(raw: IO[bytes], offset: int, packed: int, folder: _Folder) -> Iterator[bytes]:
    """The bytes of one packed stream. Raises UnreadableRecord."""
    inner = _decompressor(folder)
    raw.seek(offset)
    left, made = packed, 0
    while made < folder.size:
        data = b""
        if inner is None or inner.needs_input:
            data = raw.read(min(left, _PIECE))
            left -= len(data)
            if not data:
                raise UnreadableRecord(f"the 7z archive ends after {made} of its {folder.size} bytes")
        try:
            piece = data if inner is None else inner.decompress(data, _OUTPUT)
        except (lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
            raise UnreadableRecord(
                f"the 7z archive is damaged before byte {offset + packed - left}: {error}"
            ) from error
        piece = piece[: folder.size - made]
        made += len(piece)
        if piece:
            yield piece
        if inner is not None and inner.eof and made < folder.size:
            raise UnreadableRecord(f"the 7z archive's stream ends after {made} of its {folder.size} bytes")


def _decompressor(folder: _Folder) -> Any:
    """What undoes the packing; None where there was none. Raises UnreadableRecord for a method that we don't know."""
    properties = folder.properties
    if folder.coders == 1 and folder.method == _COPY:
        return None
    if folder.coders == 1 and folder.method == _BZIP2:
        return bz2.BZ2Decompressor()
    if folder.coders == 1 and folder.method == _LZMA and len(properties) == 5 and properties[0] < 225:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        size = int.from_bytes(properties[1:], "little")
        chain: dict[str, Any] = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    elif folder.coders == 1 and folder.method == _LZMA2 and len(properties) == 1 and properties[0] <= 40:
        size = (2 | properties[0] & 1) << (properties[0] // 2 + 11)
        chain = {"id": lzma.FILTER_LZMA2}
    else:
        raise UnreadableRecord(
            f"a 7z archive packed by method {folder.method.hex()} in {folder.coders} steps: unpack it"
        )
    if size > _MAX_DICTIONARY:
        raise UnreadableRecord(f"a 7z archive whose dictionary has {size} bytes; at most {_MAX_DICTIONARY} are taken")
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{**chain, "dict_size": max(size, 4096)}])
    except (lzma.LZMAError, ValueError) as error:
        raise UnreadableRecord(f"a 7z archive with properties that don't exist: {error}") from error


def is_seven_zip(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a 7z archive."""
    return head.startswith(SIGNATURE)


def opened(raw: IO[bytes]) -> Iterator[bytes]:
    """As ``unpacked``, for a stream whose size is not known."""
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    return unpacked(raw, size)
