"""Writing WARC files the same way every time: one gzip member a record, dates and ids made from the content.

The format is WARC/1.1 (ISO 28500:2017); the layout of a capture (request, response, metadata) is CommonCrawl's.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_CRAWL_BEGIN = datetime(2025, 1, 13, tzinfo=UTC)
_CRAWL_SECONDS = 10 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Capture:
    """One URL as a crawler met it.

    ``coding`` names how the body travelled: "gzip", "chunked", "gzip+chunked", "identity", or empty where it may vary.
    ``damage`` makes the record a broken one: "corrupt" spoils bytes inside its member, "truncated" cuts the member off.
    """

    url: str
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = ()
    coding: str = ""
    with_request: bool = False
    revisit: bool = False
    damage: str = ""


def key(text: str) -> int:
    """A number of 64 bits that depends on the text alone: what stands in for chance in the demo."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def warc_file(name: str, captures: Iterable[Capture]) -> bytes:
    """The bytes of a ``.warc.gz`` file with these captures in order; ``name`` goes into its first record."""
    about = "software: corpusmill demo\r\nformat: WARC File Format 1.1\r\nisPartOf: corpusmill-demo\r\n"
    fields = [("WARC-Filename", name), ("Content-Type", "application/warc-fields")]
    members = [_member(_record("warcinfo", name, about.encode(), fields))]
    for capture in captures:
        for record in _records(capture):
            member = _member(record)
            if capture.damage == "corrupt":
                middle = len(member) // 2
                member = member[:middle] + bytes(32) + member[middle + 32 :]
            elif capture.damage == "truncated":
                member = member[: len(member) // 2]
            members.append(member)
    return b"".join(members)


def _member(record: bytes) -> bytes:
    return gzip.compress(record, compresslevel=6, mtime=0)


def _records(capture: Capture) -> Iterator[bytes]:
    target = ("WARC-Target-URI", capture.url)
    address = ("WARC-IP-Address", f"203.0.113.{key(capture.url.split('/')[2]) % 254 + 1}")
    payload = capture.body
    response = _record_id("response", capture.url, payload)
    if capture.with_request:
        host, _, path = capture.url.split("://", 1)[1].partition("/")
        request = (
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: corpusmill-demo\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        fields = [target, ("Content-Type", "application/http; msgtype=request"), ("WARC-Concurrent-To", response)]
        yield _record("request", capture.url, request.encode(), fields)
    sent, headers = _encoded(capture)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    block = f"HTTP/1.1 {capture.status}\r\n{head}\r\n".encode() + sent
    digest = ("WARC-Payload-Digest", _digest(sent))
    fields = [target, address, ("Content-Type", "application/http; msgtype=response"), digest]
    if capture.revisit:
        profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
        yield _record("revisit", capture.url, block[: len(block) - len(sent)], [*fields, ("WARC-Profile", profile)])
        return
    yield _record("response", capture.url, block, fields, response)
    if capture.with_request:
        notes = f"fetchTimeMs: {key(capture.url) % 900 + 20}\r\ncharset-detected: utf-8\r\n"
        fields = [target, ("Content-Type", "application/warc-fields"), ("WARC-Concurrent-To", response)]
        yield _record("metadata", capture.url, notes.encode(), fields)


def _encoded(capture: Capture) -> tuple[bytes, list[tuple[str, str]]]:
    """The body as it travelled, and the HTTP headers that say how."""
    body = capture.body
    headers = [("Content-Type", capture.content_type)] if capture.content_type else []
    headers += [("Server", "nginx"), *capture.headers]
    if "gzip" in capture.coding:
        body = gzip.compress(body, compresslevel=6, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    if "chunked" in capture.coding:
        pieces = [body[start : start + 4096] for start in range(0, len(body), 4096)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        headers.append(("Transfer-Encoding", "chunked"))
    else:
        headers.append(("Content-Length", str(len(body))))
    return body, headers


def _record(kind: str, url: str, block: bytes, fields: list[tuple[str, str]], record_id: str = "") -> bytes:
    date = _CRAWL_BEGIN + timedelta(seconds=key(url) % _CRAWL_SECONDS)
    head = [
        ("WARC-Type", kind),
        ("WARC-Record-ID", record_id or _record_id(kind, url, block)),
        ("WARC-Date", date.strftime("%Y-%m-%dT%H:%M:%SZ")),
        *fields,
        ("WARC-Block-Digest", _digest(block)),
        ("Content-Length", str(len(block))),
    ]
    return (
        ("WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in head) + "\r\n").encode()
        + block
        + b"\r\n\r\n"
    )


def _record_id(kind: str, url: str, content: bytes) -> str:
    digest = hashlib.blake2b(kind.encode() + b"\0" + url.encode() + b"\0" + content, digest_size=16).digest()
    return f"<urn:uuid:{uuid.UUID(bytes=digest, version=4)}>"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
