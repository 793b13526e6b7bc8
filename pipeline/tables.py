"""The Parquet tables of a run: their columns, and writing and reading them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from filters.document import Document, Origin
from pipeline import files

ORIGIN = pa.struct([("file", pa.string()), ("offset", pa.int64()), ("length", pa.int64())])

FAILED = pa.schema(
    [
        ("number", pa.uint64()),
        ("source", pa.string()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("url", pa.string()),
        ("step", pa.string()),
        ("cause", pa.string()),
    ]
)
"""One row a record that could not be read, decoded, parsed or measured."""

DUPLICATES = pa.schema(
    [
        ("number", pa.uint64()),
        ("id", pa.string()),
        ("level", pa.string()),
        ("kept_corpus", pa.string()),
        ("kept_source", pa.string()),
        ("kept_number", pa.uint64()),
        ("kept_id", pa.string()),
        ("similarity", pa.float32()),
        ("pages", pa.uint32()),
        ("start", pa.uint32()),
        ("stop", pa.uint32()),
        ("text", pa.string()),
    ]
)
"""One row for whatever dedup took or found. ``number`` joins with the document tables, ``kept_number`` names the document that
stayed: in this run, or in the reference ``kept_corpus``.

``level`` is one of ``pipeline.dedup.evidence``; ``start`` and ``stop`` are character offsets in the text of ``filtered/`` and
``text`` is the beginning of what was cut, personal data replaced.
"""


def documents(signals: Sequence[str], removed: bool = False) -> pa.Schema:
    """The columns of ``filtered/``, ``documents/`` and, with ``removed_by``, ``removed/``."""
    columns = [
        ("id", pa.string()),
        ("number", pa.uint64()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("language", pa.string()),
        ("origin", ORIGIN),
        ("metadata", pa.string()),
    ]
    if signals:  # Parquet has no empty structs
        columns.append(("signals", pa.struct([(name, pa.float64()) for name in signals])))
    return pa.schema([*columns, ("removed_by", pa.string())] if removed else columns)


def of_documents(batch: Sequence[Document], schema: pa.Schema) -> pa.Table:
    """The documents as a table of that schema; metadata become JSON, signals that were not measured null."""
    columns: dict[str, Any] = {
        "id": pa.array([one.id for one in batch], pa.string()),
        "number": pa.array([one.number for one in batch], pa.uint64()),
        "text": pa.array([one.text for one in batch], pa.string()),
        "source": pa.array([one.source for one in batch], pa.string()),
        "url": pa.array([one.url for one in batch], pa.string()),
        "date": pa.array([one.date for one in batch], pa.string()),
        "language": pa.array([one.language for one in batch], pa.string()),
        "origin": pa.StructArray.from_arrays(
            [
                pa.array([one.origin.file for one in batch], pa.string()),
                pa.array([one.origin.offset for one in batch], pa.int64()),
                pa.array([one.origin.length for one in batch], pa.int64()),
            ],
            fields=list(ORIGIN),
        ),
        "metadata": pa.array([_metadata(one.metadata) for one in batch], pa.string()),
        "removed_by": pa.array([one.removed_by for one in batch], pa.string()),
    }
    if "signals" in schema.names:
        fields = list(schema.field("signals").type)
        measured = [pa.array([one.signals.get(field.name) for one in batch], field.type) for field in fields]
        columns["signals"] = pa.StructArray.from_arrays(measured, fields=fields)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _metadata(metadata: dict[str, str]) -> str:
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True) if metadata else "{}"


def to_documents(table: pa.Table) -> list[Document]:
    """The documents of a table that ``of_documents`` made."""
    table = table.combine_chunks()
    columns = {name: table.column(name).to_pylist() for name in table.schema.names if name not in ("origin", "signals")}
    origins = [column.to_pylist() for column in table.column("origin").combine_chunks().flatten()]
    names, values = [], []
    if "signals" in table.schema.names:
        names = [field.name for field in table.schema.field("signals").type]
        values = [column.to_pylist() for column in table.column("signals").combine_chunks().flatten()]
    return [
        Document(
            id=columns["id"][row],
            text=columns["text"][row],
            source=columns["source"][row],
            origin=Origin(*(part[row] for part in origins)),
            number=columns["number"][row],
            url=columns["url"][row],
            date=columns["date"][row],
            language=columns["language"][row],
            metadata=json.loads(metadata) if (metadata := columns["metadata"][row]) != "{}" else {},
            signals={name: column[row] for name, column in zip(names, values, strict=True) if column[row] is not None},
        )
        for row in range(table.num_rows)
    ]


def write(path: str, table: pa.Table, compress: bool = True) -> files.Written:
    """Write a Parquet file whose bytes depend on the table alone. Returns its size and digest.

    Random keys do not shrink, so tables of hashes are written as they are.
    """
    names = [
        name
        for name in ("source", "language", "removed_by", "step", "level", "kept_corpus", "kept_source")
        if name in table.schema.names
    ]
    with files.replacing(path) as written:
        pq.write_table(
            table,
            written.stream,
            row_group_size=4096,
            compression="zstd" if compress else "none",
            compression_level=1 if compress else None,
            use_dictionary=names,
            write_statistics=["number"] if "number" in table.schema.names else False,
            store_schema=True,
        )
    return written


def read(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file as a table. Raises OSError, or ValueError naming the file when it is damaged."""
    with files.open_read(path) as stream:
        try:
            # The files are small: to hand them to other threads takes longer than to read them.
            return pq.ParquetFile(stream).read(columns=list(columns) if columns else None, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path}: not a whole Parquet file: {error}") from error


def read_all(paths: Iterable[str], columns: Sequence[str]) -> Iterable[pa.Table]:
    """The tables of several files, one after the other."""
    for path in paths:
        yield read(path, columns)
