"""What the commands share: the terminal, how a recipe is loaded, and how a command gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from pipeline.terminal import shown

if TYPE_CHECKING:  # the real imports are in the functions: --help should not wait for Beam
    from pipeline.recipe import Recipe

console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)

RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file (YAML); see recipes/ for ready ones.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="SOURCE=GLOB", help="Read this source from other files than the recipe says. Repeatable."
    ),
]


def load_recipe(path: str, inputs: Sequence[str] | None) -> Recipe:
    """The recipe at a path, its sources read from ``--input`` where that names them. Exits with every problem found."""
    with console.status("reading the recipe"):
        from pipeline.recipe_file import RecipeError, load
    paths: dict[str, list[str]] = {}
    for one in inputs or ():
        name, equals, pattern = one.partition("=")
        if not equals or not pattern:
            fail(f"--input {one}: write SOURCE=GLOB, for example --input 'web=crawl/*.warc.gz'")
        paths.setdefault(name, []).append(pattern)
    try:
        return load(path, paths)
    except OSError as error:
        fail(f"the recipe can't be read: {error}")
    except RecipeError as error:
        for problem in error.problems:
            errors.print(f"[red]✗[/] {shown(str(problem))}", soft_wrap=True)
        raise typer.Exit(1) from error


def refuse(path: str, recipe: Recipe) -> None:
    """Print everything that would stop a run of the recipe, and exit if there is anything."""
    from pipeline import trial
    from pipeline.check import problems
    from pipeline.recipe_file import line_of

    found = [f"{path}: {problem}" for problem in problems(recipe)]
    for finding in () if found else trial.findings(recipe):  # a filter that can't be loaded can't be tried
        dotted = ".".join(map(str, finding.place))
        found.append(f"{path}:{line_of(path, finding.place)}: {dotted}: {finding.message}")
    for problem in found:
        errors.print(f"[red]✗[/] {shown(problem)}", soft_wrap=True)
    if found:
        raise typer.Exit(1)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and what to do about it, and exit."""
    errors.print(f"[red]✗[/] {shown(message)}", soft_wrap=True)
    raise typer.Exit(code)
