"""Dedup in many partitions and passes decides what it decides in one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from small_run import Quiet

from pipeline import recipe_file
from pipeline.dedup import find, inputs, runs, verify
from pipeline.dedup.settings import KEYS_VERSION
from pipeline.run import OtherRun, run
from pipeline.runners.direct import DirectRunner


def texts() -> list[str]:
    """Some sixty documents: originals, exact copies, near copies, and a passage that many share."""
    source = random.Random(7)
    words = [
        f"{a}{b}"
        for a in ("bal", "cor", "den", "fil", "gam", "hol", "jun")
        for b in ("a", "er", "is", "on", "um", "yx")
    ]
    made = [[" ".join(source.choices(words, k=9)).capitalize() + "." for _ in range(30)] for _ in range(20)]
    passage = ["Here is what they share.", "It is the same in all of them.", "Three sentences are enough."]
    copies = [" ".join(sentences) for sentences in made]
    near = [" ".join([*sentences[:12], "Something new stands here.", *sentences[13:]]) for sentences in made[:15]]
    sharing = [" ".join([*sentences[5:20][::-1], *passage, *sentences[20:][::-1]]) for sentences in made]
    return [*copies, *copies[:8], *near, *sharing]


def results(folder: Path, name: str) -> tuple[dict[str, bytes], dict[str, int]]:
    loaded = recipe_file.loads(
        f"sources: [{{name: docs, kind: jsonl, paths: ['{folder}/*.jsonl'], filters: false}}]\n"
        "pii: false\ntokenizer: false\nlimits: {split: 4kB, batch_documents: 7}\n"
    )
    display = Quiet()
    run(loaded, str(folder / name), DirectRunner(), display)
    found = {
        str(path.relative_to(folder / name)): path.read_bytes()
        for kind in ("documents", "duplicates")
        for path in (folder / name / kind).rglob("*.parquet")
    }
    return found, display.items


def test_partitions_and_passes_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(3):
        rows = texts()[part::3]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    whole, items = results(tmp_path, "whole")
    assert any(path.startswith("duplicates/") for path in whole)
    assert items["dedup-exact"] == items["dedup-near"] == items["dedup-spans"] == 1
    monkeypatch.setattr(inputs, "DOCUMENTS_PER_BLOCK", 15)
    monkeypatch.setattr(find, "ROWS_PER_PARTITION", 37)
    in_parts, _ = results(tmp_path, "parts")
    assert in_parts == whole
    monkeypatch.setattr(runs, "BYTES_PER_ROW", 1 << 40)
    monkeypatch.setattr(verify, "COPIES", 1 << 40)
    in_passes, items = results(tmp_path, "passes")
    assert items["dedup-near"] > 5
    assert items["dedup-verify-pairs"] > 1
    assert items["dedup-spans"] > 5
    assert in_passes == whole


def test_keys_made_by_another_rule_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": texts()[0]}) + "\n")
    results(tmp_path, "out")
    monkeypatch.setattr("pipeline.run.KEYS_VERSION", KEYS_VERSION + 1)
    with pytest.raises(OtherRun, match=rf"dedup keys {KEYS_VERSION} \(now {KEYS_VERSION + 1}\)\. Add --fresh"):
        results(tmp_path, "out")
