"""Web archives cut into parts: any cutting gives the records of the whole file, each once, however odd the file is."""

from __future__ import annotations

import bz2
import gzip
import random
import struct
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_archives import (
    ARCHIVES,
    GOLD,
    assert_same_in_parts,
    by_member,
    fate,
    needs_data,
    pages,
    read,
    response,
)

from pipeline.sources.crawl import members, web_archive

MEMBERS = sorted(path for path in ARCHIVES.rglob("*arc*gz*") if path.stat().st_size < 3 << 20)
MOST_PARTS = 40


@needs_data
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_split_size_gives_each_record_of_a_real_file_once(data: st.DataObject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_archive, "_LOOK_BACK", data.draw(st.sampled_from([1, 1000, 1 << 18])))
    path = data.draw(st.sampled_from(MEMBERS))
    size = path.stat().st_size
    smallest = 1 if size < 1000 else 1 + size // MOST_PARTS
    split = data.draw(st.integers(smallest, size))
    assert_same_in_parts(path, list(range(0, size, split)))


@needs_data
def test_cutting_a_large_file_at_every_odd_place():
    """Page by page and in the middle of each: runs of members are found from anywhere."""
    path = GOLD / "goose3-00000.warc.gz"
    places = [one.offset for one in read(path)]
    assert_same_in_parts(path, [at + move for at in places for move in (-1, 0, 1, 5000)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cutting_of_a_damaged_file_gives_the_same_records(
    data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(web_archive, "_LOOK_BACK", 1)
    content = bytearray(by_member(pages(12)))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.warc.gz"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    assert_same_in_parts(path, data.draw(st.lists(st.integers(0, len(content)), max_size=5)))


def test_every_cut_of_a_small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_archive, "_LOOK_BACK", 1)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(by_member(pages(3)))
    for cut in range(path.stat().st_size):
        assert_same_in_parts(path, [cut])


def stored(data: bytes, blocks: list[int]) -> bytes:
    """A gzip member of blocks without compression, of these sizes as long as they last: the data lies in it as it is."""
    made, at = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", 0
    while at < len(data):
        size = min(blocks.pop(0) if blocks else 65_535, len(data) - at)
        last = at + size == len(data)
        made += bytes([last]) + struct.pack("<HH", size, size ^ 0xFFFF) + data[at : at + size]
        at += size
    return made + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def test_a_stored_member_is_what_gzip_says_it_is():
    data = random.Random(2).randbytes(200_000)
    assert gzip.decompress(stored(data, [10, 1, 500])) == data


@pytest.mark.parametrize("look_back", [1, 1 << 18])
@pytest.mark.parametrize("aligned", [False, True], ids=["blocks of zlib's size", "blocks of whole members"])
def test_an_archive_inside_a_record_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look_back: int, aligned: bool
):
    """However deep a part begins inside it: here much deeper than the first look back."""
    monkeypatch.setattr(web_archive, "_LOOK_BACK", look_back)
    inner = [gzip.compress(one, mtime=0) for one in pages(20)] * (80 if look_back > 1 else 12)
    outer = response("http://example.org/a.warc.gz", b"".join(inner), b"Content-Type: application/gzip")
    blocks = [outer.index(b"\x1f\x8b\x08"), *map(len, inner)] if aligned else []
    path = tmp_path / "nested.warc.gz"
    before, after = by_member(pages(3)), by_member(pages(200) if look_back > 1 else pages(2))
    member = stored(outer, blocks)
    path.write_bytes(before + member + after)
    whole = read(path)
    assert len(whole) == 4 + (200 if look_back > 1 else 2)
    assert (whole[3].offset, whole[3].length) == (len(before), len(member))
    cuts = random.Random(3)
    for _ in range(12):
        assert_same_in_parts(path, [cuts.randrange(len(before), len(before) + len(member)) for _ in range(2)])
    assert_same_in_parts(path, [len(before) + 1, len(before) + len(member) - 1, len(before) + len(member) + 1])


def test_a_part_reads_little_more_than_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "large.warc.gz"
    path.write_bytes(by_member(pages(50)) * 200)
    size = path.stat().st_size
    assert size > 4 << 20
    reached: list[int] = []
    seek = members.Window.piece
    monkeypatch.setattr(
        members.Window, "piece", lambda window, at, count: (reached.append(at), seek(window, at, count))[1]
    )
    assert read(path, size // 2, size // 2 + 1000)
    in_the_middle = [at for at in reached if at > 1 << 18]
    assert min(in_the_middle) >= size // 2 - (1 << 18)
    assert max(in_the_middle) <= size // 2 + (1 << 18)


@pytest.mark.parametrize("pack", [bz2.compress, zstandard.compress, gzip.compress, bytes])
def test_files_that_can_t_be_entered_are_read_by_their_first_part(tmp_path: Path, pack):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack(b"".join(pages(5))))
    size = path.stat().st_size
    assert [fate(one) for one in read(path, 0, size // 2)] == ["kept"] * 5
    assert read(path, size // 2) == []
    assert [one.offset for one in read(path)] == [one.offset for one in read(path, 0, 1)]
