"""Cuts a file into lines without ever holding more than one of bounded length."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.files import open_read
from pipeline.sources.containers.unpacked import Unpacked
from pipeline.sources.source import FilePart, UnreadableRecord

_CHUNK = 1 << 18
_UTF8_BOM = b"\xef\xbb\xbf"

Line = tuple[int, int, bytes, str]
"""Offset and length (with its newline) in the unpacked file, the bytes, or why they were not kept."""


def lines(part: FilePart, max_bytes: int) -> Iterator[Line]:
    """The lines that begin in a part of a file, compressed or not; a compressed file is read by its first part alone.

    A line longer than ``max_bytes`` is passed over without being held. Raises OSError.
    """
    with Unpacked(open_read(part.path)) as stream:
        compressed = stream.compressed  # whatever the name says
        if compressed and part.start > 0:
            return
        if compressed:
            yield from _cut(stream.read, 0, None, max_bytes)
            return
    with open_read(part.path, max(0, part.start - 1)) as raw:
        yield from _cut(raw.read, part.start, part.stop, max_bytes)


def _cut(read: Callable[[int], bytes], start: int, stop: int | None, max_bytes: int) -> Iterator[Line]:
    """The lines that begin in [start, stop).

    ``read`` gives the bytes from ``start - 1`` on (from 0 where ``start`` is 0): whether a line begins at ``start`` is
    told by the byte before it.
    """
    pieces: list[bytes] = []
    held = 0  # bytes in pieces
    length = 0  # bytes of the line so far, held or not
    offset = start
    owned = start == 0  # whether the line being read began in this part
    position = max(0, start - 1)
    while stop is None or owned or position < stop:
        try:
            chunk = read(_CHUNK)
        except UnreadableRecord as error:
            yield offset, length, b"", str(error)
            return
        if not chunk:
            break
        begin = 0
        while begin < len(chunk):
            newline = chunk.find(b"\n", begin)
            end = newline + 1 if newline >= 0 else len(chunk)
            length += end - begin
            if owned and length <= max_bytes:
                pieces.append(chunk[begin:end])
                held += end - begin
            elif held:
                pieces, held = [], 0
            begin = end
            if newline < 0:
                break
            if owned:
                yield _line(offset, length, pieces, max_bytes)
            offset = position + end
            if stop is not None and offset >= stop:
                return
            pieces, held, length, owned = [], 0, 0, True
        position += len(chunk)
    if owned and length:
        yield _line(offset, length, pieces, max_bytes)


def _line(offset: int, length: int, pieces: list[bytes], max_bytes: int) -> Line:
    if length > max_bytes:
        return offset, length, b"", f"the line has {length} bytes; the largest record allowed is {max_bytes}"
    line = b"".join(pieces)
    return offset, length, line.removeprefix(_UTF8_BOM) if offset == 0 else line, ""
