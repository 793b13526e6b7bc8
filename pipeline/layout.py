"""Where everything lies below the output folder: one place for every path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.files import is_remote, join

STATE = ".corpusmill"
"""Folder of markers and intermediate files; not needed to read a finished run, only to go on with one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one output folder. Names of files are ``SOURCE/SPLIT-PART``, for example ``web/00003-00``."""

    out: str

    @classmethod
    def of(cls, out: str) -> Layout:
        """The layout of a folder as a user writes it: ``out/``, ``./out`` and ``out`` are one."""
        return cls(out.rstrip("/") if is_remote(out) else str(Path(out)))

    def path(self, relative: str) -> str:
        """The full path of a file named relative to the output folder."""
        return join(self.out, relative)

    @property
    def recipe(self) -> str:
        return self.path("recipe.yaml")

    @property
    def manifest(self) -> str:
        return self.path("manifest.json")

    @property
    def report(self) -> str:
        return self.path("report/index.html")

    @property
    def tokenizer(self) -> str:
        return self.path("tokenizer/tokenizer.json")

    def model(self, name: str, ending: str) -> str:
        """A file of a trained model."""
        return self.path(f"models/{name}{ending}")

    @property
    def lock(self) -> str:
        return self.path(f"{STATE}/lock")

    @property
    def run(self) -> str:
        """What the run was started with: digests of recipe, plan and versions."""
        return self.path(f"{STATE}/run.json")

    @property
    def plan(self) -> str:
        return self.path(f"{STATE}/plan.json")

    def marker(self, stage: str) -> str:
        """Says that a stage is finished, and from which inputs."""
        return self.path(f"{STATE}/stages/{stage}.json")

    def commit(self, stage: str, item: str) -> str:
        """Says that one item of a stage is finished, with its files and counts."""
        return self.path(f"{STATE}/commits/{stage}/{item}.json")

    def error(self, stage: str, item: str) -> str:
        """The traceback of an item that could not be done."""
        return self.path(f"{STATE}/errors/{stage}/{item}.txt")

    def work(self, relative: str) -> str:
        """An intermediate file."""
        return self.path(f"{STATE}/work/{relative}")
