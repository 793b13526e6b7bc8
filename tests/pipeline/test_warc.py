"""Reading web archives: every real and odd file, any cutting into parts, damage, bombs, lies."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import random
import time
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from pipeline.sources import web_archive
from pipeline.sources.source import FilePart, NotADocument, Record
from pipeline.sources.warc import Warc, Wet, iso_date

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


def manifest() -> list[dict[str, str]]:
    with (ARCHIVES / "MANIFEST.tsv").open() as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


# --- the real files -------------------------------------------------------------------------------


@needs_data
def test_every_archive_is_read_to_its_end_and_every_record_has_one_fate():
    slowest = 0.0
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


# --- cutting into parts ---------------------------------------------------------------------------


def assert_same_in_parts(path: Path, cuts: list[int]) -> None:
    size = path.stat().st_size
    whole = [place(one) for one in read(path)]
    edges = sorted({0, size, *cuts})
    parts = [place(one) for start, stop in pairwise(edges) for one in read(path, start, stop)]
    assert parts == whole


@needs_data
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cutting_gives_each_record_once(data: st.DataObject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_archive, "_LOOK_BACK", data.draw(st.sampled_from([1, 1000, 1 << 18])))
    names = ["real/webrecorder__pywb__dupes.warc.gz", "odd/archivesunleashed__aut__example.docs.warc.gz",
             "real/commoncrawl__ia-web-commons__IAH-urls-wget.warc.gz", "odd/slyrz__warc__test.warc.gz",
             "real/chfoo__warcat__at.warc", "odd/chatnoir-eu__chatnoir-resiliparse__clueweb-quirk.warc.gz",
             "odd/ukwa__webarchive-discovery__IAH-20080430204825-00000-blackbook-truncated.arc.gz"]  # fmt: skip
    path = ARCHIVES / data.draw(st.sampled_from(names))
    size = path.stat().st_size
    assert_same_in_parts(path, data.draw(st.lists(st.integers(0, size), max_size=6)))


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


def test_an_archive_inside_a_record_is_not_entered(tmp_path: Path):
    inner = by_member(pages(4))
    stored = zlib.compressobj(0, wbits=31)  # level 0: the inner members lie in the file byte by byte
    outer = response("http://example.org/a.warc.gz", inner, b"Content-Type: application/gzip")
    path = tmp_path / "nested.warc.gz"
    path.write_bytes(by_member(pages(1)) + stored.compress(outer) + stored.flush() + by_member(pages(2)))
    assert len(read(path)) == 4
    for cut in range(0, path.stat().st_size, 101):
        assert_same_in_parts(path, [cut])


@pytest.mark.parametrize("pack", [bz2.compress, zstandard.compress, gzip.compress, bytes])
def test_files_that_can_t_be_entered_are_read_by_their_first_part(tmp_path: Path, pack):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack(b"".join(pages(5))))
    size = path.stat().st_size
    assert [fate(one) for one in read(path, 0, size // 2)] == ["kept"] * 5
    assert read(path, size // 2) == []
    assert [one.offset for one in read(path)] == [one.offset for one in read(path, 0, 1)]


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
    assert not WARC.can_enter("a.warc")
    assert not WARC.can_enter("a.warc.zst")
