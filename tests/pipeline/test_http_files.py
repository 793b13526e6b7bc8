"""Files on web servers, from a server on the loopback address: ranges, broken connections, changes, lies."""

from __future__ import annotations

import io
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_server import Site, serving

from pipeline import files, http_files, plan, prepare, pulse
from pipeline.layout import Layout
from pipeline.recipe_file import loads
from pipeline.sources.catalog import KINDS
from pipeline.sources.source import FilePart
from pipeline.stage import Item

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http_files, "PAUSE", 0.0)
    with serving() as made:
        made.files["/a"] = DATA
        yield made


@pytest.mark.parametrize("ranges", [True, False])
def test_reading_forward_and_moving_about(site: Site, ranges: bool) -> None:
    site.ranges = ranges
    with files.open_read(f"{site.url}/a") as stream:
        assert stream.read(10) == DATA[:10]
        assert stream.seek(2_000_000) == 2_000_000
        assert stream.read(70_000) == DATA[2_000_000:2_070_000]
        stream.seek(5)
        assert stream.read(5) == DATA[5:10]
        stream.seek(-7, io.SEEK_END)
        assert stream.read() == DATA[-7:]
        assert stream.read(1) == b""
        stream.seek(0)
        assert stream.read() == DATA
    with files.open_read(f"{site.url}/a", 2_999_990) as stream:
        assert stream.read() == DATA[2_999_990:]
    with files.open_read(f"{site.url}/a", 3_000_005) as stream:
        assert stream.read() == b""


def test_one_connection_reads_forward(site: Site) -> None:
    with files.open_read(f"{site.url}/a") as stream:
        while stream.read(100_000):
            pass
    assert site.requests == [("/a", "bytes=0-")]
    site.requests.clear()
    with files.open_read(f"{site.url}/a") as stream:
        stream.read(10)
        stream.seek(400_000)  # near enough to read on
        stream.read(10)
        stream.seek(2_900_000)
        stream.read(10)
    assert site.requests == [("/a", "bytes=0-"), ("/a", "bytes=2900000-")]


@pytest.mark.parametrize("ranges", [True, False])
def test_reading_goes_on_where_a_connection_broke(site: Site, ranges: bool) -> None:
    site.ranges = ranges
    site.break_after = [1_000_000, 1_900_000, 1_000, 0]
    with files.open_read(f"{site.url}/a") as stream:
        assert stream.read() == DATA
    assert len(site.requests) == 5


def test_a_connection_that_always_breaks_is_an_error_in_the_end(site: Site) -> None:
    site.break_after = [100] * 50
    with files.open_read(f"{site.url}/a") as stream, pytest.raises(OSError, match=r"6 times, at byte \d+"):
        stream.read()
    assert len(site.requests) == http_files.ATTEMPTS


def test_a_busy_server_is_asked_again_but_not_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(http_files, "PAUSE", 0.5)
    monkeypatch.setattr(http_files.time, "sleep", pauses.append)
    site.answers = [503, 429, 500]
    assert files.size_of(f"{site.url}/a") == len(DATA)
    assert pauses == [0.5, 1, 2]
    pauses.clear()
    site.answers, site.headers = [503] * 99, {"Retry-After": "7"}
    with pytest.raises(OSError, match="HTTP status 503, 6 times"):
        files.find(f"{site.url}/a")
    assert pauses == [7, 7, 7, 7, 8]
    pauses.clear()
    site.headers = {"Retry-After": "99999"}
    with pytest.raises(OSError, match="503"):
        files.find(f"{site.url}/a")
    assert max(pauses) == 60


def test_nobody_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_files, "PAUSE", 0.0)
    with serving() as gone:
        url = gone.url
    with pytest.raises(OSError, match="6 times"):
        files.find(f"{url}/a")
    with pytest.raises(OSError, match="http"):
        files.find("http://[broken/a")


@pytest.mark.parametrize("how", ["tag", "size", "time"])
def test_a_file_that_changes_while_it_is_read_is_an_error(site: Site, how: str) -> None:
    site.tags["/a"] = '"one"'
    with files.open_read(f"{site.url}/a") as stream:
        stream.read(1000)
        if how == "tag":
            site.tags["/a"] = '"two"'
        elif how == "size":
            site.files["/a"] = DATA + b"x"
        else:
            del site.tags["/a"]
            site.headers = {"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        stream.seek(2_000_000)
        with pytest.raises(OSError, match="was changed on the server while it was read"):
            stream.read(1000)


def test_what_the_server_says_of_a_file(site: Site) -> None:
    site.headers = {"Last-Modified": "Tue, 21 Jan 2025 00:01:00 GMT"}
    site.files["/empty"] = b""
    assert files.find(f"{site.url}/a") == [files.Found(f"{site.url}/a", len(DATA), 1737417660.0)]
    assert [one.size for one in files.find(f"{site.url}/empty")] == [0]
    with files.open_read(f"{site.url}/empty") as stream:
        assert stream.read() == b""
    assert files.find(f"{site.url}/none") == []
    assert files.exists(f"{site.url}/a")
    assert not files.exists(f"{site.url}/none")
    assert files.size_of(f"{site.url}/none") is None
    with pytest.raises(FileNotFoundError, match="no such file on the server"):
        files.open_read(f"{site.url}/none").read()
    site.answers = [403]
    with pytest.raises(http_files.Unreachable, match="403"):
        files.find(f"{site.url}/a")
    site.ranges, site.length = False, False
    with pytest.raises(OSError, match="doesn't say how large"):
        files.find(f"{site.url}/a")


def test_redirects_are_followed_a_few_times(site: Site) -> None:
    site.redirects = {"/b": "/a", "/round": "/round"}
    with files.open_read(f"{site.url}/b") as stream:
        assert stream.read(10) == DATA[:10]
    with pytest.raises(OSError, match="more than 5 redirects"):
        files.find(f"{site.url}/round")
    assert len(site.requests) < 12


def test_what_can_t_be_done_over_http_says_so(site: Site) -> None:
    for pattern in ("/*.gz", "/folder/"):
        with pytest.raises(OSError, match="name each file"):
            files.find(site.url + pattern)
    with pytest.raises(OSError, match="never written"):
        files.write_text(f"{site.url}/new", "x")
    assert files.base_of(f"{site.url}/x/y.gz") == f"{site.url}/x"
    assert site.requests == []


@pytest.mark.parametrize(
    ("scheme", "module", "package"),
    [
        ("s3", "boto3", "corpusmill[aws]"),
        ("gs", "google.cloud.storage", "corpusmill[gcp]"),
        ("hdfs", "hdfs", "apache-beam["),
    ],
)
def test_a_store_whose_library_is_missing_says_what_to_install(scheme: str, module: str, package: str) -> None:
    """In a process that can't import the library, whether or not it is installed here."""
    program = (
        f"import sys; sys.modules[{module!r}] = None; from pipeline import files; files.find('{scheme}://bucket/*')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert re.search(rf"^OSError: .*pip install '{re.escape(package)}", ended.stderr, re.MULTILINE), ended.stderr


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3_100_000), st.integers(0, 5000)), max_size=8), st.booleans())
def test_any_reading_gives_the_bytes_of_the_file(moves: list[tuple[int, int]], ranges: bool) -> None:
    with serving() as site:
        site.files["/a"], site.ranges = DATA, ranges
        with files.open_read(f"{site.url}/a") as stream:
            for place, count in moves:
                stream.seek(place)
                assert stream.read(count) == DATA[place : place + count]


def test_every_kind_of_source_reads_over_http(site: Site, tmp_path: Path) -> None:
    """A zip archive and a Parquet file are read from their ends, the others forward."""
    rows = pa.table({"text": ["one page", "another page"]})
    pq.write_table(rows, tmp_path / "t.parquet")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.py", "print(1)\n" * 20)
    wanted = {
        "parquet": ("/t.parquet", (tmp_path / "t.parquet").read_bytes()),
        "code": ("/c.zip", packed.getvalue()),
        "jsonl": ("/j.jsonl", b'{"text": "one"}\n{"text": "two"}\n'),
        "books": ("/b.txt", b"A book.\n\nIt has two paragraphs.\n"),
    }
    for kind, (name, data) in wanted.items():
        site.files[name] = data
        (tmp_path / name[1:]).write_bytes(data)
        source = KINDS[kind].model_validate({"name": kind, "paths": [site.url + name], "filters": None})
        (found,) = source.find()
        read = []
        for path in (found.path, str(tmp_path / name[1:])):
            part = FilePart(path, name[1:], 0, found.size, found.size)
            read.append([(one.offset, one.failure, one.text and one.text()) for one in source.read(part, 1 << 20)])
        assert read[0] == read[1]
        assert read[0] and not any(failure for _, failure, _ in read[0])


def test_a_server_that_goes_away_stops_the_run_and_makes_no_failures(site: Site, tmp_path: Path) -> None:
    """Where the same command with a better network would write something else, nothing may be written."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.py", random.Random(1).randbytes(900_000))
    site.files |= {"/a.zip": packed.getvalue(), "/a.jsonl": b'{"text": "one"}\n' * 100_000}
    for kind, name in (("code", "/a.zip"), ("jsonl", "/a.jsonl"), ("warc", "/a.jsonl")):
        recipe = loads(f"sources: [{{name: x, kind: {kind}, paths: ['{site.url}{name}'], filters: none}}]")
        (split,) = plan.make(recipe).splits
        reader = prepare.Read(recipe, recipe.sources[0], Layout.of(str(tmp_path)))
        site.answers = [503] * http_files.ATTEMPTS
        with pytest.raises(http_files.Unreachable, match="503"):
            list(reader.process(Item("x", 1, (split,))))
        for sound in range(4):  # answers before the server goes away: in the archive's table of contents, in its file
            site.break_after = [1 << 30] * sound + [2000] * 99
            with pytest.raises(http_files.Unreachable, match="6 times"):
                list(reader.process(Item("x", 1, (split,))))
            if kind != "code":
                break
        site.break_after.clear()


def test_who_waits_for_a_server_works_on_no_record(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = [pulse.NOTHING, pulse.NOTHING, 0, 0]
    monkeypatch.setattr(pulse, "_slots", slots)
    seen: list[int] = []
    monkeypatch.setattr(http_files.time, "sleep", lambda seconds: seen.append(slots[pulse.SPLIT]))
    pulse.at(7, 3)
    site.answers = [503, 503]
    with files.open_read(f"{site.url}/a") as stream:
        stream.read(10)
    assert seen == [pulse.NOTHING] * 2
    assert slots[:2] == [7, 3]
