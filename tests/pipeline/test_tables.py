"""Rows of JSON lines and Parquet as documents."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import outcome

from pipeline.prepare import valid
from pipeline.sources.source import FilePart, Record
from pipeline.sources.tables import Arrow, Jsonl, Parquet

JSONL = Jsonl(name="t", paths=("x",))
PARQUET = Parquet(name="t", paths=("x",))
ARROW = Arrow(name="t", paths=("x",))
LIMIT = 1 << 20


def part(path: Path, start: int = 0, stop: int | None = None) -> FilePart:
    size = path.stat().st_size
    return FilePart(str(path), path.name, start, size if stop is None else stop, size)


def read(path: Path, source: Jsonl | Parquet | Arrow = JSONL, limit: int = LIMIT) -> list[Record]:
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
    assert valid(outcome(first)) == expected
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
    assert PARQUET.can_enter("a/b.parquet")
    assert ARROW.can_enter("a/b.arrow")


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
    for source in (JSONL, PARQUET, ARROW):
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


def test_columns_inside_others(tmp_path: Path) -> None:
    row = {"text": "t", "meta": {"pile_set_name": "Books3", "a.b": {"c": 1}, "n": None}, "x.y": "dotted"}
    source = {"metadata": ("meta.pile_set_name", "x.y", "meta.n", "meta.absent.deep"), "url": "meta.pile_set_name"}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (record,) = read(path, Jsonl(name="t", paths=("x",), **source))
    assert record.metadata == {"meta.pile_set_name": "Books3", "x.y": "dotted"}
    assert record.url == "Books3"
    nested = pa.table({"meta": [{"body": "t", "url": "u", "other": "o"}]})
    settings_ = {"text": "meta.body", "url": "meta.url"}
    pq.write_table(nested, tmp_path / "a.parquet")
    write_arrow(tmp_path / "a.arrow", nested, stream=True)
    for file, kind in (("a.parquet", Parquet), ("a.arrow", Arrow)):
        (record,) = read(tmp_path / file, kind(name="t", paths=("x",), **settings_))
        assert (outcome(record), record.url) == ("t", "u")


def write_arrow(path: Path, table: pa.Table, stream: bool, rows: int = 100, **options: object) -> None:
    opened = pa.ipc.new_stream if stream else pa.ipc.new_file
    with opened(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("stream", [False, True])
def test_arrow_rows(stream: bool, compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "data-00000-of-00001.arrow"
    table = pa.table({"text": ["a", None, "c"] * 100, "url": [f"u{i}" for i in range(300)], "n": range(300)})
    write_arrow(path, table, stream, compression=compression)
    found = read(path, Arrow(name="t", paths=("x",), metadata=("n",)))
    assert [(record.offset >> 32) * 100 + (record.offset & 0xFFFFFFFF) for record in found] == list(range(300))
    assert [outcome(record) for record in found[:3]] == ["a", "table.null_text", "c"]
    assert (found[107].url, found[107].metadata) == ("u107", {"n": "107"})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 20_000), max_size=6),
    rows=st.integers(1, 90),
    form=st.sampled_from(["file", "stream", "parquet"]),
)
def test_the_parts_of_a_binary_table_give_each_row_once(cuts: list[int], rows: int, form: str, tmp_path: Path) -> None:
    table = pa.table({"text": [f"row {i}" for i in range(300)]})
    path = tmp_path / ("a.parquet" if form == "parquet" else "a.arrow")
    if form == "parquet":
        pq.write_table(table, path, row_group_size=rows)
    else:
        write_arrow(path, table, form == "stream", rows)
    source = PARQUET if form == "parquet" else ARROW
    size = path.stat().st_size
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)})
    together = [
        outcome(record)
        for start, stop in pairwise(edges)
        for record in source.read(FilePart(str(path), path.name, start, stop, size), LIMIT)
    ]
    assert together == [f"row {i}" for i in range(300)]


def test_a_data_set_as_hugging_face_saves_it(tmp_path: Path) -> None:
    import datasets

    made = datasets.Dataset.from_dict({"text": [f"text {i}" for i in range(50)], "label": [1] * 50})
    made.save_to_disk(str(tmp_path / "set"), num_shards=2)
    found = [outcome(record) for path in sorted((tmp_path / "set").iterdir()) for record in read(path, ARROW)]
    assert [one for one in found if one.startswith("text")] == [f"text {i}" for i in range(50)]
    assert [one for one in found if not one.startswith("text")] == ["table.no_data"] * 2


def test_arrow_without_the_column_and_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_arrow(path, pa.table({"content": ["a"]}), False)
    (only,) = read(path, ARROW)
    assert "content" in only.failure
    table = pa.table({"text": [f"row {i}" for i in range(300)]})
    write_arrow(path, table, True)
    path.write_bytes(path.read_bytes()[:-1000])
    found = read(path, ARROW)
    assert [outcome(record) for record in found[:-1]] == [f"row {i}" for i in range(len(found) - 1)]
    assert len(found) > 100 and "cut off" in found[-1].failure
    write_arrow(path, table, False)
    data = bytearray(path.read_bytes())
    place = data.index(b"row 150") - 40
    data[place : place + 4] = b"\xff\xff\xff\x7f"  # an offset far outside the text
    path.write_bytes(data)
    found = read(path, ARROW)
    assert any(record.failure for record in found)
    assert {outcome(record) for record in found} >= {"row 0", "row 99", "row 200", "row 299"}
