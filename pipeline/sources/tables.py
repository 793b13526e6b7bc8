"""Reads documents that are rows of a table: lines of JSON, or rows of Parquet files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO, Any, ClassVar, Literal

from pydantic import Field

from pipeline.files import open_read
from pipeline.sources.archives import Unpacked
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

_CHUNK = 1 << 18
_BATCH_ROWS = 256
_UTF8_BOM = b"\xef\xbb\xbf"


class _Table(Source):
    """What both kinds of tables share: which columns mean what."""

    text: str = Field("text", description="the column that holds the document's text")
    id: str | None = Field(None, description="a column that is kept as metadata under the name id")
    url: str | None = Field("url", description="the column with the address; rows may lack it")
    date: str | None = Field("date", description="the column with the date; rows may lack it")
    metadata: tuple[str, ...] = Field((), description="further columns to keep, as text")

    def _columns(self) -> tuple[str, ...]:
        named = (self.text, self.id, self.url, self.date, *self.metadata)
        return tuple(dict.fromkeys(name for name in named if name))

    def _fill(self, record: Record, row: Mapping[str, Any], max_record_bytes: int) -> Record:
        """The record of a row. A null text is no document, any other value that is no text a failure."""
        text = row.get(self.text)
        if self.text not in row:
            record.failure = f"no column {self.text!r}"
        elif text is None:
            record.text = _refuse_null
        elif not isinstance(text, str):
            record.failure = f"column {self.text!r} holds {type(text).__name__}, not text"
        elif len(text) > max_record_bytes:
            record.failure = (
                f"the text has {len(text)} characters; the largest record allowed is {max_record_bytes} bytes"
            )
        else:
            record.text = partial(_sound, text)
        record.url = _as_text(row.get(self.url)) if self.url else ""
        record.date = _as_text(row.get(self.date)) if self.date else ""
        kept = [(name, row.get(name)) for name in self.metadata]
        if self.id:
            kept.append(("id", row.get(self.id)))
        record.metadata = {name: _as_text(value) for name, value in kept if value is not None}
        return record


def _refuse_null() -> str:
    raise NotADocument("table.null_text")


def _sound(text: str) -> str:
    r"""The text with lone surrogates (JSON allows ``"\ud800"``) replaced, so that it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _sound(value)
    return _sound(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))


class Jsonl(_Table):
    """A JSON object on each line. Blank lines are passed over; a line that is no object with a text is a failure."""

    kind: Literal["jsonl"] = "jsonl"
    reads: ClassVar[str] = "lines of JSON: .jsonl, .json, .ndjson, also as .gz, .bz2, .xz or .zst"

    def can_enter(self, path: str) -> bool:
        """Files that are not compressed can be entered: a part owns the lines that begin in it."""
        return path.lower().endswith((".jsonl", ".json", ".ndjson"))

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a line; offsets are bytes of the unpacked file."""
        with Unpacked(open_read(part.path)) as stream:
            compressed = stream.compressed  # whatever the name says
            if compressed and part.start > 0:
                return
            if compressed:
                yield from self._records(stream.read, 0, None, max_record_bytes)
                return
        with open_read(part.path, max(0, part.start - 1)) as raw:
            yield from self._records(raw.read, part.start, part.stop, max_record_bytes)

    def _records(
        self, read: Callable[[int], bytes], start: int, stop: int | None, max_record_bytes: int
    ) -> Iterator[Record]:
        for offset, length, line, failure in lines(read, start, stop, max_record_bytes):
            record = Record(offset, length, failure=failure)
            if failure:
                yield record
            elif line.strip():
                yield self._record(record, line, max_record_bytes)

    def _record(self, record: Record, line: bytes, max_record_bytes: int) -> Record:
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            record.failure = f"not a line of JSON: {error}"
            return record
        if not isinstance(row, dict):
            record.failure = f"expected a JSON object, found {type(row).__name__}"
            return record
        return self._fill(record, row, max_record_bytes)


def lines(
    read: Callable[[int], bytes], start: int, stop: int | None, max_bytes: int
) -> Iterator[tuple[int, int, bytes, str]]:
    """The lines that begin in [start, stop): offset, length with its newline, the bytes, or why they were not kept.

    ``read`` gives the bytes from ``start - 1`` on (from 0 where ``start`` is 0): whether a line begins at ``start`` is
    told by the byte before it. A line longer than ``max_bytes`` is passed over without being held.
    """
    pieces: list[bytes] = []
    held = 0  # bytes in pieces
    length = 0  # bytes of the line so far, held or not
    offset = start
    owned = start == 0  # whether the line being read began in this part
    position = max(0, start - 1)
    while stop is None or owned or position < stop:
        try:
            chunk = read(_CHUNK)
        except UnreadableRecord as error:
            yield offset, length, b"", str(error)
            return
        if not chunk:
            break
        begin = 0
        while begin < len(chunk):
            newline = chunk.find(b"\n", begin)
            end = newline + 1 if newline >= 0 else len(chunk)
            length += end - begin
            if owned and length <= max_bytes:
                pieces.append(chunk[begin:end])
                held += end - begin
            elif held:
                pieces, held = [], 0
            begin = end
            if newline < 0:
                break
            if owned:
                yield _line(offset, length, pieces, max_bytes)
            offset = position + end
            if stop is not None and offset >= stop:
                return
            pieces, held, length, owned = [], 0, 0, True
        position += len(chunk)
    if owned and length:
        yield _line(offset, length, pieces, max_bytes)


def _line(offset: int, length: int, pieces: list[bytes], max_bytes: int) -> tuple[int, int, bytes, str]:
    if length > max_bytes:
        return offset, length, b"", f"the line has {length} bytes; the largest record allowed is {max_bytes}"
    line = b"".join(pieces)
    return offset, length, line.removeprefix(_UTF8_BOM) if offset == 0 else line, ""


class Parquet(_Table):
    """A row of a Parquet file each; only the columns that are named in the settings are read."""

    kind: Literal["parquet"] = "parquet"
    reads: ClassVar[str] = "Parquet files"

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a row, in order; the offset is the row's number in the file, the length 1."""
        if part.start > 0:
            return
        with open_read(part.path) as raw:
            yield from self._rows(raw, part.size, max_record_bytes)

    def _rows(self, raw: IO[bytes], size: int, max_record_bytes: int) -> Iterator[Record]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        damage = (pa.ArrowException, OSError, ValueError)
        try:
            # A buffered stream of pages instead of whole column chunks: memory stays small in row groups of gigabytes.
            table = pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False)
            schema = table.schema_arrow
        except damage as error:
            yield Record(0, size, failure=f"not a Parquet file that can be read: {error}")
            return
        if self.text not in schema.names:
            yield Record(0, size, failure=f"no column {self.text!r}; there are {', '.join(schema.names[:50])}")
            return
        columns = [name for name in self._columns() if name in schema.names]
        row = 0
        for group in range(table.num_row_groups):
            end = row + table.metadata.row_group(group).num_rows
            try:
                for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                    for values in _batch_rows(batch):
                        record = Record(row, 1)
                        row += 1
                        if isinstance(values, str):
                            record.failure = values
                            yield record
                        else:
                            yield self._fill(record, values, max_record_bytes)
            except damage as error:
                yield Record(row, max(0, end - row), failure=f"row group {group} is damaged: {error}")
            row = end


def _batch_rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows as dictionaries; the error's message for a row that can't be converted (bytes that are no UTF-8)."""
    try:
        yield from batch.to_pylist()
    except ValueError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except ValueError as error:
                yield f"a value of the row can't be read: {error}"
