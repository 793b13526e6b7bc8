"""The command line: run, check, verify, explain, trace, shards."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from pipeline import files
from pipeline.terminal import shown

if TYPE_CHECKING:  # the real imports are in the commands: --help should not wait for Beam
    from pipeline.recipe import Limits, Recipe
    from pipeline.runners.runner import Runner

logging.basicConfig(level=logging.ERROR, force=True)  # before Beam is imported: it would set up logging of its own

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="From crawl to training tokens: one recipe, the same bytes out.",
)
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


class RunnerName(StrEnum):
    """Where a run takes place."""

    local = "local"
    direct = "direct"
    flink = "flink"
    spark = "spark"
    prism = "prism"
    dataflow = "dataflow"


RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file (YAML); see recipes/ for ready ones.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="SOURCE=GLOB", help="Read this source from other files than the recipe says. Repeatable."
    ),
]


@app.command()
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
        _fail(f"--runner {runner.value} is not there yet; local and direct are.")
    if runner is RunnerName.local and beam_options:
        _fail("Beam options are for --runner direct; the local runner takes --workers.")
    folder = output.rstrip("/")
    if not folder or files.is_file(folder):
        _fail(f"--output {output}: not a folder that can be written to")
    loaded = _load(recipe, input)
    with console.status("loading"):
        from pipeline import alarms
        from pipeline.plan import NoInput
        from pipeline.run import OtherRun
        from pipeline.run import run as run_recipe
        from pipeline.runners.runner import StageFailed

        _refuse(recipe, loaded)
        chosen = _runner(runner, loaded.limits, workers, beam_options or [])
    try:
        made = run_recipe(loaded, folder, chosen, RichDisplay(console), fresh)
    except (OtherRun, NoInput, alarms.Implausible, StageFailed) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("stopped; the same command goes on from here", 130)
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


@app.command()
def check(recipe: RecipePath, input: Inputs = None) -> None:
    """Find everything that is wrong with a recipe before running it: keys, filters, thresholds, models, input."""
    from pipeline.check import summary

    loaded = _load(recipe, input)
    _refuse(recipe, loaded)
    console.print(summary(loaded))


@app.command()
def verify(out: Annotated[str, typer.Argument(metavar="OUT", help="Output folder of a finished run.")]) -> None:
    """Recount and re-hash everything a run wrote. Exits 1 and names the file and the difference."""
    from pipeline.verify import differences

    found = 0
    try:
        with console.status("verifying"):
            for difference in differences(out):
                found += 1
                errors.print(f"[red]✗[/] {shown(difference)}", soft_wrap=True)
    except (FileNotFoundError, ValueError) as error:
        _fail(str(error))
    if found:
        _fail(f"{found} differences")
    console.print(f"[green]✓[/] {shown(out)}: every file, count and digest is as the manifest says")


@app.command()
def explain(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output folder of a finished run.")],
    document: Annotated[
        str, typer.Argument(metavar="URL_OR_ID", help="A URL, a document id (or its beginning), or a document number.")
    ],
) -> None:
    """Say what became of a document: fate, rule, signals, duplicates, and where it was read from."""
    from pipeline.display import explanation
    from pipeline.explain import find

    try:
        with console.status("searching"):
            found = find(out, document)
    except (FileNotFoundError, ValueError) as error:
        _fail(str(error))
    if not found:
        _fail(f"no record with the URL, id or number {document!r} in {out}")
    for one in found:
        console.print(explanation(one))


@app.command()
def trace(
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="A shard in the output folder of a finished run.")],
    place: Annotated[
        str, typer.Argument(metavar="ROW[:TOKEN]", help="A row of the shard, and a token in it; both count from 0.")
    ],
) -> None:
    """Lead from a token in a shard back to its document, the URL, the record in the crawl, and its duplicates.

    Example: [bold]corpusmill trace out/shards/train/web/00000-of-00001.arrow 17:200[/]
    """
    from pipeline.display import traced
    from pipeline.trace import trace as find
    from tokenizer.shard import DamagedShard

    found = re.fullmatch(r"([0-9]{1,18})(?::(-?[0-9]{1,18}))?", place)
    if found is None:
        _fail(f"{place!r} is no place in a shard: write ROW or ROW:TOKEN, for example 17:200")
    try:
        with console.status("searching"):
            made = find(shard, int(found[1]), None if found[2] is None else int(found[2]))
    except (OSError, ValueError, DamagedShard) as error:
        _fail(str(error))
    console.print(traced(made))


@app.command()
def shards(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output folder of a finished run.")],
    tokens: Annotated[
        str | None, typer.Option(metavar="COUNT", help="Tokens that a training is to read, such as 300M or 2B.")
    ] = None,
    mixture: Annotated[
        str | None,
        typer.Option(
            metavar="MIXTURE",
            help="Weights of the sources, as web=0.7,books=0.3, or a published table: llama, palm, gpt3. "
            "Unless said, the recipe's, else every source by its size.",
        ),
    ] = None,
) -> None:
    """List what the shards hold, and how often a training would read each source.

    Example: [bold]corpusmill shards out --tokens 2B --mixture web=0.8,books=0.2[/]
    """
    from pipeline import manifest
    from pipeline.display import shards as table
    from pipeline.layout import Layout
    from tokenizer import mixture as mixtures

    try:
        made = manifest.read(Layout.of(out))
        rows = [one for one in made["files"] if one["kind"] == "shard" and one["split"] == "train" and one["tokens"]]
        available: dict[str, int] = {}
        for one in rows:
            available[one["source"]] = available.get(one["source"], 0) + one["tokens"]
        wanted = mixtures.parse(mixture) if mixture else made.get("mixture")
        count = mixtures.parse_count(tokens) if tokens else sum(available.values())
        shares = mixtures.shares(available, count, wanted) if tokens or mixture else []
    except (FileNotFoundError, ValueError) as error:
        _fail(str(error))
    console.print(table(made, shares))


def _load(path: str, inputs: Sequence[str] | None) -> Recipe:
    with console.status("reading the recipe"):
        from pipeline.recipe_file import RecipeError, load
    paths: dict[str, list[str]] = {}
    for one in inputs or ():
        name, equals, pattern = one.partition("=")
        if not equals or not pattern:
            _fail(f"--input {one}: write SOURCE=GLOB, for example --input 'web=crawl/*.warc.gz'")
        paths.setdefault(name, []).append(pattern)
    try:
        return load(path, paths)
    except OSError as error:
        _fail(f"the recipe can't be read: {error}")
    except RecipeError as error:
        for problem in error.problems:
            errors.print(f"[red]✗[/] {shown(str(problem))}", soft_wrap=True)
        raise typer.Exit(1) from error


def _refuse(path: str, recipe: Recipe) -> None:
    """Print everything that would stop a run of the recipe, and exit if there is anything."""
    from pipeline.check import problems

    found = list(problems(recipe))
    for problem in found:
        errors.print(f"[red]✗[/] {shown(path)}: {shown(problem)}", soft_wrap=True)
    if found:
        raise typer.Exit(1)


def _fail(message: str, code: int = 1) -> NoReturn:
    errors.print(f"[red]✗[/] {shown(message)}", soft_wrap=True)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of the ``corpusmill`` command."""
    app(prog_name="corpusmill")


if __name__ == "__main__":
    main()
