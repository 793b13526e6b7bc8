"""Shards: what is written is read, by us and by others; damage is found; a document always goes to the same place."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import files
from tokenizer.shard import (
    BATCH_ROWS,
    BATCH_TOKENS,
    About,
    Counts,
    DamagedShard,
    Shard,
    ShardDocument,
    place,
    write_shard,
)

ABOUT = About("a" * 64, "b" * 64, "commoncrawl", "train", 32_000, 0)
WIDE = About("a" * 64, "b" * 64, "commoncrawl", "validation", 100_000, 99_999)


def documents_of(lengths: list[int], dtype=np.uint16, top: int = 32_000) -> list[ShardDocument]:
    generator = np.random.default_rng(1)
    return [
        ShardDocument(
            generator.integers(0, top, length).astype(dtype), f"id-{row}", row << 28 | 7, f"https://e.org/{row}é"
        )
        for row, length in enumerate(lengths)
    ]


def written(documents, about=ABOUT) -> bytes:
    stream = io.BytesIO()
    write_shard(stream, documents, about)
    return stream.getvalue()


def save(path: Path, documents, about=ABOUT) -> Shard:
    path.write_bytes(written(documents, about))
    return Shard(path)


def rows_of(shard: Shard) -> list[tuple[list[int], str, int, str]]:
    return [
        (shard.tokens(row).tolist(), shard.document_id(row), shard.document(row), shard.url(row))
        for row in range(len(shard))
    ]


DOCUMENTS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 31_999), max_size=30),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        st.integers(0, 2**64 - 1),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    ),
    max_size=20,
)


@given(rows=DOCUMENTS)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, rows):
    documents = [ShardDocument(np.array(tokens, np.uint16), *others) for tokens, *others in rows]
    shard = save(tmp_path_factory.mktemp("shard") / "s.arrow", documents)
    assert rows_of(shard) == rows
    assert shard.about == ABOUT
    assert shard.verify() == shard.counts == Counts(len(rows), sum(len(row[0]) for row in rows))


def test_ids_above_65535(tmp_path):
    documents = documents_of([10, 0, 100], np.uint32, 100_000)
    documents[0].tokens[0] = 99_999
    shard = save(tmp_path / "s.arrow", documents, WIDE)
    assert shard.tokens(0).dtype == shard.dtype == np.uint32
    assert shard.tokens(0)[0] == 99_999
    assert shard.about.split == "validation"
    assert shard.verify() == Counts(3, 110)


def test_tokens_are_views_of_the_mapped_file(tmp_path):
    shard = save(tmp_path / "s.arrow", documents_of([1000, 2000, 3000]))
    before = pa.total_allocated_bytes()
    tokens = shard.tokens(1)
    assert np.shares_memory(tokens, shard.batch(0).values)
    assert not tokens.flags.writeable
    assert pa.total_allocated_bytes() == before
    if sys.platform == "linux":
        maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("s.arrow")]
        ranges = [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in maps]
        assert any(low <= tokens.ctypes.data < high for low, high in ranges)
    del shard
    assert len(tokens) == 2000
    assert tokens.sum() > 0


def test_batches_hold_about_a_million_tokens_and_whole_documents(tmp_path):
    lengths = [BATCH_TOKENS - 1, 1, 1, 3 * BATCH_TOKENS, 0, 5, BATCH_TOKENS]
    shard = save(
        tmp_path / "s.arrow", [ShardDocument(np.full(n, i, np.uint16), str(i), i) for i, n in enumerate(lengths)]
    )
    batches = list(shard.batches())
    assert [np.diff(batch.offsets).tolist() for batch in batches] == [
        [BATCH_TOKENS - 1, 1], [1], [3 * BATCH_TOKENS], [0, 5], [BATCH_TOKENS]
    ]  # fmt: skip
    assert [len(shard.tokens(row)) for row in range(len(shard))] == lengths
    assert [shard.document_id(row) for row in range(len(shard))] == list("0123456")
    shard.verify()


def test_batches_of_tiny_documents_end_too(tmp_path):
    one = np.zeros(1, np.uint16)
    shard = save(tmp_path / "s.arrow", [ShardDocument(one, "", row) for row in range(BATCH_ROWS + 1)])
    assert [len(batch) for batch in shard.batches()] == [BATCH_ROWS, 1]
    assert shard.document(BATCH_ROWS) == BATCH_ROWS


def test_same_documents_same_bytes():
    assert written(documents_of([5, 0, 70])) == written(iter(documents_of([5, 0, 70])))


def test_metadata_is_what_the_format_says():
    documents = documents_of([5, 0, 70])
    schema = pa.ipc.open_file(io.BytesIO(written(documents))).schema
    assert schema.field("tokens").type == pa.list_(pa.uint16())
    assert schema.names == ["tokens", "document_id", "document", "url"]
    texts = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    (batch,) = json.loads(texts.pop("corpusmill.batches"))
    assert batch["crc32"] == zlib.crc32(np.concatenate([one.tokens for one in documents]).tobytes())
    assert (batch["rows"], batch["tokens"]) == (3, 75)
    texts.pop("corpusmill.checksum")
    assert texts == {
        "corpusmill.format": "1",
        "corpusmill.tokenizer": "a" * 64,
        "corpusmill.recipe": "b" * 64,
        "corpusmill.vocabulary": "32000",
        "corpusmill.end_of_text": "0",
        "corpusmill.source": "commoncrawl",
        "corpusmill.split": "train",
        "corpusmill.documents": "3",
        "corpusmill.tokens": "75",
    }


def test_wrong_tokens_are_not_written():
    with pytest.raises(ValueError, match="id-0 has tokens of type uint32, but uint16"):
        written(documents_of([3], np.uint32))
    with pytest.raises(ValueError, match="id of 32000 in a vocabulary of 32000"):
        written([ShardDocument(np.array([1, 32_000], np.uint16), "x", 0)])


def test_an_atomic_writer_can_be_the_stream(tmp_path):
    path = str(tmp_path / "deep" / "s.arrow")
    with files.replacing(path) as file:
        write_shard(file.stream, documents_of([5, 6]), ABOUT)
    assert file.sha256 == hashlib.sha256(written(documents_of([5, 6]))).hexdigest()
    assert len(Shard(path)) == 2


def test_rows_outside(tmp_path):
    shard = save(tmp_path / "s.arrow", documents_of([1, 2]))
    for row in (-1, 2):
        with pytest.raises(IndexError, match=f"document {row} of 2"):
            shard.tokens(row)


def test_a_flipped_bit_among_the_tokens_is_found(tmp_path):
    path = tmp_path / "s.arrow"
    documents = documents_of([BATCH_TOKENS, 50, 60])
    data = bytearray(written(documents))
    data[data.index(documents[2].tokens.tobytes()) + 7] ^= 4
    path.write_bytes(data)
    shard = Shard(path)
    assert not np.array_equal(shard.tokens(2), documents[2].tokens)
    shard.verify_batch(0)
    with pytest.raises(DamagedShard, match=rf"{path}: batch 1 has crc32 \d+, but \d+ was written"):
        shard.verify()


SMALL = written(documents_of([20, 0, 30]))


@given(place=st.integers(0, len(SMALL) - 1), bit=st.integers(0, 7))
@settings(max_examples=500, deadline=None)
def test_a_flipped_bit_anywhere_is_found_or_harmless(tmp_path_factory, place, bit):
    path = tmp_path_factory.getbasetemp() / "flipped.arrow"
    data = bytearray(SMALL)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    try:
        shard = Shard(path)
        shard.verify()
        found = rows_of(shard)
    except DamagedShard as damage:
        assert str(path) in str(damage)
    else:
        assert found == [(d.tokens.tolist(), d.document_id, d.document, d.url) for d in documents_of([20, 0, 30])]
        assert (shard.about, shard.counts) == (ABOUT, Counts(3, 50))


@given(size=st.integers(0, len(SMALL) - 1))
@settings(deadline=None)
def test_a_cut_shard_can_not_be_opened(tmp_path_factory, size):
    path = tmp_path_factory.getbasetemp() / "cut.arrow"
    path.write_bytes(SMALL[:size])
    with pytest.raises(DamagedShard, match="cut short"):
        Shard(path)


def test_other_files_are_no_shards(tmp_path):
    path = tmp_path / "other.arrow"
    with pa.ipc.new_file(str(path), pa.schema({"tokens": pa.list_(pa.uint16())})):
        pass
    with pytest.raises(DamagedShard, match="not a corpusmill shard"):
        Shard(path)
    with pa.ipc.new_file(str(path), pa.schema({"x": pa.int8()}, metadata={"corpusmill.format": "9"})):
        pass
    with pytest.raises(DamagedShard, match="format 9; this reads format 1"):
        Shard(path)
    with pytest.raises(FileNotFoundError):
        Shard(tmp_path / "missing.arrow")


@pytest.fixture
def two_shards(tmp_path):
    documents = documents_of([100, 0, 200, 1_100_000, 5])
    (tmp_path / "0.arrow").write_bytes(written(documents[:3]))
    (tmp_path / "1.arrow").write_bytes(written(documents[3:]))
    return [str(tmp_path / "0.arrow"), str(tmp_path / "1.arrow")], documents


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_datasets_opens_shards(two_shards, streaming, tmp_path):
    from datasets import load_dataset

    paths, documents = two_shards
    rows = load_dataset(
        "arrow", data_files=paths, split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    found = [(row["tokens"], row["document_id"], row["document"], row["url"]) for row in rows]
    assert found == [(one.tokens.tolist(), one.document_id, one.document, one.url) for one in documents]


def test_duckdb_opens_shards(two_shards):
    import duckdb

    paths, documents = two_shards
    shard = pa.ipc.open_file(pa.memory_map(paths[0])).read_all()
    query = "select document_id, len(tokens), list_sum(tokens) from shard order by document"
    assert duckdb.sql(query).fetchall() == [
        (one.document_id, len(one.tokens), int(one.tokens.sum()) if len(one.tokens) else None) for one in documents[:3]
    ]
    assert shard.num_rows == 3


def test_polars_opens_shards(two_shards):
    import polars

    paths, documents = two_shards
    frame = polars.read_ipc(paths[1])
    assert frame["document_id"].to_list() == [one.document_id for one in documents[3:]]
    assert frame["tokens"].to_list() == [one.tokens.tolist() for one in documents[3:]]


def test_places_never_change():
    found = [place(f"https://example.org/{page}", 10, 0.3, 42) for page in range(4)]
    assert [(one.split, one.shard, one.order) for one in found] == [
        ("train", 4, 12487970973784038242),
        ("validation", 7, 13400903123538409890),
        ("train", 3, 6582100779649332766),
        ("train", 2, 1643895024063472898),
    ]


@given(document=st.text(), seed=st.integers(0, 2**64 - 1), shards=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_split_does_not_depend_on_the_number_of_shards(document, seed, shards, share):
    one, other = place(document, shards, share, seed), place(document, 1, share, seed)
    assert (one.split, one.order) == (other.split, other.order)
    assert 0 <= one.shard < shards
    assert place(document, shards, 1.0, seed).split == "validation"
    assert place(document, shards, 0.0, seed).split == "train"


def test_places_are_even_and_the_three_hashes_have_nothing_in_common():
    places = [place(f"document {number}", 4, 0.25, 7) for number in range(20_000)]
    held_out = [one for one in places if one.split == "validation"]
    assert len(held_out) / len(places) == pytest.approx(0.25, abs=0.01)
    for group in (places, held_out):
        assert np.bincount([one.shard for one in group]) / len(group) == pytest.approx([0.25] * 4, abs=0.02)
    orders = np.array([one.order for one in places], float)
    assert abs(np.corrcoef(orders, [one.shard for one in places])[0, 1]) < 0.02
    assert abs(np.corrcoef(orders, [one.split == "train" for one in places])[0, 1]) < 0.02
    other_seed = [place(f"document {number}", 4, 0.25, 8).split for number in range(20_000)]
    assert np.mean([a.split == b for a, b in zip(places, other_seed, strict=True)]) == pytest.approx(0.625, abs=0.02)


@pytest.mark.parametrize(
    ("shards", "share", "seed"), [(0, 0.1, 0), (1, 1.1, 0), (1, -0.1, 0), (1, 0.1, -1), (1, 0.1, 2**64)]
)
def test_places_that_make_no_sense(shards, share, seed):
    with pytest.raises(ValueError, match=r"shards must be|a seed is"):
        place("x", shards, share, seed)
