"""Reads the records of web archives, WARC and its ancestor ARC, in any container, entered anywhere, past any damage.

Files are told by their first bytes, not by their names. One gzip member a record (``.warc.gz`` as crawlers write it)
can be entered at any byte. Everything else is read from its beginning, as one stream: gzip of the whole file, plain
files, zstd frames (``.warc.zst``, after the IIPC's draft, with a dictionary or without), bzip2 and xz.

**The place of a record** (``Block.offset`` and ``length``), unique in its file:

* in a file with one member a record: offset and length of the member in the file. Should a member hold further records,
  record number *k* in it (from 0) has the offset of the member plus *k*, and ``in_member`` says how many unpacked bytes
  of the member come before it; the length is then that of the unpacked record.
* in a file read as one stream: offset and length in the unpacked stream, from the first byte of the record's header to
  the last of its block.

**Damage** is a block with ``failure`` set; its length reaches to where reading goes on. In members that is the next
place that unpacks to the beginning of a record, in streams the next version line after an empty line (WARC) or the next
URL line after a line end (ARC).

**Entering** a file of members at a byte must lead to the members that reading from the beginning meets: a page may be an
archive itself, and what can't be compressed further lies in deflate's stored blocks byte by byte, members and all. But a
stored block has 65,535 bytes at most (RFC 1951), and its neighbours begin with a header of their own. So members that
follow each other without a gap for longer than that are the file's own; reading begins before the byte at such a run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

import zstandard

from pipeline.files import open_read
from pipeline.sources.containers.unpacked import open_unpacked
from pipeline.sources.crawl.header_fields import parse_headers
from pipeline.sources.crawl.lookahead import Buffer
from pipeline.sources.crawl.members import Damaged, Gzip, Member, Members, Plain, Window, Zstd, find_start, is_start
from pipeline.sources.source import FilePart, UnreadableRecord

MAX_HEADER = 1 << 18
"""Bytes of a record's header, and of an HTTP header."""
_MAX_LINE = 1 << 14
_STORED = 65_535
"""Bytes that a stored block of deflate holds at most."""
_LOOK_BACK = 1 << 18
"""Bytes before a part at which a run of members is looked for first."""
_BOMB = 16
"""How many times the largest record may be unpacked in vain before the rest of a member is given up."""

_VERSION_LINE = rb"(?i:WARC)/\d+\.\d+[ \t]*\r*\n"
# URL, IP address, date, type, (in version 2 of the format more fields,) length; the URL may hold spaces.
_ARC_LINE = (
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,30}:[^\r\n]{0,8000}?) (?P<ip>[0-9A-Fa-f.:]{1,45}|-) (?P<date>\d{8,18}|-|null)"
    rb" (?P<mime>[^\r\n]{0,400}?) ?(?P<length>-?\d{1,15})\r?\n"
)
_IS_WARC = re.compile(_VERSION_LINE)
_IS_ARC = re.compile(_ARC_LINE)
_NEXT_RECORD = re.compile(
    rb"\n\r*\n[\r\n]*(?="
    + _VERSION_LINE
    + rb"[A-Za-z-]{1,40}[ \t]*:)|\n(?="
    + re.sub(rb"\?P<\w+>", b"?:", _ARC_LINE)
    + rb")"
)
HEADER_END = re.compile(rb"\n\r*\n")
_LENGTH = re.compile(r"\s*(\d{1,15})\s*")
_GZIP = Gzip()
_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
_MAX_DICTIONARY = 16 << 20


@dataclass(slots=True)
class Block:
    """A record before its content is looked at: where it lies, its header (lower-case names), its block of bytes.

    The block is ``data[start:stop]``, still in the bytes that it was read with: most records are never copied.
    """

    offset: int
    length: int
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    start: int = 0
    stop: int = 0
    failure: str = ""
    in_member: int | None = None

    @property
    def body(self) -> bytes:
        """The bytes of the block."""
        return self.data[self.start : self.stop]


def _begins_record(head: bytes) -> bool:
    head = head.lstrip(b"\r\n")
    return head[:5].upper() == b"WARC/" or _IS_ARC.match(head) is not None


def read_blocks(part: FilePart, limit: int) -> Iterator[Block]:
    """All records that begin in a part of a file, whatever the file is. Raises OSError if it can't be opened."""
    with open_read(part.path) as stream:
        window = Window(stream)
        head = window.exactly(0, _MAX_LINE)
        if _GZIP.plausible(head) and _one_record_a_member(window, limit):
            yield from _members(window, part, limit)
        elif part.start == 0:
            yield from _whole_file(window, head, part, limit)


def _whole_file(window: Window, head: bytes, part: FilePart, limit: int) -> Iterator[Block]:
    """The records of a file that is read as one stream."""
    if _GZIP.plausible(head):
        return _stream(Buffer(Members(window, _GZIP), _BOMB * limit), limit)
    if head.startswith((_DICTIONARY_FRAME, Zstd.magic)):
        try:
            codec, start = _zstd(window)
        except (ValueError, zstandard.ZstdError) as fault:
            return iter([Block(0, part.size, failure=f"its zstd dictionary can't be read: {fault}")])
        return _stream(Buffer(Members(window, codec, start), _BOMB * limit), limit)
    if head.startswith((b"BZh", b"\xfd7zXZ\x00")):
        return _stream(Buffer(_Archived(part.path), _BOMB * limit), limit)
    if _begins_record(head) or (_NEXT_RECORD.search(head) and b"\0" not in head):
        return _stream(Buffer(Plain(window, part.size)), limit)
    found = f"it begins with {head[:16]!r}" if head else "it is empty"
    return iter([Block(0, part.size, failure=f"not a WARC or ARC file, plain or in gzip, zstd, bzip2 or xz: {found}")])


class _Archived:
    """A bzip2 or xz file as pieces."""

    def __init__(self, path: str) -> None:
        self._stream: IO[bytes] | None = open_unpacked(path)  # type: ignore[assignment]

    def more(self) -> bytes:
        """The next piece; none at the end and after damage. Raises Damaged, once."""
        if self._stream is None:
            return b""
        try:
            if piece := self._stream.read(1 << 18):
                return piece
        except UnreadableRecord as fault:
            self.abandon()
            raise Damaged(str(fault)) from fault
        self.abandon()
        return b""

    def abandon(self) -> None:
        """Read no more of it."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None


def _zstd(window: Window) -> tuple[Zstd, int]:
    """The codec for a zstd file and where its first frame is: a dictionary may come first, in a skippable frame."""
    head = window.exactly(0, 8)
    if not head.startswith(_DICTIONARY_FRAME):
        return Zstd(), 0
    size = int.from_bytes(head[4:8], "little")
    if size > _MAX_DICTIONARY:
        raise ValueError(f"it has {size} bytes, more than {_MAX_DICTIONARY}")
    dictionary = window.exactly(8, size)
    if len(head) < 8 or len(dictionary) < size:
        raise ValueError("the file ends inside it")
    if dictionary.startswith(Zstd.magic):
        packed = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(dictionary))
        dictionary = packed.read(_MAX_DICTIONARY)
    return Zstd(dictionary), 8 + size


def _one_record_a_member(window: Window, limit: int) -> bool:
    """Whether the first member of a gzip file holds one record and not the beginning of a stream of them."""
    place = 0
    while True:
        member = Member(window, _GZIP, place)
        data = Buffer(member, _BOMB * limit)
        try:
            block = _next_block(data, limit)
        except Damaged:
            return True
        with suppress(Damaged):  # the question is what comes before the damage
            data.skip_newlines()
            data.has(_MAX_LINE)
        if data.in_memory():
            return block is None or not _begins_record(data.look(0, _MAX_LINE))
        if member.end is None:
            return True
        place = window.skip_zeros(member.end)
        if block is None and _GZIP.plausible(window.exactly(place, 4)):
            continue  # an empty member tells nothing
        # A record cut off where the next member goes on with it shows that members are mere pieces of a stream.
        return block is None or not block.failure or is_start(window, _GZIP, place, _begins_record)


def _members(window: Window, part: FilePart, limit: int) -> Iterator[Block]:
    """The records of the members that a part owns.

    Members that begin with a record are where a part may be entered; it owns those of them that begin inside it, each
    with whatever follows it up to the next one (members that begin otherwise, bytes that are no member).
    """
    place = _entry(window, part.start, limit)
    owned = part.start == 0
    while window.exactly(place, 1):
        if place >= part.stop or (not owned and place >= part.start):
            begins = is_start(window, _GZIP, place, _begins_record)
            if begins and place >= part.stop:
                return
            owned = owned or begins
        place = yield from _member(window, place, limit, owned)


def _member(window: Window, place: int, limit: int, owned: bool) -> Generator[Block, None, int]:
    """The records of the member here, if they are ``owned``; returns where the next member is.

    A member that is not owned is read all the same: where it ends must not depend on who asks.
    """
    if not _GZIP.plausible(window.exactly(place, 4)):
        after = window.skip_zeros(place)
        if after == place:
            after = _after(window, place)
            if owned:
                yield Block(place, after - place, failure=f"no gzip member begins at byte {place} of the file")
        return after
    member = Member(window, _GZIP, place)
    data = Buffer(member, _BOMB * limit)
    number = 0
    end: int | None = None
    while (block := _block_or_damage(data, limit)) is not None:
        if number == 0 and data.in_memory() == 0 and (member.end is not None or member.broken):
            end = _end(window, member)
            block.offset, block.length = place, end - place
        else:
            block.in_member, block.offset = block.offset, place + number
        if owned:
            yield block
        number += 1
    return _end(window, member) if end is None else end


def _end(window: Window, member: Member) -> int:
    """Where reading goes on after a member that has been read as far as it can be."""
    return member.end if member.end is not None else _after(window, member.offset)


def _entry(window: Window, start: int, limit: int) -> int:
    """A member at or before ``start`` from which on reading meets the members that it meets from the beginning."""
    back = _LOOK_BACK
    while back < start:
        first = find_start(window, _GZIP, start - back, _begins_record)
        while first is not None and first <= start:
            broken = _run_breaks_at(window, first, limit)
            if broken is None:
                return first
            first = find_start(window, _GZIP, broken, _begins_record)
        back *= 4
    return 0


def _run_breaks_at(window: Window, first: int, limit: int) -> int | None:
    """Where the run of members that begins here is broken; None if it is longer than a stored block can be."""
    place = first
    while place - first <= _STORED:
        if not _GZIP.plausible(window.exactly(place, 4)):
            return place + 1
        member = Member(window, _GZIP, place)
        unpacked = 0
        try:
            while piece := member.more():
                unpacked += len(piece)
                if unpacked > _BOMB * limit:
                    return place + 1
        except Damaged:
            return place + 1
        assert member.end is not None
        place = window.skip_zeros(member.end)
    return None


def _after(window: Window, place: int) -> int:
    """Where reading goes on after damage at ``place``: the next member that begins with a record, or the file's end."""
    found = find_start(window, _GZIP, place + 1, _begins_record)
    if found is not None:
        return found
    end = place
    while piece := window.piece(end, 1 << 18):
        end += len(piece)
    return end


def _stream(data: Buffer, limit: int) -> Iterator[Block]:
    while (block := _block_or_damage(data, limit)) is not None:
        yield block


def _block_or_damage(data: Buffer, limit: int) -> Block | None:
    """The next record, or what stands in its place; None at the end."""
    start = data.position
    try:
        if not data.skip_newlines():
            return None
        start = data.position
        return _next_block(data, limit)
    except Damaged as damage:
        data.drop()
        data.record_begins()
        return Block(start, data.position - start, failure=str(damage))


def _next_block(data: Buffer, limit: int) -> Block | None:
    """The record that begins here, read whole and passed, together with the line ends behind it. Raises Damaged."""
    if not data.skip_newlines():
        return None
    data.record_begins()
    start = data.position
    found = _record_at(data, 0)
    if found is None:
        return _up_to_next(data, "no record begins here, but " + repr(data.look(0, 40)))
    headers, header_size = found
    if header_size < 0:
        return _up_to_next(data, f"no empty line ends the record's header within {MAX_HEADER} bytes")
    declared = _LENGTH.fullmatch(headers.get("content-length", ""))
    if declared is None:
        return _up_to_next(data, f"Content-Length is no number: {headers.get('content-length', 'absent')[:40]!r}")
    length = int(declared[1])
    total = header_size + length
    if length > limit:
        return _oversized(data, header_size, length, limit)
    if not data.has(total):
        return _up_to_next(
            data, f"the record ends {total - data.in_memory()} bytes before its Content-Length", header_size
        )
    after = data.after_newlines(total)
    if after is not None and (data.look(after - 1, after) != b"\n" or _record_at(data, after) is None):
        embedded = data.search(_NEXT_RECORD, header_size, total + _MAX_LINE)
        if embedded is not None and embedded < total:
            data.skip(embedded)
            return Block(start, data.position - start, failure="its Content-Length reaches into the next record")
    held, at = data.in_place(0)
    data.skip(data.in_memory() if after is None else after)
    return Block(start, total, headers, held, at + header_size, at + total)


def _oversized(data: Buffer, header_size: int, length: int, limit: int) -> Block:
    """Passes a record that is too large, or whose length only says so."""
    start = data.position
    passed = data.skip(header_size + length)
    size = data.position - start
    if passed and (not data.skip_newlines() or _record_at(data, 0) is not None):
        return Block(start, size, failure=f"the record has {length} bytes, more than {limit}")
    failure = f"its Content-Length is {length}, more than {limit}, and no record begins behind it"
    if data.go_to(start):  # the length is wrong: what it spans may be other records
        return _up_to_next(data, failure, header_size)
    return Block(start, size, failure=failure)


def _up_to_next(data: Buffer, failure: str, start: int = 0) -> Block:
    """A failed record that reaches to where the next one begins."""
    place = data.position
    data.skip(start)
    data.skip_past(_NEXT_RECORD, _MAX_LINE)
    return Block(place, data.position - place, failure=failure)


def _record_at(data: Buffer, start: int) -> tuple[Mapping[str, str], int] | None:
    """Header and size of the header of the record that begins ``start`` bytes ahead; None where none does.

    The size is -1 where the header has no end. The header of an ARC record comes under the names that WARC has for it.
    """
    data.has(start + 64)
    if data.match(_IS_WARC, start):
        size = _MAX_LINE
        while (end := data.search(HEADER_END, start, start + size)) is None:
            if size >= MAX_HEADER or not data.has(start + size):
                end = data.search(HEADER_END, start, start + MAX_HEADER)
                break
            size *= 4
        if end is None:
            return {}, -1
        return parse_headers(data.look(start, end)), end - start
    if data.look(start, start + 5).upper() != b"WARC/":
        data.has(start + _MAX_LINE)
        if line := data.match(_IS_ARC, start):
            return _arc_headers(line), line.end() - line.start()
    return None


def _arc_headers(line: re.Match[bytes]) -> dict[str, str]:
    url = line["url"].decode("utf-8", "replace")
    return {
        "": "ARC",
        "warc-type": "warcinfo" if url.startswith("filedesc:") else "response",
        "warc-target-uri": url,
        "warc-date": line["date"].decode("ascii"),
        "content-type": line["mime"].partition(b" ")[0].decode("utf-8", "replace"),
        "content-length": line["length"].decode("ascii"),
    }
