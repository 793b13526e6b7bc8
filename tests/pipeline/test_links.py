"""Pages selected by links from Reddit: normal forms of addresses, what counts as a link, and a run with them."""

from __future__ import annotations

import bz2
import contextlib
import io
import json
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from records import outcome

from pipeline import check, files, plan, recipe_file
from pipeline.layout import Layout
from pipeline.links import HASH, list_file, open_list
from pipeline.run import run
from pipeline.runners.direct import DirectRunner
from pipeline.sources.crawl.addresses import hash_of, links_of, normalized
from pipeline.sources.crawl.selection import Links
from pipeline.sources.reddit import Reddit
from pipeline.sources.source import FilePart

SUBMISSIONS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reddit" / "RS_v2_2005-06.xz"


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("http://Example.ORG", "example.org"),
        ("https://www.example.org/", "example.org"),
        ("https://user:pass@example.org:443/a/", "example.org/a"),
        ("http://example.org:8080/A", "example.org:8080/A"),
        ("http://example.org:443/", "example.org:443"),
        ("http://example.org/a?utm_source=x&b=1&fbclid=y#top", "example.org/a?b=1"),
        ("http://example.org/a?utm_source=x", "example.org/a"),
        ("http://example.org/a/?b=2&a=1", "example.org/a?b=2&a=1"),
        ("http://example.org/%7Euser/%e4%b8%AD/%2f", "example.org/~user/%E4%B8%AD/%2F"),
        ("http://example.org/中 x", "example.org/%E4%B8%AD%20x"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://example.org./a", "example.org/a"),
        ("  https://example.org/100%/ ", "example.org/100%"),
        ("ftp://example.org/", ""),
        ("mailto:a@b.c", ""),
        ("http://", ""),
        ("http://[::1", ""),
        ("http://example.org:99999/", ""),
        ("", ""),
    ],
)
def test_normal_forms(address: str, form: str) -> None:
    assert normalized(address) == form
    assert (hash_of(address) is None) is (form == "")


@given(st.text(max_size=60))
def test_a_normal_form_is_its_own(tail: str) -> None:
    form = normalized("https://www.example.org/" + tail)
    assert form == "" or normalized("http://" + form) == form or form.startswith("example.org?") or "www." in form[:8]


def submission(**more: object) -> str:
    row = {"url": "http://a.example/1", "score": 3, "is_self": False, "over_18": False, "selftext": ""}
    return json.dumps(row | more)


LINES = [
    (submission(), "counted"),
    (submission(score=2), "low_score"),
    (submission(score=None), "unreadable"),
    (submission(score=float("nan")), "low_score"),
    (submission(is_self=True), "self_post"),
    (submission(over_18=True), "adult"),
    (submission(removed_by_category="moderator"), "removed"),
    (submission(selftext="[deleted]"), "removed"),
    (submission(url="https://i.redd.it/x.png"), "excluded_domain"),
    (submission(url="https://notredd.it/x"), "counted"),
    (submission(url="not an address"), "no_address"),
    (submission(url={"no": "text"}), "unreadable"),
    (submission(url="http://b.example/?a=1&amp;b=2"), "counted"),
    ("{broken", "unreadable"),
    ("https://plain.example/list", "counted"),
    ("www.no-scheme.example", "no_address"),
]


@pytest.mark.parametrize("pack", [bytes, bz2.compress, lzma.compress, zstandard.compress])
def test_what_counts_as_a_link(pack, tmp_path: Path) -> None:
    path = tmp_path / "RS_2010-01"
    path.write_bytes(pack("\n".join(line for line, _ in LINES).encode()))
    size = path.stat().st_size
    found = list(links_of(FilePart(str(path), path.name, 0, size, size), Links(links=("x",))))
    assert [link.reason or "counted" for link in found] == [reason for _, reason in LINES]
    assert hash_of("http://b.example/?a=1&b=2") in [link.hash for link in found]


def test_settings_say_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "RS"
    path.write_text("\n".join(line for line, _ in LINES))
    size = path.stat().st_size
    all_ = Links(links=("x",), min_score=-5, adult=True, removed=True, exclude_domains=())
    found = Counter(link.reason for link in links_of(FilePart(str(path), "RS", 0, size, size), all_))
    assert found == {"": 9, "unreadable": 3, "no_address": 2, "self_post": 1, "low_score": 1}


def warc(pages: dict[str, str]) -> bytes:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = io.BytesIO()
    writer = WARCWriter(out)
    for url, text in pages.items():
        head = StatusAndHeaders("200 OK", [("Content-Type", "text/plain")], protocol="HTTP/1.1")
        writer.write_record(writer.create_warc_record(url, "response", io.BytesIO(text.encode()), http_headers=head))
        writer.write_record(writer.create_warc_record(url, "metadata", io.BytesIO(b"x: y")))
    return out.getvalue()


RECIPE = """
sources:
  - name: web
    kind: warc
    paths: [{folder}/web/*.warc.gz]
    filters: none
    select: {{links: ["{folder}/reddit/*"], min_score: 3}}
dedup: false
pii: false
tokenizer: false
"""


class _Silent:
    """A display that shows nothing, and takes every note for a failure."""

    def stage(self, *_: object) -> contextlib.AbstractContextManager[_Silent]:
        return contextlib.nullcontext(self)

    def done(self, item: object) -> None:
        pass

    def progress(self, *_: object) -> None:
        pass

    def note(self, message: str) -> None:
        raise AssertionError(message)


def test_a_run_keeps_the_pages_that_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "reddit").mkdir()
    pages = {f"https://www.site.example/page/{number}/": f"The text of page {number}." for number in range(40)}
    (tmp_path / "web" / "a.warc.gz").write_bytes(warc(pages))
    listed = [submission(url=f"http://site.example/page/{number}?utm_medium=r", score=number) for number in range(20)]
    (tmp_path / "reddit" / "RS_1").write_text("\n".join(listed))
    (tmp_path / "reddit" / "RS_2.zst").write_bytes(
        zstandard.compress(submission(url="https://site.example/page/30").encode())
    )
    recipe = recipe_file.loads(RECIPE.format(folder=tmp_path))
    assert list(check.problems(recipe)) == []
    out = tmp_path / "out"
    made = run(recipe, str(out), DirectRunner(), _Silent())
    fates = made["sources"]["web"]
    assert fates["kept"] == 17 + 1
    assert fates["removed"] == {"links.not_listed": 2 * 40 - 2 * 18, "warc.metadata": 18}
    assert fates["failed"] == {}
    before = plan.make(recipe)
    (tmp_path / "reddit" / "RS_1").write_text("")
    after = plan.make(recipe)
    assert before.digest != after.digest, "other links are another input"
    (tmp_path / "reddit" / "RS_1").unlink()
    (tmp_path / "reddit" / "RS_2.zst").unlink()
    assert "no file matches" in next(check.problems(recipe))


def test_a_list_is_asked_from_a_mapped_file(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    with files.replacing(list_file(layout, "web")) as written:
        written.stream.write(np.sort(np.array([hash_of(f"http://a.example/{n}") for n in range(1000)], HASH)).tobytes())
    listed = open_list(layout, "web")
    assert all(f"https://www.a.example/{number}/" in listed for number in range(1000))
    assert not any(f"https://a.example/{number}" in listed for number in range(1000, 3000))
    assert "no address" not in listed
    with files.replacing(list_file(layout, "web")) as written:
        pass
    assert "http://a.example/1" not in open_list(layout, "web")


def reddit(row: str, tmp_path: Path, **settings: object) -> tuple[str, object]:
    path = tmp_path / "RC"
    path.write_text(row)
    size = path.stat().st_size
    (record,) = Reddit(name="r", paths=("x",), **settings).read(FilePart(str(path), "RC", 0, size, size), 1 << 20)
    return outcome(record), record


def test_posts_and_comments(tmp_path: Path) -> None:
    post = submission(
        is_self=True,
        selftext="a &lt; b\n",
        title="A &amp; B",
        permalink="/r/x/1/",
        created_utc="1119552233",
        subreddit="x",
    )
    text, record = reddit(post, tmp_path)
    assert text == "A & B\n\na < b"
    assert (record.url, record.date) == ("https://www.reddit.com/r/x/1/", "2005-06-23T18:43:53Z")
    assert record.metadata == {"type": "post", "subreddit": "x", "score": "3"}
    assert reddit('{"body": "yes", "score": 1}', tmp_path)[0] == "yes"
    assert reddit('{"body": "yes", "score": 1}', tmp_path, comments=False)[0] == "reddit.comment"
    assert reddit('{"body": "yes", "score": 1}', tmp_path, min_score=2)[0] == "reddit.low_score"
    assert reddit('{"body": "[removed]"}', tmp_path)[0] == "reddit.removed"
    assert reddit(submission(), tmp_path)[0] == "reddit.link"
    assert reddit(submission(is_self=True), tmp_path)[0] == "reddit.empty"
    assert reddit(submission(is_self=True, selftext="x", over_18=True), tmp_path)[0] == "reddit.adult"
    for broken in ("{", "[]", '{"body": 5}', "{}"):
        assert reddit(broken, tmp_path)[0] == "failed"


@pytest.mark.skipif(not SUBMISSIONS.exists(), reason="the shared data is not here")
def test_a_real_month() -> None:
    size = SUBMISSIONS.stat().st_size
    part = FilePart(str(SUBMISSIONS), SUBMISSIONS.name, 0, size, size)
    found = Counter(link.reason for link in links_of(part, Links(links=("x",))))
    rows = [json.loads(line) for line in lzma.decompress(SUBMISSIONS.read_bytes()).splitlines()]
    assert sum(found.values()) == len(rows) == 103
    assert found["low_score"] == sum(row["score"] < 3 for row in rows)
    assert found[""] > 50
    assert "unreadable" not in found
    texts = [outcome(record) for record in Reddit(name="r", paths=("x",)).read(part, 1 << 20)]
    assert "failed" not in texts
