"""Worker processes on this machine for an engine: Beam's EXTERNAL environment, with a supervisor that sees why one died.

Beam's own pool listens on every interface, starts whatever ``python`` is first on PATH, and never looks at its workers
again. This one listens on the loopback interface, uses this interpreter, and knows which record a worker was at.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline import pulse
from pipeline.runners import worker
from pipeline.runners.job import Death

TICK = 0.2
"""Seconds between looks at the workers."""
AGAIN = 2
"""How often a worker that died is started again."""
PRELOADED = ["pipeline.runners.worker", "apache_beam.runners.worker.sdk_worker_main", "pipeline.run"]
"""Imported once, in the process that all workers are forked from: engines ask for new workers with every job. The first sets up
logging before Beam does."""
GRACE = 5
"""Seconds a worker has to end when its engine no longer needs it."""


@dataclass(slots=True)
class _Worker:
    request: Any
    process: Any
    slots: Any
    again: int = 0
    seen: tuple[int, int] = (pulse.NOTHING, pulse.NOTHING)
    since: float = 0.0
    hung: bool = False


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a process for every worker that an engine asks for at ``address``, and stops those it no longer needs."""

    def __init__(self, record_seconds: float, options: dict[str, Any]) -> None:
        self._record_seconds = record_seconds
        self._options = json.dumps({"options": options})
        self._folder = Path(tempfile.mkdtemp(prefix="corpusmill-workers-"))
        self._workers: dict[str, _Worker] = {}
        self._deaths: list[Death] = []
        self._gone = (0, 0)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(8))
        self.address = f"localhost:{self._server.add_insecure_port('127.0.0.1:0')}"
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(self, self._server)
        self._server.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name is Beam's
        """Called by the engine: start a process that will connect to its control endpoint."""
        del context
        try:
            with self._lock:
                self._workers[request.worker_id] = self._start(request)
        except (OSError, EOFError):
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name is Beam's
        """Called by the engine: it needs this worker no longer."""
        del context
        with self._lock:
            gone = self._workers.pop(request.worker_id, None)
            if gone is not None:
                self._let_go(gone)
        if gone is not None:
            _end(gone.process)
        return beam_fn_api_pb2.StopWorkerResponse()

    def counted(self) -> tuple[int, int]:
        """Records and kept ones that all workers counted so far, also those that are no more."""
        with self._lock:
            now = [(one.slots[pulse.RECORDS], one.slots[pulse.KEPT]) for one in self._workers.values()]
            return self._gone[0] + sum(one[0] for one in now), self._gone[1] + sum(one[1] for one in now)

    def deaths(self) -> list[Death]:
        """The workers that died unbidden since this was asked last."""
        with self._lock:
            self._look()
            found, self._deaths = self._deaths, []
            return found

    def close(self) -> None:
        """End all workers and stop listening."""
        self._closed.set()
        self._server.stop(0)
        with self._lock:
            processes = [one.process for one in self._workers.values()]
            self._workers.clear()
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, request: Any) -> _Worker:
        slots = self._context.RawArray("q", pulse.SLOTS)
        slots[pulse.SPLIT] = pulse.NOTHING
        environment = {
            "WORKER_ID": request.worker_id,
            "PIPELINE_OPTIONS": self._options,
            "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{request.control_endpoint.url}"',
            "LOGGING_API_SERVICE_DESCRIPTOR": f'url: "{request.logging_endpoint.url}"',
        }
        process = self._context.Process(
            target=worker.work, args=(environment, slots, self._folder / "log"), daemon=True
        )
        process.start()
        return _Worker(request, process, slots)

    def _watch(self) -> None:
        while not self._closed.wait(TICK):
            with self._lock:
                self._look()

    def _look(self) -> None:
        """Note the workers that died, and kill those that have been at the same record for too long."""
        now = time.monotonic()
        for name, one in list(self._workers.items()):
            here = (one.slots[pulse.SPLIT], one.slots[pulse.RECORD])
            if (code := one.process.exitcode) is not None:
                del self._workers[name]
                self._let_go(one)
                if code != 0:
                    if not one.again or here[0] != pulse.NOTHING:  # one that nobody needed may end as it likes
                        self._deaths.append(Death(self._cause(one, code), *here))
                    self._replace(name, one)
            elif here[0] == pulse.NOTHING or here != one.seen:
                one.seen, one.since = here, now
            elif now - one.since > self._record_seconds and not one.hung:
                one.hung = True
                one.process.kill()

    def _replace(self, name: str, one: _Worker) -> None:
        """Start a dead worker again: an engine that still waits for it to connect would do so for ever."""
        if one.again < AGAIN and not self._closed.is_set():
            self._workers[name] = self._start(one.request)
            self._workers[name].again = one.again + 1

    def _let_go(self, one: _Worker) -> None:
        """Keep what a worker has counted."""
        self._gone = (self._gone[0] + one.slots[pulse.RECORDS], self._gone[1] + one.slots[pulse.KEPT])

    def _cause(self, one: _Worker, code: int) -> str:
        if one.hung:
            return f"worker stopped: more than {self._record_seconds:g} s at one record"
        return f"worker killed by {signal.Signals(-code).name}" if code < 0 else f"worker died with exit code {code}"


def _end(process: Any) -> None:
    """End a process: politely, then not."""
    process.terminate()
    process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()
