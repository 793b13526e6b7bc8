"""The manifest: every file with its rows and digest, and what became of every record, per split and per source."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import files
from pipeline.layout import Layout
from pipeline.plan import Plan
from pipeline.recipe import Recipe

FORMAT = 1

MATTERING = (
    "corpusmill", "apache-beam", "datasketch", "fasttext", "justext", "kenlm", "numpy", "presidio-analyzer",
    "pyarrow", "regex", "resiliparse", "sentencepiece", "tiktoken", "tokenizers", "trafilatura", "warcio",
)  # fmt: skip
"""Packages whose version may change the output."""


@dataclass(slots=True)
class Fates:
    """What became of the records of a source or split: read = kept + removed + failed."""

    read: int = 0
    kept: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    """Other counts: text_bytes, spans_cut, characters_cut, tokens, and ``pii.<entity>``."""

    def check(self, what: str) -> None:
        """Raises RuntimeError unless every record has exactly one fate."""
        accounted = self.kept + self.removed.total() + self.failed.total()
        if accounted != self.read:
            raise RuntimeError(f"{what}: {self.read} records read, but {accounted} accounted for")

    def add(self, counts: Mapping[str, int], stage: str) -> None:
        """Add the counts of a commit. What prepare kept is read again by finish, which has the last word on it."""
        for name, count in counts.items():
            match name.split("|")[1:]:
                case ["read"]:
                    self.read += count
                case ["kept"]:
                    self.kept += count if stage != "prepare" else 0
                case ["removed", reason]:
                    self.removed[reason] += count
                case ["failed", step]:
                    self.failed[step] += count
                case ["pii", entity]:
                    self.facts[f"pii.{entity}"] += count
                case [fact]:
                    self.facts[fact] += count

    def as_json(self) -> dict[str, Any]:
        """The fates as plain values, names sorted."""
        by_name = {name: dict(sorted(getattr(self, name).items())) for name in ("removed", "failed", "facts")}
        return {"read": self.read, "kept": self.kept, **by_name}


def versions() -> dict[str, str]:
    """Versions of the packages that the output may depend on."""
    return {name: importlib.metadata.version(name) for name in MATTERING}


def make(recipe: Recipe, plan: Plan, layout: Layout, commits: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The manifest of a finished run from the commits of its stages. Raises RuntimeError when records are missing."""
    splits = {split.name: Fates() for split in plan.splits}
    for stage in ("prepare", "finish", "encode"):
        for commit in commits.get(stage, ()):
            splits[commit["item"]].add(commit["counts"], stage)
    sources = {source.name: Fates() for source in recipe.sources}
    for name, fates in splits.items():
        fates.check(f"split {name}")
        total = sources[name.rpartition("/")[0]]
        total.read += fates.read
        total.kept += fates.kept
        total.removed += fates.removed
        total.failed += fates.failed
        total.facts += fates.facts
    outputs = [
        one for stage in commits.values() for commit in stage for one in commit["outputs"] if one["kind"] != "work"
    ]
    for one in outputs:
        if one["kind"] == "shard":
            sources[one["source"]].facts["tokens"] += one["tokens"]
    return {
        "format": FORMAT,
        "name": recipe.name,
        "recipe": recipe.digest,
        "input": plan.digest,
        "keys": recipe.dedup.key_settings() if recipe.dedup else None,
        "references": recipe.references,
        "benchmarks": _benchmarks(recipe, commits),
        "versions": versions(),
        "folders": plan.folders,
        "sources": {name: fates.as_json() for name, fates in sources.items()},
        "splits": {name: _short(fates) for name, fates in splits.items()},
        "mixture": recipe.mixture,
        "tokenizer": next((one for one in outputs if one["kind"] == "tokenizer"), None),
        "files": sorted(outputs, key=lambda one: one["path"]),
    }


def _benchmarks(recipe: Recipe, commits: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, dict[str, int]]:
    """Items of each benchmark: how many there are, and how many could not be looked for."""
    counts = Counter({name: count for one in commits.get("benchmarks", ()) for name, count in one["counts"].items()})
    return {
        one.name: {name: counts[f"{one.name}|{name}"] for name in ("items", "not_looked_for")}
        for one in recipe.benchmarks
    }


def _short(fates: Fates) -> dict[str, int]:
    return {"read": fates.read, "kept": fates.kept, "removed": fates.removed.total(), "failed": fates.failed.total()}


def read(layout: Layout) -> dict[str, Any]:
    """The manifest of a finished run. Raises FileNotFoundError with what to do when there is none."""
    if not files.exists(layout.manifest):
        raise FileNotFoundError(
            f"{layout.out} holds no finished run (no manifest.json): run the recipe again to finish it"
        )
    manifest: dict[str, Any] = files.read_json(layout.manifest)
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{layout.manifest}: format {manifest.get('format')!r}, this version reads {FORMAT}")
    return manifest


def of_kind(manifest: Mapping[str, Any], *kinds: str) -> Iterable[dict[str, Any]]:
    """The manifest's rows for files of these kinds, by path."""
    return (one for one in manifest["files"] if one["kind"] in kinds)
