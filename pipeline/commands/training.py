"""`train`: a Transformer from the shards of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.common import console, fail


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
