"""Puts the curves of an ablation into the report of a run, and keeps the manifest true."""

from __future__ import annotations

import re

from markupsafe import Markup

from pipeline import files, manifest
from pipeline.layout import Layout
from pipeline.stage import output

_BEGIN, _END = "<!-- ablation -->", "<!-- end of ablation -->"
_OLD = re.compile(f"{_BEGIN}.*?{_END}\n?", re.DOTALL)
_BEFORE = '<section id="removed">'
_COLOURS = "--c0: var(--kept); --c1: var(--removed); --c2: var(--dedup)"


def add(layout: Layout, lead: str, chart: str, table: str) -> None:
    """Write the section into ``report/index.html``, in place of an earlier one, and the page's new digest into the manifest.

    ``chart`` and ``table`` are HTML, and trusted. Raises FileNotFoundError, and ValueError where the report is of another version.
    """
    made = manifest.read(layout)
    with files.open_read(layout.report) as stream:
        page = _OLD.sub("", stream.read().decode())
    if page.count(_BEFORE) != 1:
        raise ValueError(f"{layout.report} has no place for the ablation: it was written by another version")
    section = Markup(
        '{}<section id="ablation"><h2>What is it worth?</h2><p class="lead">{}</p>'
        '<div style="{}"><figure class="card">{}</figure></div>{}'
        '<p><a href="../ablation/index.html">All of it</a></p></section>{}\n'
    ).format(Markup(_BEGIN), lead, _COLOURS, Markup(chart), Markup(table), Markup(_END))  # noqa: S704 - made by the trainer
    written = files.write_text(layout.report, page.replace(_BEFORE, str(section) + _BEFORE))
    row = output(layout, "report", written)
    made["files"] = [row if one["path"] == row["path"] else one for one in made["files"]]
    files.write_json(layout.manifest, made)
