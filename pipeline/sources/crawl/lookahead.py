"""Looks ahead in a stream of unpacked pieces: what is needed of it is in memory, and no more."""

from __future__ import annotations

import re
from typing import Protocol

from pipeline.sources.crawl.members import Damaged, Plain

_NEWLINES = re.compile(rb"[\r\n]*")
_MAX_NEWLINES = 1 << 16


class Pieces(Protocol):
    """What a buffer is filled from."""

    def more(self) -> bytes:
        """The next piece; none at the end. Raises Damaged; called again it goes on behind the damage."""
        ...

    def abandon(self) -> None:
        """Leave what is being unpacked and go on behind it."""
        ...


class Buffer:
    """Pieces as one stream. ``position`` counts the bytes that were passed.

    ``budget`` bounds the bytes that may be passed over in search of the next record (the output of a bomb, say): then
    the stream is abandoned and Damaged raised. 0 means no bound.
    """

    __slots__ = ("_at", "_budget", "_data", "_passed", "_pieces", "position")

    def __init__(self, pieces: Pieces, budget: int = 0) -> None:
        self._pieces = pieces
        self._budget = budget
        self._passed = 0
        self._data = b""
        self._at = 0
        self.position = 0

    def has(self, count: int) -> bool:
        """Whether there are ``count`` more bytes; they are in memory then. Raises Damaged."""
        missing = self._at + count - len(self._data)
        if missing <= 0:
            return True
        pieces = [self._data[self._at :]] if self._at < len(self._data) else []
        try:
            while missing > 0 and (piece := self._pieces.more()):
                pieces.append(piece)
                missing -= len(piece)
        finally:
            self._data, self._at = b"".join(pieces), 0
        return missing <= 0

    def look(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop`` ahead, as far as they are in memory."""
        return self._data[self._at + start : self._at + stop]

    def in_place(self, start: int) -> tuple[bytes, int]:
        """What is in memory, uncopied, and where in it the byte lies that is ``start`` ahead."""
        return self._data, self._at + start

    def match(self, pattern: re.Pattern[bytes], start: int = 0) -> re.Match[bytes] | None:
        """Match at ``start`` ahead, in what is in memory."""
        return pattern.match(self._data, self._at + start)

    def search(self, pattern: re.Pattern[bytes], start: int, stop: int) -> int | None:
        """Where the first match in ``start`` to ``stop`` ahead ends, in what is in memory."""
        found = pattern.search(self._data, self._at + start, self._at + stop)
        return found.end() - self._at if found else None

    def in_memory(self) -> int:
        """How many bytes ahead are in memory."""
        return len(self._data) - self._at

    def skip(self, count: int) -> bool:
        """Pass ``count`` bytes; False if the stream ended before. Raises Damaged."""
        while True:
            step = min(count, self.in_memory())
            self._at += step
            self.position += step
            count -= step
            if not count:
                return True
            if isinstance(self._pieces, Plain) and self.position + count <= self._pieces.size:
                return self.go_to(self.position + count)
            self._spend(step)
            if not self.has(1):
                return False

    def go_to(self, position: int) -> bool:
        """Go to any place of the stream, where that is possible: in a file without compression."""
        if not isinstance(self._pieces, Plain):
            return False
        self._pieces.go_to(position)
        self._data, self._at, self.position = b"", 0, position
        return True

    def record_begins(self) -> None:
        """The search is over: what was passed over so far does not count any more."""
        self._passed = 0

    def drop(self) -> None:
        """Pass everything that is in memory."""
        self.position += self.in_memory()
        self._data, self._at = b"", 0

    def after_newlines(self, start: int) -> int | None:
        """How far ahead the line ends are over that begin ``start`` ahead; None at the stream's end. Raises Damaged.

        After ``_MAX_NEWLINES`` it stops, so that they need not be held in memory.
        """
        stop = start
        while self.has(stop + 1):
            found = _NEWLINES.match(self._data, self._at + stop)
            assert found is not None
            stop = found.end() - self._at
            if found.end() < len(self._data) or stop - start >= _MAX_NEWLINES:
                return stop
        return None

    def skip_newlines(self) -> bool:
        """Pass line ends; False at the end of the stream. Raises Damaged."""
        while self.has(1):
            found = _NEWLINES.match(self._data, self._at)
            assert found is not None
            run = found.end() - self._at
            self._at += run
            self.position += run
            if self._at < len(self._data):
                return True
            self._spend(run)
        return False

    def skip_past(self, pattern: re.Pattern[bytes], longest: int) -> bool:
        """Pass everything up to where a match of ``pattern`` ends, at least one byte on; False if there is none.

        ``longest`` bounds the length of a match with all that its lookaheads see. Raises Damaged.
        """
        start = 1
        while True:
            whole = not self.has(longest + 1)
            end = self.search(pattern, start, self.in_memory())
            if end is not None:
                self.skip(end)
                return True
            if whole:
                self.drop()
                return False
            passed = self.in_memory() - longest
            self.skip(passed)
            self._spend(passed)
            start = 0

    def _spend(self, count: int) -> None:
        self._passed += count
        if 0 < self._budget < self._passed:
            self._pieces.abandon()
            raise Damaged(f"more than {self._budget} bytes unpacked without finding a record")
