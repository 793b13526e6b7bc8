"""Charsets declared, undeclared and lied about, and what kind of thing a payload is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.extraction.charset import charset_of, decode
from pipeline.extraction.media_type import kind_of, may_be_text

LIMIT = 1 << 20

HTML = (
    "<!DOCTYPE html><html><body><main>" + "<p>Größe, naïve café: text to be found.</p>" * 20 + "</main></body></html>"
).encode()


JAPANESE = "日本語の文章です。これは文字コードの検出を試すための長い文章です。" * 5
CHINESE = "这是一个用来测试字符编码检测的中文句子，里面有很多汉字。" * 5
GERMAN = "Übergrößen für äußerst müßige Größenvergleiche – „schön“. " * 5
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (JAPANESE, "shift_jis", "Shift_JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (CHINESE, "gb18030", "gb2312"),
        (CHINESE.replace("这", "").replace("这", ""), "gb18030", "GB18030"),
        (GERMAN, "cp1252", "iso-8859-1"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8_r", "koi8-r"),
        (GERMAN, "utf-8", "utf-8"),
    ],
)
def test_declared_in_the_header_or_in_the_page(text: str, codec: str, label: str):
    body = text.encode(codec)
    assert decode(body, label)[0] == text
    meta = f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={label}">'
    assert decode(meta.encode() + body)[0] == meta + text
    short = f"<meta charset='{label}'>"
    assert decode(short.encode() + body)[0] == short + text


@pytest.mark.parametrize(
    ("text", "codec"), [(JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (CHINESE, "gb18030"), (RUSSIAN, "cp1251")]
)
def test_undeclared_or_declared_wrongly_as_utf8_is_detected(text: str, codec: str):
    body = b"<html><body><p>" + text.encode(codec)
    for header in ("", "utf-8", "no-such-charset", "rot13", "x" * 200):
        assert decode(body, header)[0] == "<html><body><p>" + text


def test_windows_1252_declared_as_utf8():
    text, charset = decode(b"<meta charset=utf-8>" + GERMAN.encode("cp1252"), "utf-8")
    assert text.endswith(GERMAN)
    assert charset == "cp1252"


def test_utf8_declared_as_something_else():
    for label in ("iso-8859-1", "windows-1252", "gb2312", "shift_jis", "us-ascii", "utf-16"):
        assert decode(GERMAN.encode(), label) == (GERMAN, "utf-8")


def test_the_header_goes_before_the_page():
    body = b"<meta charset=windows-1251>" + "ÄÖÜ äöü".encode("cp1252")
    assert decode(body, "windows-1252")[0].endswith("ÄÖÜ äöü")


def test_byte_order_marks_go_before_all():
    for codec in ("utf-8-sig", "utf-16"):
        assert decode("Größe".encode(codec), "windows-1251")[0] == "Größe"
    assert decode("Größe".encode("utf-16-le"), "utf-16le")[0] == "Größe"
    assert decode(b'<meta charset="utf-16">ok', "")[0].endswith("ok")


def test_a_few_bad_bytes_are_replaced_and_do_not_change_the_charset():
    body = CHINESE.encode() + b"\xff\xfe" + CHINESE.encode()[:-1]
    text, charset = decode(body, "utf-8")
    assert charset == "utf-8"
    assert 2 <= text.count("\ufffd") <= 3


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=200),
    label=st.one_of(st.text(max_size=12), st.sampled_from(["utf-16", "hz-gb-2312", "idna"])),
)
def test_decoding_never_raises(body: bytes, label: str):
    text, charset = decode(body, label)
    assert isinstance(text, str)
    assert charset


def test_charset_in_a_content_type():
    assert charset_of('text/html; Charset = "Shift_JIS"') == "Shift_JIS"
    assert charset_of("text/html") == ""


# --- kinds ---


@pytest.mark.parametrize(
    ("content_type", "payload", "expected"),
    [
        ("text/html; charset=x", b"anything", "html"),
        ("Application/XHTML+xml", b"<?xml version='1.0'?><html>", "html"),
        ("text/plain", b"plain words", "plain"),
        ("text/plain", b"  <!doctype html><p>", "html"),
        ("", b"<!-- a --><HTML lang=en>", "html"),
        ("application/octet-stream", b"\xef\xbb\xbf<html>", "html"),
        ("", b"plain words", ""),
        ("text/html", b"%PDF-1.4 ...", ""),
        ("text/html", b"\xff\xd8\xff\xe0....JFIF", ""),
        ("text/plain", b"abc\0\0\0", ""),
        ("text/html; charset=utf-16le", b"<\0h\0t\0m\0l\0>\0", "html"),
        ("text/html", b"\xff\xfe<\0p\0>\0", "html"),
        ("image/png", b"<html>", ""),
        ("application/json", b"{}", ""),
    ],
)
def test_kinds(content_type: str, payload: bytes, expected: str):
    assert kind_of(content_type, payload) == expected
    if expected:
        assert may_be_text(content_type)
