"""Reads what people have written on Reddit, from Pushshift's dumps: posts with a text of their own, and comments."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.sources.containers.lines import lines
from pipeline.sources.crawl.addresses import is_removed
from pipeline.sources.source import FilePart, NotADocument, Record, Source


class Reddit(Source):
    """Posts and comments. Metadata: `subreddit`, `score`, `id`, `type`. Pages that posts link to: `select` of `warc`."""

    kind: Literal["reddit"] = "reddit"
    reads: ClassVar[str] = "submissions and comments as lines of JSON (RS_*, RC_*), plain or as .zst, .xz, .bz2 or .gz"
    default_chain: ClassVar[str] = "web"

    min_score: int | None = Field(None, description="a post or comment with fewer points is removed")
    adult: bool = Field(False, description="whether posts that are marked as not for minors are kept")
    comments: bool = Field(True, description="whether comments are documents; else posts alone")

    def can_enter(self, path: str) -> bool:
        """Files that are not compressed can be entered at any line."""
        return path.lower().endswith((".jsonl", ".json", ".ndjson"))

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a line; what is no text is removed: `reddit.link`, `reddit.removed`, `reddit.low_score`, …"""
        for offset, length, line, failure in lines(part, max_record_bytes):
            record = Record(offset, length, failure=failure)
            if failure:
                yield record
            elif line.strip():
                yield self._record(record, line)

    def _record(self, record: Record, line: bytes) -> Record:
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            record.failure = f"not a line of JSON: {error}"
            return record
        if not isinstance(row, dict) or not isinstance(row.get("body", row.get("selftext")), str):
            record.failure = "neither a submission with a selftext nor a comment with a body"
            return record
        comment = "body" in row
        record.url = _address(row)
        record.date = _date(row.get("created_utc"))
        record.metadata = {"type": "comment" if comment else "post"}
        record.metadata |= {name: str(row[name]) for name in ("subreddit", "score", "id") if row.get(name) is not None}
        record.text = partial(self._text, row, comment)
        return record

    def _text(self, row: dict[str, Any], comment: bool) -> str:
        text = html.unescape(row["body"] if comment else row["selftext"]).strip()
        if comment and not self.comments:
            raise NotADocument("reddit.comment")
        if is_removed(row):
            raise NotADocument("reddit.removed")
        if not text:
            raise NotADocument("reddit.link" if not row.get("is_self") else "reddit.empty")
        if row.get("over_18") and not self.adult:
            raise NotADocument("reddit.adult")
        score = row.get("score")
        if self.min_score is not None and not (isinstance(score, int | float) and score >= self.min_score):
            raise NotADocument("reddit.low_score")
        title = "" if comment else html.unescape(str(row.get("title") or "")).strip()
        return f"{title}\n\n{text}" if title else text


def _address(row: dict[str, Any]) -> str:
    place = row.get("permalink")
    return f"https://www.reddit.com{place}" if isinstance(place, str) and place.startswith("/") else ""


def _date(written: Any) -> str:
    """Seconds since 1970, which some dumps write as text, as ISO 8601."""
    try:
        return datetime.fromtimestamp(int(written), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
