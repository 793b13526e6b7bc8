"""Runs a stage as one Beam job over all items, on whatever engine takes it.

The items travel as files that the job's first step reads, so the job request is as small for a million items as for one.
What is finished is known from the commits: a job that died is submitted again with the items that are left, by this
process where a record is known to be to blame, else by the same command later.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import files, pulse
from pipeline.layout import STATE, Layout
from pipeline.plan import Split
from pipeline.runners.runner import Failed, StageFailed, Watcher
from pipeline.sources.source import FilePart
from pipeline.stage import Item, Stage, committed

TICK = 0.5
"""Seconds between looks at a running job."""
PATIENCE = 20
"""What lists commits or asks for metrics may take one part in so many of the time."""
ITEMS_IN_A_FILE = 1000
"""Items that one file holds; a million items are a thousand elements in the graph."""
SHOWN_ERROR = 600
"""Characters of an engine's error that a message shows; the whole of it goes to a file."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker process that is no more, and the record (split index, number) it was at: NOTHING where at none."""

    cause: str
    split: int
    record: int


class Engine(Protocol):
    """Something that carries out Beam jobs, one after the other."""

    name: str
    """As a user says it: ``flink``."""

    def start(self) -> tuple[beam.runners.PipelineRunner, PipelineOptions]:
        """Get ready for a job, once or again: the Beam runner that takes it, and its options. Raises EngineMissing."""

    def counted(self) -> tuple[int, int] | None:
        """Records and kept ones that its workers counted so far; None where only the job's metrics tell."""

    def deaths(self) -> Sequence[Death]:
        """The workers that died since this was asked last, as far as can be known here."""

    def close(self) -> None:
        """Stop whatever was started."""


class JobRunner:
    """Runs every stage as one job of an engine."""

    def __init__(self, engine: Engine, attempts: int) -> None:
        self._engine = engine
        self._attempts = attempts

    def run(self, stage: Stage, items: Sequence[Item], layout: Layout, watcher: Watcher) -> None:
        """Run the items as one job, and what is left of them once more while workers die at records. Raises StageFailed.

        A record that has stopped ``attempts`` workers is left out. An engine may try again by itself, or give up at once.
        """
        progress = _Progress(self._engine, stage, items, layout, watcher)
        blamed: Counter[tuple[int, int]] = Counter()
        left = list(items)
        while error := self._job(stage, left, layout, progress):
            deaths = progress.taken()
            for death in deaths:
                blamed[death.split, death.record] += death.split != pulse.NOTHING
            guilty = {(death.split, death.record): death.cause for death in deaths}
            guilty = {place: cause for place, cause in guilty.items() if blamed[place] >= self._attempts}
            if all(death.split == pulse.NOTHING for death in deaths):
                raise StageFailed(stage.name, [Failed(self._engine.name, error)])
            if not guilty:
                watcher.note(f"{self._engine.name} gave the job up after a worker's death; it is submitted once more")
            left = [_without(item, guilty) for item in left if committed(layout, stage.name, item.name) is None]
            for (split, record), cause in sorted(guilty.items()):
                del blamed[split, record]
                watcher.note(f"split {split}: {cause} at record {record}; going on without that record (see failed/)")

    def close(self) -> None:
        """Stop what the engine started."""
        self._engine.close()

    def _job(self, stage: Stage, items: Sequence[Item], layout: Layout, progress: _Progress) -> str:
        """Run one job to its end, or cancel it when this process is interrupted. Returns its error, or nothing."""
        runner, options = self._engine.start()
        pipeline = beam.Pipeline(runner=runner, options=options)
        stage.narrowed(items).transform(pipeline | "items" >> Items(layout, stage.name, items))
        with _quiet():
            outcome: list[BaseException] = []
            result = pipeline.run()
            waiting = threading.Thread(target=_wait, args=(result, outcome), daemon=True)
            waiting.start()
            try:
                while waiting.is_alive():
                    waiting.join(TICK)
                    progress.look(result)
            except BaseException:
                with contextlib.suppress(Exception):  # it may be over by now, or its server gone
                    result.cancel()
                raise
        progress.look(result, last=True)
        return _explained(layout, stage.name, outcome[0]) if outcome else ""


def _without(item: Item, guilty: dict[tuple[int, int], str]) -> Item:
    """The item without the guilty records of its splits."""
    own = {split.index for split in item.splits}
    skip = tuple((record, cause) for (split, record), cause in sorted(guilty.items()) if split in own)
    return replace(item, skip=(*item.skip, *skip))


def _wait(result: Any, outcome: list[BaseException]) -> None:
    try:
        state = result.wait_until_finish()
        if state != "DONE":
            outcome.append(RuntimeError(f"the job ended as {state}"))
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for this one
        outcome.append(error)


def _explained(layout: Layout, stage: str, error: BaseException) -> str:
    """The error of a job as a message, with the file that holds all of it."""
    path = layout.error(stage, "job")
    files.write_text(path, "".join(traceback.format_exception(error)))
    whole = " ".join(str(error).split())
    shown = whole if len(whole) <= SHOWN_ERROR else f"… {whole[-SHOWN_ERROR:]}"
    return f"{shown} (all of it in {path})"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Beam from logging every message of an engine: what matters is raised."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(level)


class Items(beam.PTransform):
    """The items of a stage, from files that this writes now: the graph holds their numbers only."""

    def __init__(self, layout: Layout, stage: str, items: Sequence[Item]) -> None:
        super().__init__()
        self._paths = write_items(layout, stage, items)

    def expand(self, begin: Any) -> beam.PCollection:
        pattern, count = self._paths
        return (
            begin
            | "item files" >> beam.Create(list(range(count)))
            | "read items" >> beam.FlatMap(_read_items, pattern).with_output_types(Item)
            | "spread items" >> beam.Reshuffle()
        )


def write_items(layout: Layout, stage: str, items: Sequence[Item]) -> tuple[str, int]:
    """Write the items, heaviest first, in files of a bounded number. Returns the pattern of their names, and how many."""
    ordered = sorted(items, key=lambda item: (-item.weight, item.name))
    pattern = layout.work(f"items/{stage}/{{:05d}}.json")
    starts = range(0, len(ordered), ITEMS_IN_A_FILE)
    for number, start in enumerate(starts):
        files.write_json(pattern.format(number), [asdict(item) for item in ordered[start : start + ITEMS_IN_A_FILE]])
    return pattern, len(starts)


def _read_items(number: int, pattern: str) -> Iterator[Item]:
    for written in files.read_json(pattern.format(number)):
        splits = [
            Split(one["source"], one["number"], one["index"], tuple(FilePart(**part) for part in one["parts"]))
            for one in written["splits"]
        ]
        skip = tuple((record, cause) for record, cause in written["skip"])
        yield Item(written["name"], written["weight"], tuple(splits), tuple(written["numbers"]), skip)


class _Progress:
    """Shows a job while it runs: commits that have appeared, and what the workers or the job's metrics have counted."""

    def __init__(self, engine: Engine, stage: Stage, items: Sequence[Item], layout: Layout, watcher: Watcher) -> None:
        self._engine = engine
        self._waiting = {item.name: item for item in items}
        self._folder = layout.path(f"{STATE}/commits/{stage.name}")
        self._watcher = watcher
        self._before = engine.counted() or (0, 0)
        self._next = 0.0
        self._deaths: list[Death] = []

    def taken(self) -> list[Death]:
        """The deaths of workers since this was asked last."""
        taken, self._deaths = self._deaths, []
        return taken

    def look(self, result: Any, last: bool = False) -> None:
        """Tell the watcher what is new, unless looking would take too much of the time."""
        began = time.monotonic()
        if began < self._next and not last:
            return
        for death in self._engine.deaths():
            self._deaths.append(death)
            where = "" if death.split == pulse.NOTHING else f" at record {death.record} of split {death.split}"
            self._watcher.note(f"{death.cause}{where}; {self._engine.name} decides whether to try again")
        with contextlib.suppress(OSError):  # a store that does not answer now will the next time
            for found in files.find(f"{self._folder}/**"):
                name = found.path.removeprefix(f"{self._folder}/").removesuffix(".json")
                if (item := self._waiting.pop(name, None)) is not None:
                    self._watcher.done(item)
        counted = self._engine.counted()
        if counted is None:
            self._watcher.progress(*_of_metrics(result))
        else:
            self._watcher.progress(counted[0] - self._before[0], counted[1] - self._before[1])
        now = time.monotonic()
        self._next = now + PATIENCE * (now - began)


def _of_metrics(result: Any) -> tuple[int, int]:
    """What ``pulse.count`` counted in the job, as far as its engine tells while it runs."""
    found = {"records": 0, "kept": 0}
    with contextlib.suppress(Exception):  # not every engine answers before the end
        counters = result.metrics().query(MetricsFilter().with_namespace(pulse.NAMESPACE))["counters"]
        for one in counters:
            value = one.committed if one.committed is not None else one.attempted
            found[one.key.metric.name] = found.get(one.key.metric.name, 0) + (value or 0)
        if hasattr(result, "_metrics"):
            result._metrics = None  # Beam's portable result asks once only and then repeats itself
    return found["records"], found["kept"]
