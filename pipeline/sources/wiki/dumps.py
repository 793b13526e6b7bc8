"""Finds the pages of a MediaWiki XML dump in its bytes, whatever it is packed in, from any split on.

A dump is not parsed as one XML document. Pages are found by their tags in the byte stream and parsed one by one, so
that memory stays at one page and damage costs the page it is in. Of a page with many revisions (a history dump) only
the newest is held.

Plain XML in UTF-8 is entered at any byte, .bz2 at any of its streams; everything else is read from the beginning. A page
belongs to the part of the file in which its first byte lies, or the bz2 stream that holds its first byte begins.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from pipeline.files import open_read
from pipeline.sources.containers import bzip2, sevenzip
from pipeline.sources.containers.unpacked import Unpacked
from pipeline.sources.source import FilePart, UnreadableRecord

_CHUNK = 1 << 18
_TAG = re.compile(rb"<(/?)(page|revision)(?:\s[^<>]*)?>")
_LONGEST_TAG = 256  # how much of a buffer may be the beginning of a tag
MAX_HEAD = 1 << 20
"""Bytes before the first page, where the site is described; real ones have a few thousand."""
_DAMAGE = b"damage"

_OTHER_ENCODING = re.compile(
    rb"""<\?xml[^>]{0,80}?\bencoding=["'](iso-8859-\d+|windows-125\d|koi8-[ru]|gb18030|gbk|big5|euc-jp|euc-kr|shift_jis)["']""",
    re.IGNORECASE,
)
_TIMESTAMP = re.compile(rb"<timestamp>([^<]{1,40})</timestamp>")


@dataclass(slots=True)
class Page:
    """A page's XML with its newest revision, its place in the dump, or the ``failure`` to read it.

    ``offset`` and ``length`` are bytes of the unpacked XML (in UTF-8); in a .bz2 file ``offset`` is where the stream begins
    in which the page begins, and ``length`` counts the unpacked bytes from there to the page's end.
    """

    offset: int
    length: int
    xml: bytes = b""
    failure: str = ""


class _Feed:
    """The dump in UTF-8 from a part's beginning on: its pieces, and what an offset in them means in the file."""

    def __init__(self, part: FilePart) -> None:
        self._part = part
        self._streams: list[tuple[int, int]] | None = None  # unpacked and packed offset of each bz2 stream
        self._base = part.start
        self._entered = False

    def chunks(self) -> Iterator[bytes | UnreadableRecord]:
        """Nothing where the file can't be entered at this part. Damage is given out, not raised. Raises OSError."""
        with open_read(self._part.path) as raw:
            head = raw.read(_LONGEST_TAG)
            raw.seek(0)
            if bzip2.is_bzip2(head) and not self._recoded():
                self._entered = True
                yield from self._bzip2_chunks(raw)
            elif _is_utf8_xml(head):
                self._entered = True
                raw.seek(self._part.start)
                while chunk := raw.read(_CHUNK):
                    yield chunk
            elif self._part.start == 0:
                yield from _decoded(_unpacked(raw, head))

    def _recoded(self) -> bool:
        """Whether the XML in a .bz2 is in another encoding than UTF-8: then it is read as a whole."""
        with open_read(self._part.path) as again, suppress(UnreadableRecord):
            return _encoding(Unpacked(again).read(_LONGEST_TAG)) != ""
        return False

    def _bzip2_chunks(self, raw: IO[bytes]) -> Iterator[bytes | UnreadableRecord]:
        self._streams, self._base = [], 0
        unpacked = 0
        for piece in bzip2.pieces(raw, self._part.start):
            if not self._streams or self._streams[-1][1] != piece.stream:
                self._streams.append((unpacked, piece.stream))
            if piece.failure:
                yield UnreadableRecord(piece.failure)
            else:
                unpacked += len(piece.data)
                yield piece.data

    def place(self, begin: int, end: int) -> tuple[int, int]:
        """Offset and length of what lies at ``begin`` to ``end`` of the bytes given out."""
        if not self._streams:
            return self._base + begin, end - begin
        while len(self._streams) > 1 and self._streams[1][0] <= begin:
            self._streams.pop(0)
        unpacked, packed = self._streams[0]
        return packed, end - unpacked

    def owns(self, begin: int) -> bool:
        """Whether what begins at this offset of the bytes given out belongs to the part."""
        return not self._entered or self.place(begin, begin)[0] < self._part.stop


def _is_utf8_xml(head: bytes) -> bool:
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<") and not _encoding(head)


def _unpacked(raw: IO[bytes], head: bytes) -> Iterator[bytes | UnreadableRecord]:
    try:
        if head.startswith(sevenzip.SIGNATURE):
            yield from _only_file(raw)
        else:
            stream = Unpacked(raw)
            while chunk := stream.read(_CHUNK):
                yield chunk
    except UnreadableRecord as error:
        yield error


def _only_file(raw: IO[bytes]) -> Iterator[bytes]:
    """The file in a 7z archive. Raises UnreadableRecord for damage, and for what is there besides."""
    raw.seek(0)
    found = sevenzip.entries(raw)
    entry = next(found, None)
    if entry is None:
        raise UnreadableRecord("a 7z archive without a file; a dump has one")
    while chunk := entry.stream.read(_CHUNK):
        yield chunk
    if next(found, None) is not None:
        raise UnreadableRecord("a 7z archive of several files, of which the first was read; a dump has one: unpack it")


def _encoding(start: bytes) -> str:
    """The encoding of a dump that begins so; "" for UTF-8."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(b"<\0"):
        return "utf-16-le"
    if start.startswith(b"\0<"):
        return "utf-16-be"
    declared = _OTHER_ENCODING.match(start)
    return declared[1].decode("ascii") if declared else ""


def _decoded(chunks: Iterator[bytes | UnreadableRecord]) -> Iterator[bytes | UnreadableRecord]:
    """The chunks in UTF-8."""
    start = b""
    failure = None
    for chunk in chunks:
        if isinstance(chunk, UnreadableRecord):
            failure = chunk
            break
        start += chunk
        if len(start) >= _LONGEST_TAG:
            break
    encoding = _encoding(start)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace") if encoding else None
    yield start if decoder is None else decoder.decode(start).encode("utf-8", "replace")
    if failure is not None:
        yield failure
    for chunk in chunks:
        if decoder is None or isinstance(chunk, UnreadableRecord):
            yield chunk
        else:
            yield decoder.decode(chunk).encode("utf-8", "replace")


def head_of(path: str) -> bytes:
    """What stands before the first page of the dump, where the site is described; "" where it can't be read."""
    found = b""
    for chunk in _Feed(FilePart(path, path, 0, 0, 0)).chunks():
        if isinstance(chunk, UnreadableRecord) or len(found) > MAX_HEAD:
            break
        found += chunk
        if (match := _TAG.search(found)) is not None:
            return found[: match.start()]
    return found[:MAX_HEAD]


def pages(part: FilePart, max_bytes: int) -> Iterator[Page]:
    """Every page that begins in the part, in order; damage where it stands. Raises OSError."""
    feed = _Feed(part)
    page: _Building | None = None
    before: bytes | None = b"" if part.start == 0 else None  # until the first tag: is this a dump at all?
    offset = end = 0
    for offset, tag, data in _pieces(feed.chunks()):
        if before is not None and tag not in (b"page", _DAMAGE):
            before = (before + data)[:MAX_HEAD]
        if tag == b"page":
            before = None
            if page is not None:
                yield page.cut_off(feed, offset, "the page has no end: another one begins")
            if not feed.owns(offset):
                return
            page = _Building(offset, max_bytes)
        elif tag == _DAMAGE:
            before = None
            failure = data.decode("utf-8", "replace")
            if page is not None:
                yield page.cut_off(feed, offset, failure)
            elif feed.owns(offset):
                yield Page(*feed.place(offset, offset), failure=failure)
            page = None
            continue
        elif tag == b"/page":
            if page is not None:
                yield page.finished(feed, offset + len(data))
            page = None
        elif page is not None:
            page.add(tag, data)
        end = offset + len(data)
    if page is not None:
        yield page.cut_off(feed, end, "the dump ends in the middle of the page")
    elif before is not None and b"<mediawiki" not in before:
        yield Page(0, end, failure="no MediaWiki dump: neither <mediawiki> nor <page> was found")


class _Building:
    """A page while its pieces arrive: what is outside its revisions, and the newest revision so far."""

    def __init__(self, offset: int, max_bytes: int) -> None:
        self.offset = offset
        self._room = max_bytes
        self._outside = bytearray()
        self._revision: bytearray | None = None
        self._newest = b""
        self._newest_date = b""
        self._failure = ""

    def add(self, tag: bytes, data: bytes) -> None:
        """Take the next piece: the tag of a revision, or what stands between tags."""
        if self._failure:
            return
        if tag == b"revision":
            self._revision = bytearray()
        target = self._outside if self._revision is None else self._revision
        if len(self._outside) + len(self._revision or b"") + len(data) > self._room:
            self._failure = f"the page has more than {self._room} bytes, the largest record allowed"
            self._outside, self._revision, self._newest = bytearray(), None, b""
            return
        target += data
        if tag == b"/revision" and self._revision is not None:
            dated = _TIMESTAMP.search(self._revision)
            date = dated[1] if dated else self._newest_date
            if date >= self._newest_date:
                self._newest, self._newest_date = bytes(self._revision), date
            self._revision = None

    def finished(self, feed: _Feed, end: int) -> Page:
        """The whole page; ``end`` is the offset after its last byte."""
        if self._failure:
            return Page(*feed.place(self.offset, end), failure=self._failure)
        if self._revision is not None:
            return self.cut_off(feed, end, "a revision of the page has no end")
        return Page(*feed.place(self.offset, end), b"<page>" + self._outside + self._newest + b"</page>")

    def cut_off(self, feed: _Feed, end: int, failure: str) -> Page:
        """The page as one that can't be read."""
        return Page(*feed.place(self.offset, end), failure=self._failure or failure)


def _pieces(chunks: Iterator[bytes | UnreadableRecord]) -> Iterator[tuple[int, bytes, bytes]]:
    """The dump cut at the tags of pages and revisions: offset, the tag's name (``/page``; b"" for all else), the bytes.

    In a dump these tags are nowhere but in the markup: inside texts MediaWiki writes ``&lt;``. Damage comes as a tag of
    its own, the message as its bytes.
    """
    buffer = b""
    base = 0
    for chunk in chunks:
        if isinstance(chunk, UnreadableRecord):
            base += len(buffer)
            buffer = b""
            yield base, _DAMAGE, str(chunk).encode("utf-8", "replace")
            continue
        buffer += chunk
        done = 0
        for match in _TAG.finditer(buffer):
            if match.start() > done:
                yield base + done, b"", buffer[done : match.start()]
            yield base + match.start(), match[1] + match[2], match[0]
            done = match.end()
        unfinished = buffer.rfind(b"<", max(done, len(buffer) - _LONGEST_TAG))
        keep = unfinished if unfinished >= 0 and buffer.find(b">", unfinished) < 0 else len(buffer)
        if keep > done:
            yield base + done, b"", buffer[done:keep]
        base += keep
        buffer = buffer[keep:]
    if buffer:
        yield base, b"", buffer
