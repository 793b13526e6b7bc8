"""`models`: train a perplexity model or a quality classifier from the sources of a recipe."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.common import Inputs, RecipePath, console, errors, fail, load_recipe
from pipeline.terminal import shown

if TYPE_CHECKING:
    from pipeline.layout import Layout
    from pipeline.recipe import Recipe

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Train models of good text from the sources of a recipe."
)

Folder = Annotated[str, typer.Option("--to", metavar="FOLDER", help="Folder that the model is written to.")]
Name = Annotated[
    str, typer.Option("--name", help="Name of the model's files; of a model in the recipe, that one is trained.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A setting as docs/recipe.md has it, for example order=4. Repeatable."
    ),
]
Chain = Annotated[
    str | None, typer.Option("--filters", metavar="CHAIN", help="A chain of the recipe that good documents must pass.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core unless said.")]


@app.command("train-perplexity")
def train_perplexity(
    recipe: RecipePath,
    to: Folder,
    name: Name = "good",
    source: Annotated[list[str] | None, typer.Option(help="A source of good text. Repeatable.")] = None,
    filters: Chain = None,
    set_: Settings = None,
    workers: Workers = None,
    input: Inputs = None,
) -> None:
    """Train a KenLM model, with its SentencePiece model and its cut-offs, on sources of a recipe.

    Cut-offs between head, middle and tail need a filter of the recipe that uses the model by its name.

    Example: [bold]corpusmill models train-perplexity recipe.yaml --source wikipedia --name en --to lm --set order=5[/]
    """
    given: dict[str, Any] = {"sources": source} if source else {}
    _train("perplexity", recipe, to, name, given, filters, set_, workers, input)


@app.command("train-quality")
def train_quality(
    recipe: RecipePath,
    to: Folder,
    name: Name = "good",
    like: Annotated[list[str] | None, typer.Option(help="A source of text as it should be. Repeatable.")] = None,
    unlike: Annotated[list[str] | None, typer.Option(help="A source of raw text. Repeatable.")] = None,
    filters: Chain = None,
    keep: Annotated[float | None, typer.Option(help="Share of raw documents to keep, for the threshold.")] = None,
    set_: Settings = None,
    workers: Workers = None,
    input: Inputs = None,
) -> None:
    """Train a fastText classifier that tells reference text from raw text, and say how well it does on held-out documents.

    Example: [bold]corpusmill models train-quality recipe.yaml --like wikipedia --unlike web --keep 0.1 --to lm[/]
    """
    given = {"like": like, "unlike": unlike, "keep": keep}
    _train(
        "quality",
        recipe,
        to,
        name,
        {key: value for key, value in given.items() if value},
        filters,
        set_,
        workers,
        input,
    )


def _train(
    kind: str,
    path: str,
    to: str,
    name: str,
    given: dict[str, Any],
    filters: str | None,
    set_: list[str] | None,
    workers: int | None,
    inputs: list[str] | None,
) -> None:
    if "://" in to or Path(to).is_file():
        fail(f"--to {to}: not a folder on this machine")
    given |= {"filters": filters} if filters else {}
    for one in set_ or ():
        key, equals, value = one.partition("=")
        if not equals:
            fail(f"--set {one}: write KEY=VALUE, for example --set order=4")
        given[key] = _value(value)
    loaded = load_recipe(path, inputs)
    with console.status("loading"):
        from pipeline.layout import Layout
        from pipeline.models import kenlm_tools
        from pipeline.models.alone import OnlyModel, only, train
        from pipeline.plan import NoInput
        from pipeline.runners.local import LocalRunner
        from pipeline.runners.runner import StageFailed
    try:
        recipe = only(loaded, kind, name, given)
        if kind == "perplexity":
            kenlm_tools.programs(lambda message: console.print(f"[yellow]•[/] {shown(message)}"))
    except (OnlyModel, kenlm_tools.CantBuild) as error:
        fail(str(error))
    layout = Layout.of(f"{to}/.corpusmill-{name}")
    runner = LocalRunner(workers or len(os.sched_getaffinity(0)), recipe.limits.record_seconds, recipe.limits.attempts)
    try:
        made = _run(recipe, layout, runner, train)
    except (NoInput, StageFailed) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", 130)
    finally:
        runner.close()
    for file in made:
        shutil.move(layout.path(file["path"]), Path(to) / Path(file["path"]).name)
    shutil.rmtree(layout.out)
    _tell(Path(to) / f"{name}.json")


def _run(recipe: Recipe, layout: Layout, runner: Any, train: Any) -> list[dict[str, Any]]:
    from pipeline.display import RichDisplay

    made: list[dict[str, Any]] = train(recipe, layout, runner, RichDisplay(console))
    return made


def _value(text: str) -> Any:
    """A setting from the command line: a number, a list in brackets, true, false or null as YAML has them, else text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text


def _tell(description: Path) -> None:
    """What was made, in a few lines."""
    import json

    about = json.loads(description.read_text(encoding="utf-8"))
    for name in sorted([*about["files"], description.name]):
        console.print(f"[green]✓[/] {shown(str(description.parent / name))}")
    if about["kind"] == "perplexity":
        cutoffs = ", ".join(f"{name} below {value:,.1f}" for name, value in about["cutoffs"].items())
        console.print(shown(cutoffs or "no cut-offs: no filter of the recipe uses the model by its name"))
        return
    if not about["quantiles"]:
        errors.print("[yellow]•[/] too few documents were held out to judge it by")
        return
    console.print(
        f"held out: {about['held_out']['like']:,} and {about['held_out']['unlike']:,} documents, "
        f"area under the curve {about['held_out']['auc']:.3f}"
    )
    for one in about["curve"]:
        chosen = "  ← keep" if one["keep"] == about["keep"] else ""
        console.print(
            f"  keeps {one['keep']:>5.0%} of raw: score ≥ {one['threshold']:.4f}, "
            f"precision {one['precision']:.3f}, recall {one['recall']:.3f}{chosen}"
        )
