"""Reads .7z archives file by file, streaming: the container of the Wikimedia and Stack Exchange dumps.

Written to the description in 7-Zip's ``DOC/7zFormat.txt``. Read are folders of one coder: LZMA, LZMA2, BZip2, Deflate
or Copy, solid or not. PPMd, filters, encryption and archives in several volumes are damage with a message.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Protocol

from pipeline.sources.source import UnreadableRecord

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
_MAX_HEADER = 64 << 20
_MAX_FILES = 1 << 20
_MAX_DICTIONARY = 1 << 30
_INPUT = 1 << 16
_OUTPUT = 1 << 18

_END, _HEADER, _STREAMS, _FILES = 0x00, 0x01, 0x04, 0x05
_PACK, _UNPACK, _SUBSTREAMS, _SIZES, _CRC, _FOLDER = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B
_UNPACK_SIZES, _COUNTS, _EMPTY, _NAMES, _ENCODED, _ARCHIVE_PROPERTIES = 0x0C, 0x0D, 0x0E, 0x11, 0x17, 0x02

_COPY, _LZMA2, _LZMA, _BZIP2, _DEFLATE = b"\x00", b"\x21", b"\x03\x01\x01", b"\x04\x02\x02", b"\x04\x01\x08"
_UNREADABLE = {b"\x03\x04\x01": "PPMd", b"\x06\xf1\x07\x01": "AES encryption"}


@dataclass(slots=True)
class _Folder:
    """Files packed together: the coder that undoes them, and the sizes and check sums of what comes out."""

    method: bytes
    properties: bytes
    size: int = 0
    crc: int | None = None
    files: list[tuple[int, int | None]] = field(default_factory=list)
    packed_at: int = 0
    packed: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive that has content: its name, its size, and its bytes, to be read before the next entry.

    ``stream.read`` raises UnreadableRecord where the content is damaged.
    """

    name: str
    size: int
    stream: IO[bytes]


class _Header:
    """The bytes of a header, read piece by piece. Raises ValueError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.bytes(1)[0]

    def number(self, limit: int = 1 << 62) -> int:
        """An integer of 1 to 9 bytes: the leading ones of the first byte count those that follow."""
        first = self.byte()
        more = 0
        while more < 8 and first & (0x80 >> more):
            more += 1
        value = int.from_bytes(self.bytes(more), "little")
        if more < 8:
            value |= (first & ((0x80 >> more) - 1)) << (8 * more)
        if value > limit:
            raise ValueError(f"a count or size of {value}, more than {limit}")
        return value

    def bits(self, count: int) -> list[bool]:
        packed = self.bytes((count + 7) // 8)
        return [bool(packed[at // 8] & (0x80 >> at % 8)) for at in range(count)]

    def digests(self, count: int) -> list[int | None]:
        defined = [True] * count if self.byte() else self.bits(count)
        return [int.from_bytes(self.bytes(4), "little") if known else None for known in defined]

    def expect(self, *wanted: int) -> int:
        found = self.byte()
        if found not in wanted:
            raise ValueError(f"property {found:#x} where one of {', '.join(f'{one:#x}' for one in wanted)} belongs")
        return found


def entries(raw: IO[bytes]) -> Iterator[Entry]:
    """The files of an archive in the order in which they are packed; empty files and folders are passed over.

    Raises UnreadableRecord where the archive's own header can't be read, or a packed folder can't be undone.
    """
    try:
        folders, names = _table_of_contents(raw)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise UnreadableRecord(f"the 7z archive's header can't be read: {error}") from error
    remaining = iter(names)
    for folder in folders:
        unpacked = _Unpacked(raw, folder)
        for size, crc in folder.files:
            name = next(remaining, "")
            stream = _File(unpacked, name, size, crc)
            yield Entry(name, size, io.BufferedReader(stream, 1 << 16))
            stream.skip()


def _table_of_contents(raw: IO[bytes]) -> tuple[list[_Folder], list[str]]:
    raw.seek(0)
    start = raw.read(32)
    if len(start) < 32 or not start.startswith(SIGNATURE):
        raise ValueError("it does not begin as 7z archives do")
    if zlib.crc32(start[12:32]) != int.from_bytes(start[8:12], "little"):
        raise ValueError("its beginning is damaged")
    place, size = (int.from_bytes(start[at : at + 8], "little") for at in (12, 20))
    if not size:
        return [], []
    data = _header_at(raw, 32 + place, size, int.from_bytes(start[28:32], "little"))
    while True:
        header = _Header(data)
        if header.expect(_HEADER, _ENCODED) == _HEADER:
            return _contents(header)
        (folder,) = _streams(header)
        if folder.size > _MAX_HEADER:
            raise ValueError(f"it would unpack to {folder.size} bytes")
        try:
            data = _Unpacked(raw, folder).exactly(folder.size)
        except UnreadableRecord as error:
            raise ValueError(str(error)) from error
        if folder.crc is not None and zlib.crc32(data) != folder.crc:
            raise ValueError("its check sum is wrong")


def _header_at(raw: IO[bytes], place: int, size: int, crc: int) -> bytes:
    if size > _MAX_HEADER:
        raise ValueError(f"it would have {size} bytes")
    raw.seek(place)
    data = raw.read(size)
    if len(data) < size:
        raise ValueError("the file ends before it")
    if zlib.crc32(data) != crc:
        raise ValueError("its check sum is wrong")
    return data


def _contents(header: _Header) -> tuple[list[_Folder], list[str]]:
    """The folders, and the names of the files in them."""
    kind = header.expect(_STREAMS, _FILES, _ARCHIVE_PROPERTIES, _END)
    if kind == _ARCHIVE_PROPERTIES:
        while header.byte() != _END:
            header.bytes(header.number(_MAX_HEADER))
        kind = header.expect(_STREAMS, _FILES, _END)
    folders = _streams(header) if kind == _STREAMS else []
    if kind == _STREAMS:
        kind = header.expect(_FILES, _END)
    if kind == _END:
        return folders, []
    count = header.number(_MAX_FILES)
    names: list[str] = []
    empty = [False] * count
    while (kind := header.byte()) != _END:
        body = _Header(header.bytes(header.number(_MAX_HEADER)))
        if kind == _EMPTY:
            empty = body.bits(count)
        elif kind == _NAMES:
            if body.byte():
                raise ValueError("its names lie elsewhere")
            names = body.bytes(len(body._data) - 1).decode("utf-16-le", "replace").split("\0")[:count]
    if len(names) < count:
        raise ValueError(f"it has {len(names)} names for {count} files")
    return folders, [name for name, without in zip(names, empty, strict=True) if not without]


def _streams(header: _Header) -> list[_Folder]:
    """Where the packed streams lie, how they are undone, and what comes out of each."""
    header.expect(_PACK)
    place = 32 + header.number()
    packed = [0] * header.number(_MAX_FILES)
    while (kind := header.expect(_SIZES, _CRC, _END)) != _END:
        if kind == _SIZES:
            packed = [header.number() for _ in packed]
        else:
            header.digests(len(packed))
    header.expect(_UNPACK)
    header.expect(_FOLDER)
    count = header.number(_MAX_FILES)
    if header.byte():
        raise ValueError("its folders lie elsewhere")
    folders = [_folder(header) for _ in range(count)]
    header.expect(_UNPACK_SIZES)
    for folder in folders:
        folder.size = header.number()
    if header.expect(_CRC, _END) == _CRC:
        for folder, crc in zip(folders, header.digests(count), strict=True):
            folder.crc = crc
        header.expect(_END)
    if len(packed) < count:
        raise ValueError(f"it has {len(packed)} packed streams for {count} folders")
    for folder, size in zip(folders, packed, strict=False):
        folder.packed_at, folder.packed = place, size
        place += size
        folder.files = [(folder.size, folder.crc)]
    if header.expect(_SUBSTREAMS, _END) == _SUBSTREAMS:
        _substreams(header, folders)
        header.expect(_END)
    return folders


def _folder(header: _Header) -> _Folder:
    coders = header.number(32)
    if coders != 1:
        raise ValueError(f"a folder is packed by {coders} coders in a row; only one is read")
    flags = header.byte()
    method = header.bytes(flags & 0x0F)
    if flags & 0x10 and (header.number() != 1 or header.number() != 1):
        raise ValueError("a coder with several streams")
    properties = header.bytes(header.number(1 << 16)) if flags & 0x20 else b""
    return _Folder(method, properties)


def _substreams(header: _Header, folders: list[_Folder]) -> None:
    """Share out the folders' content among their files."""
    counts = [1] * len(folders)
    kind = header.expect(_COUNTS, _SIZES, _CRC, _END)
    if kind == _COUNTS:
        counts = [header.number(_MAX_FILES) for _ in folders]
        if sum(counts) > _MAX_FILES:
            raise ValueError(f"it lists {sum(counts)} files")
        kind = header.expect(_SIZES, _CRC, _END)
    sizes = []
    for folder, count in zip(folders, counts, strict=True):
        # The size of the last file of each folder is what the others leave.
        some = [header.number(folder.size) for _ in range(count - 1)] if kind == _SIZES else []
        if count and sum(some) > folder.size:
            raise ValueError("the files of a folder are larger than the folder")
        sizes.append([*some, folder.size - sum(some)] if count else [])
    if kind == _SIZES:
        kind = header.expect(_CRC, _END)
    known = [folder.crc if count == 1 else None for folder, count in zip(folders, counts, strict=True)]
    unknown = sum(count for count, crc in zip(counts, known, strict=True) if crc is None)
    digests = iter(header.digests(unknown) if kind == _CRC else [None] * unknown)
    for folder, own, crc in zip(folders, sizes, known, strict=True):
        folder.files = [(size, crc if crc is not None else next(digests)) for size in own]
    if kind == _CRC:
        header.expect(_END)


class _Decoder(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Copy:
    def decompress(self, data: bytes, max_length: int) -> bytes:
        return data


class _Inflate:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=-15)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _decoder(folder: _Folder) -> _Decoder:
    """What undoes a folder. Raises ValueError."""
    if folder.method == _COPY:
        return _Copy()
    if folder.method == _BZIP2:
        return bz2.BZ2Decompressor()
    if folder.method == _DEFLATE:
        return _Inflate()
    if folder.method == _LZMA and len(folder.properties) >= 5:
        packed, size = folder.properties[0], int.from_bytes(folder.properties[1:5], "little")
        settings = {"lc": packed % 9, "lp": packed // 9 % 5, "pb": packed // 45}
        return _lzma({"id": lzma.FILTER_LZMA1, **settings}, size)
    if folder.method == _LZMA2 and folder.properties:
        half = folder.properties[0]
        return _lzma({"id": lzma.FILTER_LZMA2}, (2 | half & 1) << (half // 2 + 11))
    raise ValueError(f"packed by {_UNREADABLE.get(folder.method, 'method ' + folder.method.hex())}, which is not read")


def _lzma(settings: dict[str, int], dictionary: int) -> lzma.LZMADecompressor:
    if dictionary > _MAX_DICTIONARY:
        raise ValueError(f"its dictionary would take {dictionary} bytes of memory")
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{**settings, "dict_size": max(4096, dictionary)}])


_DAMAGE = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class _Unpacked:
    """The content of a folder, forward."""

    def __init__(self, raw: IO[bytes], folder: _Folder) -> None:
        self._raw = raw
        self._at = folder.packed_at
        self._left = folder.packed
        self._bzip2 = folder.method == _BZIP2
        self._waiting = b""
        try:
            self._decoder: _Decoder = _decoder(folder)
        except (ValueError, lzma.LZMAError) as error:
            raise UnreadableRecord(f"a folder of the 7z archive: {error}") from error

    def piece(self, size: int) -> bytes:
        """Up to ``size`` bytes, never none. Raises UnreadableRecord."""
        while not self._waiting:
            data = b""
            if getattr(self._decoder, "needs_input", True):
                self._raw.seek(self._at)
                data = self._raw.read(min(_INPUT, self._left))
                self._at += len(data)
                self._left -= len(data)
                if not data:
                    raise UnreadableRecord(f"the packed data ends at byte {self._at} of the 7z archive, too early")
            try:
                self._waiting = self._decoder.decompress(data, _OUTPUT)
                if self._bzip2 and getattr(self._decoder, "eof", False):  # 7-Zip may write several streams in a row
                    rest = self._decoder.unused_data  # type: ignore[attr-defined]
                    self._decoder = bz2.BZ2Decompressor()
                    self._at -= len(rest)
                    self._left += len(rest)
            except _DAMAGE as error:
                raise UnreadableRecord(f"damaged before byte {self._at} of the 7z archive: {error}") from error
        made, self._waiting = self._waiting[:size], self._waiting[size:]
        return made

    def exactly(self, size: int) -> bytes:
        """That many bytes. Raises UnreadableRecord."""
        pieces = []
        while size and (piece := self.piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class _File(io.RawIOBase):
    """One file of a folder. Its check sum is compared when its last byte is read."""

    def __init__(self, unpacked: _Unpacked, name: str, size: int, crc: int | None) -> None:
        self._unpacked = unpacked
        self._name = name
        self._left = size
        self._crc = crc
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._left:
            return 0
        piece = self._unpacked.piece(min(len(target), self._left))
        self._left -= len(piece)
        self._seen = zlib.crc32(piece, self._seen)
        if not self._left and self._crc is not None and self._seen != self._crc:
            raise UnreadableRecord(f"the check sum of {self._name} in the 7z archive is wrong")
        target[: len(piece)] = piece
        return len(piece)

    def skip(self) -> None:
        """Pass what was not read: files of a folder are packed one behind the other."""
        while self._left:
            self._left -= len(self._unpacked.piece(min(_OUTPUT, self._left)))
