"""Makes the runner of an engine from what the command line says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from pipeline.recipe import Limits
from pipeline.runners.flink import flink
from pipeline.runners.job import JobRunner
from pipeline.runners.portable import Kind, Portable
from pipeline.runners.prism import prism
from pipeline.runners.runner import EngineMissing
from pipeline.runners.spark import spark

HERE = ("localhost", "127.0.0.1", "::1")


def job_runner(
    name: str,
    limits: Limits,
    options: Sequence[str],
    workers: int | None = None,
    master: str | None = None,
    jar: str | None = None,
    location: str | None = None,
) -> JobRunner:
    """The runner for ``flink``, ``spark`` or ``prism``. Nothing is started yet.

    ``options`` are Beam's. Raises EngineMissing for a cluster elsewhere when they don't say where its Python workers are.
    """
    _refuse_lost_workers(name, master, options)
    here = master is None or _host(master) in HERE
    count = workers or (len(os.sched_getaffinity(0)) if here else None)
    kind: Kind
    match name:
        case "flink":
            kind = flink(jar, master, count)
        case "spark":
            kind = spark(jar, master, count)
        case _:
            kind = prism(location)
    return JobRunner(Portable(kind, options, limits.record_seconds), limits.attempts)


def _refuse_lost_workers(name: str, master: str | None, options: Sequence[str]) -> None:
    """A cluster can't reach workers that listen on this machine alone."""
    if master is None or _host(master) in HERE:
        return
    if not PipelineOptions(list(options)).view_as(PortableOptions).environment_type:
        raise EngineMissing(
            f"--runner {name} --master {master}: say how the cluster starts its Python workers, after a --, for example "
            "-- --environment_type=DOCKER --environment_config=registry/corpusmill:1 (see docs/runners.md)"
        )


def _host(master: str) -> str:
    return urlsplit(master if "://" in master else f"//{master}").hostname or master
