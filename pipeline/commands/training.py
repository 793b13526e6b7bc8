"""`train`, `sample`, `export`, `plot`, `scaling` and `ablate`: a Transformer from the shards of a run, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline.commands.common import console, fail
from pipeline.terminal import shown


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A training config (YAML); see docs/training.md.")],
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda", help="Where to compute; a GPU if there is one, unless said.")
    ] = None,
) -> None:
    """Train a Transformer on the shards of a run. The same command again goes on from the newest checkpoint.

    Example: [bold]corpusmill train train.yaml[/]; on two GPUs [bold]torchrun --nproc-per-node 2 -m training train.yaml[/]
    """
    need_torch()
    with console.status("loading"):
        from training.run import Failed, run
    try:
        run(config, device)
    except Failed as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from the newest checkpoint", 130)


def need_torch() -> None:
    """Exit with what to do if the trainer's dependencies are not installed."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        fail("the trainer needs PyTorch: pip install 'corpusmill[training]'")


Device = Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Where to compute; a GPU if there is one.")]


def sample(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A training's folder, or one checkpoint in it.")
    ],
    prompt: Annotated[str, typer.Option(help="The beginning of a text.")],
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to add at most.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0: always the likeliest token.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw from so many of the likeliest tokens.")] = None,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Draw from the fewest tokens that make up this share.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another text; the same seed, the same text.")] = 0,
    device: Device = None,
) -> None:
    """Continue a text with a trained model.

    Example: [bold]corpusmill sample runs/tiny --prompt 'The river'[/]
    """
    need_torch()
    with console.status("loading"):
        import torch

        from training.generate import generate
        from training.trained import load
    try:
        with console.status("writing"):
            trained = load(checkpoint, device or ("cuda" if torch.cuda.is_available() else "cpu"))
            encoder = trained.encoder()
            made = generate(
                trained.model, encoder.encode([prompt])[0].tolist(), tokens, temperature=temperature, top_k=top_k, top_p=top_p,
                seed=seed, stop=encoder.end_of_text,
            )  # fmt: skip
    except (OSError, ValueError) as error:
        fail(str(error))
    console.print(f"[bold]{shown(prompt)}[/]{shown(encoder.decode(made))}", soft_wrap=True, highlight=False)


def export(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A training's folder, or one checkpoint in it.")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="A new folder.")],
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="Of the weights: float32, bfloat16 or float16.")
    ] = "bfloat16",
) -> None:
    """Write a trained model in the Hugging Face Llama format, tokenizer included.

    Example: [bold]corpusmill export runs/124m hf[/], then [bold]AutoModelForCausalLM.from_pretrained("hf")[/]
    """
    need_torch()
    with console.status("exporting"):
        from training.export import export as write

        try:
            made = write(checkpoint, out, dtype)
        except (OSError, ValueError) as error:
            fail(str(error))
    console.print(f"[green]✓[/] {shown(str(made))}", soft_wrap=True)


def plot(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="Folders of trainings; several are drawn over each other.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="For the page and the PNGs.")
    ] = "plots",
) -> None:
    """Draw the curves of trainings: a page without scripts, and each chart as PNG.

    Example: [bold]corpusmill plot runs/adamw runs/muon -o comparison[/]
    """
    need_torch()
    with console.status("drawing"):
        from training.plots import write_run

        try:
            page = write_run([Path(one) for one in runs], Path(output))
        except (OSError, ValueError) as error:
            fail(str(error))
    console.print(f"[green]✓[/] {shown(str(page))}", soft_wrap=True)


scaling = typer.Typer(no_args_is_help=True, help="Scaling laws from finished trainings.")


@scaling.command()
def fit(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUNS…", help="Folders of finished trainings, or CSV files with parameters, tokens, loss."
        ),
    ],
    form: Annotated[
        list[str] | None,
        typer.Option(metavar="FORM", help="chinchilla, shared (alpha = beta, for few runs), kaplan. Repeatable."),
    ] = None,
    budget: Annotated[
        list[float] | None, typer.Option(metavar="FLOPS", help="Say the best size for it. Repeatable.")
    ] = None,
    predict: Annotated[
        list[str] | None,
        typer.Option(metavar="N,D", help="Say the loss of N parameters after D tokens, as 1.3B,26B. Repeatable."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FOLDER", help="For the page and the PNGs.")
    ] = "scaling",
    resamples: Annotated[int, typer.Option(min=0, help="Resamplings of the runs, for the intervals.")] = 100,
) -> None:
    """Fit scaling laws to trainings of several sizes and lengths; predict larger ones and the best use of a budget.

    Example: [bold]corpusmill scaling fit runs/* --budget 1e21 --predict 1.3B,26B[/]
    """
    need_torch()
    with console.status("loading"):
        from training.scaling import page
        from training.scaling.fit import fit as fit_law
        from training.scaling.forms import FORMS
        from training.scaling.read import read
    names = form or ["chinchilla", "kaplan"]
    if unknown := [one for one in names if one not in FORMS]:
        fail(f"no form {', '.join(unknown)}: there are {', '.join(FORMS)}")
    try:
        with console.status("fitting"):
            wanted = [_model(one) for one in predict or ()]
            points = read(runs)
            fits = {name: fit_law(points, FORMS[name], resamples=resamples) for name in names}
            budgets = budget or page.budgets_beyond(next(iter(fits.values())))
            made = page.write_page(Path(output), fits, budgets, wanted)
    except (OSError, ValueError) as error:
        fail(str(error))
    for one in fits.values():
        console.print(f"\n[bold]{shown(one.form.title)}[/]")
        for table in (
            page.coefficients(one),
            page.allocations(one, budgets),
            *([page.predictions(one, wanted)] if wanted else ()),
        ):
            console.print(_table(table.headings, table.rows))
    console.print(f"\n{page.CONVENTION}\n[green]✓[/] {shown(str(made))}", soft_wrap=True, highlight=False)


def ablate(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output folder of a finished run.")],
    preset: Annotated[str, typer.Option(metavar="SIZE", help="The model: tiny, 124m, 350m or 1.3b.")] = "tiny",
    tokens: Annotated[
        str, typer.Option(metavar="COUNT", help="Tokens that each model is trained on, such as 100k or 2B.")
    ] = "100k",
    seed: Annotated[
        int, typer.Option(min=0, help="Of the first parameters, of the order, and of what is held out.")
    ] = 0,
    device: Device = None,
) -> None:
    """Say what a corpus is worth: train the same model on its raw, its filtered and its deduplicated documents.

    All three are judged on the same held-out text; the curves go into the run's report.
    Example: [bold]corpusmill ablate out[/], and for a verdict [bold]corpusmill ablate out --preset 124m --tokens 1B[/]
    """
    from pipeline.layout import Layout
    from pipeline.report import ablation

    need_torch()
    with console.status("loading"):
        from training.ablation.ablate import Settings
        from training.ablation.ablate import ablate as carry_out
        from training.charts import table_html
        from training.config import PRESETS, count
    counted = count(tokens)
    if preset not in PRESETS or not isinstance(counted, int):
        fail(f"--preset is one of {', '.join(PRESETS)}, --tokens a count such as 100k or 2B")
    try:
        made = carry_out(out, Settings(preset, counted, seed=seed), device)
        ablation.add(Layout.of(out), made.lead, made.chart.svg(), table_html(made.table))
    except (OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", 130)
    console.print(_table(made.table.headings, made.table.rows))
    console.print(f"[green]✓[/] {shown(str(made.page))}, and the run's report", soft_wrap=True)


def _model(text: str) -> tuple[float, float]:
    """Parameters and tokens as in ``1.3B,26B``. Raises ValueError."""
    from training.config import count

    found = [count(one.strip()) for one in text.split(",")]
    if len(found) != 2 or not all(isinstance(one, int) and one > 0 for one in found):
        raise ValueError(f"--predict {text}: write parameters and tokens, for example 1.3B,26B")
    return float(found[0]), float(found[1])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="dim")
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="left" if number == 0 else "right")
    for row in rows:
        made.add_row(*map(shown, row))
    return made
