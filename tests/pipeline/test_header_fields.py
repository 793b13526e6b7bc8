"""Header fields: as warcio reads them, on every header of the real files and on arbitrary bytes."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeadersParser
from web_archives import ARCHIVES, GOLD, needs_data, read

from pipeline.sources.crawl import warc, web_archive
from pipeline.sources.crawl.header_fields import parse_headers


def by_warcio(block: bytes) -> dict[str, str]:
    """The fields as warcio gives them, the first of a name but for lists."""
    headers: dict[str, str] = {}
    for name, value in StatusAndHeadersParser([], verify=False).parse(io.BytesIO(block)).headers:
        name = name.lower()
        if name not in headers:
            headers[name] = value
        elif name in ("content-encoding", "transfer-encoding"):
            headers[name] += f", {value}"
    headers.pop("", None)  # what stands before the first colon may be nothing; the empty name is the first line's
    return headers


def fields(block: bytes) -> dict[str, str]:
    parsed = parse_headers(block)
    del parsed[""]
    return parsed


@needs_data
def test_every_header_of_the_real_files_reads_as_warcio_reads_it(monkeypatch: pytest.MonkeyPatch):
    seen: list[bytes] = []
    for module in (warc, web_archive):
        monkeypatch.setattr(module, "parse_headers", lambda block: (seen.append(block), parse_headers(block))[1])
    for path in [*sorted(ARCHIVES.rglob("*arc*")), GOLD / "newspaper-00000.warc.gz"]:
        if path.is_file():
            read(path)
    assert len(seen) > 6000
    for block in seen:
        assert fields(block) == by_warcio(block)


LINE = st.sampled_from(
    [b"A: b", b"a:c", b" folded", b"\tfolded ", b"no colon", b": nameless", b"B : \xff\xfe", "Ü: é\u2028x\xa0".encode(),
     b"Content-Encoding: gzip", b"content-encoding:br", b"", b"X:  y\x0c", b"\x85: z", b"Y:\x00"]
)  # fmt: skip


@given(st.lists(LINE, max_size=8), st.sampled_from([b"\r\n", b"\n", b"\r\r\n"]))
def test_odd_headers_read_as_warcio_reads_them(lines: list[bytes], end: bytes):
    block = b"HTTP/1.1 200 OK" + end + end.join(lines)
    assert fields(block) == by_warcio(block)


@given(st.binary(max_size=200).map(lambda rest: b"WARC/1.0\r\n" + rest))
@example(b"WARC/1.0\r\nA: 1\r\n 2\r\n\xa0 3\r\n\r\nB: 4")
def test_arbitrary_bytes_read_as_warcio_reads_them(block: bytes):
    assert fields(block) == by_warcio(block)


def test_first_line_and_repeated_fields():
    block = (
        b"HTTP/1.1 404 Not  Found \r\nX: 1\r\nx: 2\r\nTransfer-Encoding: gzip\r\nTransfer-encoding: chunked\r\n\r\nY: 3"
    )
    assert parse_headers(block) == {"": "HTTP/1.1 404 Not  Found", "x": "1", "transfer-encoding": "gzip, chunked"}
    assert parse_headers(b"") == {"": ""}
