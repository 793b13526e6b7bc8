"""CommonCrawl by name, from a dump on a web server on the loopback address and from a copy on a disk."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from records import outcome
from web_server import Site, serving

from pipeline import http_files, plan
from pipeline.recipe import Recipe
from pipeline.recipe_file import RecipeError, loads
from pipeline.sources.crawl import commoncrawl
from pipeline.sources.crawl.commoncrawl import CommonCrawl

DUMP = "CC-MAIN-2025-05"
NAMES = [
    f"crawl-data/{DUMP}/segments/17367.{number % 2}/warc/CC-MAIN-2025-{number:05d}.warc.gz" for number in range(12)
]


def member(number: int, kind: str = "response") -> bytes:
    noise = random.Random(number).randbytes(4000).hex()
    words = f"<p>Page {number} says that the quick brown fox jumps over the lazy dog, again and again.</p>"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body><main>{words * 8}</main><!--{noise}-->"
    body = http.encode() if kind == "response" else f"Text {number}.".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://example.org/{number}\r\n"
        f"WARC-Date: 2025-01-21T00:00:00Z\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0)


def dump() -> dict[str, bytes]:
    """A small dump: twelve files of thirty pages, their list, and one file of extracted text."""
    made = {f"/{name}": b"".join(member(30 * at + k) for k in range(30)) for at, name in enumerate(NAMES)}
    made[f"/crawl-data/{DUMP}/warc.paths.gz"] = gzip.compress("".join(f"{name}\n" for name in NAMES).encode())
    wet = f"crawl-data/{DUMP}/segments/1/wet/one.warc.wet.gz"
    made[f"/{wet}"] = member(1, "conversion")
    made[f"/crawl-data/{DUMP}/wet.paths.gz"] = gzip.compress(f"{wet}\n".encode())
    return made


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http_files, "PAUSE", 0.0)
    commoncrawl._list.cache_clear()
    commoncrawl._file.cache_clear()
    with serving() as made:
        made.files = dump()
        yield made


def recipe(base: str, files: str = "0-9", more: str = "", split: int = 50_000) -> Recipe:
    return loads(
        f"sources: [{{name: cc, kind: commoncrawl, dump: {DUMP}, files: {files}, base: '{base}', filters: none{more}}}]\n"
        f"limits: {{split: {split}}}\ntokenizer: false\n"
    )


def texts(made: Recipe) -> list[tuple[str, str]]:
    (source,) = made.sources
    found = []
    for split in plan.make(made).splits:
        for part in split.parts:
            found += [(one.url, outcome(one)) for one in source.read(part, 1 << 20)]
    return found


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dump_is_read_by_name_split_by_split(site: Site, ranges: bool) -> None:
    site.ranges = ranges
    made = recipe(site.url)
    planned = plan.make(made)
    assert planned.folders == {"cc": site.url}
    parts = [part for split in planned.splits for part in split.parts]
    assert sorted({part.name for part in parts}) == sorted(NAMES[:10])
    assert len(parts) > 20, "large files are cut"
    found = texts(made)
    assert sorted(url for url, _ in found) == sorted(f"http://example.org/{number}" for number in range(300))
    assert all("quick brown fox" in text for _, text in found)


def test_plan_and_documents_are_the_same_from_a_copy(site: Site, tmp_path: Path) -> None:
    for path, data in site.files.items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_bytes(data)
    here, there = recipe(f"{tmp_path}/"), recipe(site.url)
    plans = [plan.make(one) for one in (here, there)]
    assert plans[0].digest == plans[1].digest
    shapes = [[[(p.name, p.start, p.stop, p.size) for p in s.parts] for s in made.splits] for made in plans]
    assert shapes[0] == shapes[1]
    assert texts(here) == texts(there)


@pytest.mark.parametrize(
    ("written", "numbers"),
    [("3", [3]), ("0-2", [0, 1, 2]), ("[0-1, 11]", [0, 1, 11]), ('"1, 5-6"', [1, 5, 6]), ("9-", [9, 10, 11])],
)
def test_files_are_chosen_by_number(site: Site, written: str, numbers: list[int]) -> None:
    made = recipe(site.url, written)
    parts = {part.name for split in plan.make(made).splits for part in split.parts}
    assert parts == {NAMES[number] for number in numbers}
    again = CommonCrawl.model_validate(made.sources[0].model_dump(mode="json"))
    assert again == made.sources[0]


@pytest.mark.parametrize("written", ["x", "5-3", "-1", "[]", "1.5", "true", "{a: 1}"])
def test_what_chooses_no_files_is_an_error_in_the_recipe(written: str) -> None:
    with pytest.raises(RecipeError, match="files"):
        recipe("https://example.org", written)


def test_extracted_text(site: Site) -> None:
    assert texts(recipe(site.url, "0", ", what: wet")) == [("http://example.org/1", "Text 1.")]


def test_a_busy_server_is_asked_again(site: Site) -> None:
    site.answers = [503, 503, 503]
    assert len(plan.make(recipe(site.url, "0")).splits) > 1


def test_what_is_missing_is_named(site: Site) -> None:
    with pytest.raises(OSError, match="lists 12 files, 0 to 11; there is no 5-12"):
        plan.make(recipe(site.url, "5-12"))
    del site.files[f"/{NAMES[3]}"]
    with pytest.raises(OSError, match=r"00003\.warc\.gz: the dump's list names this file, but it is not there"):
        plan.make(recipe(site.url, "3"))
    commoncrawl._list.cache_clear()
    site.files.clear()
    with pytest.raises(OSError, match=r"warc\.paths\.gz is not there: no such dump"):
        plan.make(recipe(site.url))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>blocked</html>", b"../../etc/passwd", b"crawl-data/a/../b.warc.gz", b"crawl-data/a/https://b/c"],
)
def test_a_list_that_is_none_is_an_error(site: Site, content: bytes) -> None:
    site.files[f"/crawl-data/{DUMP}/warc.paths.gz"] = content
    with pytest.raises(OSError, match=r"warc\.paths\.gz"):
        plan.make(recipe(site.url))


def test_a_commoncrawl_source_has_no_paths_and_a_dump_is_a_name() -> None:
    good = {"name": "cc", "dump": DUMP, "files": "0"}
    assert CommonCrawl.model_validate(good).base == "https://data.commoncrawl.org/"
    for wrong in ({"paths": ["x"]}, {"dump": "../x"}, {"dump": "2025-05"}, {"what": "wat"}):
        with pytest.raises(ValidationError):
            CommonCrawl.model_validate(good | wrong)
    assert CommonCrawl.model_validate(good | {"dump": "CC-NEWS/2025/01"}).dump == "CC-NEWS/2025/01"
