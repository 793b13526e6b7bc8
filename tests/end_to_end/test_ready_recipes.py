"""Every ready recipe loads, runs on a little real input, and keeps a sane share of it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import ROOT, SHARED
from typer.testing import CliRunner

from pipeline import recipe_file
from pipeline.command import app

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))

needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the real data does not lie beside the checkout")

CHINESE_PAGES = ("news.cn/fortune", "test-pages/youth/", "test-pages/qq/", "banyuetan.org")
"""What the extraction benchmarks have in Chinese: two news agencies, a portal, a newspaper."""


def rows(path: Path) -> Iterator[dict[str, Any]]:
    import zstandard

    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def pages() -> str:
    return str(SHARED / "html-gold" / "goose3-00000.warc.gz")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A WET file: the gold texts of a benchmark as CommonCrawl would have extracted them."""
    path = tmp_path_factory.mktemp("wet") / "texts.warc.wet.gz"
    with path.open("wb") as out:
        for number, row in enumerate(rows(SHARED / "html-gold" / "gold-newspaper.jsonl.zst")):
            text = row["text"].encode()
            head = (
                "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
                f"WARC-Record-ID: <urn:x:{number}>\r\nWARC-Target-URI: {row['url']}\r\nContent-Length: {len(text)}\r\n\r\n"
            )
            out.write(gzip.compress(head.encode() + text + b"\r\n\r\n", mtime=0))
    return str(path)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Chinese pages of the benchmarks, and a CommonCrawl sample whose Chinese pages are junk."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    path = tmp_path_factory.mktemp("chinese") / "pages.warc.gz"
    with path.open("wb") as out:
        for name in ("newspaper", "readability", "trafilatura"):
            archive = SHARED / "html-gold" / f"{name}-00000.warc.gz"
            data = archive.read_bytes()
            with archive.open("rb") as stream:
                found = [
                    (record.stream_pos, record.headers.get("WARC-Target-URI") or "")
                    for record in ArchiveIterator(stream, record_types=WarcRecordType.any_type)
                ]
            ends = [place for place, _ in found[1:]] + [len(data)]
            for (start, url), end in zip(found, ends, strict=True):
                if any(part in url for part in CHINESE_PAGES):
                    out.write(data[start:end])
        out.write((SHARED / "warc" / "real" / "chatnoir-eu__chatnoir-resiliparse__warcfile.warc.gz").read_bytes())
    return str(path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository of real files in many languages."""
    path = tmp_path_factory.mktemp("code") / "repository.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for number, row in enumerate(rows(SHARED / "code" / "sources.jsonl.zst")):
            if number % 24 == 0:
                content = row["content"].encode()
                member = tarfile.TarInfo(f"repository/{number}/{Path(row['path']).name}")
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
    return str(path)


Run = Callable[..., tuple[Path, dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a ready recipe as it is, but for tokens, which are no matter of the recipe."""

    def run(name: str, **inputs: str) -> tuple[Path, dict[str, Any]]:
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text((ROOT / "recipes" / f"{name}.yaml").read_text() + "\ntokenizer: false\n")
        given = [part for source, path in inputs.items() for part in ("--input", f"{source}={path}")]
        arguments = ["run", str(recipe), "--output", str(tmp_path / "out"), "--runner", "direct", *given]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return tmp_path / "out", json.loads((tmp_path / "out" / "manifest.json").read_text())

    return run


def documents(out: Path, folder: str = "documents") -> list[dict[str, Any]]:
    return [row for path in sorted((out / folder).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_says_where_it_comes_from(path: Path) -> None:
    recipe = recipe_file.load(str(path))
    assert recipe.name == path.stem
    said = path.read_text()
    assert f"corpusmill run recipes/{path.name}" in said or path.stem == "demo"
    if path.stem != "demo":
        assert "# Source" in said
        assert "# Left out or different:" in said


def test_the_recipes_are_those_the_plan_names() -> None:
    wanted = {"demo", "fineweb", "dclm", "c4", "gopher", "ccnet", "chinese", "code", "llama-mixture"}
    assert wanted <= {path.stem for path in RECIPES}


@needs_shared
@pytest.mark.parametrize(
    ("name", "least", "most", "reason"),
    [
        ("fineweb", 0.4, 0.9, "datatrove"),
        ("dclm", 0.4, 0.9, "gopher"),
        ("gopher", 0.5, 0.95, "gopher"),
    ],
)
def test_english_pages(run: Run, pages: str, name: str, least: float, most: float, reason: str) -> None:
    out, made = run(name, web=pages)
    fates = made["sources"]["web"]
    assert fates["read"] >= 30
    kept = documents(out)
    assert least < len(kept) / 30 < most, fates
    assert {row["language"] for row in kept} == {"en"}
    assert fates["removed"]["language.not_kept"] >= 1
    assert any(removed_by.startswith(reason) for removed_by in fates["removed"]), fates


@needs_shared
@pytest.mark.parametrize(("name", "least", "most"), [("c4", 0.5, 0.97), ("ccnet", 0.65, 0.95)])
def test_extracted_texts(run: Run, texts: str, name: str, least: float, most: float) -> None:
    out, made = run(name, web=texts)
    fates = made["sources"]["web"]
    assert fates["read"] == 79
    assert least < fates["kept"] / fates["read"] <= most, fates
    if name == "c4":
        assert {row["language"] for row in documents(out)} == {"en"}
        assert not any("{" in row["text"] for row in documents(out))


@needs_shared
def test_chinese_pages_are_kept_and_junk_is_not(run: Run, chinese: str) -> None:
    out, made = run("chinese", web=chinese)
    kept = documents(out)
    for part in CHINESE_PAGES:
        [page] = [row for row in kept if part in row["url"]]
        assert page["language"] == "zh"
        assert len(page["text"]) > 500
    junk = [row for row in kept if not any(part in row["url"] for part in CHINESE_PAGES)]
    assert len(junk) <= 1, [row["url"] for row in junk]
    reasons = made["sources"]["web"]["removed"]
    assert sum(count for reason, count in reasons.items() if reason.startswith("chinese.")) >= 5, reasons


@needs_shared
def test_source_code(run: Run, repository: str) -> None:
    out, made = run("code", code=repository)
    fates = made["sources"]["code"]
    assert 0.6 < fates["kept"] / fates["read"] < 0.98, fates
    assert any(reason.startswith("code.") for reason in fates["removed"]), fates
    assert {json.loads(row["metadata"])["programming_language"] for row in documents(out)} >= {"Python", "Java"}


@needs_shared
def test_seven_sources_in_the_proportions_of_llama(run: Run, pages: str, repository: str, tmp_path: Path) -> None:
    (tmp_path / "c4.json").write_text(
        json.dumps({"text": "A text that was cleaned before. " * 20, "url": "http://a.example/"})
    )
    (tmp_path / "book.txt").write_text("Chapter 1\n\n" + "It was a book of many pages, and every page had words. " * 90)
    out, made = run(
        "llama-mixture",
        commoncrawl=pages,
        c4=str(tmp_path / "c4.json"),
        github=repository,
        wikipedia=str(SHARED / "wikipedia" / "enwiki-pages-articles-sample.xml.bz2"),
        books=str(tmp_path / "book.txt"),
        arxiv=str(SHARED / "latex" / "emcee-paper.tar.gz"),
        stackexchange=str(SHARED / "stackexchange" / "jrfoster-Posts.xml.zst"),
    )
    kept = {name: fates["kept"] for name, fates in made["sources"].items()}
    assert all(kept.values()), kept
    assert kept["stackexchange"] > 10
    assert {row["source"] for row in documents(out)} == set(kept)
