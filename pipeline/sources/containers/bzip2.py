"""Walks the streams of a .bz2 file, entered at any byte: multistream dumps have one for every hundred pages.

A stream begins at a byte, with a magic number of ten bytes (``BZh``, a digit, and the first block's 48 bits of pi, or of
its square root where it is empty): chance writes them into packed data once in 10^23 bytes, and then a stream is
tried that does not unpack, which costs a row in failed/ and nothing else. No index file is needed.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipeline.sources.crawl.members import Window
from pipeline.sources.source import UnreadableRecord

_MAGIC = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_MAGIC_BYTES = 10
_SCAN = 1 << 18
_INPUT = 1 << 16
_OUTPUT = 1 << 18


@dataclass(frozen=True, slots=True)
class Piece:
    """Unpacked bytes of the stream that begins at byte ``stream`` of the file, or why there are no more (``failure``)."""

    stream: int
    data: bytes = b""
    failure: str = ""


def is_bzip2(head: bytes) -> bool:
    """Whether a file that begins with these bytes is bzip2's."""
    return _MAGIC.match(head) is not None


def pieces(raw: IO[bytes], start: int) -> Iterator[Piece]:
    """What the streams from ``start`` on unpack to, up to the end of the file.

    Where a stream is damaged, a piece says so, and the next stream that unpacks goes on.
    """
    window = Window(raw)
    place = _find(window, start)
    if place is None and start == 0:
        yield Piece(0, failure="no bzip2 stream that can be unpacked begins in the file")
    while place is not None:
        end: int | None = None
        try:
            for item in _stream(window, place):
                if isinstance(item, int):
                    end = item
                else:
                    yield Piece(place, item)
        except UnreadableRecord as error:
            yield Piece(place, failure=str(error))
        if end is None:
            place = _find(window, place + 1)
        elif not window.exactly(end, 1):
            return
        elif _MAGIC.match(window.exactly(end, _MAGIC_BYTES)):
            place = end
        else:
            following = _find(window, end)
            if following is not None or window.exactly(window.skip_zeros(end), 1):
                yield Piece(end, failure=f"no bzip2 stream begins at byte {end} of the file, where one ended")
            place = following


def _stream(window: Window, start: int) -> Iterator[bytes | int]:
    """One stream's bytes, and at last the offset behind it. Raises UnreadableRecord."""
    inner = bz2.BZ2Decompressor()
    read = start
    while not inner.eof:
        data = b""
        if inner.needs_input:
            data = window.piece(read, _INPUT)
            read += len(data)
            if not data:
                raise UnreadableRecord(f"the file ends inside the bzip2 stream at byte {start}")
        try:
            made = inner.decompress(data, _OUTPUT)
        except (OSError, EOFError, ValueError) as error:
            raise UnreadableRecord(f"the bzip2 stream at byte {start} of the file is damaged: {error}") from error
        if made:
            yield made
    yield read - len(inner.unused_data)


def _find(window: Window, start: int) -> int | None:
    """The next place from ``start`` on where a stream begins."""
    while len(head := window.exactly(start, _SCAN)) >= _MAGIC_BYTES:
        if match := _MAGIC.search(head):
            return start + match.start()
        if len(head) < _SCAN:
            return None
        start += len(head) - _MAGIC_BYTES + 1
    return None
