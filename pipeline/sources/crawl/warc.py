"""Web archives as sources: WARC (with ARC, its ancestor) for pages, WET for text that was extracted before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Literal

from pipeline.extraction.charset import charset_of, decode
from pipeline.extraction.codings import undo_encodings
from pipeline.extraction.main_content import Extractor, clean, main_content
from pipeline.extraction.media_type import kind_of, may_be_text, mime_of
from pipeline.sources.crawl.header_fields import parse_headers
from pipeline.sources.crawl.selection import Pages
from pipeline.sources.crawl.web_archive import HEADER_END, MAX_HEADER, Block, read_blocks
from pipeline.sources.source import FilePart, NotADocument, Record

_TYPES = ("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation")
_STATUS_LINE = re.compile(r"HTTP/\S+\s+(\d{3})\b")
_USUAL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DATE = re.compile(r"(\d{4})(?:-?(\d\d)(?:-?(\d\d)(?:T?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d+)?)?)?Z?)?)?)?\d*")


def iso_date(date: str) -> str:
    """A WARC-Date or an ARC date as ISO 8601 in UTC, to the second where it is given so precisely; empty if it is none.

    >>> iso_date("2008-04-30T20:48:25.123Z"), iso_date("20080430204825"), iso_date("2019-08")
    ('2008-04-30T20:48:25Z', '2008-04-30T20:48:25Z', '2019-08')
    """
    date = date.strip()
    if len(date) > 14:
        try:
            moment = datetime.fromisoformat(date)
        except ValueError:
            pass
        else:
            if _USUAL_DATE.fullmatch(date):
                return date
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            try:
                return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            except OverflowError:
                return ""
    found = _DATE.fullmatch(date)
    if found is None:
        return ""
    year, month, day, hour, minute, second = found.groups()
    try:
        datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return ""
    text = "-".join(one for one in (year, month, day) if one)
    return text + (f"T{hour}:{minute or '00'}:{second or '00'}Z" if hour else "")


def _not_a_document(reason: str) -> Callable[[], str]:
    def text() -> str:
        raise NotADocument(reason)

    return text


def _record(block: Block) -> tuple[Record, str]:
    """The record for a block, with no text yet, and its WARC type; the type is empty where the record has failed."""
    headers = block.headers
    record = Record(block.offset, block.length, failure=block.failure)
    if block.in_member is not None:
        record.metadata["in_member"] = str(block.in_member)
    if block.failure:
        return record, ""
    record.url = headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">").replace(" ", "%20")
    record.date = iso_date(headers.get("warc-date", ""))
    if record_id := headers.get("warc-record-id"):
        record.metadata["record_id"] = record_id.strip().removeprefix("<").removesuffix(">")
    if truncated := headers.get("warc-truncated"):
        record.metadata["truncated"] = truncated
    kind = headers.get("warc-type", "").strip().lower()
    if not kind:
        record.failure = "the record has no WARC-Type"
        return record, ""
    if kind not in _TYPES:
        kind = "other_type"
    record.text = _not_a_document(f"warc.{kind}")
    return record, kind


class Warc(Pages):
    """Pages of web crawls. Text is the main content of HTML pages, or all of plain text ones."""

    kind: Literal["warc"] = "warc"
    extractor: Extractor = "corpusmill"

    default_chain: ClassVar[str] = "web"
    reads: ClassVar[str] = (
        "WARC and ARC files (.warc.gz, .warc, .warc.zst, .warc.bz2, .arc.gz, .arc): HTML and plain text"
    )

    def can_enter(self, path: str) -> bool:
        """Files named so have, as a rule, one gzip member a record; one that has not is read by its first part."""
        return _may_enter(path)

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """Every record is one ``Record``; what is no page raises NotADocument (``warc.<type>``, ``http.<why>``)."""
        for block in read_blocks(part, max_record_bytes):
            record, kind = _record(block)
            if kind in ("response", "resource"):
                self._page(record, block, kind, max_record_bytes)
            yield record

    def _page(self, record: Record, block: Block, kind: str, limit: int) -> None:
        """Complete the record of a page; decoding and extraction wait until its text is asked for."""
        if not record.url.lower().startswith(("http://", "https://")):
            record.text = _not_a_document("warc.scheme")
            return
        headers, start = block.headers, block.start
        if kind == "response":
            http, start = _http_header(block)
            status = _STATUS_LINE.match(http.get("", ""))
            if status is not None:
                headers = http
                record.metadata["status"] = status[1]
                if status[1] != "200":
                    record.text = _not_a_document("http.status")
                    return
            elif not _is_page_without_header(block):
                record.text, record.failure = None, f"no HTTP status line, but {block.body[:40]!r}"
                return
        content_type = headers.get("content-type", "")
        record.metadata["mime"] = mime_of(content_type)
        if not may_be_text(content_type):
            record.text = _not_a_document("http.mime")
            return
        codings = {} if headers is block.headers else headers
        body = block.data[start : block.stop]
        record.text = partial(
            page_text, body, codings, content_type, self.extractor, limit, record.metadata, record.url, record.date
        )


def _http_header(block: Block) -> tuple[dict[str, str], int]:
    """The HTTP header that a block begins with and where its body begins in ``block.data``; no fields where it has none."""
    if not block.data.startswith(b"HTTP/", block.start, block.stop):
        return {}, block.start
    most = min(block.stop, block.start + MAX_HEADER)
    end = HEADER_END.search(block.data, block.start, most)
    stop = end.end() if end else most
    return parse_headers(block.data[block.start : stop]), stop


def _is_page_without_header(block: Block) -> bool:
    """Whether a response is the bare page, as a server sends it by HTTP/0.9, and as some crawlers store it."""
    mime = mime_of(block.headers.get("content-type", ""))
    head = block.data[block.start : min(block.stop, block.start + 1024)]
    return mime != "application/http" and kind_of(mime, head) == "html" and head.lstrip().startswith(b"<")


def page_text(
    body: bytes,
    codings: Mapping[str, str],
    content_type: str,
    extractor: Extractor,
    limit: int,
    notes: dict[str, str],
    url: str = "",
    crawled: str = "",
) -> str:
    """The text of a page from its HTTP body; ``notes`` gets what ``main_content`` notes.

    Raises NotADocument (``http.mime`` where the body is no text, ``extraction.empty``), UnreadableRecord for a body
    that unpacks to more than ``limit`` bytes, and what an extractor raises.
    """
    payload = undo_encodings(body, codings, limit)
    kind = kind_of(content_type, payload)
    if not kind:
        raise NotADocument("http.mime")
    charset = charset_of(content_type)
    if kind == "html":
        text = main_content(payload, extractor, charset, notes, url, crawled)
    else:
        text, notes["charset"] = decode(payload, charset)
        text = clean(text)
    if not text:
        raise NotADocument("extraction.empty")
    return text


class Wet(Pages):
    """Text that a crawl's own tools have extracted, as CommonCrawl publishes it."""

    kind: Literal["wet"] = "wet"

    default_chain: ClassVar[str] = "web"
    reads: ClassVar[str] = "WET files (.wet.gz, .warc.wet): the plain text of conversion records"

    def can_enter(self, path: str) -> bool:
        """As for WARC files."""
        return _may_enter(path)

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """Conversion records are documents; all others raise NotADocument with ``warc.<type>``."""
        for block in read_blocks(part, max_record_bytes):
            record, kind = _record(block)
            if kind == "conversion":
                if languages := block.headers.get("warc-identified-content-language"):
                    record.metadata["content_language"] = languages
                record.text = partial(_converted_text, block.body)
            yield record


def _converted_text(body: bytes) -> str:
    text = clean(body.decode("utf-8", "replace"))
    if not text:
        raise NotADocument("extraction.empty")
    return text


def _may_enter(path: str) -> bool:
    return path.lower().endswith((".warc.gz", ".wet.gz", ".arc.gz"))
