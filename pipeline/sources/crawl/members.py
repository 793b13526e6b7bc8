"""Finds and unpacks the members of a compressed file (gzip members, zstd frames), entered at any byte, past any damage.

A file made for being entered holds one record a member. Where a member begins can't be known inside the file, but it
can be tested: the magic number is there, and what follows it unpacks to the beginning of a record (``begins``).
Entering and going on after damage both mean: go on at the next place that passes the test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import zstandard

from pipeline.sources.containers.decompressors import DAMAGE, SKIPPABLE, Decompressor, Inflate, Unzstd

_BLOCK = 1 << 18
_INPUT = 1 << 15
_ZSTD_WINDOW = 1 << 27
_HEAD = 4096
"""Unpacked bytes that ``begins`` gets to see."""

Begins = Callable[[bytes], bool]


class Damaged(Exception):  # noqa: N818 - the fault is in the data
    """Raised where unpacking can't go on; calling again goes on behind the damage, or tells the end."""


class Window:
    """A file read in blocks, forward for the most part, addressed by offset."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._block = b""
        self._base = 0

    def piece(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset`` on, perhaps fewer; none only at the end of the file."""
        at = offset - self._base
        if not 0 <= at < len(self._block):
            if offset != self._base + len(self._block):
                self._stream.seek(offset)
            self._block, self._base, at = self._stream.read(_BLOCK), offset, 0
        return self._block[at : at + length]

    def exactly(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on, fewer only at the end of the file."""
        found = self.piece(offset, length)
        while len(found) < length and (more := self.piece(offset + len(found), length - len(found))):
            found += more
        return found

    def find(self, what: bytes, offset: int) -> int | None:
        """Where ``what`` next occurs from ``offset`` on."""
        while piece := self.exactly(offset, _BLOCK):
            at = piece.find(what)
            if at >= 0:
                return offset + at
            if len(piece) < _BLOCK:
                return None
            offset += len(piece) - len(what) + 1
        return None

    def skip_zeros(self, offset: int) -> int:
        """The first offset from ``offset`` on where there is no zero byte: members may be padded with them."""
        while piece := self.piece(offset, _BLOCK):
            rest = len(piece.lstrip(b"\0"))
            if rest:
                return offset + len(piece) - rest
            offset += len(piece)
        return offset


class Gzip:
    """The gzip format (RFC 1952)."""

    name = "gzip"
    magic = b"\x1f\x8b\x08"

    def decompressor(self) -> Decompressor:
        """For one member."""
        return Inflate()

    def plausible(self, head: bytes) -> bool:
        """Whether a member could begin with these bytes."""
        return head.startswith(self.magic) and len(head) > 3 and head[3] < 0x20


class Zstd:
    """Zstandard frames (RFC 8878), with the dictionary of a .warc.zst file if it begins with one."""

    name = "zstd"
    magic = b"\x28\xb5\x2f\xfd"

    def __init__(self, dictionary: bytes = b"") -> None:
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None

    def decompressor(self) -> Decompressor:
        """For one frame."""
        return Unzstd(self._dictionary, _ZSTD_WINDOW)

    def plausible(self, head: bytes) -> bool:
        """Whether a frame could begin with these bytes."""
        return head.startswith(self.magic)


Codec = Gzip | Zstd


class Member:
    """One member, unpacked piece by piece. ``end`` is the offset behind it, once it was unpacked to its end."""

    __slots__ = ("_inner", "_name", "_read", "_window", "broken", "end", "offset")

    def __init__(self, window: Window, codec: Codec, offset: int) -> None:
        self._window = window
        self._inner = codec.decompressor()
        self._name = codec.name
        self._read = offset
        self.offset = offset
        self.end: int | None = None
        self.broken = False

    def more(self) -> bytes:
        """The next piece; none at the end and after damage. Raises Damaged, once."""
        while not self.broken and self.end is None:
            data = b""
            if self._inner.wants_input:
                data = self._window.piece(self._read, _INPUT)
                self._read += len(data)
            try:
                made = self._inner.feed(data)
            except DAMAGE as fault:
                self.broken = True
                raise Damaged(
                    f"the {self._name} member at byte {self.offset} of the file is damaged: {fault}"
                ) from fault
            if self._inner.finished:
                self.end = self._read - len(self._inner.leftover)
            elif not made and not data:
                self.broken = True
                raise Damaged(f"the file ends inside the {self._name} member at byte {self.offset}")
            if made:
                return made
        return b""

    def abandon(self) -> None:
        """Unpack no more of it."""
        self.broken = True


def is_start(window: Window, codec: Codec, offset: int, begins: Begins) -> bool:
    """Whether a member is here and unpacks to what ``begins`` accepts."""
    if not codec.plausible(window.exactly(offset, 4)):
        return False
    member = Member(window, codec, offset)
    head = b""
    try:
        while len(head) < _HEAD and (piece := member.more()):
            head += piece
    except Damaged:
        pass  # what came before the damage may well be the beginning of a record
    return begins(head[:_HEAD])


def find_start(window: Window, codec: Codec, offset: int, begins: Begins) -> int | None:
    """The next place from ``offset`` on where a member starts that ``begins`` accepts."""
    place = window.find(codec.magic, offset)
    while place is not None and not is_start(window, codec, place, begins):
        place = window.find(codec.magic, place + 1)
    return place


class Members:
    """All members of a file from ``offset`` on as one stream of unpacked pieces."""

    def __init__(self, window: Window, codec: Codec, offset: int = 0) -> None:
        self._window = window
        self._codec = codec
        self._next: int | None = offset
        self._member: Member | None = None

    def more(self) -> bytes:
        """The next piece; none at the end. Raises Damaged where a member is damaged or no member begins."""
        while self._member is not None or self._next is not None:
            if self._member is None and not self._open():
                break
            assert self._member is not None
            try:
                made = self._member.more()
            except Damaged:
                self.abandon()
                raise
            if made:
                return made
            self._next, self._member = self._member.end, None
        return b""

    def abandon(self) -> None:
        """Leave this member and go on at the next that unpacks."""
        if self._member is not None:
            self._next = find_start(self._window, self._codec, self._member.offset + 1, bool)
            self._member = None

    def _open(self) -> bool:
        assert self._next is not None
        place = self._window.skip_zeros(self._next)
        head = self._window.exactly(place, 8)
        while isinstance(self._codec, Zstd) and len(head) == 8 and SKIPPABLE.match(head):
            place += 8 + int.from_bytes(head[4:], "little")
            head = self._window.exactly(place, 8)
        if not head:
            self._next = None
            return False
        if not self._codec.plausible(head):
            self._next = find_start(self._window, self._codec, place + 1, bool)
            raise Damaged(f"no {self._codec.name} member begins at byte {place} of the file")
        self._member = Member(self._window, self._codec, place)
        return True


class Plain:
    """A file without compression as a stream of pieces; any place in it can be gone to."""

    def __init__(self, window: Window, size: int) -> None:
        self._window = window
        self._offset = 0
        self.size = size

    def more(self) -> bytes:
        """The next piece; none at the end."""
        piece = self._window.piece(self._offset, _BLOCK)
        self._offset += len(piece)
        return piece

    def go_to(self, offset: int) -> None:
        """Read on from here."""
        self._offset = offset

    def abandon(self) -> None:
        """A file is not abandoned: it has no more bytes than it has."""
