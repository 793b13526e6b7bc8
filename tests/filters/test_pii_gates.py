"""The gates lose nothing: what is found behind them is what presidio's engine finds with the same recognizers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.pii import ANYWHERE, Match, PiiSettings, Place, Redactor
from filters.pii.anchors import Anchor, Anchors
from filters.segment import codepoints

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="no shared data beside the checkout")

REDACTOR = Redactor(PiiSettings())
REWRITING = Redactor(  # regions that rewrite numbers while parsing, and nothing left out
    PiiSettings(
        regions=("BR", "JP", "IT", "AR", "MX", "KR"),
        private_ips=True,
        examples=True,
        min_score=0,
        deny={"name": ("Jane Roe", "中文")},
        keep={},
    )
)


def without_gates(redactor: Redactor, text: str, place: Place = ANYWHERE) -> list[Match]:
    """What the recognizers find in the whole text, every one of them reading all of it."""
    found = (
        Match(one.start, one.end, entity, one.score)
        for entity, recognizer in redactor.prepare().whole(place)
        for one in recognizer.analyze(text, [])
    )
    return redactor.judge(text, found)


PIECES = [
    *("li@uni-ulm.de", "a.b@c.co.uk", "@", ".", "..", "host.", "com", "www.", "://", "?to=", "-", "--", "a" * 70),
    *("(415) ", "555-2671", "1234567890", "+1 ", "+44 (0)20 7946 0958", "030 901820", "0049 30 901820", "612345678"),
    *("x", "ext. 123", "ext", "#12", "x 5", "int 3", "anexo 4", ";ext=5", "xx", "~", "доб", "ｅｘｔ", "＃", "～"),
    *("13800138000", "+86 138-0013-8000", "(86)", "11010519491231002X", "11010519491231002x"),
    *("93.184.216.34", "1.2.3.4.5", "2a00:1450::8888", "::ffff:93.184.216.34", "1:2:3:4:5:6:7:8", "::", "/24", "%eth0"),
    *("4111 1111 1111 1111", "4111111111111111", "378282246310005", "DE89 3704 0044 0532 0130 00", "AB12"),
    *("GB29NWBK60161331926819", "gb29nwbk60161331926819", "2019-05-01", "2012-01-02 08:00", "31/10/1996", "12 14 16"),
    *("457-55-5462", "912-70-1234", "AB 12 34 56 C", "900101-1234568", "12345678Z", "131052-308T", "RSSMRA85T10A562S"),
    *(
        "d2:d5:33:1f:76:68",
        "00-1B-44-11-3A-B7",
        "001b.4411.3ab7",
        "37.774929, -122.419416",
        "48° 51' 24\" N, 2° 21' 07\" E",
    ),
    *(
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "sk-",
        "AKIAIOSFODNN7EXAMPLE",
    ),
    *(
        "password",
        "=",
        "'S3cr!t99'",
        "SSN ",
        "passport no. ",
        "account ",
        "tel ",
        "call ",
        " office",
        "身份证",
        "电话：",
    ),
    *("Mr. ", "Jane Roe", "Dear ", "John van der Berg", "\nBy ", "Regards,\n", "我叫", "王小明", "先生", "my name is "),
    *(
        "12 Oak Street",
        "Hauptstraße 12",
        "12 rue de la Paix",
        "calle Mayor 3",
        "中关村大街27号",
        "PO Box 12",
        "github.com/",
    ),
    *("https://", "u:pw@", "?token=", "abcdef0123456789", "-----BEGIN RSA PRIVATE KEY-----\n", "MIIEowIBAAKCAQEA1234"),
    *(
        "7",
        "1",
        "0",
        "00",
        "中文",
        "ー",
        "カ",
        "é",
        "ó",
        "０",
        "１２３",
        "٣",
        "²",
        "ſ",
        "\u212a",
        "İ",
        "ı",
        "ß",
        "\ud800",
        "\U0001f600",
    ),
    *(" ", "  ", "     ", "\n", "\t", "\xa0", "\u200b", "\u3000", ",", "–", "- ", "/", "(", ")", "+", "＋", "（", "）"),
    *("A", "Z", "'", '"', "!", "_", "$", "%", "€", ":", ";", "="),
]
texts = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=14).map("".join)
PLACES = st.sampled_from(
    [
        ANYWHERE,
        Place("en"),
        Place("zh"),
        Place("de"),
        Place("ko"),
        Place("es"),
        Place(kind="code", code="Python"),
        Place("pl"),
    ]
)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(texts, PLACES)
def test_gates_lose_nothing(text: str, place: Place) -> None:
    assert REDACTOR.find(text, place) == without_gates(REDACTOR, text, place)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(texts)
def test_gates_lose_nothing_elsewhere(text: str) -> None:
    assert REWRITING.find(text) == without_gates(REWRITING, text)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(texts, PLACES)
def test_redacting_twice_is_redacting_once(text: str, place: Place) -> None:
    once, _ = REDACTOR.redact(text, place)
    assert REDACTOR.redact(once, place) == (once, {})


def zst_lines(name: str) -> list[dict]:
    with (SHARED / name).open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as raw:
        return [json.loads(line) for line in io.TextIOWrapper(raw, encoding="utf-8", newline="\n")]


@needs_data
def test_gates_lose_nothing_on_real_text() -> None:
    samples = [(row["text"], Place(row["language"])) for row in zst_lines("pii/pii-anon-technology.jsonl.zst")[::50]]
    samples += [(row["query"], Place("en")) for row in zst_lines("pii/enterprise_pii_classification.jsonl.zst")[::60]]
    samples += [(row["text"][:10_000], Place("en")) for row in zst_lines("html-gold/gold-wcxb.jsonl.zst")[::60]]
    samples += [(row["text"][:10_000], ANYWHERE) for row in zst_lines("books/books-plain.jsonl.zst")[::9]]
    samples += [
        (row["content"][:8_000], Place("", "code", "", row["language"]))
        for row in zst_lines("code/sources.jsonl.zst")[::100]
        if isinstance(row["content"], str)
    ]
    found = 0
    for text, place in samples:
        matches = REDACTOR.find(text, place)
        assert matches == without_gates(REDACTOR, text, place)
        found += len(matches)
    assert found > 200


WORDS = (
    Anchor("ss"),
    Anchor("my name is"),
    Anchor("by", line_start=True),
    Anchor("kiß", inside=True),
    Anchor("路", digit_after=2),
    Anchor("st", digit_before=5),
    Anchor("c/o"),
    Anchor("ı"),
)

AUTOMATON = Anchors([[word] for word in WORDS])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            ["s", "ss", "S", "ſ", "my", "MY", "name", "is", "by", "By", "\n", " ", "\xa0", "k", "\u212a", "iß", "Iẞ"]
        )
        | st.sampled_from(["路", "1", "２", "st", "c/o", "ı", "i", "I", "中", "é", "\U0001f600", "    "]),
        max_size=12,
    ).map("".join)
)
def test_the_automaton_finds_what_the_words_find_one_by_one(text: str) -> None:
    expected = {number: spans for number, word in enumerate(WORDS) if (spans := word.spans(text))}
    assert AUTOMATON.find(codepoints(text)) == expected
    if text.isascii():
        ascii_points = np.frombuffer(text.encode(), np.uint8)
        assert AUTOMATON.find(ascii_points) == expected
