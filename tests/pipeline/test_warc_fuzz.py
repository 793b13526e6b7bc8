"""Damaged web archives: no error but our own, nothing lost in silence, the same records however the file is cut.

``HYPOTHESIS_PROFILE=fuzz python -m pytest tests/pipeline/test_warc_fuzz.py`` looks for new examples for some minutes.
"""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import brotli
import pytest
import zstandard
from damage import damages
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from web_archives import ARCHIVES, SHARED, WARC, WET, assert_same_in_parts, by_member, needs_data, pages, read

from pipeline.extraction.charset import decode
from pipeline.extraction.codings import undo_encodings
from pipeline.sources.crawl import web_archive
from pipeline.sources.source import NotADocument, UnreadableRecord

IN_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@functools.cache
def archives() -> list[bytes]:
    """Small real files, and made ones of every container."""
    made = [by_member(pages(6)), b"".join(pages(4)), gzip.compress(b"".join(pages(4)), mtime=0)]
    made += [zstandard.compress(b"".join(pages(4))), b"".join(map(zstandard.compress, pages(4)))]
    real = [path for path in sorted(ARCHIVES.rglob("*arc*")) if path.is_file() and path.stat().st_size < 60_000]
    return made + [path.read_bytes() for path in real]


@needs_data
@IN_FOLDER
@given(data=st.data())
def test_damaged_archives(data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web_archive, "_LOOK_BACK", data.draw(st.sampled_from([1, 5000, 1 << 18])))
    content = data.draw(damages(archives()))
    limit = data.draw(st.sampled_from([2000, 1 << 16, 64 << 20]))
    path = tmp_path / "damaged.warc.gz"
    path.write_bytes(content)
    found = read(path, limit=limit, source=data.draw(st.sampled_from([WARC, WET])))
    places = [(one.offset, one.length) for one in found]
    assert len(set(places)) == len(places)
    assert all(one.length >= 0 and one.offset >= 0 for one in found)
    assert all((one.text is None) == bool(one.failure) for one in found if one.failure or one.text is None)
    for one in found[:3]:
        if one.text is not None:
            with suppress(NotADocument, UnreadableRecord):
                one.text().encode()
    assert_same_in_parts(path, data.draw(st.lists(st.integers(0, len(content)), max_size=3)), limit)


@functools.cache
def bodies() -> list[bytes]:
    """One page in every coding."""
    page = b"<html><body><p>" + b"The quick brown fox jumps over the lazy dog. " * 40 + b"</p></body></html>"
    return [page, b"", *(pack(page) for pack in PACK.values()), PACK["chunked"](PACK["gzip"](page))]


def chunked(body: bytes) -> bytes:
    cuts = [body[at : at + 300] for at in range(0, len(body), 300)]
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in cuts) + b"0\r\n\r\n"


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "chunked": chunked,
}
CODING = st.lists(st.sampled_from([*PACK, "x-gzip", "identity", "", "what"]), max_size=6).map(", ".join)


@given(data=st.data(), content=CODING, transfer=CODING, limit=st.sampled_from([0, 100, 1 << 20]))
def test_damaged_bodies(data: st.DataObject, content: str, transfer: str, limit: int):
    body = data.draw(damages(bodies()) | st.binary(max_size=100))
    headers = {"content-encoding": content, "transfer-encoding": transfer}
    try:
        made = undo_encodings(body, headers, limit)
    except UnreadableRecord:
        return
    assert len(made) <= max(limit, len(body))


TEXTS = [
    text.encode(charset) * 5
    for text, charset in [
        ("The quick brown fox.", "utf-16"), ("敏捷的棕色狐狸跳过懒狗。", "gb18030"), ("敏捷的棕色狐狸跳過懶狗。", "big5"),
        ("素早い茶色の狐", "shift_jis"), ("素早い茶色の狐", "euc-jp"), ("素早い茶色の狐", "iso-2022-jp"),
        ("빠른 갈색 여우", "euc-kr"), ("Съешь же ещё этих", "windows-1251"), ("Съешь же ещё этих", "koi8-r"),
        ("żółta gęś — “jaźń”", "utf-8"), ("<meta charset=big5>中文", "utf-8"), ("สุนัขจิ้งจอก", "tis-620"),
        ("<?xml version='1.0' encoding='latin1'?>é", "latin-1"),
    ]
]  # fmt: skip
CHARSETS = st.sampled_from(
    [
        "",
        "utf-8",
        "UTF8",
        "gbk",
        "big5",
        "x-sjis",
        "utf-16",
        "utf-16be",
        "utf-7",
        "latin1",
        "none",
        "rot13",
        "hex",
        "é",
        "\0",
    ]
) | st.text(max_size=8)


@given(body=damages(TEXTS) | st.binary(max_size=200), charset=CHARSETS)
@example(b"\xff\xfe\x00\xd8", "")
def test_damaged_text_is_decoded(body: bytes, charset: str):
    text, name = decode(body, charset)
    assert isinstance(text, str)
    "".encode(name)
    assert len(text) <= len(body)
    assert decode(body, charset) == (text, name)


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_there_is_something_to_damage():
    assert len(archives()) > 100
