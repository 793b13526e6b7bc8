"""The tables in ``keys/``: writing them, and reading a level's keys as rows for the search for repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pipeline import tables
from pipeline.dedup import candidates, minhash, runs
from pipeline.dedup.keys import Keys, Lists
from pipeline.dedup.runs import ROW, Rows
from pipeline.dedup.settings import Near
from pipeline.files import Written

Level = Literal["exact", "url", "near", "spans", "boilerplate"]
"""What is compared, in the order in which it is: whole documents first, then parts of those that are left."""

KEYS = pa.schema(
    [
        ("number", pa.uint64()),
        ("rank", pa.uint64()),
        ("exact", pa.uint64()),
        ("exact_check", pa.uint64()),
        ("url", pa.uint64()),
        ("url_check", pa.uint64()),
        ("site", pa.uint64()),
        ("signature", pa.list_(pa.uint32())),
        ("spans", pa.list_(pa.uint64())),
        ("lines", pa.list_(pa.uint64())),
    ]
)
"""One row a kept document; ``…_check`` is the upper half of a 128-bit digest."""


def made(numbers: Sequence[int], ranks: Sequence[int], found: Keys) -> pa.Table:
    """The keys of documents as a table."""
    columns: dict[str, Any] = {
        "number": numbers,
        "rank": ranks,
        "exact": found.exact[:, 0],
        "exact_check": found.exact[:, 1],
        "url": found.urls[:, 0],
        "url_check": found.urls[:, 1],
        "site": found.sites,
        "signature": _lists(found.signatures, pa.uint32()),
        "spans": _lists(found.spans, pa.uint64()),
        "lines": _lists(found.lines, pa.uint64()),
    }
    return pa.table(columns, schema=KEYS)


def write(path: str, table: pa.Table) -> Written:
    """Write a table of keys; they are hashes, so nothing would be won by compressing them."""
    return tables.write(path, table, compress=False)


def facts(table: pa.Table) -> dict[str, int]:
    """What the dedup stages plan from: the first and last document, and how many keys of each level there are."""
    numbers = table.column("number").to_numpy()
    return {
        "rows": table.num_rows,
        "first": int(numbers[0]),
        "last": int(numbers[-1]),
        "addresses": int(np.count_nonzero(table.column("url").to_numpy() | table.column("url_check").to_numpy())),
        "signatures": int(np.count_nonzero(_list_lengths(table, "signature"))),
        "spans": int(_list_lengths(table, "spans").sum()),
        "lines": int(_list_lengths(table, "lines").sum()),
    }


def _lists(lists: Lists, kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(lists.offsets.astype(np.int32)), pa.array(lists.values, kind))


def _list_lengths(table: pa.Table, name: str) -> Rows:
    return np.diff(table.column(name).combine_chunks().offsets.to_numpy())


def rows(path: str, level: Level, near: Near | Literal[False]) -> Rows:
    """A level's keys in a table: an array of ROW. Documents without a key are left out."""
    match level:
        case "exact" | "url":
            return _digests(tables.read(path, ["number", "rank", level, f"{level}_check"]), level)
        case "near":
            assert near
            return _bands(path, near)
        case "spans":
            table = tables.read(path, ["number", "rank", "spans"])
            values, document, positions = _flat(table, "spans")
            return runs.rows(values, 0, _column(table, "rank")[document], _column(table, "number")[document], positions)
        case "boilerplate":
            table = tables.read(path, ["number", "site", "lines"])
            values, document, positions = _flat(table, "lines")
            of_site = runs.joined(_column(table, "site")[document], values)
            return runs.rows(
                of_site, 0, np.zeros(len(values), np.uint64), _column(table, "number")[document], positions
            )


def signatures(path: str) -> tuple[Rows, Rows, Rows]:
    """Numbers and ranks of the documents in a table that have a signature, and these: shape (documents, permutations)."""
    table = tables.read(path, ["number", "rank", "signature"]).combine_chunks()
    which = np.flatnonzero(_list_lengths(table, "signature"))
    values = table.column("signature").combine_chunks().flatten().to_numpy()
    found = values.reshape(len(which), -1) if len(which) else np.empty((0, 0), np.uint32)
    return _column(table, "number")[which], _column(table, "rank")[which], found


def _column(table: pa.Table, name: str) -> Rows:
    return table.column(name).to_numpy()


def _digests(table: pa.Table, level: str) -> Rows:
    key, check = _column(table, level), _column(table, f"{level}_check")
    there = np.flatnonzero(key | check)
    return runs.rows(key[there], check[there], _column(table, "rank")[there], _column(table, "number")[there])


def _bands(path: str, near: Near) -> Rows:
    numbers, ranks, found = signatures(path)
    if not len(numbers):
        return np.empty(0, ROW)
    keys_ = minhash.band_keys(found, near.bands, near.rows)
    sketches = candidates.sketches(found, near.bands, near.rows)
    return runs.rows(keys_.ravel(), sketches.ravel(), np.repeat(ranks, near.bands), np.repeat(numbers, near.bands))


def _flat(table: pa.Table, name: str) -> tuple[Rows, Rows, Rows]:
    """The values of a column of lists that are not 0, with the row and the place in its list of each."""
    lists = table.column(name).combine_chunks()
    offsets = lists.offsets.to_numpy()
    lengths = np.diff(offsets)
    values = lists.flatten().to_numpy()
    document = np.repeat(np.arange(len(lengths)), lengths)
    positions = np.arange(len(values), dtype=np.int64) - np.repeat(offsets[:-1] - offsets[0], lengths)
    there = np.flatnonzero(values)
    return values[there], document[there], positions[there]
