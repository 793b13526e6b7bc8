"""Reading web archives: every real and odd file, any cutting into parts, damage, bombs, lies."""

from __future__ import annotations

import csv
import gzip
import io
import time
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import brotli
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from web_archives import (
    ARCHIVES,
    WARC,
    WET,
    assert_same_in_parts,
    by_member,
    fate,
    needs_data,
    page,
    pages,
    read,
    record,
    response,
)

from pipeline.extraction.main_content import main_content
from pipeline.sources.crawl.warc import iso_date
from pipeline.sources.source import Record


def manifest() -> list[dict[str, str]]:
    with (ARCHIVES / "MANIFEST.tsv").open() as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


# --- the real files -------------------------------------------------------------------------------


@needs_data
def test_every_archive_is_read_to_its_end_and_every_record_has_one_fate():
    slowest = 0.0
    main_content(b"<p>The first page waits for the compiler.</p>")
    for path in sorted(ARCHIVES.rglob("*")):
        if path.suffix == ".tsv" or path.is_dir():
            continue
        began = time.process_time()
        records = read(path)
        fates = Counter(fate(one) for one in records)
        slowest = max(slowest, time.process_time() - began)
        assert records, path.name
        assert sum(fates.values()) == len(records)
        assert len({(one.offset, one.length) for one in records}) == len(records), path.name
    assert slowest < 10


@needs_data
def test_sound_archives_have_as_many_records_as_warcio_finds():
    """What has no record error in the manifest, and is not one of the files whose very point is to be malformed."""
    exceptions = {
        # Seven bytes that no Content-Length covers are a failure of their own; all records are there.
        "real/webrecorder__pywb__example.warc": 1,
    }
    compared = 0
    for row in manifest():
        if row["reader_error_warcio_1.8.1"] or not row["file"].startswith("real/"):
            continue
        records = read(ARCHIVES / row["file"])
        failed = sum(bool(one.failure) for one in records)
        assert failed == exceptions.get(row["file"], 0), row["file"]
        assert len(records) - failed == int(row["records_read"]), row["file"]
        compared += 1
    assert compared >= 40


@needs_data
def test_files_at_which_warcio_stops_give_at_least_what_it_read_before():
    for row in manifest():
        if row["reader_error_warcio_1.8.1"] and "brotli" in row["reader_error_warcio_1.8.1"]:
            records = read(ARCHIVES / row["file"])
            assert len(records) == int(row["records_read"])
            assert not any(one.failure for one in records)
            assert "failed" not in {fate(one) for one in records}


@needs_data
@pytest.mark.parametrize(
    ("name", "count"),
    [("dolma-sample-0000.warc.zst", 48), ("dolma-sample-0000.dict.warc.zst", 48), ("whirlwind.warc.zst", 4)],
)
def test_zstd_archives_with_and_without_dictionary(name: str, count: int):
    records = read(ARCHIVES / "recompressed" / name)
    assert len(records) == count
    assert not any(one.failure for one in records)
    assert any(fate(one) == "kept" for one in records)


@needs_data
def test_the_same_archive_reads_the_same_plain_and_in_members():
    plain = read(ARCHIVES / "real" / "chatnoir-eu__chatnoir-resiliparse__warcfile.warc")
    packed = read(ARCHIVES / "real" / "chatnoir-eu__chatnoir-resiliparse__warcfile.warc.gz")
    assert [(one.url, one.date, one.metadata, fate(one)) for one in plain] == [
        (one.url, one.date, one.metadata, fate(one)) for one in packed
    ]


@needs_data
def test_offset_and_length_lead_back_to_the_record():
    path = ARCHIVES / "real" / "openzim__warc2zim__kiwix-with-redirects.warc.gz"
    for one in read(path):
        member = path.read_bytes()[one.offset : one.offset + one.length]
        (again,) = ArchiveIterator(io.BytesIO(member))
        assert again.rec_headers.get_header("WARC-Record-ID").strip("<>") == one.metadata["record_id"]


@needs_data
def test_wet_records_are_text():
    path = ARCHIVES / "real" / "commoncrawl__whirlwind-python__whirlwind.warc.wet.gz"
    info, conversion = read(path, source=WET)
    assert fate(info) == "warc.warcinfo"
    assert fate(conversion) == "kept"
    assert conversion.url.startswith("http")
    assert [fate(one) for one in read(path)] == ["warc.warcinfo", "warc.conversion"]


# --- members of odd shapes ------------------------------------------------------------------------


def test_several_records_in_a_later_member_have_places_of_their_own(tmp_path: Path):
    records = pages(4)
    path = tmp_path / "a.warc.gz"
    first = gzip.compress(records[0])
    path.write_bytes(first + gzip.compress(records[1] + records[2]) + gzip.compress(records[3]))
    found = read(path)
    assert [fate(one) for one in found] == ["kept"] * 4
    assert [one.offset - len(first) for one in found[1:3]] == [0, 1]
    assert found[2].metadata["in_member"] == str(len(records[1]))
    assert_same_in_parts(path, [len(first) + 5])


def test_members_that_are_mere_blocks_of_a_stream(tmp_path: Path):
    stream = b"".join(pages(6))
    path = tmp_path / "blocked.warc.gz"
    path.write_bytes(b"".join(gzip.compress(stream[at : at + 500]) for at in range(0, len(stream), 500)))
    found = read(path)
    assert [fate(one) for one in found] == ["kept"] * 6
    assert found[1].offset == len(pages(6)[0])
    assert_same_in_parts(path, [700, 1500])


def test_empty_members_and_zero_padding_are_no_records(tmp_path: Path):
    records = pages(2)
    path = tmp_path / "a.warc.gz"
    empty = gzip.compress(b"")
    path.write_bytes(empty + gzip.compress(records[0]) + b"\0" * 700 + empty + gzip.compress(records[1]) + b"\0" * 9)
    assert [fate(one) for one in read(path)] == ["kept", "kept"]


# --- damage ---------------------------------------------------------------------------------------


def test_a_damaged_member_is_one_failure_and_reading_goes_on(tmp_path: Path):
    members = [gzip.compress(one, mtime=0) for one in pages(5)]
    content = bytearray(b"".join(members))
    start = len(members[0]) + len(members[1])
    for at in range(start + 60, start + 75):
        content[at] ^= 0xFF
    path = tmp_path / "a.warc.gz"
    path.write_bytes(content)
    found = read(path)
    assert [fate(one) for one in found] == ["kept", "kept", "failed", "kept", "kept"]
    assert (found[2].offset, found[2].length) == (start, len(members[2]))
    assert "damaged" in found[2].failure


def test_a_wrong_checksum_fails_the_record(tmp_path: Path):
    members = [gzip.compress(one, mtime=0) for one in pages(3)]
    broken = members[1][:-8] + b"\1\2\3\4" + members[1][-4:]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(members[0] + broken + members[2])
    assert [fate(one) for one in read(path)] == ["kept", "failed", "kept"]


def test_a_file_cut_short_fails_its_last_record_only(tmp_path: Path):
    records = pages(4)
    for content in (by_member(records), b"".join(records), gzip.compress(b"".join(records))):
        path = tmp_path / "cut.warc.gz"
        path.write_bytes(content[:-40])
        found = read(path)
        assert [fate(one) for one in found][-1] == "failed"
        assert found[-1].failure
    path.write_bytes(by_member(records)[:-40])
    assert [fate(one) for one in read(path)] == ["kept", "kept", "kept", "failed"]


def test_garbage_between_records(tmp_path: Path):
    records = pages(3)
    path = tmp_path / "a.warc"
    path.write_bytes(records[0] + b"garbage\r\n\r\nmore of it\r\n\r\n" + records[1] + records[2])
    found = read(path)
    assert [fate(one) for one in found] == ["kept", "failed", "kept", "kept"]
    assert found[1].offset == len(records[0])
    packed = tmp_path / "a.warc.gz"
    packed.write_bytes(gzip.compress(records[0]) + b"garbage" * 99 + gzip.compress(records[1]))
    assert [fate(one) for one in read(packed)] == ["kept", "failed", "kept"]


@pytest.mark.parametrize("wrong", [-30, 200, 5_000])
def test_a_wrong_content_length_costs_one_record(tmp_path: Path, wrong: int):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(9)
    lying = record("response", "http://example.org/lie", block, len(block) + wrong)
    path = tmp_path / "a.warc"
    records = pages(3)
    path.write_bytes(records[0] + lying + records[1] + records[2])
    found = read(path)
    urls = [one.url for one in found if not one.failure]
    assert urls[0] == "http://example.org/0"
    assert urls[-2:] == ["http://example.org/1", "http://example.org/2"]
    assert any(one.failure for one in found)


@pytest.mark.parametrize("length", ["", "-5", "abc", "9" * 40])
def test_a_content_length_that_is_no_number(tmp_path: Path, length: str):
    bad = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {length}\r\n\r\nbody\r\n\r\n".encode()
    path = tmp_path / "a.warc"
    path.write_bytes(bad + pages(1)[0])
    assert [fate(one) for one in read(path)] == ["failed", "kept"]


def arc(number: int, wrong: int = 0) -> bytes:
    body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(number)
    line = f"http://example.org/{number} 1.2.3.4 19970417175710 text/html {len(body) + wrong}\n"
    return line.encode() + body + b"\n"


@pytest.mark.parametrize("wrong", [-30, -3, 3, 200, 3_000, 10**6, 10**9])
def test_a_wrong_length_in_an_arc_file_costs_one_record(tmp_path: Path, wrong: int):
    path = tmp_path / "a.arc"
    info = b"filedesc://x.arc 0.0.0.0 19970417175710 text/plain 4\nabcd\n"
    path.write_bytes(info + arc(0) + arc(1, wrong) + arc(2) + arc(3))
    found = read(path, limit=1 << 20)
    assert [one.url for one in found if fate(one) == "kept"][-2:] == ["http://example.org/2", "http://example.org/3"]
    failed = [one for one in found if one.failure]
    assert failed
    assert failed[-1].offset + failed[-1].length == path.read_bytes().index(b"http://example.org/2")


@pytest.mark.parametrize("wrong", [100_000, 10**12])
def test_a_length_that_is_too_large_to_be_true_costs_one_record(tmp_path: Path, wrong: int):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(9)
    lying = record("response", "http://example.org/lie", block, wrong)
    records = pages(200)
    path = tmp_path / "a.warc"
    path.write_bytes(records[0] + lying + b"".join(records[1:]))
    found = read(path, limit=20_000)
    assert [fate(one) for one in found] == ["kept", "failed", *["kept"] * 199]
    assert (found[1].offset, found[1].length) == (len(records[0]), len(lying))
    assert str(wrong) in found[1].failure


def test_an_arc_file_is_no_line_in_a_page(tmp_path: Path):
    """What looks like the head of a record inside a sound one is its content."""
    page_ = b"<html><body><p>" + b"\n".join(arc(5).splitlines()[:1] * 3) + b"\n</p></body></html>"
    path = tmp_path / "a.warc"
    path.write_bytes(response("http://example.org/", page_) + pages(1)[0])
    assert [fate(one) for one in read(path)] == ["kept", "kept"]


def test_endless_line_ends_take_neither_time_nor_memory(tmp_path: Path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(b"\r\n" * 50_000_000, 1) + by_member(pages(1)))
    tracemalloc.start()
    began = time.process_time()
    found = read(path, limit=1 << 16)
    assert time.process_time() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert [fate(one) for one in found] == ["failed", "kept"]


def test_bombs_are_given_up(tmp_path: Path):
    limit = 1 << 16
    bomb = gzip.compress(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 300000000\r\n\r\n" + bytes(300_000_000), 1
    )
    junk = gzip.compress(bytes(300_000_000), 1)
    records = [gzip.compress(one) for one in pages(3)]
    path = tmp_path / "bomb.warc.gz"
    path.write_bytes(records[0] + bomb + records[1] + junk + records[2])
    began = time.process_time()
    found = read(path, limit=limit)
    assert time.process_time() - began < 2
    assert [fate(one) for one in found] == ["kept", "failed", "kept", "failed", "kept"]
    assert (found[1].offset, found[1].length) == (len(records[0]), len(bomb))


def test_a_record_over_the_limit_is_a_failure(tmp_path: Path):
    big = response("http://example.org/big", page(1) * 40)
    for content in (by_member([*pages(1), big, *pages(1)]), b"".join([*pages(1), big, *pages(1)])):
        path = tmp_path / "a.warc.gz"
        path.write_bytes(content)
        found = read(path, limit=20_000)
        assert [fate(one) for one in found] == ["kept", "failed", "kept"]
        assert "more than 20000" in found[1].failure


def test_what_is_no_archive_is_one_failure(tmp_path: Path):
    for content in (
        b"",
        b"hello",
        b"\x04\x22\x4d\x18" + bytes(90),
        b"PK\x03\x04",
        gzip.compress(b"hello"),
        b"\r\n",
        b"\0" * 99,
    ):
        path = tmp_path / "a.warc.gz"
        path.write_bytes(content)
        (one,) = read(path)
        assert one.failure
        assert (one.offset, one.length) == (0, len(content)) or content.startswith((b"\x1f", b"\r"))


HEADS = (
    b"",
    b"WARC/1.0\r\n",
    b"\x1f\x8b\x08\0",
    b"\x28\xb5\x2f\xfd",
    b"\x5d\x2a\x4d\x18",
    b"BZh9",
    b"filedesc://x 0.0.0.0 20200101000000 text/plain 20\n",
)


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), head=st.sampled_from(HEADS))
def test_arbitrary_bytes_never_raise(content: bytes, head: bytes, tmp_path: Path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(head + content)
    found = read(path)
    assert found or head == b"\x5d\x2a\x4d\x18"  # a file of a dictionary only is sound, and holds no record
    assert all(one.failure or one.text for one in found)
    assert "kept" not in {fate(one) for one in found}


# --- what becomes of records ----------------------------------------------------------------------


def outcome_of(tmp_path: Path, content: bytes) -> tuple[str, Record]:
    path = tmp_path / "one.warc"
    path.write_bytes(content)
    (one,) = read(path)
    return fate(one), one


@pytest.mark.parametrize("kind", ["warcinfo", "request", "metadata", "revisit", "conversion", "continuation"])
def test_records_that_are_no_pages(tmp_path: Path, kind: str):
    assert outcome_of(tmp_path, record(kind, "http://example.org/", b"x: y"))[0] == f"warc.{kind}"


def test_fates_of_pages(tmp_path: Path):
    html = page(1)
    fates = {
        "kept": response("http://example.org/", html),
        "http.status": response("http://example.org/", html, status=b"404 Not Found"),
        "http.mime": response("http://example.org/", html, b"Content-Type: image/png"),
        "extraction.empty": response("http://example.org/", b"<html><body></body></html>"),
        "warc.scheme": response("dns:example.org", html),
        "warc.other_type": record("monkeys", "http://example.org/", b""),
        "failed": record("response", "http://example.org/", b"no http at all"),
    }
    for expected, content in fates.items():
        assert outcome_of(tmp_path, content)[0] == expected
    assert outcome_of(tmp_path, fates["http.status"])[1].metadata["status"] == "404"


def test_a_page_without_http_header_is_a_page(tmp_path: Path):
    """HTTP/0.9 has none, and some crawlers store none."""
    bare = page(1)
    line = f"http://example.org/ 1.2.3.4 19970417175710 text/html {len(bare)}\n".encode()
    assert outcome_of(tmp_path, line + bare + b"\n")[0] == "kept"
    assert outcome_of(tmp_path, line.replace(b"text/html", b"image/gif") + bare + b"\n")[0] == "failed"
    for header, expected in (("text/html", "kept"), ("application/http; msgtype=response", "failed")):
        stored = record("response", "http://example.org/", bare)
        typed = stored.replace(b"\r\nWARC-Date", f"\r\nContent-Type: {header}\r\nWARC-Date".encode(), 1)
        assert outcome_of(tmp_path, typed)[0] == expected
    assert outcome_of(tmp_path, record("resource", "http://example.org/", bare))[0] == "kept"


def test_a_truncated_page_says_so(tmp_path: Path):
    stored = response("http://example.org/", page(1)[:300])
    fate_, one = outcome_of(tmp_path, stored.replace(b"\r\nWARC-Date", b"\r\nWARC-Truncated: length\r\nWARC-Date", 1))
    assert fate_ == "kept"
    assert one.metadata["truncated"] == "length"


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "br", "zstd", "gzip, chunked"])
def test_codings_are_undone_and_http_lengths_are_not_believed(tmp_path: Path, coding: str):
    packed = page(1)
    for name in coding.split(", "):
        packed = {
            "identity": bytes,
            "gzip": gzip.compress,
            "deflate": zlib.compress,
            "br": brotli.compress,
            "zstd": zstandard.compress,
            "chunked": lambda body: b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        }[name](packed)
    for length in (len(packed), 1, 10**9):
        header = f"Content-Type: text/html\r\nContent-Length: {length}\r\n"
        header += "\r\n".join(
            f"{'Transfer' if name == 'chunked' else 'Content'}-Encoding: {name}" for name in coding.split(", ")
        )
        fate_, one = outcome_of(tmp_path, response("http://example.org/", packed, header.encode()))
        assert fate_ == "kept"
        assert one.text is not None
        assert "quick brown fox" in one.text()


def test_what_a_record_tells(tmp_path: Path):
    _, one = outcome_of(tmp_path, response("<http://example.org/a b>", page(1)))
    assert one.url == "http://example.org/a%20b"
    assert one.date == "2024-01-02T03:04:05Z"
    assert one.metadata["status"] == "200"
    assert one.metadata["mime"] == "text/html"
    assert one.metadata["charset"] == "utf-8"
    assert one.offset == 0


def test_arc_records_of_both_versions(tmp_path: Path):
    body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(3)
    one = f"http://example.org/1 1.2.3.4 19970417175710 text/html {len(body)}\n".encode() + body + b"\n"
    two = f"http://example.org/2 1.2.3.4 19970417175710 text/html 200 - - 0 f.arc {len(body)}\n".encode() + body + b"\n"
    info = b"filedesc://x.arc 0.0.0.0 19970417175710 text/plain 4\nabcd\n"
    path = tmp_path / "x.arc"
    for content in (info + one + two, by_member([info, one, two])):
        path.write_bytes(content)
        found = read(path)
        assert [fate(one) for one in found] == ["warc.warcinfo", "kept", "kept"]
        assert found[2].url == "http://example.org/2"
        assert found[2].date == "1997-04-17T17:57:10Z"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2008-04-30T20:48:25Z", "2008-04-30T20:48:25Z"),
        ("2008-04-30T20:48:25.123456Z", "2008-04-30T20:48:25Z"),
        ("2008-04-30T20:48:25+02:00", "2008-04-30T18:48:25Z"),
        ("20080430204825", "2008-04-30T20:48:25Z"),
        ("201404010000000000", "2014-04-01T00:00:00Z"),
        ("2019-08-15T01:02", "2019-08-15T01:02:00Z"),
        ("2019-08", "2019-08"),
        ("2008-10-294T05:21:46-0700", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_dates(given: str, expected: str):
    assert iso_date(given) == expected


def test_names_that_can_be_entered():
    assert WARC.can_enter("x/CC-MAIN.warc.gz")
    assert WET.can_enter("x/CC-MAIN.warc.wet.gz")
    assert WARC.can_enter("x/old.ARC.gz")
    assert not WARC.can_enter("a.warc")
    assert not WARC.can_enter("a.warc.zst")
