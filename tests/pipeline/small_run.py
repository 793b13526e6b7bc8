"""Small runs in this process, and the tables that they wrote."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline import recipe_file
from pipeline.run import run
from pipeline.runners.direct import DirectRunner
from pipeline.runners.runner import Watcher
from pipeline.stage import Item, Stage


class Quiet:
    """A display that shows nothing but remembers how many items each stage had, and what was noted."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.notes: list[str] = []

    @contextlib.contextmanager
    def stage(self, stage: Stage, items: int, done: int) -> Iterator[Watcher]:
        assert done == 0
        self.items[stage.name] = items
        yield self

    def done(self, item: Item) -> None: ...

    def progress(self, counted: int, kept: int) -> None: ...

    def note(self, message: str) -> None:
        self.notes.append(message)


class Corpus:
    """What a run wrote: documents by the name that their metadata carry, and the evidence with these names in it."""

    def __init__(self, out: Path, manifest: dict[str, Any]) -> None:
        self.out = out
        self.manifest = manifest
        self.before = {self._name(row): row for row in self.table("filtered")}
        self.after = {self._name(row): row["text"] for row in self.table("documents")}
        self.names = {row["number"]: name for name, row in self.before.items()}

    @staticmethod
    def _name(row: dict[str, Any]) -> str:
        return str(json.loads(row["metadata"])["id"])

    def table(self, kind: str) -> list[dict[str, Any]]:
        """All rows of a kind of table."""
        return [row for path in sorted((self.out / kind).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]

    def evidence(self, level: str = "") -> list[dict[str, Any]]:
        """The rows of duplicates/ of a level (or of all), with ``name`` and ``kept`` (of this run)."""
        rows = [row for row in self.table("duplicates") if level in ("", row["level"])]
        for row in rows:
            row["name"] = self.names[row["number"]]
            row["kept"] = self.names.get(row["kept_number"]) if not row["kept_corpus"] else None
        return rows

    def kept_for(self, level: str) -> dict[str, str]:
        """Who was removed or cut at a level, and for whom."""
        return {row["name"]: row["kept"] for row in self.evidence(level)}


def made(
    folder: Path, documents: Sequence[dict[str, Any]], settings: str, name: str = "out", sources: str = ""
) -> Corpus:
    """Run a recipe over documents (``id``, ``text``, ``url``, ``date``); ``settings`` is YAML that adds to it."""
    folder.mkdir(exist_ok=True)
    given = folder / f"{name}.jsonl"
    given.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in documents), encoding="utf-8")
    source = sources or f"sources: [{{name: docs, kind: jsonl, id: id, paths: ['{given}'], filters: false}}]"
    loaded = recipe_file.loads(f"{source}\npii: false\ntokenizer: false\n{settings}\n")
    return Corpus(folder / name, run(loaded, str(folder / name), DirectRunner(), Quiet()))


SYLLABLES = ("al", "bro", "ce", "fro", "gro", "jet", "kno", "lar", "ma", "nor", "os", "qui", "tul", "ver", "wil", "yar")


def prose(seed: int, sentences: int = 12) -> str:
    """Made sentences that no other seed has."""
    import random

    source = random.Random(seed)
    words = (" ".join(source.choice(SYLLABLES) + source.choice(SYLLABLES) for _ in range(9)) for _ in range(sentences))
    return " ".join(sentence.capitalize() + "." for sentence in words)
