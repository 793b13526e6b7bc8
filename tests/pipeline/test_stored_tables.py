"""The Parquet tables of a run: what is written comes back, equal tables are equal bytes, damage names the file."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from filters.document import Document, Origin
from pipeline import tables

SIGNALS = ("a.length", "b.ratio", "中.文")
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SIZE = st.integers(0, (1 << 63) - 1)
DOCUMENTS = st.lists(
    st.builds(
        Document,
        id=TEXT,
        text=TEXT,
        source=TEXT,
        origin=st.builds(Origin, TEXT, SIZE, SIZE),
        number=st.integers(0, (1 << 64) - 1),
        url=TEXT,
        date=TEXT,
        language=TEXT,
        metadata=st.dictionaries(TEXT, TEXT, max_size=3),
        signals=st.dictionaries(st.sampled_from(SIGNALS), st.floats(allow_nan=False), max_size=3),
    ),
    max_size=5,
)
ODD = Document(
    id="0",
    text="\0 \ufeff e\u0301 \U0001f469\u200d\U0001f680 \U0010ffff \uffff \u202e \r\n",
    source="s",
    origin=Origin("数据/é.gz", 0, 1),
    metadata={"z": "", "a": '"\\\n'},
    signals={"a.length": math.inf, "b.ratio": -0.0},
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DOCUMENTS)
@example([ODD, Document("1", "", "", Origin("", 0, 0))])
@example([])
def test_documents_come_back(tmp_path: Path, documents: list[Document]) -> None:
    table = tables.of_documents(documents, tables.documents(SIGNALS))
    path = str(tmp_path / "t.parquet")
    tables.write(path, table)
    assert tables.to_documents(table) == documents
    assert tables.to_documents(tables.read(path)) == documents
    assert tables.read(path).equals(table)


def test_the_columns_of_removed_documents(tmp_path: Path) -> None:
    schema = tables.documents(("a.b",), removed=True)
    assert schema.names[-2:] == ["signals", "removed_by"]
    document = Document("1", "x", "web", Origin("f", 0, 1), removed_by="gopher.too_few_words")
    table = tables.of_documents([document], schema)
    tables.write(str(tmp_path / "t.parquet"), table)
    assert tables.read(str(tmp_path / "t.parquet"), ["removed_by"]).to_pylist() == [
        {"removed_by": "gopher.too_few_words"}
    ]


def test_where_nothing_is_measured_documents_come_back_all_the_same(tmp_path: Path) -> None:
    document = Document("1", "x", "web", Origin("f", 0, 1))
    tables.write(str(tmp_path / "t.parquet"), tables.of_documents([document], tables.documents(())))
    assert tables.to_documents(tables.read(str(tmp_path / "t.parquet"))) == [document]


def test_a_signal_that_the_schema_lacks_is_not_written_and_one_not_measured_is_null() -> None:
    document = Document("1", "x", "web", Origin("f", 0, 1), signals={"a": 1.0, "other": 2.0})
    table = tables.of_documents([document], tables.documents(("a", "b")))
    assert table.column("signals").to_pylist() == [{"a": 1.0, "b": None}]


def many(count: int) -> list[Document]:
    return [
        Document(
            f"{number:032x}", f"text {number} " * (number % 50), "web", Origin("f", number, 7), number, language="en"
        )
        for number in range(count)
    ]


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    schema = tables.documents(SIGNALS)
    documents = many(5000)
    whole = tables.of_documents(documents, schema)
    pieces = pa.concat_tables(tables.of_documents(documents[at : at + 777], schema) for at in range(0, 5000, 777))
    sliced = tables.of_documents(documents[:1] * 3 + documents, schema).slice(3)
    written = [tables.write(f"{tmp_path}/{number}", one) for number, one in enumerate((whole, whole, pieces, sliced))]
    assert len({one.sha256 for one in written}) == 1
    assert written[0].bytes == (tmp_path / "0").stat().st_size
    other = tables.of_documents([*documents[:-1], Document("x", "", "web", Origin("f", 0, 7), 4999)], schema)
    assert tables.write(f"{tmp_path}/other", other).sha256 != written[0].sha256


def test_hashes_are_written_as_they_are(tmp_path: Path) -> None:
    table = pa.table({"key": pa.array(range(1000), pa.uint64())})
    tables.write(f"{tmp_path}/t", table, compress=False)
    column = pq.ParquetFile(tmp_path / "t").metadata.row_group(0).column(0)
    assert column.compression == "UNCOMPRESSED"
    assert tables.read(f"{tmp_path}/t").equals(table)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 100, 0.5, 0.9, -1, -4, -8, -9])
def test_a_cut_file_is_an_error_that_names_it(tmp_path: Path, size: float) -> None:
    path = tmp_path / "cut.parquet"
    tables.write(str(path), tables.of_documents(many(300), tables.documents(SIGNALS)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * size)] if isinstance(size, float) else data[:size])
    with pytest.raises(ValueError, match=r"cut\.parquet: not a whole Parquet file"):
        tables.read(str(path))


def test_damage_inside_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    tables.write(str(path), tables.of_documents(many(300), tables.documents(SIGNALS)))
    data = bytearray(path.read_bytes())
    metadata = pq.ParquetFile(path).metadata.row_group(0)
    text = next(
        metadata.column(at) for at in range(metadata.num_columns) if metadata.column(at).path_in_schema == "text"
    )
    for at in range(text.data_page_offset, text.data_page_offset + 60):
        data[at] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged\.parquet"):
        tables.read(str(path))
    assert tables.read(str(path), ["number"]).num_rows == 300, "the other columns are still whole"


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tables.read(str(tmp_path / "missing.parquet"))


def test_read_all_gives_one_table_a_file(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/{number}" for number in range(3)]
    for path, count in zip(paths, (2, 0, 5), strict=True):
        tables.write(path, tables.of_documents(many(count), tables.documents(SIGNALS)))
    read = list(tables.read_all(paths, ["number", "source"]))
    assert [table.num_rows for table in read] == [2, 0, 5]
    assert all(table.schema.names == ["number", "source"] for table in read)
