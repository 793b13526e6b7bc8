"""A pass reads the keys of its part of the key space, of the documents that are still there, and no others."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import key_table, minhash, runs
from pipeline.dedup.key_table import Level, Range
from pipeline.dedup.keys import Keys, Lists, Signatures
from pipeline.dedup.settings import Near

NEAR = Near(bands=3, rows=2)
PERMUTATIONS = NEAR.permutations
DOCUMENTS = 40
LEVELS: tuple[Level, ...] = ("exact", "url", "near", "spans", "boilerplate")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Keys of some documents: every third without a signature, every fifth without an address, spans of 0 to 6 units."""
    draw = np.random.Generator(np.random.PCG64(3))
    lengths = np.arange(DOCUMENTS) % 7
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = draw.integers(0, 1 << 64, offsets[-1], np.uint64)
    values[::4] = 0
    there = np.arange(DOCUMENTS) % 3 != 0
    digests = draw.integers(1, 1 << 64, (DOCUMENTS, 2), np.uint64)
    urls = np.where((np.arange(DOCUMENTS) % 5 == 0)[:, None], np.uint64(0), digests[::-1])
    signatures = draw.integers(0, 1 << 32, (int(there.sum()), PERMUTATIONS), np.uint32)
    spans = Lists(offsets, values)
    found = Keys(digests, urls, digests[:, 1], Signatures(there, signatures), spans, spans)
    table = key_table.made(list(range(100, 100 + DOCUMENTS)), list(range(DOCUMENTS)), found)
    written = str(tmp_path_factory.mktemp("keys") / "k.parquet")
    key_table.write(written, table)
    assert key_table.facts(table)["signatures"] == there.sum()
    return written


def everything(numbers: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.bool_]:
    return np.ones(len(numbers), bool)


def test_signatures_are_those_that_were_written(path: str) -> None:
    numbers, ranks, found = key_table.signatures(path)
    assert numbers.tolist() == [100 + one for one in range(DOCUMENTS) if one % 3]
    assert ranks.tolist() == [one for one in range(DOCUMENTS) if one % 3]
    assert found.shape == (len(numbers), PERMUTATIONS)
    assert len(np.unique(found)) > len(numbers), "values, not zeros"


def test_bands_are_those_of_the_signatures(path: str) -> None:
    numbers, ranks, found = key_table.signatures(path)
    table = key_table.rows(path, "near", NEAR, Range(0, 1 << 32), everything)
    assert table["key"].tolist() == minhash.band_keys(found, 3, 2).ravel().tolist()
    low = (
        found[:, :6] & 1
    ).tolist()  # a sketch is the lowest bits of the four values outside of the band, from its end on
    sketches = [sum(one[(2 * band + 2 + k) % 6] << k for k in range(4)) for one in low for band in range(3)]
    assert table["check"].tolist() == sketches
    assert table["number"].tolist() == np.repeat(numbers, 3).tolist()
    assert table["rank"].tolist() == np.repeat(ranks, 3).tolist()


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=30, deadline=None)
@given(partitions=st.integers(1, 50), cuts=st.sets(st.integers(1, 49)), gone=st.sets(st.integers(100, 139)))
def test_parts_of_the_key_space_hold_every_key_once(
    path: str, level: Level, partitions: int, cuts: set[int], gone: set[int]
) -> None:
    def still(numbers: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.bool_]:
        return ~np.isin(numbers, list(gone))

    whole = key_table.rows(path, level, NEAR, Range(0, 1 << 32), everything)
    expected = whole[still(whole["number"])]
    assert len(whole) > 20
    edges = [0, *sorted(cut for cut in cuts if cut < partitions), partitions]
    found = []
    for first, stop in itertools.pairwise(edges):
        part = key_table.rows(path, level, NEAR, Range.of_partitions(first, stop, partitions), still)
        places = runs.partition_of(part["key"], partitions)
        assert ((places >= first) & (places < stop)).all()
        found.append(part)
    together = np.concatenate(found)
    assert sorted(together.tolist()) == sorted(expected.tolist())


def test_a_table_without_signatures_has_none(tmp_path: Path) -> None:
    digests = np.ones((2, 2), np.uint64)
    none = Lists(np.zeros(3, np.int64), np.empty(0, np.uint64))
    unsigned = Signatures(np.zeros(2, bool), np.empty((0, 0), np.uint32))
    table = key_table.made([1, 2], [0, 0], Keys(digests, digests, digests[:, 0], unsigned, none, none))
    key_table.write(str(tmp_path / "k.parquet"), table)
    assert key_table.facts(table)["signatures"] == 0
    assert len(key_table.rows(str(tmp_path / "k.parquet"), "near", NEAR, Range(0, 1 << 32), everything)) == 0
