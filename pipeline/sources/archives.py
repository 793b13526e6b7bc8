"""Unpacks what files come in: compressed streams, tar and zip archives, always streaming and in bounded memory.

``open_unpacked`` undoes compression, ``members`` walks the files inside an archive. Both expect hostile input: nothing
is ever written to disk, links are not followed, and a size that a header claims is never believed before it is checked.
"""

from __future__ import annotations

import bz2
import io
import itertools
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Protocol

import zstandard

from pipeline.files import open_read
from pipeline.sources.source import FilePart, UnreadableRecord

_INPUT_CHUNK = 1 << 18
_OUTPUT_CHUNK = 1 << 18

# A zstd block of 4 bytes can stand for 128 KiB, and the decompressor gives out all it can: 1 KiB in is at most 32 MiB.
_ZSTD_PIECE = 1 << 10
# Dumps made with ``zstd --long=31`` need a window of 2 GiB; the memory is taken only as far as it is really filled.
_ZSTD_WINDOW = 1 << 31
_XZ_MEMORY = 1 << 30

_SKIPPABLE_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_COMPRESSION_SUFFIX = re.compile(r"\.(gz|bz2|xz|zst|zstd)$", re.IGNORECASE)
_TAR_NAME = re.compile(r"\.(tar(\.(gz|bz2|xz|zst|zstd))?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_ZIP_NAME = re.compile(r"\.zip$", re.IGNORECASE)

# A member's extended header (a long name, PAX records) is held whole; real ones have a few hundred bytes.
_MAX_TAR_EXTENSION = 1 << 20
# zipfile holds the table of contents: some 600 bytes for each entry of at least 46.
_MAX_ZIP_DIRECTORY = 32 << 20
_BLOCK = 512


class _Decompressor(Protocol):
    """What one compressed member or frame is undone with. Raises what its library raises."""

    @property
    def finished(self) -> bool: ...
    @property
    def leftover(self) -> bytes:
        """Input after the end of this member; meaningful once finished."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Some output, as bounded as the library allows; ``b""`` as data wants more input."""
        ...

    def wants_input(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def finished(self) -> bool:
        return self._inner.eof

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, _OUTPUT_CHUNK)

    def wants_input(self) -> bool:
        return not self._inner.unconsumed_tail


class _Bz2OrXz:
    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    @property
    def finished(self) -> bool:
        return self._inner.eof

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data, _OUTPUT_CHUNK)

    def wants_input(self) -> bool:
        return self._inner.needs_input


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._waiting = b""

    @property
    def finished(self) -> bool:
        return bool(self._inner.eof)

    @property
    def leftover(self) -> bytes:
        return self._inner.unused_data + self._waiting

    def feed(self, data: bytes) -> bytes:
        self._waiting += data
        made: list[bytes] = []
        size = start = 0
        while start < len(self._waiting) and size < _OUTPUT_CHUNK and not self._inner.eof:
            made.append(self._inner.decompress(self._waiting[start : start + _ZSTD_PIECE]))
            start += _ZSTD_PIECE
            size += len(made[-1])
        self._waiting = self._waiting[start:]
        return b"".join(made)

    def wants_input(self) -> bool:
        return not self._waiting


def _decompressor(head: bytes) -> _Decompressor | None:
    """The decompressor for a stream that begins with these bytes; None where they are no magic number that we know."""
    if head.startswith(b"\x1f\x8b"):
        return _Gzip()
    if head.startswith(b"BZh"):
        return _Bz2OrXz(bz2.BZ2Decompressor())
    if head.startswith(b"\xfd7zXZ\x00"):
        return _Bz2OrXz(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
    if head.startswith(b"\x28\xb5\x2f\xfd") or _SKIPPABLE_FRAME.match(head):
        return _Zstd()
    return None


# bz2 reports damage as OSError, as if the disk were at fault.
_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


class Unpacked(io.RawIOBase):
    """The bytes of a file without its compression (several members in a row included), to be read forward.

    ``read(n)`` gives up to ``n`` bytes, and ``b""`` only at the end; ``position`` counts the bytes given out.
    Raises UnreadableRecord where the compressed stream is damaged or cut, after all that could be read before.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._input = raw.read(_INPUT_CHUNK)
        self._output = memoryview(b"")
        self._member = _decompressor(self._input)
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
        if member.wants_input():
            data, self._input = self._input or self._fetch(), b""
            if not data:
                raise UnreadableRecord(
                    f"the compressed stream ends in its middle, after {self._read_in} bytes of the file"
                )
        try:
            made = member.feed(data)
        except _DAMAGE as error:
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
        self._member = _decompressor(self._input)
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


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, or a file that is none: ``path`` is its name inside, parts joined by slashes.

    ``offset`` and ``length`` are bytes of the unpacked tar stream or of the file itself; in a zip archive the place of
    its header and its compressed size. ``data`` is None where it was not asked for, or where ``failure`` says why.
    """

    path: str
    offset: int
    length: int
    data: bytes | None = None
    failure: str = ""


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive that ``members`` looks into."""
    return _ZIP_NAME.search(name) is not None or _TAR_NAME.search(name) is not None


def members(part: FilePart, max_bytes: int, wanted: Callable[[str], bool] = lambda path: True) -> Iterator[Member]:
    """The regular files in a .tar (compressed or not) or .zip archive; any other file is its own only member.

    The content is read only of members whose path is ``wanted``; one larger than ``max_bytes`` is a failure. Links,
    devices and folders are passed over. A part that does not begin the file yields nothing: archives can't be entered.
    """
    if part.start > 0:
        return
    if _ZIP_NAME.search(part.name):
        yield from _zip_members(part, max_bytes, wanted)
        return
    with open_unpacked(part.path) as stream:
        if _TAR_NAME.search(part.name):
            yield from _tar_members(stream, max_bytes, wanted)
        else:
            yield _only_member(part, stream, max_bytes, wanted)


def _too_large(size: int, max_bytes: int) -> str:
    return f"the file has {size} bytes; the largest record allowed is {max_bytes}"


def _only_member(part: FilePart, stream: Unpacked, max_bytes: int, wanted: Callable[[str], bool]) -> Member:
    path = without_compression(part.name)
    if not wanted(path):
        return Member(path, 0, part.size)
    try:
        data = _read_up_to(stream, max_bytes + 1)
    except UnreadableRecord as error:
        return Member(path, 0, stream.position, failure=str(error))
    if len(data) > max_bytes:
        return Member(path, 0, part.size, failure=f"more than {max_bytes} bytes, the largest record allowed")
    return Member(path, 0, len(data), data)


def _read_up_to(stream: IO[bytes] | Unpacked, size: int) -> bytes:
    """Exactly ``size`` bytes, or fewer at the end of the stream."""
    pieces = []
    while size > 0 and (piece := stream.read(min(size, _OUTPUT_CHUNK))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _skip(stream: Unpacked, size: int) -> int:
    """Pass over up to ``size`` bytes; how many there were."""
    left = size
    while left > 0 and (piece := stream.read(min(left, _OUTPUT_CHUNK))):
        left -= len(piece)
    return size - left


# --- tar ------------------------------------------------------------------------------------------
# tarfile reads headers for us, but not the archive: it ends in silence at a damaged header, and it reads a long name of
# any claimed size into memory.

_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")


def _tar_members(stream: Unpacked, max_bytes: int, wanted: Callable[[str], bool]) -> Iterator[Member]:
    try:
        yield from _tar_walk(stream, max_bytes, wanted)
    except UnreadableRecord as error:
        yield Member("", stream.position, 0, failure=str(error))


def _tar_walk(stream: Unpacked, max_bytes: int, wanted: Callable[[str], bool]) -> Iterator[Member]:
    lost_at: int | None = None  # where the damage began through which we look for the next header
    extended: dict[str, str] = {}
    while True:
        offset = stream.position
        block = _read_up_to(stream, _BLOCK)
        header = _tar_header(block) if lost_at is None or block[257:262] == b"ustar" else None
        if header is None:
            if not block or not block.strip(b"\0"):  # zeros end an archive; another may follow (tar --concatenate)
                if lost_at is not None:
                    yield Member("", lost_at, offset - lost_at, failure="no tar header where one should begin")
                    lost_at = None
                if not block:
                    return
            elif lost_at is None:
                lost_at = offset
            extended = {}
            continue
        if lost_at is not None:
            yield Member("", lost_at, offset - lost_at, failure="no tar header where one should begin")
            lost_at = None
        padded = -(-header.size // _BLOCK) * _BLOCK
        if header.type in _EXTENSIONS:
            if header.size > _MAX_TAR_EXTENSION:
                yield Member("", offset, padded + _BLOCK, failure=f"an extended tar header of {header.size} bytes")
                _skip(stream, padded)
            else:
                extended.update(_tar_extension(header, _read_up_to(stream, padded)[: header.size]))
            continue
        path = extended.get("path") or header.name
        size = int(extended["size"]) if extended.get("size", "").isdecimal() else header.size
        sparse = any(key.startswith("GNU.sparse.") for key in extended)
        extended = {}
        if header.type == tarfile.GNUTYPE_SPARSE:
            sparse = True
            more = block[482]
            while more and len(table := _read_up_to(stream, _BLOCK)) == _BLOCK:
                more = table[504]
        if header.type not in tarfile.REGULAR_TYPES:
            # Links and folders have no content whatever size they claim, except types that nobody knows.
            if header.type not in tarfile.SUPPORTED_TYPES:
                _skip(stream, padded)
            continue
        try:
            yield _tar_member(stream, path, offset, size, sparse, max_bytes, wanted)
        except UnreadableRecord as error:
            yield Member(path, offset, size, failure=str(error))
            return


def _tar_member(
    stream: Unpacked, path: str, offset: int, size: int, sparse: bool, max_bytes: int, wanted: Callable[[str], bool]
) -> Member:
    """Read or pass over the content of one file. Raises UnreadableRecord."""
    data: bytes | None = None
    failure = ""
    if sparse:
        failure = "a sparse file"
    elif wanted(path) and size > max_bytes:
        failure = _too_large(size, max_bytes)
    if failure or not wanted(path):
        found = _skip(stream, size)
    else:
        data = _read_up_to(stream, size)
        found = len(data)
    if found < size:
        return Member(path, offset, size, failure=f"the archive ends after {found} of the file's {size} bytes")
    _skip(stream, -size % _BLOCK)
    return Member(path, offset, size, data, failure)


def _tar_header(block: bytes) -> tarfile.TarInfo | None:
    """The header in this block; None where it holds none or its checksum is wrong."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    header.name = _printable(header.name)
    return header if header.size >= 0 else None


def _tar_extension(header: tarfile.TarInfo, body: bytes) -> dict[str, str]:
    """What an extended header says about the next member: its ``path``, ``size`` and the like."""
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": body.partition(b"\0")[0].decode("utf-8", "replace")}
    if header.type not in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
        return {}
    # PAX records: "LENGTH KEY=VALUE\n", where LENGTH counts the whole record.
    found: dict[str, str] = {}
    start = 0
    while match := _PAX_RECORD.match(body, start):
        end = start + int(match[1])
        if end <= match.end():
            break
        found[match[2].decode("utf-8", "replace")] = body[match.end() : end - 1].decode("utf-8", "replace")
        start = end
    return found


def _printable(name: str) -> str:
    """The name with bytes that were no UTF-8 replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# --- zip ------------------------------------------------------------------------------------------

_EMPTY_ZIP = 22
"""Bytes of an archive without entries: its end record alone."""
_SYMBOLIC_LINK = 0xA
"""The file type of a symbolic link in a Unix mode."""

# What zipfile raises on archives that are damaged, encrypted, or packed by a method it does not know.
_ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)


def _zip_members(part: FilePart, max_bytes: int, wanted: Callable[[str], bool]) -> Iterator[Member]:
    with open_read(part.path) as raw:
        try:
            directory = _zip_directory_size(raw, part.size)
            if directory > _MAX_ZIP_DIRECTORY:
                raise ValueError(f"its table of contents has {directory} bytes; pack so many files as tar")
            archive = zipfile.ZipFile(raw)
        except _ZIP_DAMAGE as error:
            yield Member("", 0, part.size, failure=f"not a zip archive that can be read: {error}")
            return
        entries = sorted(archive.infolist(), key=lambda info: info.header_offset)
        if not entries and part.size > _EMPTY_ZIP:
            yield Member("", 0, part.size, failure="the zip archive's table of contents is empty, the archive is not")
        for info, following in itertools.zip_longest(entries, entries[1:]):
            if info.filename.endswith("/") or info.external_attr >> 28 == _SYMBOLIC_LINK:
                continue
            end = part.size if following is None else following.header_offset
            overlapping = info.header_offset + 30 + info.compress_size > end
            path = info.filename.encode("utf-8", "replace").decode()
            yield _zip_member(archive, info, path, overlapping, max_bytes, wanted)


def _zip_member(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    path: str,
    overlapping: bool,
    max_bytes: int,
    wanted: Callable[[str], bool],
) -> Member:
    place = (path, info.header_offset, info.compress_size)
    if overlapping:  # how a bomb lets every entry unpack the same bytes
        return Member(*place, failure="the entry overlaps the next one or the end of the archive")
    if not wanted(path):
        return Member(*place)
    if info.file_size > max_bytes:
        return Member(*place, failure=_too_large(info.file_size, max_bytes))
    try:
        with archive.open(info) as stream:
            data = _read_up_to(stream, max_bytes + 1)
    except _ZIP_DAMAGE as error:
        return Member(*place, failure=f"can't be unpacked: {error}")
    if len(data) > max_bytes:
        return Member(*place, failure=f"more than {max_bytes} bytes, the largest record allowed")
    return Member(*place, data)


def _zip_directory_size(raw: IO[bytes], file_size: int) -> int:
    """Bytes of the table of contents, as the records at the end of the archive give it; 0 where there are none."""
    raw.seek(max(0, file_size - (1 << 16) - 128))
    tail = raw.read((1 << 16) + 128)
    raw.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    with suppress(struct.error):
        size = int(struct.unpack_from("<I", tail, end + 12)[0]) if end >= 0 else 0
        end64 = tail.rfind(b"PK\x06\x06")
        if size == 0xFFFFFFFF and end64 >= 0:
            size = int(struct.unpack_from("<Q", tail, end64 + 40)[0])
        return size
    return 0
