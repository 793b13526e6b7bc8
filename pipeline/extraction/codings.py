"""Undoes the transfer and content codings of an HTTP body.

Everything here expects lies and damage: a header that names a coding the body is not in, a chunk size that is no number.
Bad input costs quality, never an exception (but for a body that unpacks to more than it may) and never unbounded memory.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping

import brotli
import zstandard

from pipeline.sources.source import UnreadableRecord

_MAX_CODINGS = 5
_OUTPUT_PIECE = 1 << 18
# A zstd block of four bytes can stand for 128 KiB, and its decompressor gives out all it can.
_ZSTD_INPUT = 512
_ZSTD_WINDOW = 8 << 20  # the largest that RFC 9659 allows on the web
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]{0,4096})?\r?\n")


def undo_encodings(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The payload behind an HTTP body's transfer and content codings (RFC 9112, RFC 9110).

    ``headers`` have lower-case names; repeated headers are joined by commas. Known are chunked, gzip, deflate (with and
    without zlib's wrapper), br and zstd, also stacked. A body that is not in the coding its header names is taken as it
    is; of a damaged or cut one that part is returned which could be read. Raises UnreadableRecord where the body
    unpacks to more than ``limit`` bytes.
    """
    for name in ("transfer-encoding", "content-encoding"):
        codings = [coding.strip() for coding in headers.get(name, "").lower().split(",")]
        for coding in reversed(codings[-_MAX_CODINGS:]):
            undo = _CODINGS.get(coding.removeprefix("x-"))
            if undo is not None:
                body = undo(body, limit)
    return body


def _unchunked(body: bytes, limit: int) -> bytes:
    """Undo chunked transfer. What stands where a size should and is none is kept as it is, to the end."""
    pieces: list[bytes] = []
    at = 0
    while size_line := _CHUNK_SIZE.match(body, at):
        size = int(size_line[1], 16)
        at = size_line.end()
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[at : at + size])
        at += size
        if body.startswith(b"\r\n", at):
            at += 2
        elif body.startswith(b"\n", at):
            at += 1
    pieces.append(body[at:])
    return b"".join(pieces)


class _Output:
    """Collects unpacked pieces up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise UnreadableRecord(f"the HTTP body unpacks to more than {self._limit} bytes")
        self._pieces.append(piece)

    def whole(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def _inflate(body: bytes, wbits: int, limit: int) -> tuple[bytes, bool]:
    """What can be inflated of one stream or several in a row, and whether there was no damage."""
    output = _Output(limit)
    sound = True
    while body:
        stream = zlib.decompressobj(wbits)
        try:
            while body and not stream.eof:
                output.add(stream.decompress(body, _OUTPUT_PIECE))
                body = stream.unconsumed_tail
            output.add(stream.flush() if not stream.eof else b"")
        except zlib.error:
            sound = False
            break
        sound = sound and stream.eof
        body = stream.unused_data if stream.unused_data.startswith(b"\x1f\x8b") else b""
    return output.whole(), sound


def _gunzipped(body: bytes, limit: int) -> bytes:
    return _inflate(body, 31, limit)[0] if body.startswith(b"\x1f\x8b") else body


def _undeflated(body: bytes, limit: int) -> bytes:
    """Undo deflate. The standard means zlib's format, many servers send the bare stream inside it."""
    wrapped, sound = _inflate(body, 15, limit)
    if sound or wrapped:
        return wrapped
    bare, sound = _inflate(body, -15, limit)
    return bare if sound or (bare and not _is_markup(body)) else body


def _unbrotlied(body: bytes, limit: int) -> bytes:
    output = _Output(limit)
    stream = brotli.Decompressor()
    data = body
    try:
        while not stream.is_finished():
            piece = stream.process(data, output_buffer_limit=_OUTPUT_PIECE)
            if not piece and stream.can_accept_more_data():
                break  # all is read, and the stream has no end
            output.add(piece)
            data = b""
    except brotli.error:
        if _is_markup(body):
            return body
    return output.whole() or body


def _unzstd(body: bytes, limit: int) -> bytes:
    if not body.startswith(b"\x28\xb5\x2f\xfd"):
        return body
    output = _Output(limit)
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj(read_across_frames=False)
    try:
        for at in range(0, len(body), _ZSTD_INPUT):
            output.add(stream.decompress(body[at : at + _ZSTD_INPUT]))
            if stream.eof:
                break
    except zstandard.ZstdError:
        pass  # what came before the damage is returned
    return output.whole()


def _is_markup(body: bytes) -> bool:
    return body[:64].lstrip().startswith(b"<")


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "chunked": _unchunked,
    "gzip": _gunzipped,
    "deflate": _undeflated,
    "br": _unbrotlied,
    "zstd": _unzstd,
}
