"""Web archives as sources: WARC (with ARC, its ancestor) for pages, WET for text that was extracted before.

Files are told by their first bytes, not by their names. One gzip member a record (``.warc.gz`` as crawlers write it)
can be entered at any byte. Everything else is read from its beginning, as one stream: gzip of the whole file, plain
files, zstd frames (``.warc.zst``, after the IIPC's draft, with a dictionary or without), bzip2 and xz.

**The place of a record** (``Record.offset`` and ``length``), unique in its file:

* in a file with one member a record: offset and length of the member in the file. Should a member hold further records,
  record number *k* in it (from 0) has the offset of the member plus *k*, and ``metadata["in_member"]`` says how many
  unpacked bytes of the member come before it; the length is then that of the unpacked record.
* in a file read as one stream: offset and length in the unpacked stream, from the first byte of the record's header to
  the last of its block.

**Damage** is a record with ``failure`` set; its length reaches to where reading goes on. In members that is the next
place that unpacks to the beginning of a record, in streams the next version line after an empty line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import IO, ClassVar, Literal

import zstandard
from warcio.statusandheaders import StatusAndHeadersParser

from pipeline.extraction.charset import charset_of, decode
from pipeline.extraction.codings import undo_encodings
from pipeline.extraction.main_content import Extractor, clean, main_content
from pipeline.extraction.media_type import kind_of, may_be_text, mime_of
from pipeline.files import open_read
from pipeline.sources import archives
from pipeline.sources.members import (
    Buffer,
    Damaged,
    Gzip,
    Member,
    Members,
    Plain,
    Window,
    Zstd,
    find_start,
    is_start,
)
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

# --- records as they lie in the file --------------------------------------------------------------

_MAX_HEADER = 1 << 18
_MAX_LINE = 1 << 14
_LOOK_BACK = 2 << 20
"""Bytes before a part at which reading begins, so that a member that spans the start of the part (and may itself hold
an archive, whose members must not be taken for the file's) is walked over and not entered."""
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
    + _ARC_LINE.replace(b"?P<", b"?:<")
    + rb")"
)
_HEADER_END = re.compile(rb"\n\r*\n")
_LENGTH = re.compile(r"\s*(\d{1,15})\s*")
_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
_MAX_DICTIONARY = 16 << 20


@dataclass(slots=True)
class Block:
    """A record before its content is looked at: where it lies, its header (lower-case names), its block of bytes."""

    offset: int
    length: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""
    in_member: int | None = None


def _begins_record(head: bytes) -> bool:
    head = head.lstrip(b"\r\n")
    return head[:5].upper() == b"WARC/" or _IS_ARC.match(head) is not None


def read_blocks(part: FilePart, limit: int) -> Iterator[Block]:
    """All records that begin in a part of a file, whatever the file is. Raises OSError if it can't be opened."""
    with open_read(part.path) as stream:
        window = Window(stream)
        head = window.exactly(0, _MAX_LINE)
        if Gzip().plausible(head) and _one_record_a_member(window, limit):
            yield from _members(window, part, limit)
        elif part.start == 0:
            yield from _whole_file(window, head, part, limit)


def _whole_file(window: Window, head: bytes, part: FilePart, limit: int) -> Iterator[Block]:
    """The records of a file that is read as one stream."""
    if Gzip().plausible(head):
        return _stream(Buffer(Members(window, Gzip()), _BOMB * limit), limit)
    if head.startswith((_DICTIONARY_FRAME, Zstd.magic)):
        try:
            codec, start = _zstd(window)
        except (ValueError, zstandard.ZstdError) as fault:
            return iter([Block(0, part.size, failure=f"its zstd dictionary can't be read: {fault}")])
        return _stream(Buffer(Members(window, codec, start), _BOMB * limit), limit)
    if head.startswith((b"BZh", b"\xfd7zXZ\x00")):
        return _stream(Buffer(_Archived(part.path), _BOMB * limit), limit)
    if _begins_record(head) or (_NEXT_RECORD.search(head) and b"\0" not in head):
        return _stream(Buffer(Plain(window)), limit)
    found = f"it begins with {head[:16]!r}" if head else "it is empty"
    return iter([Block(0, part.size, failure=f"not a WARC or ARC file, plain or in gzip, zstd, bzip2 or xz: {found}")])


class _Archived(Plain):
    """A bzip2 or xz file as pieces."""

    def __init__(self, path: str) -> None:
        self._stream: IO[bytes] | None = archives.open_unpacked(path)  # type: ignore[assignment]

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
        member = Member(window, Gzip(), place)
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
        if block is None and Gzip().plausible(window.exactly(place, 4)):
            continue  # an empty member tells nothing
        # A record cut off where the next member goes on with it shows that members are mere pieces of a stream.
        return block is None or not block.failure or is_start(window, Gzip(), place, _begins_record)


def _members(window: Window, part: FilePart, limit: int) -> Iterator[Block]:
    """The records of the members that a part owns.

    Members that begin with a record are where a part may be entered; it owns those of them that begin inside it, each
    with whatever follows it up to the next one (members that begin otherwise, bytes that are no member).
    """
    codec = Gzip()
    place: int | None = (
        0 if part.start <= _LOOK_BACK else find_start(window, codec, part.start - _LOOK_BACK, _begins_record)
    )
    owned = part.start == 0
    while place is not None and window.exactly(place, 1):
        if place >= part.stop and is_start(window, codec, place, _begins_record):
            return
        owned = owned or (place >= part.start and is_start(window, codec, place, _begins_record))
        member = Member(window, codec, place)
        data = Buffer(member, _BOMB * limit)
        if not codec.plausible(window.exactly(place, 4)):
            after = window.skip_zeros(place)
            if after == place:
                after = _after(window, place)
                if owned:
                    yield Block(place, after - place, failure=f"no gzip member begins at byte {place} of the file")
            place = after
            continue
        if not owned:
            _unpack_in_vain(data)
        number = 0
        while owned and (block := _block_or_damage(data, limit)) is not None:
            if number == 0 and data.in_memory() == 0 and (member.end is not None or member.broken):
                end = member.end if member.end is not None else _after(window, place)
                block.offset, block.length = place, end - place
            else:
                block.in_member, block.offset = block.offset, place + number
            yield block
            number += 1
        place = member.end if member.end is not None else _after(window, place)


def _after(window: Window, place: int) -> int:
    """Where reading goes on after damage at ``place``: the next member that begins with a record, or the file's end."""
    found = find_start(window, Gzip(), place + 1, _begins_record)
    if found is not None:
        return found
    end = place
    while piece := window.piece(end, 1 << 18):
        end += len(piece)
    return end


def _unpack_in_vain(data: Buffer) -> None:
    """Walk over a member that begins before the part, to learn where it ends."""
    try:
        while data.has(1):
            data.drop()
    except Damaged:
        return  # reading goes on after it, as in the part that owns it


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
        return _up_to_next(data, f"no empty line ends the record's header within {_MAX_HEADER} bytes")
    declared = _LENGTH.fullmatch(headers.get("content-length", ""))
    if declared is None:
        return _up_to_next(data, f"Content-Length is no number: {headers.get('content-length', 'absent')[:40]!r}")
    length = int(declared[1])
    total = header_size + length
    if length > limit:
        complete = data.skip(total)
        size = data.position - start
        data.skip_newlines()
        failure = f"the record has {length} bytes, more than {limit}" + ("" if complete else ", or its length is wrong")
        return Block(start, size, failure=failure)
    if not data.has(total):
        return _up_to_next(
            data, f"the record ends {total - data.in_memory()} bytes before its Content-Length", header_size
        )
    after = total
    while data.has(after + 1) and data.look(after, after + 1) in (b"\r", b"\n"):
        after += 1
    if data.has(after + 1) and _record_at(data, after) is None:
        embedded = data.search(_NEXT_RECORD, header_size, total)
        if embedded is not None:
            data.skip(embedded)
            return Block(start, data.position - start, failure="its Content-Length reaches into the next record")
    body = data.look(header_size, total)
    data.skip(after)
    return Block(start, total, headers, body)


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
        while (end := data.search(_HEADER_END, start, start + size)) is None:
            if size >= _MAX_HEADER or not data.has(start + size):
                end = data.search(_HEADER_END, start, start + _MAX_HEADER)
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


def parse_headers(block: bytes) -> dict[str, str]:
    """The fields of a WARC or HTTP header by lower-case name, and its first line under the empty name.

    Of a repeated field the first counts; only the HTTP codings, which are lists, are joined by commas.
    """
    parsed = StatusAndHeadersParser([], verify=False).parse(io.BytesIO(block))
    headers = {"": f"{parsed.protocol} {parsed.statusline}"}
    for name, value in parsed.headers:
        name = name.lower()
        if name not in headers:
            headers[name] = value
        elif name in ("content-encoding", "transfer-encoding"):
            headers[name] += f", {value}"
    return headers


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


# --- records as documents -------------------------------------------------------------------------

_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
_STATUS_LINE = re.compile(r"HTTP/\S+\s+(\d{3})\b")
_DATE = re.compile(r"(\d{4})(?:-?(\d\d)(?:-?(\d\d)(?:T?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d+)?)?)?Z?)?)?)?\d*")


def iso_date(date: str) -> str:
    """A WARC-Date or an ARC date as ISO 8601 in UTC, to the second where it is given so precisely; empty if it is none.

    >>> iso_date("2008-04-30T20:48:25.123Z"), iso_date("20080430204825"), iso_date("2019-08")
    ('2008-04-30T20:48:25Z', '2008-04-30T20:48:25Z', '2019-08')
    """
    date = date.strip()
    if len(date) > 14:
        try:
            moment = datetime.fromisoformat(date)
        except ValueError:
            pass
        else:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            try:
                return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            except OverflowError:
                return ""
    found = _DATE.fullmatch(date)
    if found is None:
        return ""
    year, month, day, hour, minute, second = found.groups()
    try:
        datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return ""
    text = "-".join(one for one in (year, month, day) if one)
    return text + (f"T{hour}:{minute or '00'}:{second or '00'}Z" if hour else "")


def _not_a_document(reason: str) -> Callable[[], str]:
    def text() -> str:
        raise NotADocument(reason)

    return text


def _record(block: Block) -> tuple[Record, str]:
    """The record for a block, with no text yet, and its WARC type; the type is empty where the record has failed."""
    headers = block.headers
    record = Record(block.offset, block.length, failure=block.failure)
    if block.in_member is not None:
        record.metadata["in_member"] = str(block.in_member)
    if block.failure:
        return record, ""
    record.url = headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">").replace(" ", "%20")
    record.date = iso_date(headers.get("warc-date", ""))
    if record_id := headers.get("warc-record-id"):
        record.metadata["record_id"] = record_id.strip().removeprefix("<").removesuffix(">")
    if truncated := headers.get("warc-truncated"):
        record.metadata["truncated"] = truncated
    kind = headers.get("warc-type", "").strip().lower()
    if not kind:
        record.failure = "the record has no WARC-Type"
        return record, ""
    if kind not in _TYPES:
        kind = "other_type"
    record.text = _not_a_document(f"warc.{kind}")
    return record, kind


class Warc(Source):
    """Pages of web crawls. Text is the main content of HTML pages, or all of plain text ones."""

    kind: Literal["warc"] = "warc"
    extractor: Extractor = "corpusmill"

    default_chain: ClassVar[str] = "web"
    reads: ClassVar[str] = (
        "WARC and ARC files (.warc.gz, .warc, .warc.zst, .warc.bz2, .arc.gz, .arc): HTML and plain text"
    )

    def can_enter(self, path: str) -> bool:
        """Files named so have, as a rule, one gzip member a record; one that has not is read by its first part."""
        return _may_enter(path)

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """Every record is one ``Record``; what is no page raises NotADocument (``warc.<type>``, ``http.<why>``)."""
        for block in read_blocks(part, max_record_bytes):
            record, kind = _record(block)
            if kind in ("response", "resource"):
                self._page(record, block, kind, max_record_bytes)
            yield record

    def _page(self, record: Record, block: Block, kind: str, limit: int) -> None:
        """Complete the record of a page; decoding and extraction wait until its text is asked for."""
        if not record.url.lower().startswith(("http://", "https://")):
            record.text = _not_a_document("warc.scheme")
            return
        headers, body = block.headers, block.body
        if kind == "response":
            end = _HEADER_END.search(body, 0, _MAX_HEADER)
            size = end.end() if end else min(len(body), _MAX_HEADER)
            headers = parse_headers(body[:size]) if body.startswith(b"HTTP/") else {}
            status = _STATUS_LINE.match(headers.get("", ""))
            if status is None:
                record.text, record.failure = None, f"no HTTP status line, but {body[:40]!r}"
                return
            record.metadata["status"] = status[1]
            if status[1] != "200":
                record.text = _not_a_document("http.status")
                return
            body = body[size:]
        content_type = headers.get("content-type", "")
        record.metadata["mime"] = mime_of(content_type)
        if not may_be_text(content_type):
            record.text = _not_a_document("http.mime")
            return
        codings = headers if kind == "response" else {}
        record.text = partial(
            page_text, body, codings, content_type, self.extractor, limit, record.metadata, record.url, record.date
        )


def page_text(
    body: bytes,
    codings: Mapping[str, str],
    content_type: str,
    extractor: Extractor,
    limit: int,
    notes: dict[str, str],
    url: str = "",
    crawled: str = "",
) -> str:
    """The text of a page from its HTTP body; ``notes`` gets what ``main_content`` notes.

    Raises NotADocument (``http.mime`` where the body is no text, ``extraction.empty``), UnreadableRecord for a body
    that unpacks to more than ``limit`` bytes, and what an extractor raises.
    """
    payload = undo_encodings(body, codings, limit)
    kind = kind_of(content_type, payload)
    if not kind:
        raise NotADocument("http.mime")
    charset = charset_of(content_type)
    if kind == "html":
        text = main_content(payload, extractor, charset, notes, url, crawled)
    else:
        text, notes["charset"] = decode(payload, charset)
        text = clean(text)
    if not text:
        raise NotADocument("extraction.empty")
    return text


class Wet(Source):
    """Text that a crawl's own tools have extracted, as CommonCrawl publishes it."""

    kind: Literal["wet"] = "wet"

    default_chain: ClassVar[str] = "web"
    reads: ClassVar[str] = "WET files (.wet.gz, .warc.wet): the plain text of conversion records"

    def can_enter(self, path: str) -> bool:
        """As for WARC files."""
        return _may_enter(path)

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """Conversion records are documents; all others raise NotADocument with ``warc.<type>``."""
        for block in read_blocks(part, max_record_bytes):
            record, kind = _record(block)
            if kind == "conversion":
                if languages := block.headers.get("warc-identified-content-language"):
                    record.metadata["content_language"] = languages
                record.text = partial(_converted_text, block.body)
            yield record


def _converted_text(body: bytes) -> str:
    text = clean(body.decode("utf-8", "replace"))
    if not text:
        raise NotADocument("extraction.empty")
    return text


def _may_enter(path: str) -> bool:
    return path.lower().endswith((".warc.gz", ".wet.gz"))
