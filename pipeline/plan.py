"""Cuts the input into splits: the units of work, retry and resume, planned from names and sizes alone."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pipeline import files
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.sources.source import FilePart, Source

RECORD_BITS = 28
"""A document number is split << RECORD_BITS | record: 268 million records a split, 68 billion splits."""
MAX_FILES = 4096
"""Small files share a split, up to this many."""


class NoInput(Exception):  # noqa: N818
    """A source's paths match no file."""


@dataclass(frozen=True, slots=True)
class Split:
    """A run of file parts that one worker reads in order. ``index`` counts over all sources, ``number`` within its own."""

    source: str
    number: int
    index: int
    parts: tuple[FilePart, ...]

    @property
    def name(self) -> str:
        """Names its outputs, for example ``commoncrawl/00017``."""
        return f"{self.source}/{self.number:05d}"

    @property
    def size(self) -> int:
        """Input bytes."""
        return sum(part.stop - part.start for part in self.parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """All splits of a run. ``digest`` is of the names and sizes of the input files, ``stamp`` of their times too.

    The digest identifies the input wherever it lies; the stamp tells whether a file has changed since a run was begun.
    """

    splits: tuple[Split, ...]
    folders: dict[str, str]
    digest: str
    stamp: str

    def of(self, number: int) -> Split:
        """The split that a document number lies in."""
        return self.splits[number >> RECORD_BITS]


def save(plan: Plan, layout: Layout) -> None:
    """Write the plan where the stages find it: it may be too large to travel with every step of a job."""
    files.write_json(layout.plan, asdict(plan))


def load(layout: Layout) -> Plan:
    """The plan of the run in this folder, read once a process."""
    (found,) = files.find(layout.plan)
    return _load(layout.plan, found.changed)


@functools.lru_cache(maxsize=2)
def _load(path: str, changed: float) -> Plan:
    del changed
    written = files.read_json(path)
    splits = tuple(
        Split(one["source"], one["number"], one["index"], tuple(FilePart(**part) for part in one["parts"]))
        for one in written["splits"]
    )
    return Plan(splits, written["folders"], written["digest"], written["stamp"])


def document_number(split: int, record: int) -> int:
    """Pack the index of a split and the number of a record in it."""
    return split << RECORD_BITS | record


def make(recipe: Recipe) -> Plan:
    """Find the files of every source and cut them. The order is recipe order, then file name, then offset.

    Raises NoInput when a source's paths match nothing.
    """
    splits: list[Split] = []
    folders: dict[str, str] = {}
    seen: list[tuple[str, str, int, float]] = []
    for source in recipe.sources:
        folders[source.name], found = files_of(source)
        seen += [(source.name, name, file.size, file.changed) for name, file in [*found, *besides(source)]]
        for number, parts in enumerate(_cut(source, found, recipe.limits.split)):
            splits.append(Split(source.name, number, len(splits), parts))
    return Plan(tuple(splits), folders, _digest([one[:3] for one in seen]), _digest(seen))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def files_of(source: Source) -> tuple[str, list[tuple[str, files.Found]]]:
    """The folder that all of a source's paths share, and its files by their names below that folder, sorted.

    Raises NoInput where there are none.
    """
    found = source.find()
    if not found:
        raise NoInput(f"source {source.name!r}: no file matches {', '.join(source.paths)}")
    folder = source.folder() or _folder_of(source.paths)
    return folder, _named(folder, found)


def besides(source: Source) -> list[tuple[str, files.Found]]:
    """The further files that a source's output depends on, by their names below the folder that they share, sorted.

    Raises NoInput where patterns name some and there are none.
    """
    patterns = source.reads_besides()
    found = list({file.path: file for pattern in patterns for file in files.find(pattern)}.values())
    if patterns and not found:
        raise NoInput(f"source {source.name!r}: no file matches {', '.join(patterns)}")
    return _named(_folder_of(patterns), found)


def _named(folder: str, found: Iterable[files.Found]) -> list[tuple[str, files.Found]]:
    inside = files.join(folder, "") if folder else ""
    named = [(_readable(file.path.removeprefix(inside)), file) for file in found]
    return sorted(named, key=lambda pair: (pair[0], pair[1].path))


def _folder_of(patterns: Sequence[str]) -> str:
    """The folder that the paths of all patterns share."""
    return _common(sorted({files.base_of(pattern) for pattern in patterns}))


def _readable(name: str) -> str:
    """A file's name as UTF-8; bytes that are none are spelled out, so that different names stay different."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _common(bases: list[str]) -> str:
    """The deepest folder that all of these lie in, empty where that is the one the command runs in."""
    parts = [base.split("/") for base in bases]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    if shared in ([""], ["", ""]):
        return "/"
    if len(shared) == 2 and shared[0].endswith(":"):
        return "/".join(shared) + "/"  # different buckets
    return "" if shared == ["."] else "/".join(shared)


def _cut(source: Source, found: Iterable[tuple[str, files.Found]], size: int) -> Iterable[tuple[FilePart, ...]]:
    """Large files that can be entered become several splits; small ones share a split."""
    together: list[FilePart] = []
    weight = 0
    for name, file in found:
        cuts = max(1, -(-file.size // size)) if source.can_enter(file.path) else 1
        edges = [file.size * cut // cuts for cut in range(cuts + 1)]
        for start, stop in itertools.pairwise(edges):
            if together and (weight + stop - start > size or len(together) >= MAX_FILES):
                yield tuple(together)
                together, weight = [], 0
            together.append(FilePart(file.path, name, start, stop, file.size))
            weight += stop - start
    if together:
        yield tuple(together)
