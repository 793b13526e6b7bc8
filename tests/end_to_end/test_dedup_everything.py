"""Every level of dedup at once on real documents: the same bytes on both runners, after a kill, and for every removal a reason."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard
from harness import ROOT, SHARED, command_line, corpusmill, digests

NEARDUP = SHARED / "neardup"
pytestmark = pytest.mark.skipif(not NEARDUP.exists(), reason="no real data beside the checkout")

MORE = """\
  - {{name: licences, kind: jsonl, paths: ["{folder}/licences.jsonl"], filters: measured}}
  - {{name: pages, kind: warc, paths: ["{neardup}/recrawl.warc.gz", "{gold}"], extractor: everything, filters: measured}}
"""
RECIPE = """\
sources:
  - {{name: articles, kind: jsonl, paths: ["{folder}/{articles}.jsonl"], filters: measured}}
{more}filters:
  measured: [length]
dedup:
  url: true
  near: {{min_similarity: 0.7, verify: jaccard}}
  sentence: {{unit: lines, boilerplate: {{min_pages: 3}}}}
  survivor: {{by: length.words}}
  reference: [{reference}]
  decontaminate: {decontaminate}
pii: false
tokenizer: false
limits: {{split: 300kB, batch_documents: 60}}
"""


def texts(name: str) -> list[str]:
    with (NEARDUP / f"{name}.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        return [str(json.loads(line)["text"]) for line in lines]


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The recipe of an earlier run over half of the articles, and that of a run over the others and more."""
    folder = tmp_path_factory.mktemp("everything")
    articles, licences = texts("mccormick-articles_1000"), texts("licence-texts")
    # the earlier half has the even ones, so that labelled pairs lie on both sides
    parts = {"old": articles[::2], "new": articles[1::2] + articles[:20:2], "licences": licences}
    for name, those in parts.items():
        path = folder / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in those), encoding="utf-8"
        )
    items = [" ".join(text.split()[5:40]) for text in articles[1:60:6]] + [
        " ".join(text.split()[9:30]) for text in licences[::40]
    ]
    (folder / "items.jsonl").write_text(
        "".join(json.dumps({"item": [item]}) + "\n" for item in items), encoding="utf-8"
    )
    gold = f"{SHARED}/html-gold/goose3-00000.warc.gz"
    benchmark = f"{{name: made, paths: ['{folder}/items.jsonl'], fields: [item]}}"
    recipes = {
        "old": {"more": "", "reference": "", "decontaminate": "false"},
        "new": {
            "more": MORE.format(folder=folder, neardup=NEARDUP, gold=gold),
            "reference": folder / "old",
            "decontaminate": f"{{benchmarks: [{benchmark}], action: remove}}",
        },
    }
    for name, parts_ in recipes.items():
        (folder / f"{name}.yaml").write_text(RECIPE.format(folder=folder, articles=name, **parts_))
    corpusmill("run", folder / "old.yaml", "--output", folder / "old", "--runner", "direct")
    return folder / "old.yaml", folder / "new.yaml"


@pytest.fixture(scope="module")
def out(recipes: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all of it in one process."""
    folder = tmp_path_factory.mktemp("direct") / "out"
    corpusmill("run", recipes[1], "--output", folder, "--runner", "direct")
    return folder


def test_every_level_finds_something_and_says_what(out: Path) -> None:
    rows = [row for path in sorted((out / "duplicates").rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    levels = {row["level"] for row in rows}
    assert levels >= {
        "reference.exact", "document.near", "sentence.span", "sentence.boilerplate", "benchmark.overlap",
    }  # fmt: skip
    assert any(level.endswith(".url") for level in levels)
    before = {
        row["number"]: row["text"]
        for path in (out / "filtered").rglob("*.parquet")
        for row in pq.read_table(path, columns=["number", "text"]).to_pylist()
    }
    for row in rows:
        assert 0 <= row["start"] < row["stop"] <= len(before[row["number"]])
        assert before[row["number"]][row["start"] : row["stop"]].startswith(row["text"])
        if row["level"].endswith(".near"):
            assert row["similarity"] >= 0.7
    made = json.loads((out / "manifest.json").read_text())
    removed = sum(sum(fates["removed"].values()) for fates in made["sources"].values())
    whole = {
        row["number"]
        for row in rows
        if row["level"].partition(".")[0] in ("document", "dataset", "reference", "benchmark")
        and row["level"] != "reference.span"
    } | {row["number"] for row in rows if row["level"].endswith(("_left", "_lost"))}
    by_dedup = sum(
        count
        for fates in made["sources"].values()
        for why, count in fates["removed"].items()
        if why.startswith("dedup.")
    )
    assert len(whole) == by_dedup <= removed
    corpusmill("verify", out)


def test_the_same_bytes_from_killed_workers_and_a_killed_run(
    recipes: tuple[Path, Path], out: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command_line("run", recipes[1], "--output", tmp_path / "out", "--workers", "2"),
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not any((tmp_path / "out/.corpusmill/commits/dedup-near").rglob("*.json")):
        assert process.poll() is None, "the run was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out/manifest.json").exists()
    corpusmill("run", recipes[1], "--output", tmp_path / "out", "--workers", "2")
    assert digests(tmp_path / "out") == digests(out)
