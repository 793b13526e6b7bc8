"""The shard format: Arrow IPC files of token lists, written with checksums, read through a memory map without copying.

A shard is an Arrow IPC *file* (a cut one can't be opened; a cut *stream* would read short in silence), uncompressed,
with a row for each document: ``tokens`` list<uint16|uint32> (the type follows the vocabulary), ``document_id``
string, ``document`` uint64 (the document's number in the run) and ``url`` string, none of them null. Rows come in
record batches of about a million tokens; a document is never cut. The schema metadata holds, under ``corpusmill.``
and as text: ``format`` version, digests of ``tokenizer`` and ``recipe``, ``vocabulary`` size, ``end_of_text`` id,
``source``, ``split``, the counts of ``documents`` and ``tokens``, ``batches`` (JSON: rows, tokens and CRC-32 of each)
and ``checksum``, the CRC-32 of all these.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
import pyarrow as pa
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from tokenizer.draws import keyed_hash
from tokenizer.ids import TokenIds, id_type

Split = Literal["train", "validation"]

FORMAT = "1"
BATCH_TOKENS = 1 << 20
"""A record batch ends before the document with which it would hold more tokens; a longer document is a batch alone."""
BATCH_ROWS = 1 << 16
"""And after so many documents, should they be that short."""

_PREFIX = b"corpusmill."
_KEYS = (
    "format",
    "tokenizer",
    "recipe",
    "vocabulary",
    "end_of_text",
    "source",
    "split",
    "documents",
    "tokens",
    "batches",
)


class DamagedShard(ValueError):  # noqa: N818 - what it is
    """A shard that is not what was written; the message names the file, the batch, and what differs."""


@dataclass(frozen=True, slots=True)
class ShardDocument:
    """A row of a shard: the tokens with their end-of-text token, the document's id, its number in the run, its URL."""

    tokens: TokenIds
    document_id: str
    document: int
    url: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What a shard says of itself besides its counts. ``tokenizer`` and ``recipe`` are SHA-256 digests in hex."""

    tokenizer: str
    recipe: str
    source: str
    split: Split
    vocabulary: int
    end_of_text: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents and tokens are in a shard."""

    documents: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The documents of one record batch, as views of the mapped file.

    The tokens of document i are ``values[offsets[i] : offsets[i + 1]]``; ``documents`` are the document numbers.
    """

    values: TokenIds
    offsets: NDArray[np.int32]
    document_ids: pa.StringArray
    documents: NDArray[np.uint64]
    urls: pa.StringArray

    def __len__(self) -> int:
        return len(self.documents)

    def tokens(self, row: int) -> TokenIds:
        """The tokens of a document of this batch: a view."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]


def write_shard(stream: IO[bytes], documents: Iterable[ShardDocument], about: About) -> Counts:
    """Write a shard of these documents, in this order, to a binary stream; it stays open. Same arguments, same bytes.

    The schema, and with it the checksums, comes before the batches in the file, so all batches are made before the
    first is written: memory is that of the shard's tokens. Raises ValueError for tokens of the wrong type or beyond
    the vocabulary.
    """
    dtype = id_type(about.vocabulary)
    schema = _schema(dtype)
    batches = [_record_batch(rows, about, dtype, schema) for rows in _batches(documents)]
    summaries = [_summary(_unpack(batch)) for batch in batches]
    counts = Counts(sum(one["rows"] for one in summaries), sum(one["tokens"] for one in summaries))
    about_texts = {
        "format": FORMAT,
        "tokenizer": about.tokenizer,
        "recipe": about.recipe,
        "vocabulary": str(about.vocabulary),
        "end_of_text": str(about.end_of_text),
        "source": about.source,
        "split": about.split,
        "documents": str(counts.documents),
        "tokens": str(counts.tokens),
        "batches": json.dumps(summaries),
    }
    metadata = about_texts | {"checksum": str(_checksum(about_texts))}
    schema = schema.with_metadata({_PREFIX + key.encode(): text.encode() for key, text in metadata.items()})
    options = pa.ipc.IpcWriteOptions(compression=None)
    with pa.ipc.new_file(pa.PythonFile(stream, mode="w"), schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return counts


def _batches(documents: Iterable[ShardDocument]) -> Iterator[list[ShardDocument]]:
    rows: list[ShardDocument] = []
    tokens = 0
    for document in documents:
        if rows and (tokens + len(document.tokens) > BATCH_TOKENS or len(rows) == BATCH_ROWS):
            yield rows
            rows, tokens = [], 0
        rows.append(document)
        tokens += len(document.tokens)
    if rows:
        yield rows


def _record_batch(rows: list[ShardDocument], about: About, dtype: np.dtype[Any], schema: pa.Schema) -> pa.RecordBatch:
    for row in rows:
        if row.tokens.dtype != dtype:
            raise ValueError(
                f"document {row.document_id} has tokens of type {row.tokens.dtype}, "
                f"but {dtype} is the type for a vocabulary of {about.vocabulary}"
            )
    values = np.concatenate([row.tokens for row in rows])
    if len(values) and values.max() >= about.vocabulary:
        raise ValueError(f"a token id of {values.max()} in a vocabulary of {about.vocabulary}")
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row.tokens) for row in rows], out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"document {rows[0].document_id} has {offsets[-1]} tokens; a shard takes 2**31 - 1 at most")
    columns = [
        pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values)),
        pa.array([row.document_id for row in rows], pa.string()),
        pa.array([row.document for row in rows], pa.uint64()),
        pa.array([row.url for row in rows], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _schema(dtype: np.dtype[Any]) -> pa.Schema:
    return pa.schema(
        {
            "tokens": pa.list_(pa.from_numpy_dtype(dtype)),
            "document_id": pa.string(),
            "document": pa.uint64(),
            "url": pa.string(),
        }
    )


def _unpack(batch: pa.RecordBatch) -> Batch:
    tokens = batch.column("tokens")
    return Batch(
        values=_view(tokens.values),
        offsets=_view(tokens.offsets),
        document_ids=batch.column("document_id"),
        documents=_view(batch.column("document")),
        urls=batch.column("url"),
    )


def _view(array: pa.Array) -> NDArray[Any]:
    """The integers of an array without nulls. ``Array.to_numpy`` would import pandas, which takes half a second."""
    dtype = np.dtype(str(array.type))
    data = array.buffers()[1]
    if data is None:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def _summary(batch: Batch) -> dict[str, int]:
    """What the metadata holds of a batch: counts, the CRC-32 of its token values, and that of everything else in it."""
    others = crc32(batch.offsets.data)
    others = crc32(batch.documents.data, others)
    for strings in (batch.document_ids, batch.urls):
        _, offsets, data = strings.buffers()
        ends = np.frombuffer(offsets, np.int32, len(strings) + 1)
        others = crc32(ends.data, others)
        others = crc32(memoryview(data)[: ends[-1]] if data is not None else b"", others)
    return {
        "rows": len(batch),
        "tokens": len(batch.values),
        "crc32": crc32(batch.values.data),
        "crc32_others": others,
    }


def _checksum(texts: dict[str, str]) -> int:
    return crc32(json.dumps([texts[key] for key in _KEYS]).encode())


class Shard:
    """A shard on a local disk, mapped into memory: opening reads its footer, tokens are views of the file.

    Views stay valid after the Shard is gone. Each record batch is looked at once, when first asked for: that its
    arrays are whole and its counts those in the metadata, so a view never leaves the file. Checksums are compared by
    ``verify`` and ``verify_batch`` alone, as they read every byte (some 5 GB/s).
    """

    def __init__(self, path: str | Path) -> None:
        """Open a shard. Raises OSError where the file can't be read, DamagedShard where it is not a whole shard."""
        self.path = str(path)
        with Path(self.path).open("rb") as stream:
            try:
                self._mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise DamagedShard(
                    f"{self.path}: not a whole Arrow IPC file, perhaps cut short (it is empty)"
                ) from error
        try:
            self._reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._mapped)))
        except (pa.ArrowException, OSError) as error:
            raise DamagedShard(f"{self.path}: not a whole Arrow IPC file, perhaps cut short ({error})") from error
        texts = self._metadata()
        self.about = About(
            tokenizer=texts["tokenizer"],
            recipe=texts["recipe"],
            source=texts["source"],
            split="train" if texts["split"] == "train" else "validation",
            vocabulary=int(texts["vocabulary"]),
            end_of_text=int(texts["end_of_text"]),
        )
        self.counts = Counts(int(texts["documents"]), int(texts["tokens"]))
        self.dtype: np.dtype[Any] = id_type(self.about.vocabulary)
        self._summaries: list[dict[str, int]] = json.loads(texts["batches"])
        self._starts = np.cumsum([0, *(one["rows"] for one in self._summaries)])
        self._opened: list[Batch | None] = [None] * len(self._summaries)
        if not self._reader.schema.equals(_schema(self.dtype)):
            raise DamagedShard(f"{self.path}: the columns are {self._reader.schema.remove_metadata()}")
        if self._reader.num_record_batches != len(self._summaries):
            raise DamagedShard(
                f"{self.path}: {self._reader.num_record_batches} record batches, {len(self._summaries)} in the metadata"
            )

    def __len__(self) -> int:
        """The number of documents."""
        return int(self._starts[-1])

    @property
    def batch_count(self) -> int:
        """The number of record batches."""
        return len(self._summaries)

    @property
    def batch_tokens(self) -> tuple[int, ...]:
        """The number of tokens of each record batch, from the metadata: no batch is opened."""
        return tuple(one["tokens"] for one in self._summaries)

    def batch(self, number: int) -> Batch:
        """A record batch, 0 to ``batch_count`` - 1. Raises DamagedShard."""
        batch = self._opened[number]
        if batch is None:
            batch = self._opened[number] = self._open(number)
        return batch

    def batches(self) -> Iterator[Batch]:
        """The record batches in order. Raises DamagedShard."""
        return map(self.batch, range(self.batch_count))

    def tokens(self, row: int) -> TokenIds:
        """The tokens of a document, as a read-only view of the file. Raises IndexError, DamagedShard."""
        batch, place = self._place(row)
        return batch.tokens(place)

    def document_id(self, row: int) -> str:
        """The id of a document. Raises IndexError, DamagedShard."""
        batch, place = self._place(row)
        return str(batch.document_ids[place].as_py())

    def url(self, row: int) -> str:
        """The URL of a document, empty where it has none. Raises IndexError, DamagedShard."""
        batch, place = self._place(row)
        return str(batch.urls[place].as_py())

    def document(self, row: int) -> int:
        """The number of a document in the run that wrote it. Raises IndexError, DamagedShard."""
        batch, place = self._place(row)
        return int(batch.documents[place])

    def release(self, number: int) -> None:
        """Give the memory of a record batch back to the system. Views of it stay valid: their pages are read anew."""
        batch = self._opened[number]
        self._opened[number] = None
        if batch is None or not len(batch.values) or not hasattr(mmap, "MADV_DONTNEED"):
            return
        base = np.frombuffer(self._mapped, np.uint8).ctypes.data
        begin = (batch.values.ctypes.data - base) // mmap.PAGESIZE * mmap.PAGESIZE
        self._mapped.madvise(mmap.MADV_DONTNEED, begin, batch.values.ctypes.data - base + batch.values.nbytes - begin)

    def verify(self) -> Counts:
        """Compare every count and checksum with the file's contents. Raises DamagedShard at the first that differs."""
        for number in range(self.batch_count):
            self.verify_batch(number)
        found = Counts(sum(one["rows"] for one in self._summaries), sum(one["tokens"] for one in self._summaries))
        if found != self.counts:
            raise DamagedShard(f"{self.path}: holds {found}, but the metadata says {self.counts}")
        return found

    def verify_batch(self, number: int) -> None:
        """Compare one batch's checksums with its contents. Raises DamagedShard."""
        self._compare(number, _summary(self.batch(number)))

    def _place(self, row: int) -> tuple[Batch, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"document {row} of {len(self)} in {self.path}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.batch(number), row - int(self._starts[number])

    def _open(self, number: int) -> Batch:
        try:
            record_batch = self._reader.get_batch(number)
            record_batch.validate(full=True)
            if any(column.null_count for column in record_batch.columns):
                raise pa.ArrowInvalid("there are nulls")
            batch = _unpack(record_batch)
        except (pa.ArrowException, OSError) as error:
            raise DamagedShard(f"{self.path}: batch {number} can't be read: {error}") from error
        self._compare(number, {"rows": len(batch), "tokens": len(batch.values)})
        return batch

    def _compare(self, number: int, found: dict[str, int]) -> None:
        for what, value in found.items():
            if value != self._summaries[number][what]:
                raise DamagedShard(
                    f"{self.path}: batch {number} has {what} {value}, but {self._summaries[number][what]} was written"
                )

    def _metadata(self) -> dict[str, str]:
        raw = self._reader.schema.metadata or {}
        version = raw.get(_PREFIX + b"format", b"").decode(errors="replace")
        if version != FORMAT:
            found = f"a shard of format {version}; this reads format {FORMAT}" if version else "not a corpusmill shard"
            raise DamagedShard(f"{self.path}: {found}")
        try:
            texts = {key: raw[_PREFIX + key.encode()].decode() for key in _KEYS}
            written = int(raw[_PREFIX + b"checksum"])
        except (KeyError, ValueError) as error:
            raise DamagedShard(f"{self.path}: the metadata is damaged: {error}") from error
        if written != _checksum(texts) or texts["split"] not in get_args(Split):
            raise DamagedShard(
                f"{self.path}: the metadata is damaged: its checksum is not the {written} that was written"
            )
        return texts


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a document goes: sort by ``order`` (then by document id) within a shard."""

    split: Split
    shard: int
    order: int


def place(document_id: str, shards: int, validation: float, seed: int) -> Placement:
    """Where a document goes, by three keyed hashes of its id: split, shard 0 to ``shards`` - 1, order in the shard.

    ``validation`` is the share of documents held out, 0 to 1; which they are depends on the seed alone and not on the
    number of shards, and a larger share holds out the same documents and more. The same for ever, on every machine.
    Raises ValueError.
    """
    if shards < 1 or not 0.0 <= validation <= 1.0:
        raise ValueError(f"shards must be 1 or more and validation between 0 and 1, not {shards} and {validation}")
    held_out = keyed_hash(document_id, seed, b"split") < int(validation * 2.0**64)
    return Placement(
        split="validation" if held_out else "train",
        shard=keyed_hash(document_id, seed, b"shard") * shards >> 64,
        order=keyed_hash(document_id, seed, b"order"),
    )
