"""`verify`, `explain`, `trace` and `shards`: look at what a finished run made."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from pipeline.commands.common import console, errors, fail
from pipeline.terminal import shown


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
        fail(str(error))
    if found:
        fail(f"{found} differences")
    console.print(f"[green]✓[/] {shown(out)}: every file, count and digest is as the manifest says")


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
        fail(str(error))
    if not found:
        fail(f"no record with the URL, id or number {document!r} in {out}")
    for one in found:
        console.print(explanation(one))


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
        fail(f"{place!r} is no place in a shard: write ROW or ROW:TOKEN, for example 17:200")
    try:
        with console.status("searching"):
            made = find(shard, int(found[1]), None if found[2] is None else int(found[2]))
    except (OSError, ValueError, DamagedShard) as error:
        fail(str(error))
    console.print(traced(made))


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
        fail(str(error))
    console.print(table(made, shares))
