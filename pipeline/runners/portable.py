"""Engines behind a Beam job server on this machine: the server is started once and takes the job of every stage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner

from pipeline.runners.job import Death
from pipeline.runners.server import JobServer
from pipeline.runners.worker_pool import WorkerPool


@dataclass(frozen=True)
class Kind:
    """What tells one engine from another."""

    name: str
    options: Sequence[str]
    """Beam options of every job; the user's come after them and win."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the job server's process."""

    def command(self, server: JobServer) -> list[str]:
        """The command that starts the job server."""
        raise NotImplementedError


class Portable:
    """An engine with a job server, and workers here unless the user's options name an environment of their own."""

    def __init__(self, kind: Kind, options: Sequence[str], record_seconds: float) -> None:
        self.name = kind.name
        self._kind = kind
        self._given = [*kind.options, *options]
        self._record_seconds = record_seconds
        self._server: JobServer | None = None
        self._pool: WorkerPool | None = None

    def start(self) -> tuple[beam.runners.PipelineRunner, PipelineOptions]:
        """Start what is not running yet. A job server that is gone is started again, one that the options name is taken."""
        arguments = [*self._given]
        if not PipelineOptions(arguments).view_as(PortableOptions).job_endpoint:
            if self._server is None or not self._server.alive:
                if self._server:
                    self._server.close()
                self._server = JobServer(self.name)
                self._server.start(self._kind.command(self._server), {**os.environ, **self._kind.environment})
            arguments.append(f"--job_endpoint={self._server.endpoint}")
        if not PipelineOptions(arguments).view_as(PortableOptions).environment_type:
            if self._pool is None:
                known = PipelineOptions(arguments).get_all_options(drop_default=True, retain_unknown_options=True)
                self._pool = WorkerPool(self._record_seconds, known)
            arguments += ["--environment_type=EXTERNAL", f"--environment_config={self._pool.address}"]
        return _Runner(), PipelineOptions(arguments)

    def counted(self) -> tuple[int, int] | None:
        """What the workers here have counted; None where they are elsewhere."""
        return self._pool.counted() if self._pool else None

    def deaths(self) -> Sequence[Death]:
        """The workers here that died."""
        return self._pool.deaths() if self._pool else ()

    def close(self) -> None:
        """End job server and workers."""
        if self._server:
            self._server.close()
        if self._pool:
            self._pool.close()
        self._server = self._pool = None


class _Runner(PortableRunner):
    """Beam's, with options passed on that only the engine knows."""

    def create_job_service_handle(self, job_service: object, options: PipelineOptions) -> JobServiceHandle:
        return JobServiceHandle(job_service, options, retain_unknown_options=True)
