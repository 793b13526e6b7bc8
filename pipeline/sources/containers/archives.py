"""Walks the files inside tar and zip archives, always streaming and in bounded memory.

Hostile input is expected: nothing is ever written to disk, links are not followed, and a size that a header claims is
never believed before it is checked.
"""

from __future__ import annotations

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
from typing import IO

from pipeline.files import open_read
from pipeline.http_files import Unreachable
from pipeline.sources.containers.unpacked import Unpacked, open_unpacked, without_compression
from pipeline.sources.source import FilePart, UnreadableRecord

_OUTPUT_CHUNK = 1 << 18

_TAR_NAME = re.compile(r"\.(tar(\.(gz|bz2|xz|zst|zstd))?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
_ZIP_NAME = re.compile(r"\.zip$", re.IGNORECASE)

# A member's extended header (a long name, PAX records) is held whole; real ones have a few hundred bytes.
_MAX_TAR_EXTENSION = 1 << 20
# zipfile holds the table of contents: some 600 bytes for each entry of at least 46.
_MAX_ZIP_DIRECTORY = 32 << 20
_BLOCK = 512


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


def packed_members(
    data: bytes, name: str, max_bytes: int, wanted: Callable[[str], bool] = lambda path: True
) -> Iterator[Member]:
    """The regular files in a tar that is in memory, compressed or not; anything else is one file called ``name``."""
    with Unpacked(io.BytesIO(data)) as stream:
        head = b""
        with suppress(UnreadableRecord):
            head = _read_up_to(stream, _BLOCK)
    with Unpacked(io.BytesIO(data)) as stream:
        if head[257:262] == b"ustar" or (len(head) == _BLOCK and _tar_header(head) is not None):
            yield from _tar_members(stream, max_bytes, wanted)
        else:
            yield _only_member(FilePart(name, name, 0, len(data), len(data)), stream, max_bytes, wanted)


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
        except Unreachable:
            raise
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
    except Unreachable:
        raise
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
