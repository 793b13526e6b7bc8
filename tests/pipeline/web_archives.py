"""Web archives made for tests, where the real ones lie, and how all of them are read."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.sources.crawl.warc import Warc, Wet
from pipeline.sources.source import FilePart, NotADocument, Record

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ARCHIVES = SHARED / "warc"
GOLD = SHARED / "html-gold"
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="no shared data")

WARC = Warc(name="web", paths=("x",))
WET = Wet(name="wet", paths=("x",))
LIMIT = 64 << 20


def read(
    path: Path, start: int = 0, stop: int | None = None, limit: int = LIMIT, source: Warc | Wet = WARC
) -> list[Record]:
    size = path.stat().st_size
    part = FilePart(str(path), path.name, start, size if stop is None else stop, size)
    return list(source.read(part, limit))


def place(record: Record) -> tuple[int, int, str, str]:
    return record.offset, record.length, record.url, record.failure


def fate(record: Record) -> str:
    if record.failure:
        return "failed"
    assert record.text is not None
    try:
        return "kept" if record.text() else "empty"
    except NotADocument as outcome:
        return outcome.reason


def response(
    url: str, body: bytes, header: bytes = b"Content-Type: text/html; charset=utf-8", status: bytes = b"200 OK"
) -> bytes:
    http = b"HTTP/1.1 " + status + b"\r\n" + header + b"\r\n\r\n" + body
    return record("response", url, http)


def record(kind: str, url: str, block: bytes, length: int | None = None) -> bytes:
    fields = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{url}>\r\nContent-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return fields.encode() + block + b"\r\n\r\n"


def page(number: int) -> bytes:
    words = f"<p>Page {number} says that the quick brown fox jumps over the lazy dog, again and again.</p>"
    return f"<html><head><title>t</title></head><body><main>{words * 8}</main></body></html>".encode()


def pages(count: int) -> list[bytes]:
    noise = random.Random(7)
    return [
        response(f"http://example.org/{k}", page(k) + b"<!--" + noise.randbytes(300).hex().encode() + b"-->")
        for k in range(count)
    ]


def by_member(records: list[bytes]) -> bytes:
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def assert_same_in_parts(path: Path, cuts: list[int], limit: int = LIMIT) -> None:
    """Cut anywhere, the parts of a file hold together what the whole file holds, in the same order."""
    size = path.stat().st_size
    whole = [place(one) for one in read(path, limit=limit)]
    edges = sorted({0, size, *cuts})
    parts = [place(one) for start, stop in pairwise(edges) for one in read(path, start, stop, limit)]
    if size:
        assert parts == whole
