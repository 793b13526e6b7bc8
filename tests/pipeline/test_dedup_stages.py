"""Dedup in many partitions and passes decides what it decides in one."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import recipe_file
from pipeline.dedup import find, runs
from pipeline.run import run
from pipeline.runners.direct import DirectRunner
from pipeline.runners.runner import Watcher
from pipeline.stage import Item, Stage


class Quiet:
    """A display that shows nothing but remembers how many items each stage had."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}

    @contextlib.contextmanager
    def stage(self, stage: Stage, items: int, done: int) -> Iterator[Watcher]:
        assert done == 0
        self.items[stage.name] = items
        yield self

    def done(self, item: Item) -> None: ...

    def progress(self, counted: int, kept: int) -> None: ...

    def note(self, message: str) -> None: ...


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
    monkeypatch.setattr(find, "ROWS_PER_PARTITION", 37)
    in_parts, _ = results(tmp_path, "parts")
    assert in_parts == whole
    monkeypatch.setattr(runs, "BYTES_PER_ROW", 1 << 40)
    in_passes, items = results(tmp_path, "passes")
    assert items["dedup-near"] > 5
    assert items["dedup-spans"] > 5
    assert in_passes == whole
