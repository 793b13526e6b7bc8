"""`run` and `check`: carry out a recipe, and find what is wrong with one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from pipeline import files
from pipeline.commands.common import Inputs, RecipePath, console, fail, load_recipe, refuse

if TYPE_CHECKING:
    from pipeline.recipe import Limits, Recipe
    from pipeline.runners.runner import Runner


class RunnerName(StrEnum):
    """Where a run takes place."""

    local = "local"
    direct = "direct"
    flink = "flink"
    spark = "spark"
    prism = "prism"
    dataflow = "dataflow"


def run(
    recipe: RecipePath,
    output: Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="Folder for everything the run writes.")],
    beam_options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- BEAM OPTIONS]", help="Options for the Beam runner, after a --.")
    ] = None,
    runner: Annotated[
        RunnerName,
        typer.Option(
            help="local: a pool of processes here; direct: one process, to debug; the others: docs/runners.md."
        ),
    ] = RunnerName.local,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core unless said.")] = None,
    master: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="flink, spark: the cluster that gets the jobs; else one is started here."
        ),
    ] = None,
    job_server_jar: Annotated[
        str | None,
        typer.Option(
            "--job-server-jar",
            metavar="JAR",
            help="flink, spark: Beam's job server: a jar, a folder of jars, or group:artifact:version; else it is fetched.",
        ),
    ] = None,
    prism_location: Annotated[
        str | None,
        typer.Option(
            "--prism-location", metavar="PATH", help="prism: the program; else it is looked for, or built by Go."
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="PROJECT", envvar="GOOGLE_CLOUD_PROJECT", help="dataflow: who pays for the jobs."),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="dataflow: for example us-central1.")] = None,
    worker_image: Annotated[
        str | None,
        typer.Option(
            "--worker-image", metavar="IMAGE", help="dataflow: the container image made by deploy/Dockerfile."
        ),
    ] = None,
    temp_location: Annotated[
        str | None,
        typer.Option("--temp-location", metavar="GS_PATH", help="dataflow: where jobs are staged; else inside OUT."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete what an earlier run left in OUT and start over.")
    ] = False,
    input: Inputs = None,
) -> None:
    """Run a recipe. The same command again goes on where it was stopped.

    Example: [bold]corpusmill run recipes/demo.yaml --output out[/]

    On a Flink started here: [bold]corpusmill run recipes/demo.yaml --output out --runner flink --workers 4[/]

    On a cluster: [bold]corpusmill run recipe.yaml --output hdfs://namenode/out --runner flink --master jobmanager:8081 --
    --environment_type=DOCKER --environment_config=registry/corpusmill:1[/]

    On Dataflow: [bold]corpusmill run gs://bucket/recipe.yaml --output gs://bucket/out --runner dataflow --project my-project
    --region us-central1 --worker-image us-docker.pkg.dev/my-project/mill/corpusmill:1 --workers 100[/]
    """
    from pipeline.display import RichDisplay, funnel
    from pipeline.layout import Layout

    if runner is RunnerName.local and beam_options:
        fail("Beam options are for the other runners; the local one takes --workers.")
    if (master or job_server_jar) and runner not in (RunnerName.flink, RunnerName.spark):
        fail("--master and --job-server-jar are for --runner flink and --runner spark.")
    folder = output.rstrip("/")
    if not folder or files.is_file(folder):
        fail(f"--output {output}: not a folder that can be written to")
    loaded = load_recipe(recipe, input)
    with console.status("loading (the first time this compiles, for a minute or so)"):
        from pipeline import alarms
        from pipeline.plan import NoInput
        from pipeline.run import OtherRun
        from pipeline.run import run as run_recipe
        from pipeline.runners.runner import EngineMissing, StageFailed
        from pipeline.warm_up import warm_up

        refuse(recipe, loaded)
        if runner is not RunnerName.dataflow:  # workers of a service compile on their own machines
            warm_up(loaded)
        where = Where(workers, master, job_server_jar, prism_location)
        try:
            if runner is RunnerName.dataflow:
                chosen = _dataflow(
                    loaded, folder, project, region, worker_image, temp_location, workers, beam_options or []
                )
            else:
                chosen = _runner(runner, loaded.limits, where, beam_options or [])
        except EngineMissing as error:
            fail(str(error))
    try:
        made = run_recipe(loaded, folder, chosen, RichDisplay(console), fresh)
    except (OtherRun, NoInput, alarms.Implausible, EngineMissing, StageFailed) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", 130)
    finally:
        chosen.close()
    called = "corpusmill" if shutil.which("corpusmill") else sys.argv[0]
    console.print(funnel(made, Layout.of(folder), called, console.width))


class Where(NamedTuple):
    """What the command line says of the machines and programs of a runner."""

    workers: int | None
    master: str | None
    jar: str | None
    prism: str | None


def _runner(name: RunnerName, limits: Limits, where: Where, options: Sequence[str]) -> Runner:
    """The runner of this name. An engine is started with its first job."""
    match name:
        case RunnerName.direct:
            from pipeline.runners.direct import DirectRunner

            return DirectRunner(options)
        case RunnerName.flink | RunnerName.spark | RunnerName.prism:
            from pipeline.runners.engines import job_runner

            return job_runner(name.value, limits, options, *where)
    from pipeline.runners.local import LocalRunner

    return LocalRunner(where.workers or len(os.sched_getaffinity(0)), limits.record_seconds, limits.attempts)


def _dataflow(
    recipe: Recipe,
    out: str,
    project: str | None,
    region: str | None,
    image: str | None,
    temp: str | None,
    workers: int | None,
    options: Sequence[str],
) -> Runner:
    """The runner that submits to Dataflow; exits where something is not said."""
    from pipeline.runners.dataflow import HELP, Place, dataflow

    if not (project and region and image):
        said = {"--project": project, "--region": region, "--worker-image": image}
        fail(
            f"--runner dataflow needs {', '.join(name for name, value in said.items() if not value)}; for example: {HELP}"
        )
    place = Place(project=project, region=region, image=image, temp=temp, workers=workers)
    return dataflow(recipe, out, place, options)


def check(recipe: RecipePath, input: Inputs = None) -> None:
    """Find everything that is wrong with a recipe before running it: keys, filters, thresholds, models, input."""
    from pipeline.check import summary

    loaded = load_recipe(recipe, input)
    refuse(recipe, loaded)
    console.print(summary(loaded))
