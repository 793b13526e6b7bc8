"""Reads the rows of Posts.xml and brings every question together with its answers, in bounded memory.

Answers lie far from their questions. So rows are first written to temporary files, partitioned by a hash of the
question's number; then one partition after another is indexed, sorted and read back. What is held in memory is some
100 bytes for each row of one partition, the rows stay on disk. The dump is read once, forward, so it may be compressed.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

from pipeline.sources.source import UnreadableRecord

_CHUNK = 1 << 18
_ROW = re.compile(rb"<row[\s/]")
_PARTITION = 1 << 28
_MAX_PARTITIONS = 64
_MIX = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads consecutive numbers
_PLACE = struct.Struct("<qqqq")  # question, number of the post, offset, length
_MAX_NUMBER = 1 << 62
_QUESTION, _ANSWER = b"1", b"2"


@dataclass(frozen=True, slots=True)
class Row:
    """A ``<row …/>``: where it lies in the unpacked file, its bytes, or why it could not be read."""

    offset: int
    length: int
    data: bytes = b""
    failure: str = ""

    def attributes(self) -> dict[bytes, bytes]:
        """The attributes as they are written, character references and all."""
        double, single = self.data.find(b'"'), self.data.find(b"'")
        quote = b"'" if 0 <= single < double or double < 0 else b'"'  # one kind a row, as programs write them
        parts = self.data.split(quote)  # names and values by turns: linear, whatever is in the row
        names = ((name.rstrip().removesuffix(b"=").split() or [b""])[-1] for name in parts[::2])
        return dict(zip(names, parts[1::2], strict=False))


@dataclass(slots=True)
class Thread:
    """A question with its answers, by number.

    It is something else where ``reason`` is set: a post that belongs to no question, and why; or where
    ``question.failure`` is set: a row that could not be read.
    """

    question: Row
    answers: list[Row] = field(default_factory=list)
    reason: str = ""


def rows(read: Callable[[int], bytes], max_bytes: int) -> Iterator[Row]:
    """The rows of a table of a dump, in order. Damage is a row with ``failure``, and reading goes on behind it."""
    end = 0
    try:
        for row in _rows(read, max_bytes):
            end = row.offset + row.length
            yield row
    except UnreadableRecord as error:
        yield Row(end, 0, failure=str(error))


def _rows(read: Callable[[int], bytes], max_bytes: int) -> Iterator[Row]:
    """No ``<`` stands in the values of well-formed XML: a row reaches at most to the next one."""
    buffer, base, position = b"", 0, 0
    while True:
        found = _ROW.search(buffer, position)
        if found is None:
            passed = max(position, len(buffer) - 4)
            chunk = read(_CHUNK)
            if not chunk:
                return
            buffer, base, position = buffer[passed:] + chunk, base + passed, 0
            continue
        start = found.start()
        end = buffer.find(b"<", start + 4)
        if end >= 0:
            yield _checked(base + start, buffer[start:end])
            position = end
            continue
        pieces, size, rest = [buffer[start:]], len(buffer) - start, b""
        while chunk := read(_CHUNK):
            end = chunk.find(b"<")
            piece, rest = (chunk, b"") if end < 0 else (chunk[:end], chunk[end:])
            size += len(piece)
            if size <= max_bytes:
                pieces.append(piece)
            if end >= 0:
                break
        if size <= max_bytes:
            yield _checked(base + start, b"".join(pieces))
        else:
            yield Row(
                base + start, size, failure=f"the row has {size} bytes; the largest record allowed is {max_bytes}"
            )
        buffer, base, position = rest, base + start + size, 0


def _checked(offset: int, data: bytes) -> Row:
    data = data.rstrip()
    if not data.endswith(b">"):
        return Row(offset, len(data), failure="the row is cut off")
    return Row(offset, len(data), data)


def threads(read: Callable[[int], bytes], size: int, max_bytes: int) -> Iterator[Thread]:
    """Every question with its answers, then what is none, all in an order that depends on the file alone.

    ``size`` is about how many bytes there are to read, unpacked; it decides the number of partitions. Rows that are no
    question or answer come first, in the order of the file; then the partitions, each by the number of the question.
    Raises OSError when the disk for temporary files is full.
    """
    count = min(_MAX_PARTITIONS, size // _PARTITION + 1)
    with ExitStack() as stack:
        partitions = [stack.enter_context(tempfile.TemporaryFile(buffering=1 << 16)) for _ in range(count)]
        for row in rows(read, max_bytes):
            thread = _write(row, partitions)
            if thread is not None:
                yield thread
        for partition in partitions:
            yield from _threads_of(partition)


def _write(row: Row, partitions: list[IO[bytes]]) -> Thread | None:
    """Put a row into its partition; what belongs into none is returned."""
    if row.failure:
        return Thread(row)
    written = row.attributes()
    kind = written.get(b"PostTypeId", b"")
    number = _number(written.get(b"Id"))
    if number is None or not kind:
        return Thread(Row(row.offset, row.length, failure="a row without Id or PostTypeId: not a post"))
    if kind not in (_QUESTION, _ANSWER):
        return Thread(row, reason="stackexchange.other_post")
    question = number if kind == _QUESTION else _number(written.get(b"ParentId"))
    if question is None:
        return Thread(row, reason="stackexchange.no_question")
    partition = partitions[(question * _MIX & (1 << 64) - 1) * len(partitions) >> 64]
    partition.write(_PLACE.pack(question, -1 if kind == _QUESTION else number, row.offset, len(row.data)))
    partition.write(row.data)
    return None


def _number(written: bytes | None) -> int | None:
    if written is None or not written.isdigit() or len(written) > 18:
        return None
    return int(written)


def _threads_of(partition: IO[bytes]) -> Iterator[Thread]:
    """The threads of one partition, by number; answers come after their question, by theirs."""
    partition.seek(0)
    places: list[tuple[int, int, int, int, int]] = []
    at = 0
    while head := partition.read(_PLACE.size):
        question, number, offset, length = _PLACE.unpack(head)
        places.append((question, number, offset, length, at + _PLACE.size))
        at += _PLACE.size + length
        partition.seek(at)
    places.sort()
    start = 0
    while start < len(places):
        stop = start
        while stop < len(places) and places[stop][0] == places[start][0]:
            stop += 1
        yield from _grouped([_read(partition, place) for place in places[start:stop]], places[start:stop])
        start = stop


def _read(partition: IO[bytes], place: tuple[int, int, int, int, int]) -> Row:
    partition.seek(place[4])
    return Row(place[2], place[3], partition.read(place[3]))


def _grouped(found: list[Row], places: Iterable[tuple[int, int, int, int, int]]) -> Iterator[Thread]:
    """The first row with a question's number is the question; further ones repeat it, or the dump holds it twice."""
    thread: Thread | None = None
    last = None
    for row, (_, number, *_) in zip(found, places, strict=True):
        if number == last:
            yield Thread(row, reason="stackexchange.repeated")
        elif number == -1:
            thread = Thread(row)
        elif thread is None:
            yield Thread(row, reason="stackexchange.no_question")
        else:
            thread.answers.append(row)
        last = number
    if thread is not None:
        yield thread
