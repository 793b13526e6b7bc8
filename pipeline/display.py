"""What a person sees in the terminal: progress while a run goes on, tables when it is done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipeline.explain import Explanation
from pipeline.layout import Layout
from pipeline.terminal import shown, visible
from tokenizer.mixture import MANY_EPOCHS, Share

if TYPE_CHECKING:  # showing a document needs no Beam
    from pipeline.runners.runner import Watcher
    from pipeline.stage import Item, Stage
    from pipeline.trace import Traced

TOP_REASONS = 8
SHOWN_TEXT = 600
SHOWN_EVIDENCE = 30


class RichDisplay:
    """Progress bars on the terminal, one a stage; plain lines where the output is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextlib.contextmanager
    def stage(self, stage: Stage, items: int, done: int) -> Iterator[Watcher]:
        """Show a bar for the stage while the block runs, and leave one line behind."""
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<15}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counted]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(stage.name, total=max(items, 1), completed=done, counted="")
            yield _Bar(progress, task, stage.unit)
            progress.update(task, completed=max(items, 1))

    def note(self, message: str) -> None:
        """A line above the bars."""
        self.console.print(f"[yellow]•[/] {shown(message)}")


class _Bar:
    """Watches one stage."""

    def __init__(self, progress: Progress, task: TaskID, unit: str) -> None:
        self._progress = progress
        self._task = task
        self._unit = unit

    def done(self, item: Item) -> None:
        del item
        self._progress.advance(self._task)

    def progress(self, counted: int, kept: int) -> None:
        if counted:
            self._progress.update(self._task, counted=f"{counted:,} {self._unit}, {kept:,} kept")

    def note(self, message: str) -> None:
        self._progress.console.print(f"[yellow]•[/] {shown(message)}")


def funnel(made: Mapping[str, Any], layout: Layout, command: str, width: int) -> Group:
    """The funnel of a finished run by source, where everything lies, and how to ask on with the command so named.

    ``width`` is that of the terminal, in characters.
    """
    rows = [row for name, fates in made["sources"].items() for row in _funnel_rows(name, fates)]
    title = f"{made['name']}: what became of the records"
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = ("read", "removed", "failed", "kept", "text", "tokens")
    widths = [max(len(name), *(len(row[place]) for row in rows)) for place, name in enumerate(names, 1)]
    left = width - sum(widths) - 2 * len(names) - 3  # what is left beside the numbers, which are never cut
    table.add_column("source and reason", no_wrap=True, max_width=max(left, 16))
    for name, widest in zip(names, widths, strict=True):
        table.add_column(name, justify="right", no_wrap=True, min_width=widest)
    for row in rows:
        style = "dim" if row[0].startswith(" ") else ""
        table.add_row(*(shown(cell) for cell in row), style=style)
    places = Table.grid(padding=(0, 2))
    for what, path in (
        ("corpus", "documents/"),
        ("shards", "shards/"),
        ("report", "report/index.html"),
        ("manifest", "manifest.json"),
    ):
        places.add_row(f"[bold]{what}[/]", shown(layout.path(path)))
    return Group(
        table, places, Text.from_markup(f"[dim]why? {shown(command)} explain {shown(layout.out)} URL_OR_ID[/]")
    )


def _funnel_rows(name: str, fates: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The row of a source, and one for each of the reasons that removed most."""
    removed, failed = sum(fates["removed"].values()), sum(fates["failed"].values())
    text, tokens = fates["facts"].get("text_bytes", 0), fates["facts"].get("tokens", 0)
    numbers = (fates["read"], removed, failed, fates["kept"])
    yield name, *(f"{number:,}" for number in numbers), _size(text), f"{tokens:,}"
    reasons = sorted(fates["removed"].items(), key=lambda pair: (-pair[1], pair[0]))
    for reason, count in reasons[:TOP_REASONS]:
        yield f"  {reason}", "", f"{count:,}", "", "", "", ""
    if rest := sum(count for _, count in reasons[TOP_REASONS:]):
        yield f"  {len(reasons) - TOP_REASONS} more reasons", "", f"{rest:,}", "", "", "", ""


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def explanation(found: Explanation) -> Panel:
    """One document's story as a panel."""
    row = found.row
    facts = Table.grid(padding=(0, 2))
    colour = {"kept": "green", "removed": "yellow", "failed": "red"}[found.fate]
    facts.add_row("fate", f"[{colour}]{found.fate}[/] {shown(found.reason)}")
    for name in ("id", "number", "url", "date", "language", "metadata"):
        if row.get(name) not in (None, "", "{}"):
            facts.add_row(name, shown(str(row[name])))
    facts.add_row("read from", shown(found.place))
    parts: list[Any] = [facts]
    if any(one.value is not None for one in found.judgements):
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for name in ("signal", "value", "removed when"):
            table.add_column(name, justify="right" if name == "value" else "left")
        for one in found.judgements:
            if one.value is None:
                continue
            rules = ", ".join(f"{rule.comparison} {rule.threshold:g}" for rule in one.rules)
            fired = any(rule.reason == found.reason for rule in one.rules)
            value = f"{one.value:.4g}"
            table.add_row(one.signal, f"[bold {colour}]{value}[/]" if fired else value, shown(rules))
        parts += ["", table]
    parts += [_proof(one) for one in found.evidence[:SHOWN_EVIDENCE]]
    if len(found.evidence) > SHOWN_EVIDENCE:
        parts.append(f"and {len(found.evidence) - SHOWN_EVIDENCE} more rows in duplicates/")
    if found.absorbed:
        parts.append(f"\n[bold]{len(found.absorbed)} removals because this one stays[/]")
        for proof in found.absorbed[:10]:
            gone = proof["document"] or {}
            parts.append(
                f"  {proof['level']} {_similarity(proof)} {shown(str(gone.get('id')))} {shown(str(gone.get('url')))}"
            )
    text = row.get("text") or ""
    if text:
        parts += ["", Text(visible(text[:SHOWN_TEXT]) + ("…" if len(text) > SHOWN_TEXT else ""), style="dim")]
    return Panel(Group(*parts), title=shown(row.get("url") or row.get("id") or str(row["number"])), title_align="left")


def _similarity(proof: Mapping[str, Any]) -> str:
    return "" if proof["similarity"] is None else f"{proof['similarity']:.2f}"


def _proof(proof: Mapping[str, Any]) -> str:
    """A row of ``duplicates/`` in words: level, similarity, characters, and where what was taken still stands."""
    level, corpus, kept = proof["level"], shown(proof["kept_corpus"]), proof["kept"] or {}
    span = (
        f", characters {proof['start']} to {proof['stop']}: {shown(repr(proof['text'][:120]))}" if proof["text"] else ""
    )
    if level.startswith("benchmark.") and proof["kept_id"]:
        share = f"{_similarity(proof)} of the item's n-grams" if proof["text"] else "after its passages were cut"
        return f"[bold]{level}[/], {share}{span}\n  item {shown(proof['kept_id'])} of the benchmark {corpus}"
    if proof["pages"] is not None:
        return f"[bold]{level}[/], on {proof['pages']:,} pages of the site{span}"
    similarity = f", similarity {_similarity(proof)}" if proof["similarity"] is not None else ""
    if proof["kept_number"] is None:
        return f"[bold]{level}[/]{similarity}{span}"
    name = f"{shown(str(kept.get('id') or ''))} {shown(str(kept.get('url') or ''))}".strip()
    where = f"document {proof['kept_number']} of {corpus} {name}".strip() if corpus else name
    later = f" (which was removed too: {proof['kept_gone']})" if proof["kept_gone"] else ""
    return f"[bold]{level}[/]{similarity}{span}\n  stays in {where}{later}"


def traced(found: Traced) -> Group:
    """A token in its text, above the story of its document."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("shard", shown(found.shard))
    facts.add_row("row", f"{found.row:,} of {found.tokens:,} tokens")
    if found.token is None:
        return Group(facts, explanation(found.explanation))
    facts.add_row("token", f"{found.token:,}: id {found.token_id} [bold]{shown(repr(found.spelled))}[/]")
    text = Text("…")
    text.append(visible(found.before), style="dim")
    text.append(visible(found.spelled), style="bold reverse")
    text.append(visible(found.after), style="dim")
    return Group(facts, "", text.append("…"), "", explanation(found.explanation))


def shards(made: Mapping[str, Any], shares: Sequence[Share]) -> Group:
    """What the shards hold by source, and what a training of so many tokens reads of it."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("source", "part", "shards", "documents", "tokens", "tokens a document", "size"):
        table.add_column(name, justify="left" if name in ("source", "part") else "right")
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in made["files"]:
        if one["kind"] == "shard":
            groups.setdefault((one["source"], one["split"]), []).append(one)
    for (source, part), rows in sorted(groups.items()):
        documents, tokens, size = (sum(row[name] for row in rows) for name in ("rows", "tokens", "bytes"))
        mean = f"{tokens / max(documents, 1):,.0f}"
        table.add_row(shown(source), part, f"{len(rows):,}", f"{documents:,}", f"{tokens:,}", mean, _size(size))
    if not shares:
        return Group(table)
    reading = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("source", "weight", "tokens read", "epochs"):
        reading.add_column(name, justify="left" if name == "source" else "right")
    for share in shares:
        often = f"[red]{share.epochs:.2f}[/]" if share.repeated_too_often else f"{share.epochs:.2f}"
        reading.add_row(shown(share.source), f"{float(share.weight):.2%}", f"{share.tokens:,}", often)
    parts: list[Any] = [table, "", reading]
    if many := [share.source for share in shares if share.repeated_too_often]:
        parts.append(
            f"[red]{shown(', '.join(many))} would be read more than {MANY_EPOCHS} times:[/] beyond that, repeating teaches "
            f"little (Muennighoff et al. 2023). Give them less weight, train on fewer tokens, or find more data."
        )
    return Group(*parts)
