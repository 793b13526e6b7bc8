"""`whatif`: what other thresholds would make of a finished run, from the signals it stored."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.common import Inputs, console, fail, load_recipe
from pipeline.terminal import shown

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.whatif import Answer

CHANGES = 12
"""Ways to change sides that are shown."""


def whatif(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output folder of a finished run.")],
    recipe: Annotated[str, typer.Argument(metavar="NEW_RECIPE", help="A recipe with other thresholds.")],
    list_to: Annotated[
        str | None,
        typer.Option("--list", metavar="FILE", help="Write every document that changes sides, a line of JSON each."),
    ] = None,
    input: Inputs = None,
) -> None:
    """Say what another recipe's filters would keep of a finished run, without reading any text again.

    Thresholds are compared with the signals that the run stored, so this takes seconds. It covers the filters: kept is what
    passes them, before dedup. What the run never measured is counted as unknown, with the reason; a run with
    [bold]measure_removed: true[/] measures everything.

    Example: [bold]corpusmill whatif out stricter.yaml --list changes.jsonl[/]
    """
    loaded = load_recipe(recipe, input)
    with console.status("judging again"):
        from pipeline import files
        from pipeline.whatif import Change, answers, as_line

        notes: list[str] = []
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(files.replacing(list_to)).stream if list_to else None

                def note(change: Change) -> None:
                    if stream is not None:
                        stream.write(as_line(change))

                found = list(answers(out, loaded, notes.append, note))
            except (OSError, ValueError) as error:
                fail(str(error))
    for message in notes:
        console.print(f"[yellow]•[/] {shown(message)}")
    for answer in found:
        _print(answer)
    if list_to:
        console.print(f"every document that changes sides: {shown(list_to)}")
    console.print(
        "[dim]kept: passed the filters; dedup, personal data and tokens come after and are not worked out again[/]"
    )


def _print(answer: Answer) -> None:
    """The two funnels side by side, what changed sides with examples, and what can't be said."""
    from pipeline.whatif import KEPT

    console.print(_funnel(answer))
    ways = sorted(answer.changes.items(), key=lambda one: (-one[1], one[0]))
    for (before, after), count in ways[:CHANGES]:
        colour = "green" if after == KEPT else "yellow"
        console.print(f"  [{colour}]{count:,}[/] {shown(before)} → {shown(after)}", soft_wrap=True)
        for one in answer.examples[before, after]:
            console.print(f"      [dim]{one.number} {shown(one.url)}[/]", soft_wrap=True)
    if len(ways) > CHANGES:
        console.print(f"  {sum(count for _, count in ways[CHANGES:]):,} in {len(ways) - CHANGES} other ways")
    for name, why in answer.missing.items():
        console.print(f"  [red]{shown(name)}[/] can't be judged: {shown(why)}", soft_wrap=True)


def _funnel(answer: Answer) -> Table:
    from rich import box
    from rich.table import Table

    from pipeline.whatif import KEPT, UNKNOWN

    table = Table(title=shown(answer.source), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for name in ("fate", "run", "new recipe", "change"):
        table.add_column(name, justify="left" if name == "fate" else "right")
    known = answer.before.keys() | answer.after.keys()
    for fate in (*_in_order(answer.order, known - {KEPT}), KEPT):
        before, after = answer.before[fate], answer.after[fate]
        change = f"{after - before:+,}" if after != before else ""
        table.add_row(shown(fate), f"{before:,}", f"{after:,}", change, style="bold" if fate == KEPT else "")
    unsure = sum(count for fate, count in answer.after.items() if fate.startswith(UNKNOWN))
    if unsure:
        table.add_row("kept at most", "", f"{answer.after[KEPT] + unsure:,}", "")
    return table


def _in_order(order: Sequence[str], fates: set[str]) -> list[str]:
    """What the source turned away first, then reasons as they are judged, then what is not known."""
    places = {reason: place for place, reason in enumerate(order)}

    def place(fate: str) -> tuple[int, str]:
        from pipeline.whatif import UNKNOWN

        return (len(order) if fate.startswith(UNKNOWN) else places.get(fate, -1)), fate

    return sorted(fates, key=place)
