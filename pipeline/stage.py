"""What a stage is: work items, one PTransform over them, and a commit file for every item that is done.

The runners know nothing else of the stages: they give them items, all at once or one by one, and look for the commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam

from pipeline import files
from pipeline.files import Written
from pipeline.layout import Layout
from pipeline.plan import Split

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of work. ``name`` is unique in its stage and names its commit file; ``weight`` is input bytes, for balance.

    ``skip`` are records (number in the split, cause) that must not be touched again: they have stopped workers.
    """

    name: str
    weight: int
    splits: tuple[Split, ...] = ()
    numbers: tuple[int, ...] = ()
    skip: tuple[tuple[int, str], ...] = ()


class Stage:
    """A step of the run. Instances are pickled and sent to workers, so they hold settings and paths, never data."""

    name: str
    """Names its markers, its commits and its steps in a runner's display, for example ``prepare``."""
    unit: str
    """What it counts while it runs: records, documents, keys."""

    at_once: int | None = None
    """How many items may run at the same time on one machine; None: as many as there are workers."""

    def items(self) -> Sequence[Item]:
        """The work, in a fixed order, from what the stages before it wrote."""
        raise NotImplementedError

    def narrowed(self, items: Sequence[Item]) -> Stage:
        """The stage for these items alone: a smaller graph where a stage has steps that they don't need."""
        return self

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        """Items in, their commits out. Everything is written before the commit, under temporary names, then renamed."""
        raise NotImplementedError


@dataclass(slots=True)
class Part:
    """What one batch of an item wrote. ``last`` marks the final batch, so that a commit knows whether it saw all."""

    item: str
    number: int
    last: bool
    outputs: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def output(layout: Layout, kind: str, written: Written, **facts: Any) -> dict[str, Any]:
    """The manifest's row for a written file: kind, path below the output folder, bytes, sha256, and facts such as rows."""
    relative = written.path.removeprefix(layout.out.rstrip("/") + "/")
    return {"kind": kind, "path": relative, "bytes": written.bytes, "sha256": written.sha256, **facts}


class WholeCoder(beam.coders.PickleCoder):
    """For batches, which never leave their worker: Beam would pickle one every so often only to learn how large it is."""

    def _create_impl(self) -> beam.coders.coder_impl.CoderImpl:
        return beam.coders.coder_impl.CallbackCoderImpl(self.encode, self.decode, self.estimate_size)

    def estimate_size(self, value: Any) -> int:
        """A constant: what a runner shows as bytes between two steps of one worker means nothing here."""
        del value
        return 1


class Commit(beam.PTransform):
    """Gathers the parts of every item and writes its commit file when all are there."""

    def __init__(self, stage: str, layout: Layout) -> None:
        super().__init__()
        self._stage = stage
        self._layout = layout

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        return (
            parts
            | "by item" >> beam.Map(_keyed).with_output_types(tuple[str, Any])
            | "gather parts" >> beam.GroupByKey()
            | "write commit" >> beam.ParDo(_WriteCommit(self._stage, self._layout))
        )


def _keyed(part: Part) -> tuple[str, Part]:
    return part.item, part


class _WriteCommit(beam.DoFn):
    def __init__(self, stage: str, layout: Layout) -> None:
        self._stage = stage
        self._layout = layout

    def process(self, element: tuple[str, Iterable[Part]]) -> Iterator[dict[str, Any]]:
        item, gathered = element
        parts = sorted({part.number: part for part in gathered}.values(), key=lambda part: part.number)
        whole = [part.number for part in parts] == list(range(len(parts))) and parts[-1].last
        if not whole:
            raise RuntimeError(f"{self._stage} {item}: parts {[part.number for part in parts]} do not make a whole")
        yield write_commit(self._layout, self._stage, item, parts)


def write_commit(layout: Layout, stage: str, item: str, parts: Sequence[Part]) -> dict[str, Any]:
    """Write the commit of an item from its parts in order, and return it."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    commit = {
        "item": item,
        "outputs": [one for part in parts for one in part.outputs],
        "counts": {name: count for name, count in sorted(counts.items()) if count},
    }
    files.write_json(layout.commit(stage, item), commit)
    return commit


def commits_of(layout: Layout, stage: str, items: Sequence[Item]) -> list[dict[str, Any] | None]:
    """The commits of items, in their order; looked up side by side where each look is a request to a store."""
    if not files.is_remote(layout.out):
        return [committed(layout, stage, item.name) for item in items]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda item: committed(layout, stage, item.name), items))


def committed(layout: Layout, stage: str, item: str) -> dict[str, Any] | None:
    """The commit of an item, if it is done and its files are still there in full size."""
    path = layout.commit(stage, item)
    if not files.exists(path):
        return None
    commit: dict[str, Any] = files.read_json(path)
    whole = all(files.size_of(layout.path(one["path"])) == one["bytes"] for one in commit["outputs"])
    return commit if whole else None
