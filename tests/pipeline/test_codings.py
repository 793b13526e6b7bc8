"""Transfer and content codings: each alone, stacked, damaged, lied about, and as bombs."""

from __future__ import annotations

import gzip
import time
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.extraction.codings import undo_encodings
from pipeline.sources.source import UnreadableRecord

LIMIT = 1 << 20

HTML = (
    "<!DOCTYPE html><html><body><main>" + "<p>Größe, naïve café: text to be found.</p>" * 20 + "</main></body></html>"
).encode()


def chunked(body: bytes, size: int = 100) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACK = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", PACK)
def test_each_coding_alone_and_in_chunks(name: str):
    packed = PACK[name](HTML)
    assert undo_encodings(packed, {"content-encoding": name.upper()}, LIMIT) == HTML
    both = {"content-encoding": name, "transfer-encoding": "chunked"}
    assert undo_encodings(chunked(packed), both, LIMIT) == HTML


def test_deflate_without_its_wrapper():
    assert undo_encodings(raw_deflate(HTML), {"content-encoding": "deflate"}, LIMIT) == HTML


def test_stacked_codings_are_undone_last_first():
    body = chunked(brotli.compress(gzip.compress(HTML)))
    headers = {"content-encoding": "gzip, br", "transfer-encoding": "chunked"}
    assert undo_encodings(body, headers, LIMIT) == HTML
    assert undo_encodings(chunked(gzip.compress(HTML)), {"transfer-encoding": "gzip, chunked"}, LIMIT) == HTML


def test_members_of_gzip_in_a_row():
    body = gzip.compress(HTML[:300]) + gzip.compress(HTML[300:])
    assert undo_encodings(body, {"content-encoding": "gzip"}, LIMIT) == HTML


@pytest.mark.parametrize("name", [*PACK, "chunked", "identity", "compress", "no-such-coding", ""])
def test_a_body_that_is_not_in_its_coding_is_taken_as_it_is(name: str):
    header = "transfer-encoding" if name == "chunked" else "content-encoding"
    assert undo_encodings(HTML, {header: name}, LIMIT) == HTML


@pytest.mark.parametrize("name", PACK)
def test_a_cut_body_gives_what_can_be_read(name: str):
    text = b"".join(b"<p>paragraph %d %d</p>" % (k, k * k * 7919) for k in range(20_000))
    packed = PACK[name](text)
    found = undo_encodings(packed[: len(packed) * 3 // 4], {"content-encoding": name}, LIMIT)
    assert len(found) > len(text) // 3
    assert text.startswith(found)


def test_chunk_sizes_that_are_wrong():
    headers = {"transfer-encoding": "chunked"}
    assert undo_encodings(b"5;name=value\r\nhello\r\n3\n wo\n0\r\n\r\n", headers, LIMIT) == b"hello wo"
    assert undo_encodings(b"5\r\nhello\r\nzz\r\n world", headers, LIMIT) == b"hellozz\r\n world"
    assert undo_encodings(b"ffffffff\r\nhello", headers, LIMIT) == b"hello"
    assert undo_encodings(b"5\r\nhel", headers, LIMIT) == b"hel"


@pytest.mark.parametrize("name", PACK)
def test_bombs_stop_at_the_limit(name: str):
    bomb = PACK[name](b"<p>" + bytes(50 << 20))
    began = time.process_time()
    with pytest.raises(UnreadableRecord, match="more than 1048576 bytes"):
        undo_encodings(bomb, {"content-encoding": name}, LIMIT)
    assert time.process_time() - began < 0.5


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300), name=st.sampled_from([*PACK, "chunked"]), head=st.sampled_from(
    [b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"5\r\n"]))  # fmt: skip
def test_arbitrary_bodies_never_raise(body: bytes, name: str, head: bytes):
    header = "transfer-encoding" if name == "chunked" else "content-encoding"
    assert isinstance(undo_encodings(head + body, {header: name}, LIMIT), bytes)
