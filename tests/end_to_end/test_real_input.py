"""The whole job on real input: web pages, real and odd archives, Wikipedia dumps, books and code."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import SHARED, corpusmill

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the real data does not lie beside the checkout")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "out"
    corpusmill("run", "tests/end_to_end/real.yaml", "--output", folder)
    return folder


@pytest.fixture(scope="module")
def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text())


def rows(out: Path, kind: str, source: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / kind / source).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_everything_is_as_the_manifest_says(out: Path) -> None:
    corpusmill("verify", out)


def test_no_record_vanishes(manifest: dict[str, Any]) -> None:
    for name, fates in {**manifest["sources"], **manifest["splits"]}.items():
        removed, failed = fates["removed"], fates["failed"]
        total = [sum(part.values()) if isinstance(part, dict) else part for part in (removed, failed)]
        assert fates["read"] == fates["kept"] + sum(total), name


def test_every_archive_is_accounted_for(out: Path) -> None:
    """No file stops the run: each has records or says why it has none."""
    seen: Counter[str] = Counter()
    for kind in ("filtered", "removed"):
        seen.update(row["origin"]["file"] for row in rows(out, kind, "archives"))
    failed = rows(out, "failed", "archives")
    seen.update(row["file"] for row in failed)
    wanted = {
        f"{path.parent.name}/{path.name}"
        for folder in ("real", "odd", "recompressed")
        for path in (SHARED / "warc" / folder).iterdir()
    }
    assert set(seen) == wanted
    assert failed
    assert all(row["cause"] and row["file"] and row["offset"] >= 0 for row in failed)


def test_archives_hold_at_least_what_warcio_reads(out: Path) -> None:
    """Where warcio stops at damage, we go on behind it; what we can't read is a failure that covers the rest."""
    seen: Counter[str] = Counter()
    for kind in ("filtered", "removed"):
        seen.update(row["origin"]["file"] for row in rows(out, kind, "archives"))
    failed = rows(out, "failed", "archives")
    seen.update(row["file"] for row in failed)
    with (SHARED / "warc" / "MANIFEST.tsv").open() as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["records_read"].isdecimal() and seen[row["file"]] < int(row["records_read"]):
                assert any(
                    one["file"] == row["file"] and one["offset"] + one["length"] >= int(row["bytes"]) for one in failed
                )


def test_dumps_are_read_whole(manifest: dict[str, Any]) -> None:
    with (SHARED / "wikipedia" / "MANIFEST.tsv").open() as table:
        pages = sum(int(row["pages"]) for row in csv.DictReader(table, delimiter="\t") if row["pages"].isdecimal())
    fates = manifest["sources"]["wikipedia"]
    assert fates["read"] >= pages > 2500
    assert fates["removed"]["wikipedia.redirect"] > 100


def test_the_corpus_is_plausible(out: Path, manifest: dict[str, Any]) -> None:
    sources = manifest["sources"]
    assert 600 < sources["web"]["kept"] < 1100
    assert sources["books"]["kept"] == 27
    assert sources["code"]["kept"] > 900
    assert 3 < sources["gutenberg"]["kept"] < 25, "the same book in several encodings is one book"
    web = rows(out, "documents", "web")
    assert {row["language"] for row in web} == {"en", "de"}
    assert not any("\x00" in row["text"] or not row["text"].strip() for row in web)
    assert not any("PROJECT GUTENBERG" in row["text"] for row in rows(out, "documents", "gutenberg")[:3])
    evidence = {row["level"] for source in sources for row in rows(out, "duplicates", source)}
    assert {"document.exact", "document.near", "sentence.span"} <= evidence


def test_the_report_shows_nothing_but_text(out: Path) -> None:
    page = (out / "report" / "index.html").read_text()
    assert "<script" not in page
    assert "default-src 'none'" in page
