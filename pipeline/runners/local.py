"""Runs a stage on this machine: a supervisor and a pool of spawned processes, one item at a time each.

A worker runs the stage's PTransform over its item with Beam's in-memory runner. One that is killed, crashes or hangs costs
its item another try. The supervisor sees in shared memory (``pipeline.pulse``) which record a worker was touching: a
record that stops its worker ``limits.attempts`` times is left out from then on and becomes a row in ``failed/``.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from pipeline import files, pulse
from pipeline.layout import Layout
from pipeline.runners.patience import Patience
from pipeline.runners.runner import Failed, StageFailed, Watcher
from pipeline.runners.worker import end_with_parents
from pipeline.stage import Item, Stage, committed

TICK = 0.2
"""Seconds between looks at the workers."""
TRIES = 3
"""How often an item may lose its worker while no record is to blame."""
ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What makes all threads of a worker, and Arrow, share the C library's heap: what one has freed then serves the others, and a
worker needs some 100 MB less. Both are read when a process begins."""


@dataclass(slots=True)
class _Worker:
    process: Any
    connection: Connection
    slots: Any
    patience: Patience
    item: Item | None = None
    hung: bool = False


class LocalRunner:
    """A pool of worker processes; kept between the stages of a run, so that libraries and models load once."""

    def __init__(self, workers: int, record_seconds: float, attempts: int) -> None:
        self._count = workers
        self._record_seconds = record_seconds
        self._attempts = attempts
        self._context = multiprocessing.get_context("spawn")
        for name, value in ONE_HEAP.items():
            os.environ.setdefault(name, value)
        self._workers: list[_Worker] = []

    def run(self, stage: Stage, items: Sequence[Item], layout: Layout, watcher: Watcher) -> None:
        """Run the items, largest first. Raises StageFailed when an item can't be done, after the others are."""
        waiting = deque(sorted(items, key=lambda item: (-item.weight, item.name)))
        while len(self._workers) < min(self._count, len(waiting)):
            self._workers.append(self._start())
        counted = _Progress(self._workers)
        lost: Counter[str] = Counter()
        blamed: Counter[tuple[str, int]] = Counter()
        failed: list[Failed] = []
        while waiting or any(worker.item for worker in self._workers):
            for worker in self._workers:
                busy = sum(one.item is not None for one in self._workers)
                if worker.item is None and waiting and not failed and busy < (stage.at_once or self._count):
                    self._give(worker, stage, waiting.popleft())
            if failed and not any(worker.item for worker in self._workers):
                break
            ready = wait(
                [one for worker in self._workers for one in (worker.connection, worker.process.sentinel)], TICK
            )
            for index, worker in enumerate(self._workers):
                if worker.connection in ready or worker.process.sentinel in ready:
                    item, answer = worker.item, self._outcome(worker)
                    worker.item = None
                    error = answer if isinstance(answer, str) else None
                    if item is not None and isinstance(answer, tuple):
                        failed.append(Failed(item.name, _explained(layout, stage.name, item.name, *answer)))
                        continue
                    if error is not None:
                        self._workers[index] = self._start()
                        if item is not None and committed(layout, stage.name, item.name) is None:
                            again = self._blame(item, worker, error, lost, blamed, watcher)
                            if again is None:
                                failed.append(Failed(item.name, f"{error}, {TRIES} times, at no record in particular"))
                            else:
                                waiting.appendleft(again)
                            continue
                    if item is not None and error is None:
                        watcher.done(item)
                self._watch(worker)
            counted.look(self._workers)
            watcher.progress(counted.records, counted.kept)
        if failed:
            raise StageFailed(stage.name, failed)

    def close(self) -> None:
        """End the workers: politely, then not."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.connection.send(None)
        for worker in self._workers:
            worker.process.join(1)
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        slots = self._context.RawArray("q", pulse.SLOTS)
        process = self._context.Process(target=_work, args=(theirs, slots), daemon=True)
        process.start()
        assert process.pid
        theirs.close()
        return _Worker(process, ours, slots, Patience(process.pid, self._record_seconds))

    def _give(self, worker: _Worker, stage: Stage, item: Item) -> None:
        worker.item = item
        worker.hung = False
        worker.patience.begin()
        worker.slots[pulse.SPLIT] = pulse.NOTHING
        with contextlib.suppress(
            BrokenPipeError
        ):  # it has died while idle: the sentinel tells, and the item is given again
            worker.connection.send((stage, item))

    def _outcome(self, worker: _Worker) -> str | tuple[str, str] | None:
        """None for a finished item; an error that the worker reports, with its traceback; or how the worker died."""
        try:
            if worker.connection.poll():
                answer: tuple[str, str] | None = worker.connection.recv()
                return answer
        except (EOFError, OSError):
            pass  # no last words: the exit code tells
        worker.process.join(5)
        if worker.hung:
            return f"worker stopped: more than {self._record_seconds:g} s at one record"
        code = worker.process.exitcode
        if code is not None and code < 0:
            return f"worker killed by {signal.Signals(-code).name}"
        return f"worker died with exit code {code}"

    def _blame(
        self,
        item: Item,
        worker: _Worker,
        error: str,
        lost: Counter[str],
        blamed: Counter[tuple[str, int]],
        watcher: Watcher,
    ) -> Item | None:
        """The item to try again, without the record that has stopped its worker too often; None to give the item up."""
        split, record = worker.slots[pulse.SPLIT], worker.slots[pulse.RECORD]
        if split == pulse.NOTHING:
            lost[item.name] += 1
            watcher.note(f"{item.name}: {error}; trying again")
            return None if lost[item.name] >= TRIES else item
        blamed[item.name, record] += 1
        if blamed[item.name, record] < self._attempts:
            watcher.note(f"{item.name}: {error} at record {record}; trying again")
            return item
        watcher.note(f"{item.name}: {error} at record {record}; going on without that record (see failed/)")
        return replace(item, skip=(*item.skip, (record, error)))

    def _watch(self, worker: _Worker) -> None:
        """Kill a worker that has been at the same record for too long."""
        here = (worker.slots[pulse.SPLIT], worker.slots[pulse.RECORD])
        if worker.item is not None and not worker.hung and worker.patience.is_over(here):
            worker.hung = True
            worker.process.kill()


def _explained(layout: Layout, stage: str, item: str, error: str, trace: str) -> str:
    """The error of an item as a message, with the file that holds its traceback."""
    path = layout.error(stage, item)
    files.write_text(path, trace)
    return f"{error} (traceback in {path})"


class _Progress:
    """Sums what the workers count in one stage, also those that are no more."""

    def __init__(self, workers: Sequence[_Worker]) -> None:
        self._last = {worker.process.pid: _counted(worker) for worker in workers}
        self.records = self.kept = 0

    def look(self, workers: Sequence[_Worker]) -> None:
        """Add what has been counted since the last look."""
        for worker in workers:
            now = _counted(worker)
            before = self._last.get(worker.process.pid, (0, 0))
            self.records += now[0] - before[0]
            self.kept += now[1] - before[1]
            self._last[worker.process.pid] = now


def _counted(worker: _Worker) -> tuple[int, int]:
    return worker.slots[pulse.RECORDS], worker.slots[pulse.KEPT]


def _work(connection: Connection, slots: Any) -> None:
    """A worker: runs the items it is given until it is told to stop or its supervisor is gone."""
    from pipeline.runners.direct import run_pipeline

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    logging.basicConfig(level=logging.ERROR, force=True)
    threading.Thread(target=end_with_parents, daemon=True).start()
    pulse.share(slots)
    while True:
        try:
            order = connection.recv()
        except EOFError:
            return
        if order is None:
            return
        stage, item = order
        gc.collect()
        gc.freeze()  # libraries and models stay: whoever looks through them for garbage at every turn pays a tenth of all time
        try:
            run_pipeline(stage, [item])
        except Exception as error:  # noqa: BLE001 - the supervisor decides what to do, and says what happened
            pulse.rest()
            connection.send((f"{type(error).__name__}: {error}", traceback.format_exc()))
        else:
            connection.send(None)
