"""What all tables of documents share: which columns mean what, and how a row becomes a record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import Field

from pipeline.sources.crawl.selection import Pages
from pipeline.sources.source import FilePart, NotADocument, Record

_NO_DATA = frozenset(
    (
        "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "readme.md", "license",
        "licence", "license.txt", "license.md", "_success", "_metadata", "_common_metadata",
    )
)  # fmt: skip
"""What lies beside the data in the folders of Hugging Face data sets, Spark and the like; compared in lower case."""


class Table(Pages):
    """The base of all tables.

    A column is named as it is, or by a path of names joined by dots (``meta.pile_set_name``) where it lies inside others.
    """

    text: str = Field("text", description="the column that holds the document's text")
    id: str | None = Field(None, description="a column that is kept as metadata under the name id")
    url: str | None = Field("url", description="the column with the address; rows may lack it")
    date: str | None = Field("date", description="the column with the date; rows may lack it")
    metadata: tuple[str, ...] = Field(
        (), description="further columns to keep, as text; inside others by a path: `meta.pile_set_name`"
    )

    def columns(self) -> tuple[str, ...]:
        """The columns that are wanted, each once."""
        named = (self.text, self.id, self.url, self.date, *self.metadata)
        return tuple(dict.fromkeys(name for name in named if name))

    def fill(self, record: Record, row: Mapping[str, Any], max_record_bytes: int) -> Record:
        """The record of a row. A null text is no document, any other value that is no text a failure."""
        found, text = _value(row, self.text)
        if not found:
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
            record.text = partial(str, text)
        record.url = _as_text(_value(row, self.url)[1]) if self.url else ""
        record.date = _as_text(_value(row, self.date)[1]) if self.date else ""
        kept = [(name, _value(row, name)[1]) for name in self.metadata]
        if self.id:
            kept.append(("id", _value(row, self.id)[1]))
        record.metadata = {name: _as_text(value) for name, value in kept if value is not None}
        return record


def no_data(part: FilePart) -> bool:
    """Whether a file is a description that lies beside tables, by its name."""
    return part.name.rpartition("/")[2].lower() in _NO_DATA


def description(part: FilePart) -> Record:
    """The record of such a file."""
    return Record(0, part.size, _refuse_description)


def _value(row: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    """Whether the row has the column, and its value. A column whose own name has dots comes first."""
    if path in row:
        return True, row[path]
    value: Any = row
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return False, None
        value = value[name]
    return True, value


def _refuse_null() -> str:
    raise NotADocument("table.null_text")


def _refuse_description() -> str:
    raise NotADocument("table.no_data")


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
