"""What the tests of the sources share."""

from __future__ import annotations

from pipeline.sources.source import NotADocument, Record


def outcome(record: Record) -> str:
    """The text of a record, else the reason why it is no document, else ``failed``."""
    if record.failure:
        return "failed"
    assert record.text is not None
    try:
        return record.text()
    except NotADocument as removed:
        return removed.reason
