"""Reads documents that are rows of a table: lines of JSON, rows of Parquet files, rows of Arrow files and streams."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import IO, Any, ClassVar, Literal

from pipeline.files import is_remote, open_read
from pipeline.sources.columns import Table, description, no_data
from pipeline.sources.containers.lines import lines
from pipeline.sources.source import FilePart, Record

_BATCH_ROWS = 256
_ARROW_MAGIC = b"ARROW1"


class Jsonl(Table):
    """A JSON object on each line. Blank lines are passed over; a line that is no object with a text is a failure."""

    kind: Literal["jsonl"] = "jsonl"
    reads: ClassVar[str] = "lines of JSON: .jsonl, .json, .ndjson, also as .gz, .bz2, .xz or .zst"

    def can_enter(self, path: str) -> bool:
        """Files that are not compressed can be entered: a part owns the lines that begin in it."""
        return path.lower().endswith((".jsonl", ".json", ".ndjson"))

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a line; offsets are bytes of the unpacked file."""
        if no_data(part):
            if part.start == 0:
                yield description(part)
            return
        for offset, length, line, failure in lines(part, max_record_bytes):
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
        return self.fill(record, row, max_record_bytes)


class Parquet(Table):
    """A row of a Parquet file each; only the columns that are named in the settings are read."""

    kind: Literal["parquet"] = "parquet"
    reads: ClassVar[str] = "Parquet files, entered at any row group"

    def can_enter(self, path: str) -> bool:
        """Every Parquet file: a part owns the row groups whose first byte lies in it."""
        return path.lower().endswith((".parquet", ".pq"))

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a row, in order; the offset is the row's number in the file, the length 1."""
        if no_data(part):
            if part.start == 0:
                yield description(part)
            return
        with open_read(part.path) as raw:
            yield from self._rows(raw, part, max_record_bytes)

    def _rows(self, raw: IO[bytes], part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        damage = (pa.ArrowException, OSError, ValueError, MemoryError)
        try:
            # A buffered stream of pages instead of whole column chunks: memory stays small in row groups of gigabytes.
            table = pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False)
            schema = table.schema_arrow
            groups = _groups(table.metadata)
        except damage as error:
            if part.start == 0:
                yield Record(0, part.size, failure=f"not a Parquet file that can be read: {error}")
            return
        if _top(self.text, schema.names) is None:
            if part.start == 0:
                yield Record(0, part.size, failure=_no_column(self.text, schema.names))
            return
        columns = [name for name in self.columns() if _top(name, schema.names)]
        row = 0
        for group, (start, count) in enumerate(groups):
            first, row = row, row + count
            if not part.start <= min(max(start, 0), part.size - 1) < part.stop:
                continue
            done = 0
            try:
                for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
                    for record in _records(self, batch, first + done, max_record_bytes):
                        yield record
                        done += 1
            except damage as error:
                yield Record(
                    first + done, max(0, count - done), failure=f"row group {group} is damaged or too large: {error}"
                )


def _groups(metadata: Any) -> list[tuple[int, int]]:
    """First byte and number of rows of every row group."""
    found = []
    for group in range(metadata.num_row_groups):
        one = metadata.row_group(group)
        chunks = [one.column(column) for column in range(one.num_columns)]
        starts = [
            place for chunk in chunks for place in (chunk.dictionary_page_offset, chunk.data_page_offset) if place
        ]
        found.append((min(starts, default=0), one.num_rows))
    return found


class Arrow(Table):
    """A row of an Arrow file (Feather V2) or stream each, as in the folders of Hugging Face data sets."""

    kind: Literal["arrow"] = "arrow"
    reads: ClassVar[str] = (
        "Arrow IPC files, entered at any record batch, and Arrow streams (the .arrow files of Hugging Face data sets)"
    )

    def can_enter(self, path: str) -> bool:
        """Files, not streams: one that turns out to be a stream is read by its first part alone."""
        return path.lower().endswith((".arrow", ".feather", ".ipc"))

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a row, in order; the offset is ``batch << 32 | row in the batch``, the length 1.

        Of a file with n record batches, batch i belongs to the part that holds byte ``size * i // n``: it need not lie
        there, but every part knows which ones are its own. One batch is in memory at a time.
        """
        if no_data(part):
            if part.start == 0:
                yield description(part)
            return
        import pyarrow as pa

        with open_read(part.path) as head:
            is_file = head.read(len(_ARROW_MAGIC)) == _ARROW_MAGIC
        if not is_file and part.start > 0:
            return
        with _opened(part.path) as raw:
            try:
                reader = pa.ipc.open_file(raw) if is_file else pa.ipc.open_stream(raw)
                names = reader.schema.names
            except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
                if part.start == 0:
                    yield Record(0, part.size, failure=f"not an Arrow file or stream that can be read: {error}")
                return
            if _top(self.text, names) is None:
                if part.start == 0:
                    yield Record(0, part.size, failure=_no_column(self.text, names))
                return
            batches = _batches_of_file(reader, part) if is_file else _batches_of_stream(reader)
            wanted = {top for name in self.columns() if (top := _top(name, names))}
            for number, batch in batches:
                if isinstance(batch, str):
                    yield Record(number << 32, 0, failure=batch)
                    continue
                chosen = batch.select([name for name in names if name in wanted])
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    rows = chosen.slice(start, _BATCH_ROWS)
                    yield from _records(self, rows, number << 32 | start, max_record_bytes)


def _opened(path: str) -> Any:
    """Local files are mapped, not read: a batch then costs memory only where it is compressed."""
    import pyarrow as pa

    return open_read(path) if is_remote(path) else pa.memory_map(path)


Batches = Iterator[tuple[int, Any]]
"""The number of a record batch, and the batch or why it can't be read."""


def _batches_of_file(reader: Any, part: FilePart) -> Batches:
    """The record batches that a part owns."""
    import pyarrow as pa

    total = reader.num_record_batches
    for number in range(total):
        if part.start <= part.size * number // total < part.stop:
            try:
                batch = reader.get_batch(number)
                batch.validate()
            except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
                batch = f"record batch {number} is damaged: {error}"
            yield number, batch


def _batches_of_stream(reader: Any) -> Batches:
    """All record batches of a stream, up to damage: what lies behind it can't be found again."""
    import pyarrow as pa

    for number in itertools.count():
        try:
            batch = reader.read_next_batch()
            batch.validate()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            yield number, f"the stream is damaged or cut off from record batch {number} on: {error}"
            return
        yield number, batch


def _top(path: str, names: list[str]) -> str | None:
    """The column of the table that a name or path begins with; None where there is none."""
    if path in names:
        return path
    top = path.partition(".")[0]
    return top if top in names else None


def _no_column(wanted: str, names: list[str]) -> str:
    return f"no column {wanted!r}; there are {', '.join(names[:50])}"


def _records(table: Table, batch: Any, first: int, max_record_bytes: int) -> Iterator[Record]:
    """The records of a batch; a row that can't be converted (bytes that are no UTF-8) is a failure of its own."""
    for number, values in enumerate(_rows_of(batch), start=first):
        record = Record(number, 1)
        if isinstance(values, str):
            record.failure = values
            yield record
        else:
            yield table.fill(record, values, max_record_bytes)


def _rows_of(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows as dictionaries; the error's message for a row that can't be converted."""
    try:
        batch.validate(full=True)  # offsets and text of a hostile file lead anywhere
        yield from batch.to_pylist()
    except ValueError:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            try:
                row.validate(full=True)
                yield row.to_pylist()[0]
            except ValueError as error:
                yield f"a value of the row can't be read: {error}"
