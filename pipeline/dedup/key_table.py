"""The tables in ``keys/``: writing them, and reading a level's keys as rows for the search for repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import tables
from pipeline.dedup import candidates, runs
from pipeline.dedup.keys import Keys, Lists, Signatures
from pipeline.dedup.runs import Rows
from pipeline.dedup.settings import Near
from pipeline.files import Written

Level = Literal["exact", "url", "near", "spans", "boilerplate"]
"""What is compared, in the order in which it is: whole documents first, then parts of those that are left."""


def schema(permutations: int) -> pa.Schema:
    """One row a kept document; ``…_check`` is the upper half of a 128-bit digest.

    A signature is its values as bytes, 4 a value, little-endian: a list of numbers takes six times as long to read.
    """
    return pa.schema(
        [
            ("number", pa.uint64()),
            ("rank", pa.uint64()),
            ("exact", pa.uint64()),
            ("exact_check", pa.uint64()),
            ("url", pa.uint64()),
            ("url_check", pa.uint64()),
            ("site", pa.uint64()),
            ("signature", pa.binary(4 * max(1, permutations))),
            ("spans", pa.list_(pa.uint64())),
            ("lines", pa.list_(pa.uint64())),
        ]
    )


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
        "signature": _packed(found.signatures),
        "spans": _lists(found.spans, pa.uint64()),
        "lines": _lists(found.lines, pa.uint64()),
    }
    return pa.table(columns, schema=schema(found.signatures.values.shape[1]))


def _packed(signatures: Signatures) -> pa.FixedSizeBinaryArray:
    """A row a document, null where it has no signature."""
    there, values = signatures
    rows = np.zeros((len(there), max(1, values.shape[1])), "<u4")
    rows[there, : values.shape[1]] = values
    bits = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(bits), pa.py_buffer(rows)]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(4 * rows.shape[1]), len(there), buffers)


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
        "signatures": len(table) - table.column("signature").null_count,
        "spans": int(_list_lengths(table, "spans").sum()),
        "lines": int(_list_lengths(table, "lines").sum()),
    }


def _lists(lists: Lists, kind: pa.DataType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(lists.offsets.astype(np.int32)), pa.array(lists.values, kind))


def _list_lengths(table: pa.Table, name: str) -> Rows:
    return np.diff(table.column(name).combine_chunks().offsets.to_numpy())


_COLUMNS: dict[Level, list[str]] = {
    "exact": ["exact", "exact_check"],
    "url": ["url", "url_check"],
    "near": ["signature"],
    "spans": ["spans"],
    "boilerplate": ["site", "lines"],
}
"""Where the keys of a level stand."""


class Range(NamedTuple):
    """A part of the key space: the keys whose upper 32 bits lie from ``low`` up to, not including, ``high``."""

    low: int
    high: int

    @classmethod
    def of_partitions(cls, first: int, stop: int, partitions: int) -> Range:
        """What ``runs.partition_of`` puts into the partitions from ``first`` up to, not including, ``stop``."""
        return cls(*(-(-(one << 32) // partitions) for one in (first, stop)))

    def holds(self, keys: Rows) -> Rows:
        """Which of the keys lie in it."""
        upper = keys >> np.uint64(32)
        found: Rows = (upper >= self.low) & (upper < self.high)
        return found


def rows(path: str, level: Level, near: Near | Literal[False], within: Range, still: Callable[[Rows], Rows]) -> Rows:
    """A level's keys in a table that lie in a part of the key space: an array of ROW. Documents without a key are left out.

    ``still`` says which of the document numbers that it is given take part.
    """
    table = tables.read(path, ["number", "rank", *_COLUMNS[level]])
    numbers, ranks = _column(table, "number"), _column(table, "rank")
    there = still(numbers)
    positions: Rows | int = 0
    check: Rows | int = 0
    match level:
        case "exact" | "url":
            keys, check = _column(table, level), _column(table, f"{level}_check")
            document = np.flatnonzero(there & ((keys | check) != 0) & within.holds(keys))
            keys, check = keys[document], check[document]
        case "near":
            assert near
            which, found = _signatures(table)
            document, keys, check = candidates.bands_within(found, there[which], near.bands, near.rows, *within)
            document = which[document]
        case "spans":
            keys, document, positions = _flat(table, "spans", there, within)
        case "boilerplate":
            sites = _column(table, "site")
            keys, document, positions = _flat(table, "lines", there, within, lambda document: sites[document])
            ranks = np.zeros_like(ranks)
    return runs.rows(keys, check, ranks[document], numbers[document], positions)


def signatures(path: str) -> tuple[Rows, Rows, Rows]:
    """Numbers and ranks of the documents in a table that have a signature, and these: shape (documents, permutations)."""
    table = tables.read(path, ["number", "rank", "signature"])
    which, found = _signatures(table)
    return _column(table, "number")[which], _column(table, "rank")[which], found


def _signatures(table: pa.Table) -> tuple[Rows, Rows]:
    """Which documents of a table have a signature, and these: shape (documents, permutations)."""
    packed = table.column("signature").combine_chunks()
    which = np.flatnonzero(packed.is_valid().to_numpy(zero_copy_only=False))
    width = packed.type.byte_width // 4
    values = np.frombuffer(packed.buffers()[1] or b"", "<u4", len(packed) * width, packed.offset * width * 4)
    values = values.reshape(len(packed), width)
    values = values if len(which) == len(values) else values[which]
    values.flags.writeable = False  # always, since kernels are compiled for the one or the other
    return which, values


def _column(table: pa.Table, name: str) -> Rows:
    return table.column(name).to_numpy()


def _flat(
    table: pa.Table, name: str, there: Rows, within: Range, site: Callable[[Rows], Rows] | None = None
) -> tuple[Rows, Rows, Rows]:
    """The values of a column of lists that are not 0, with the row and the place in its list of each.

    Given ``site``, they are joined with what it says of their rows.
    """
    lists = table.column(name).combine_chunks()
    offsets = lists.offsets.to_numpy()
    lengths = np.diff(offsets)
    values = lists.flatten().to_numpy()
    chosen = np.repeat(there, lengths) & (values != 0)
    if site is None:
        chosen &= within.holds(values)
    at = np.flatnonzero(chosen)
    values = values[at]
    document = np.searchsorted(offsets - offsets[0], at, side="right") - 1
    if site is not None:
        values = runs.joined(site(document), values)
        inside = within.holds(values)
        at, values, document = at[inside], values[inside], document[inside]
    return values, document, at - (offsets[:-1] - offsets[0])[document]
