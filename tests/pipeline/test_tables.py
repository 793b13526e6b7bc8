"""Rows of JSON lines and Parquet as documents."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import outcome

from pipeline.sources.source import FilePart, Record
from pipeline.sources.tables import Jsonl, Parquet

JSONL = Jsonl(name="t", paths=("x",))
PARQUET = Parquet(name="t", paths=("x",))
LIMIT = 1 << 20


def part(path: Path, start: int = 0, stop: int | None = None) -> FilePart:
    size = path.stat().st_size
    return FilePart(str(path), path.name, start, size if stop is None else stop, size)


def read(path: Path, source: Jsonl | Parquet = JSONL, limit: int = LIMIT) -> list[Record]:
    return list(source.read(part(path), limit))


def test_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "über", "key": 7, "when": "2020", "url": "u", "stars": 1.5, "tags": ["a"], "no": 1}\n')
    source = Jsonl(name="t", paths=("x",), text="body", id="key", date="when", metadata=("stars", "tags", "absent"))
    (record,) = read(path, source)
    assert (outcome(record), record.url, record.date) == ("über", "u", "2020")
    assert record.metadata == {"id": "7", "stars": "1.5", "tags": '["a"]'}
    assert (record.offset, record.length) == (0, path.stat().st_size)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": "ok"}', "ok"),
        (b'\xef\xbb\xbf{"text": "after a byte order mark"}', "after a byte order mark"),
        (b'{"text": null}', "table.null_text"),
        (b'{"text": 5}', "failed"),
        (b'{"txt": "x"}', "failed"),
        (b'{"text": "cut', "failed"),
        (b'["text"]', "failed"),
        (b'{"text": "\xff"}', "failed"),
        (b"[" * 100_000, "failed"),
        (b'{"text": ' + b"9" * 10_000 + b"}", "failed"),
        (rb'{"text": "lone \ud800 half"}', "lone \ufffd half"),
        (rb'{"text": "pair \ud83d\ude00"}', "pair 😀"),
    ],
)
def test_one_line(line: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line + b'\r\n\n  \n{"text": "next"}')
    first, second = read(path)
    assert outcome(first) == expected
    assert outcome(second) == "next"
    assert second.offset == len(line) + 6


def test_a_line_that_is_too_long_is_a_failure_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "' + b"x" * 3_000_000 + b'"}\n{"text": "b"}\n')
    first, long, last = read(path, limit=1000)
    assert [outcome(first), outcome(long), outcome(last)] == ["a", "failed", "b"]
    assert long.length == 3_000_000 + 13
    assert "1000" in long.failure


def test_compressed_lines_and_a_cut_stream(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d"}\n' % number for number in range(10_000))
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(lines))
    assert [outcome(record) for record in read(path)] == [str(number) for number in range(10_000)]
    path.write_bytes(gzip.compress(lines)[:-500])
    found = [outcome(record) for record in read(path)]
    assert found[:1] == ["0"] and found[-1] == "failed" and found.count("failed") == 1
    # The name may lie: a compressed file that was cut into parts is read whole by the first of them.
    lying = tmp_path / "a.jsonl"
    lying.write_bytes(gzip.compress(lines))
    assert len(list(JSONL.read(part(lying, 0, 100), LIMIT))) == 10_000
    assert list(JSONL.read(part(lying, 100), LIMIT)) == []


def test_which_files_can_be_entered() -> None:
    assert JSONL.can_enter("a/b.jsonl")
    assert not JSONL.can_enter("a/b.jsonl.gz")
    assert not PARQUET.can_enter("a/b.parquet")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.sampled_from([b"", b'{"text": "a"}', b'{"text": "bb"}\r', b"broken", b'{"text": "' + b"c" * 60 + b'"}'])
    ),
    cuts=st.lists(st.integers(0, 500), max_size=6),
    ends=st.booleans(),
)
def test_the_parts_of_a_file_give_each_record_once(
    lines: list[bytes], cuts: list[int], ends: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + (b"\n" if ends else b""))
    size = path.stat().st_size
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)})
    together = []
    for start, stop in pairwise(edges):
        together += list(JSONL.read(FilePart(str(path), path.name, start, stop, size), 50))
    expected = read(path, limit=50)
    assert [(r.offset, r.length, outcome(r)) for r in together] == [(r.offset, r.length, outcome(r)) for r in expected]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=3000))
def test_random_bytes_never_raise(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    for source in (JSONL, PARQUET):
        for record in read(path, source):
            assert record.failure or record.text is not None


def test_parquet_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a", None, "c"] * 500, "url": [f"u{i}" for i in range(1500)], "n": range(1500)})
    pq.write_table(table, path, row_group_size=400)
    found = read(path, Parquet(name="t", paths=("x",), metadata=("n",)))
    assert [record.offset for record in found] == list(range(1500))
    assert [outcome(record) for record in found[:3]] == ["a", "table.null_text", "c"]
    assert (found[7].url, found[7].metadata, found[7].length) == ("u7", {"n": "7"}, 1)
    assert list(PARQUET.read(part(path, 10), LIMIT)) == []


def test_parquet_without_the_column_or_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"content": ["a"]}), path)
    (only,) = read(path, PARQUET)
    assert "content" in only.failure
    pq.write_table(pa.table({"text": [1, 2]}), path)
    assert [outcome(record) for record in read(path, PARQUET)] == ["failed", "failed"]


def test_a_damaged_parquet_file_is_a_failure_for_its_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"row {i} " * 50 for i in range(900)]})
    pq.write_table(table, path, row_group_size=300, use_dictionary=False, compression="gzip")
    data = bytearray(path.read_bytes())
    middle = pq.ParquetFile(path).metadata.row_group(1).column(0)
    place = middle.data_page_offset + middle.total_compressed_size // 2
    data[place : place + 200] = bytes(200)
    path.write_bytes(data)
    found = read(path, PARQUET)
    lost = sum(record.length for record in found if record.failure)
    kept = [record for record in found if not record.failure]
    assert lost + len(kept) == 900
    assert lost > 0
    assert outcome(kept[-1]) == "row 899 " * 50
    path.write_bytes(data[:-100])
    (only,) = read(path, PARQUET)
    assert only.failure


def test_a_row_with_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ok\xff\xfe")]
    )
    pq.write_table(pa.table({"text": broken}), path)
    assert [outcome(record) for record in read(path, PARQUET)] == ["ok", "failed"]


def test_texts_larger_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 2000, "y"]}), path)
    assert [outcome(record) for record in read(path, PARQUET, limit=1000)] == ["failed", "y"]
