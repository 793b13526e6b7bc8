"""Google Cloud Dataflow: every stage becomes a job of the service, and its workers are containers of our image."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import files
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.runners.job import Death, JobRunner
from pipeline.runners.runner import EngineMissing

HELP = "corpusmill run RECIPE --output gs://BUCKET/out --runner dataflow --project PROJECT --region REGION --worker-image IMAGE"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where jobs run and what their workers are: a project, a region, a container image that holds corpusmill.

    ``temp`` is a gs:// folder for what the service stages; None: a folder of the run's own, deleted at its end.
    """

    project: str
    region: str
    image: str
    temp: str | None = None
    workers: int | None = None
    """The most machines that a job may have; None: as many as the service finds right."""


@dataclass
class Dataflow:
    """The service as an engine: it takes a job for every stage. ``options`` are Beam's; they come last and win."""

    place: Place
    temp: str
    options: Sequence[str] = ()
    name: str = "dataflow"
    _jobs: int = field(default=0, init=False)

    def start(self) -> tuple[beam.runners.PipelineRunner, PipelineOptions]:
        """A runner that submits one job, and the job's options. Raises EngineMissing without the libraries."""
        try:
            from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
            from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401 - the runner needs it to submit
        except ImportError as error:
            raise EngineMissing(
                f"--runner dataflow needs Google's client libraries: pip install 'corpusmill[gcp]' ({error})"
            ) from error
        self._jobs += 1
        given = [
            f"--job_name=corpusmill-{self._jobs:02d}-{uuid.uuid4().hex[:8]}",
            f"--project={self.place.project}",
            f"--region={self.place.region}",
            f"--temp_location={self.temp}/temp",
            f"--staging_location={self.temp}/staging",
            f"--sdk_container_image={self.place.image}",
            "--sdk_location=container",  # corpusmill and all that it needs are in the image: nothing is staged or installed
            "--number_of_worker_harness_threads=1",  # one item a process, as everywhere: its memory is what is bounded
        ]
        if self.place.workers:
            given.append(f"--max_num_workers={self.place.workers}")
        return DataflowRunner(), PipelineOptions([*given, *self.options])

    def counted(self) -> tuple[int, int] | None:
        """Only the job's metrics tell."""
        return None

    def deaths(self) -> Sequence[Death]:
        """The service tries an item of a lost worker again by itself, and does not say at which record it was."""
        return ()

    def close(self) -> None:
        """Nothing was started here; a job that is interrupted is cancelled by who waits for it."""


def dataflow(recipe: Recipe, out: str, place: Place, options: Sequence[str] = ()) -> JobRunner:
    """The runner for this recipe and output folder. Raises EngineMissing where workers of the service can't reach a path."""
    if local := unreachable(recipe, out):
        raise EngineMissing(
            "Dataflow's workers see no file of this machine: copy to a bucket and name gs:// paths instead of "
            + ", ".join(local)
            + f"\nfor example: {HELP} --input SOURCE='gs://BUCKET/input/*.warc.gz'"
        )
    temp = place.temp or Layout.of(out).work("dataflow")
    if not temp.startswith("gs://"):
        raise EngineMissing(
            f"--temp-location {temp}: the service stages jobs in a bucket, for example gs://BUCKET/temp"
        )
    return JobRunner(Dataflow(place, temp.rstrip("/"), options), recipe.limits.attempts)


def unreachable(recipe: Recipe, out: str) -> list[str]:
    """Output, inputs and earlier runs of a recipe that lie on this machine. (Models and lists may be in the image, at the same path.)"""
    paths = [out, *(path for source in recipe.sources for path in (*source.paths, *source.reads_besides()))]
    paths += [path for one in recipe.benchmarks for path in one.paths]
    paths += [*recipe.references]
    return [path for path in dict.fromkeys(paths) if not files.is_remote(path)]
