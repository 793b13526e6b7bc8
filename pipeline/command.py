"""The command line: puts the commands of `pipeline.commands` together."""

from __future__ import annotations

import logging

import typer

logging.basicConfig(level=logging.ERROR, force=True)  # before Beam is imported: it would set up logging of its own

from pipeline.commands import look, models, run, training, whatif  # noqa: E402 - see above

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="From crawl to training tokens: one recipe, the same bytes out.",
)
for command in (
    run.run, run.check, look.verify, look.explain, look.trace, look.shards, whatif.whatif,
    training.train, training.sample, training.export, training.plot, training.ablate,
):  # fmt: skip
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(training.scaling, name="scaling")


def main() -> None:
    """Entry point of the ``corpusmill`` command."""
    app(prog_name="corpusmill")


if __name__ == "__main__":
    main()
