"""Charts and the page that holds them: an HTML file that needs nothing else and runs nothing, and each chart as PNG too.

matplotlib draws both. In the page its colours become the page's own, so that charts follow the reader's light or dark theme.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, SOFT, LINE = "#23262b", "#666b73", "#e2ddd2"
COLOURS = ("#1f7a6c", "#c9702e", "#41699e", "#8e6bb0", "#d3a03f", "#a3476b", "#74903f", "#857059")
_VARIABLES = {INK: "--ink", SOFT: "--soft", LINE: "--line"} | {one: f"--c{i}" for i, one in enumerate(COLOURS)}
_DARK = ("#54b8a6", "#e3985c", "#7ea3d6", "#b394d3", "#e0b75f", "#d07a9c", "#a0bd68", "#b29b80")

_SETTINGS: Any = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.5, "axes.edgecolor": SOFT, "axes.labelcolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "text.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": LINE, "grid.linewidth": 0.7, "axes.facecolor": "none", "figure.facecolor": "none",
    "legend.frameon": False, "lines.linewidth": 1.6, "axes.linewidth": 0.8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """Values over others, by name: a line, or ``dots``. ``band`` is how far up and down they may lie."""

    label: str
    x: Sequence[float] | NDArray[np.float64]
    y: Sequence[float] | NDArray[np.float64]
    dots: bool = False
    band: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    colour: int = 0
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Series in one frame; ``name`` is that of its PNG."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False
    note: str = ""

    def figure(self) -> Figure:
        """The chart as matplotlib has it."""
        with mpl.rc_context(_SETTINGS):
            figure = Figure(figsize=(7.2, 3.9), layout="constrained")
            axes = figure.add_subplot()
            axes.set_xscale("log" if self.log_x else "linear")
            axes.set_yscale("log" if self.log_y else "linear")
            for one in self.series:
                colour = COLOURS[one.colour % len(COLOURS)]
                label = one.label or "_nolegend_"
                if one.dots:
                    axes.plot(one.x, one.y, "o", color=colour, markersize=4, label=label)
                else:
                    axes.plot(one.x, one.y, color=colour, alpha=0.35 if one.faint else 1, label=label)
                if one.band is not None:
                    axes.fill_between(one.x, *one.band, color=colour, alpha=0.18, linewidth=0)
            axes.set_xlabel(self.x_label)
            axes.set_ylabel(self.y_label)
            if any(one.label for one in self.series):
                axes.legend()
            return figure

    def png(self) -> bytes:
        """The chart as a picture, with the light theme's colours."""
        stream = io.BytesIO()
        with mpl.rc_context(_SETTINGS):
            self.figure().savefig(stream, format="png", dpi=160, facecolor="#fffefb", metadata={"Software": None})
        return stream.getvalue()

    def svg(self) -> str:
        """The chart as an element of a page."""
        stream = io.StringIO()
        with mpl.rc_context(_SETTINGS | {"svg.hashsalt": self.name}):
            self.figure().savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
        text = stream.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(
            r'<svg[^>]*?(viewBox="[^"]*")[^>]*>',
            rf'<svg \1 role="img" aria-label="{html.escape(self.title)}">',
            text,
            count=1,
        )
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        return re.sub("|".join(_VARIABLES), lambda found: f"var({_VARIABLES[found[0]]})", text)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence, charts and a table. All of it is text and is escaped."""

    title: str
    lead: str = ""
    charts: Sequence[Chart] = field(default_factory=tuple)
    table: Table | None = None


def write(folder: Path, name: str, title: str, lead: str, sections: Iterable[Section]) -> Path:
    """Write ``NAME.html`` and the PNG of every chart into the folder; returns the page's path. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for section in sections:
        parts.append(f"<section><h2>{html.escape(section.title)}</h2>")
        if section.lead:
            parts.append(f'<p class="lead">{html.escape(section.lead)}</p>')
        for chart in section.charts:
            (folder / f"{chart.name}.png").write_bytes(chart.png())
            note = f"<figcaption>{html.escape(chart.note)}</figcaption>" if chart.note else ""
            parts.append(f'<figure class="card"><h3>{html.escape(chart.title)}</h3>{chart.svg()}{note}</figure>')
        if section.table is not None:
            parts.append(table_html(section.table))
        parts.append("</section>")
    page = folder / f"{name}.html"
    page.write_text(_PAGE.format(title=html.escape(title), lead=html.escape(lead), style=_STYLE, body="\n".join(parts)))
    return page


def table_html(table: Table) -> str:
    """The table as an element of a page."""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in table.headings)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(one)}</td>" for one in row) + "</tr>" for row in table.rows)
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · corpusmill</title>
<style>{style}</style>
</head>
<body><main>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{body}
</main><footer>Written by corpusmill. This page runs no script and loads nothing.</footer></body>
</html>
"""

_STYLE = f"""
:root {{ color-scheme: light dark; --page: #f7f5f0; --card: #fffefb; --ink: {INK}; --soft: {SOFT}; --line: {LINE};
  {" ".join(f"--c{i}: {one};" for i, one in enumerate(COLOURS))} }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #15171a; --card: #1c1f23; --ink: #e8e5de; --soft: #9da3ab; --line: #33383f;
  {" ".join(f"--c{i}: {one};" for i, one in enumerate(_DARK))} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }}
main, footer {{ max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }}
main {{ padding-top: 2.5rem; }} footer {{ padding: 3rem 1.25rem; color: var(--soft); font-size: .9rem; }}
h1, h2, h3 {{ font-family: "Iowan Old Style", Palatino, Georgia, "Liberation Serif", serif; font-weight: 600; line-height: 1.2; }}
h1 {{ font-size: 2.2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }}
h2 {{ margin: 2.25rem 0 .4rem; }} h3 {{ margin: 0 0 .4rem; font-size: 1.05rem; }}
.lead, figcaption {{ color: var(--soft); max-width: 46rem; margin: 0 0 1rem; }} figcaption {{ font-size: .88rem; margin: .4rem 0 0; }}
.card {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; margin: 0 0 1rem; }}
.scroll {{ overflow-x: auto; }} svg {{ display: block; width: 100%; height: auto; }}
svg text {{ font-family: inherit !important; }}
table {{ border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-size: .8rem; color: var(--soft); }}
th, td {{ padding: .34rem .9rem .34rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }}
tbody tr:last-child td {{ border-bottom: 0; }}
"""
