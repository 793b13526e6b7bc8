"""A Dataflow service on the loopback interface: it looks at every request, and carries the job out in this process's memory.

It reads the staged pipeline from the bucket as the service does, puts Beam's in-memory runner in the place of the
container, and answers with the job's state. What it was asked stays in ``requests``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment

from pipeline import files


@dataclass
class Service:
    """``requests`` are the bodies of all job requests, ``pipelines`` the graphs that they named."""

    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[beam_runner_api_pb2.Pipeline] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry a job out."""
        self.requests.append(request)
        name = f"job-{len(self.requests)}"
        with files.open_read(request["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]) as stream:
            pipeline = beam_runner_api_pb2.Pipeline.FromString(stream.read())
        self.pipelines.append(pipeline)
        replayed = beam_runner_api_pb2.Pipeline.FromString(pipeline.SerializeToString())
        for environment in replayed.components.environments.values():
            environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
        state = FnApiRunner().run_via_runner_api(replayed, PipelineOptions([])).wait_until_finish()
        self.states[name] = f"JOB_STATE_{state}"
        return self.job(name)

    def job(self, name: str) -> dict[str, Any]:
        """A job as the service describes it."""
        return {"id": name, "currentState": self.states[name], "type": "JOB_TYPE_BATCH"}


@contextmanager
def serving() -> Iterator[Service]:
    """Listen on a free port."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, value: dict[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(service.create(body))

        def do_PUT(self) -> None:
            name = re.search(r"/jobs/([\w-]+)", self.path)
            assert name
            service.cancelled.append(name[1])
            self._answer(service.job(name[1]))

        def do_GET(self) -> None:
            found = re.search(r"/jobs/([\w-]+)(/\w+)?", self.path)
            assert found
            self._answer({} if found[2] else service.job(found[1]))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
