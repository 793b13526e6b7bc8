"""Stack Exchange dumps: questions with their answers, from rows that lie anywhere in a file."""

from __future__ import annotations

import gzip
import random
import zipfile
from collections import Counter
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import outcome
from test_sevenzip import archive

from pipeline.sources.forum import posts
from pipeline.sources.forum.post_html import post_text
from pipeline.sources.forum.posts import rows, threads
from pipeline.sources.forum.stackexchange import StackExchange
from pipeline.sources.source import FilePart, Record

DUMPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "stackexchange"
SOURCE = StackExchange(name="s", paths=("x",))
LIMIT = 1 << 22
HEAD = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'


def row(**attributes: object) -> str:
    return "  <row " + " ".join(f'{name}="{escape(str(value))}"' for name, value in attributes.items()) + " />\n"


def question(number: int, **more: object) -> str:
    fields = {"Title": f"Question {number}", "Body": f"<p>Why {number}?</p>", "Score": 5, "CreationDate": "2013-01-01"}
    return row(Id=number, PostTypeId=1, **(fields | more))


def answer(number: int, parent: int, score: int = 1, **more: object) -> str:
    fields = {"Body": f"<p>Because {number}.</p>", "CreationDate": "2019-01-01"}
    return row(Id=number, PostTypeId=2, ParentId=parent, Score=score, **(fields | more))


def read(path: Path, text: str = "", source: StackExchange = SOURCE, name: str = "") -> list[Record]:
    if text:
        path.write_text(HEAD + text + "</posts>\n", encoding="utf-8")
    size = path.stat().st_size
    return list(source.read(FilePart(str(path), name or path.name, 0, size, size), LIMIT))


def test_a_question_with_its_answers(tmp_path: Path) -> None:
    text = (
        answer(4, 1, score=3)
        + question(1, AcceptedAnswerId=7, Tags="<c++><text-files>", Title="A < B &\n C?")
        + answer(6, 1, score=9, ContentLicense="CC BY-SA 4.0")
        + answer(7, 1, score=-2)
    )
    (record,) = read(tmp_path / "Posts.xml", text, name="dumps/coffee.stackexchange.com/Posts.xml")
    assert outcome(record) == ("Q:\n\nA < B & C?\n\nWhy 1?\n\nA:\n\nBecause 7.\n\nA:\n\nBecause 6.\n\nA:\n\nBecause 4.")
    assert (record.url, record.date) == ("https://coffee.stackexchange.com/questions/1", "2013-01-01")
    assert record.metadata == {
        "site": "coffee.stackexchange.com",
        "question": "1",
        "score": "5",
        "tags": "c++, text-files",
        "answers": "3",
        "accepted": "yes",
        "licence": "CC BY-SA 3.0, CC BY-SA 4.0",
    }
    data = (tmp_path / "Posts.xml").read_bytes()
    assert data[record.offset : record.offset + record.length].startswith(b'<row Id="1"')
    assert data[record.offset : record.offset + record.length].endswith(b"/>")


@pytest.mark.parametrize(
    ("settings_", "expected"),
    [
        ({}, ["7", "6", "4"]),
        ({"accepted_first": False}, ["6", "4", "7"]),
        ({"max_answers": 1}, ["7"]),
        ({"min_answer_score": 3}, ["6", "4"]),
        ({"min_answer_score": 4}, ["6"]),
        ({"min_score": 5}, ["7", "6", "4"]),
        ({"min_score": 6}, "stackexchange.low_score"),
        ({"min_answers": 3}, ["7", "6", "4"]),
        ({"min_answers": 4}, "stackexchange.too_few_answers"),
        ({"min_answer_score": 100}, "stackexchange.too_few_answers"),
        ({"min_answer_score": 100, "min_answers": 0}, []),
    ],
)
def test_which_answers_are_kept(settings_: dict[str, int], expected: list[str] | str, tmp_path: Path) -> None:
    text = question(1, AcceptedAnswerId=7) + answer(4, 1, 3) + answer(6, 1, 9) + answer(7, 1, -2)
    (record,) = read(tmp_path / "Posts.xml", text, StackExchange(name="s", paths=("x",), **settings_))
    found = outcome(record)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert found.split("A:\n\n")[1:] == [f"Because {one}." + "\n\n" * (one != expected[-1]) for one in expected]


def test_every_row_has_a_fate(tmp_path: Path) -> None:
    text = (
        question(1)
        + answer(2, 1)
        + question(3)
        + answer(4, 99)
        + row(Id=5, PostTypeId=5, Body="a wiki")
        + row(PostTypeId=1)
        + question(1)
        + row(Id=7, PostTypeId=2)
        + question(8, DeletionDate="2015-01-01")
        + answer(9, 3, DeletionDate="2015-01-01")
        + '<row Id="10" PostTypeId="1" Body="cut off\n'
        + question(11)
        + answer(12, 11)
    )
    found = read(tmp_path / "Posts.xml", text)
    assert Counter(outcome(record) if "Because" not in outcome(record) else "kept" for record in found) == {
        "kept": 2,
        "stackexchange.too_few_answers": 1,
        "stackexchange.no_question": 2,
        "stackexchange.other_post": 1,
        "stackexchange.repeated": 1,
        "stackexchange.deleted": 1,
        "failed": 2,
    }
    assert len({(record.offset, record.length) for record in found}) == len(found)


def test_an_attribute_may_hold_whatever_xml_allows(tmp_path: Path) -> None:
    body = '&lt;p>a /> b &amp;amp; "c" &amp;lt;tag&amp;gt; 中&#x1F600;&apos;&#10;&lt;/p>'
    text = f"<row\n\tId = '1'\n PostTypeId='1' Title='T' Body='{body}'></row>" + answer(2, 1)
    (record,) = read(tmp_path / "Posts.xml", text)
    assert outcome(record) == 'Q:\n\nT\n\na /> b & "c" <tag> 中😀\'\n\nA:\n\nBecause 2.'


@pytest.mark.parametrize("form", ["xml", "gz", "zst", "zip"])
def test_what_a_dump_comes_in(form: str, tmp_path: Path) -> None:
    data = (HEAD + question(1) + answer(2, 1) + "</posts>").encode()
    path = tmp_path / {"xml": "Posts.xml", "gz": "Posts.xml.gz", "zst": "a-Posts.xml.zst", "zip": "s.zip"}[form]
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("Users.xml", "<users/>")
            packed.writestr("Posts.xml", data)
    else:
        pack = {"xml": bytes, "gz": gzip.compress, "zst": zstandard.compress}[form]
        path.write_bytes(pack(data))
    *others, record = read(path)
    assert outcome(record).endswith("Because 2.")
    assert [outcome(other) for other in others] == ["stackexchange.other_table"] * (form == "zip")


def test_7z_archives_and_what_else_lies_in_a_dump(tmp_path: Path) -> None:
    path = tmp_path / "coffee.stackexchange.com.7z"
    path.write_bytes(archive("LZMA2"))
    assert [outcome(record) for record in read(path)] == ["stackexchange.other_table"] * 2
    path.write_bytes(archive("PPMd"))
    (only,) = read(path)
    assert "PPMd" in only.failure
    path = tmp_path / "Posts.xml"
    path.write_bytes(b"")
    (only,) = read(path)
    assert only.failure
    size = 1000
    assert list(SOURCE.read(FilePart(str(path), path.name, 10, size, size), LIMIT)) == []


def test_a_stream_that_is_cut_off_keeps_what_came_before(tmp_path: Path) -> None:
    lines = [question(number) + answer(number + 1, number) for number in range(1, 4000, 2)]
    path = tmp_path / "Posts.xml.gz"
    path.write_bytes(gzip.compress((HEAD + "".join(lines)).encode())[:-2000])
    found = [outcome(record) for record in read(path)]
    assert found.count("failed") == 1
    assert sum("Because" in one for one in found) > 500


def test_partitions_hold_the_same_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = [question(number) for number in range(1, 200)] + [
        answer(number, number % 199 + 1) for number in range(200, 900)
    ]
    random.Random(3).shuffle(lines)
    one = read(tmp_path / "Posts.xml", "".join(lines))
    monkeypatch.setattr(posts, "_PARTITION", 4096)
    many = read(tmp_path / "Posts.xml")
    assert {record.offset: outcome(record) for record in one} == {record.offset: outcome(record) for record in many}
    assert len(one) == len(many) == 199
    assert [record.offset for record in one] != [record.offset for record in many], "there were several partitions"
    assert [record.offset for record in many] == [record.offset for record in read(tmp_path / "Posts.xml")]


def test_a_row_that_is_too_long_is_passed_over() -> None:
    data = (HEAD + question(1) + question(2, Body="x" * 900_000) + question(3)).encode()
    place = [0]

    def take(size: int) -> bytes:
        place[0] += size
        return data[place[0] - size : place[0]]

    found = list(rows(take, 10_000))
    assert [bool(one.failure) for one in found] == [False, True, False]
    assert found[1].length > 900_000
    assert found[2].data.startswith(b'<row Id="3"')


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), step=st.integers(1, 50), text=st.booleans())
def test_any_bytes_read_in_any_pieces_are_the_same_rows(data: bytes, step: int, text: bool) -> None:
    if text:
        data = data.replace(b"a", b"<row Id=").replace(b"b", b'"1" ').replace(b"c", b"/>")

    def reader(size: int):
        place = [0]

        def take(most: int) -> bytes:
            place[0] += min(most, size)
            return data[place[0] - min(most, size) : place[0]]

        return take

    assert list(rows(reader(step), 100)) == list(rows(reader(1 << 20), 100))
    list(threads(reader(step), len(data), 100))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), name=st.sampled_from(["Posts.xml", "a.7z", "Posts.xml.gz", "b.zip"]))
def test_random_bytes_never_raise(data: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for start in (b"", b"7z\xbc\xaf\x27\x1c", b"PK\x03\x04", b"<row "):
        path.write_bytes(start + data)
        for record in read(path):
            assert outcome(record)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a  <b>b</b>\n c</p><p>d</p>", "a b c\n\nd"),
        ("plain", "plain"),
        ("", ""),
        ("<p>x <code>a &lt; b</code></p>", "x `a < b`"),
        ("<pre><code>if x:\n    y\n\n\nz\n</code></pre>", "```\nif x:\n    y\n\n\nz\n```"),
        ("<pre><code>a\n```\nb</code></pre>", "````\na\n```\nb\n````"),
        ("<ul><li>a</li><li><p>b</p></li></ul><p>c</p>", "- a\n- b\n\nc"),
        ("<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>", "1. a\n  - b\n2. c"),
        ("<blockquote><p>a<br>b</p></blockquote>", "> a\n> b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table><p>d</p>", "a | b\nc\n\nd"),
        ("10<sup>3</sup><script>x</script><img alt='y'>", "10^3"),
        ("<div>" * 30_000 + "deep", "deep"),
    ],
)
def test_posts_as_text(html: str, text: str) -> None:
    assert post_text(html) == text


@pytest.mark.skipif(not DUMPS.exists(), reason="the shared data is not here")
def test_real_dumps_against_a_plain_reading() -> None:
    for path in sorted(DUMPS.glob("*Posts.xml.zst")):
        with path.open("rb") as packed:
            tree = ElementTree.fromstring(zstandard.ZstdDecompressor().stream_reader(packed).read())
        wanted = {one.get("Id"): one for one in tree if one.get("PostTypeId") == "1"}
        answers = Counter(one.get("ParentId") for one in tree if one.get("PostTypeId") == "2")
        found = read(path)
        kinds = Counter(outcome(record) if outcome(record).startswith("stackexchange.") else "kept" for record in found)
        assert kinds["kept"] == len([number for number in wanted if answers[number]])
        assert kinds["stackexchange.no_answers"] == len([number for number in wanted if not answers[number]])
        assert sum(kinds.values()) == len(tree) - sum(answers[number] for number in wanted)
        for record in found:
            if "answers" in record.metadata:
                assert record.metadata["answers"] == str(answers[record.metadata["question"]])
