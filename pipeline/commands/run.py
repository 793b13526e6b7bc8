"""`run` and `check`: carry out a recipe, and find what is wrong with one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import files
from pipeline.commands.common import Inputs, RecipePath, console, fail, load_recipe, refuse

if TYPE_CHECKING:
    from pipeline.recipe import Limits
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
        RunnerName, typer.Option(help="local: a pool of processes here; direct: one process, to debug.")
    ] = RunnerName.local,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core unless said.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete what an earlier run left in OUT and start over.")
    ] = False,
    input: Inputs = None,
) -> None:
    """Run a recipe. The same command again goes on where it was stopped.

    Example: [bold]corpusmill run recipes/demo.yaml --output out[/]
    """
    from pipeline.display import RichDisplay, funnel
    from pipeline.layout import Layout

    if runner not in (RunnerName.local, RunnerName.direct):
        fail(f"--runner {runner.value} is not there yet; local and direct are.")
    if runner is RunnerName.local and beam_options:
        fail("Beam options are for --runner direct; the local runner takes --workers.")
    folder = output.rstrip("/")
    if not folder or files.is_file(folder):
        fail(f"--output {output}: not a folder that can be written to")
    loaded = load_recipe(recipe, input)
    with console.status("loading"):
        from pipeline import alarms
        from pipeline.plan import NoInput
        from pipeline.run import OtherRun
        from pipeline.run import run as run_recipe
        from pipeline.runners.runner import StageFailed

        refuse(recipe, loaded)
        chosen = _runner(runner, loaded.limits, workers, beam_options or [])
    try:
        made = run_recipe(loaded, folder, chosen, RichDisplay(console), fresh)
    except (OtherRun, NoInput, alarms.Implausible, StageFailed) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", 130)
    finally:
        chosen.close()
    called = "corpusmill" if shutil.which("corpusmill") else sys.argv[0]
    console.print(funnel(made, Layout.of(folder), called, console.width))


def _runner(name: RunnerName, limits: Limits, workers: int | None, options: Sequence[str]) -> Runner:
    if name is RunnerName.direct:
        from pipeline.runners.direct import DirectRunner

        return DirectRunner(options)
    from pipeline.dedup.keys import warm_up
    from pipeline.runners.local import LocalRunner

    warm_up()
    return LocalRunner(workers or len(os.sched_getaffinity(0)), limits.record_seconds, limits.attempts)


def check(recipe: RecipePath, input: Inputs = None) -> None:
    """Find everything that is wrong with a recipe before running it: keys, filters, thresholds, models, input."""
    from pipeline.check import summary

    loaded = load_recipe(recipe, input)
    refuse(recipe, loaded)
    console.print(summary(loaded))
