"""Writes the report of a run: one HTML page that needs nothing else, runs nothing, and shows everything escaped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from filters.filter import Filter, ratio
from filters.pii import Redactor
from pipeline import files
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.report import charts, contamination, distributions, duplicates, examples, facts, vocabulary
from pipeline.report.sample import SHOWN_TEXT, draw
from pipeline.stage import output

SHOWN_LANGUAGES = 20
LONGEST_LINK = 4096


def write(recipe: Recipe, layout: Layout, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Write ``report/index.html`` for a finished run, and the items of benchmarks that were found; return their rows for the manifest.

    The same run gives the same bytes: the page holds neither times nor paths of this machine. Raises OSError, or
    ValueError naming the file, when a table can't be read.
    """
    found, lines = contamination.gather(recipe, layout, manifest)
    written = [files.write_text(layout.report, render(recipe, layout, manifest, found))]
    if recipe.benchmarks:
        written.append(files.write_text(layout.path(contamination.FILE), lines))
    return [output(layout, "report", one) for one in written]


def render(
    recipe: Recipe, layout: Layout, manifest: dict[str, Any], benchmarks: Sequence[contamination.Contamination] = ()
) -> str:
    """The page as text."""
    sample = draw(recipe, layout, manifest)
    funnels = facts.funnels(recipe, manifest)
    reasons = facts.reasons(funnels)
    return (
        _environment(recipe)
        .get_template("page.html")
        .render(
            recipe=recipe,
            manifest=manifest,
            sample=sample,
            funnels=funnels,
            totals=facts.totals(funnels),
            filters={source.name: recipe.chain(source) for source in recipe.sources},
            distributions=distributions.gather(recipe, sample),
            shown_languages=SHOWN_LANGUAGES,
            duplicates=duplicates.gather(funnels, sample) if recipe.dedup else None,
            cluster_sizes=duplicates.SIZES,
            similarity_edges=duplicates.SIMILARITY_EDGES,
            contamination=benchmarks,
            entities=facts.personal_data(recipe, manifest),
            shards=facts.shard_groups(recipe, manifest),
            vocabulary=vocabulary.gather(recipe, layout, manifest),
            reasons=examples.removed(recipe, reasons, sample),
            causes=examples.failed(sample),
            files=facts.file_groups(manifest),
            charts=charts,
            funnel_bar=funnel_bar,
            funnel_keys=funnel_keys,
        )
    )


def _environment(recipe: Recipe) -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "size": size,
        "percent": charts.percent,
        "short": charts.short,
        "visible": visible,
        "token": token,
        "link": link,
        "excerpt": _excerpt(recipe),
        "filter_names": filter_names,
    }
    environment.globals |= {"ratio": ratio}
    return environment


def number(value: float) -> str:
    """A count with thousands separators."""
    return f"{value:,.0f}"


def size(count: float) -> str:
    """Bytes in decimal units, three digits."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
_MARKS = re.compile(
    r"(?<![^\s\u25cc])(?=[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff])"
)
MAX_MARKS = 4
"""Combining marks on one character that are shown; stacks of them would grow over the page."""


def visible(text: str) -> str:
    """The text with characters spelled out that can't be seen or that reorder others, such as RTL overrides.

    Controls become their Unicode pictures, other invisible ones their code points; a lone combining mark gets a circle
    to stand on.
    """
    return _MARKS.sub("\u25cc", _INVISIBLE.sub(_spelled, _unstacked(text.replace("\r\n", "\n"))))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"\u27e8U+{code:04X}\u27e9"


def _unstacked(text: str) -> str:
    if text.isascii():
        return text
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def token(text: str) -> str:
    """A token's text in one line: line ends and tabs as signs, else as ``visible``."""
    return visible(text).replace("\n", "⏎").replace("\t", "⇥")


_WEB = re.compile(r"https?://[^\s\x00-\x20\x7f\"'<>\\]+", re.IGNORECASE)


def link(url: str) -> str:
    """The URL where it may be a link: plain http or https, all of it visible. Else an empty text."""
    return url if _WEB.fullmatch(url) and len(url) < LONGEST_LINK and not _INVISIBLE.search(url) else ""


_BLANK_LINES = re.compile(r"\n\s*\n")


def _excerpt(recipe: Recipe) -> Callable[..., str]:
    """How the page shows text of documents: personal data replaced as the recipe says, cut, made visible."""
    redactor = Redactor(recipe.pii) if recipe.pii else None

    def excerpt(text: str, length: int = SHOWN_TEXT) -> str:
        if redactor is not None:
            try:
                text, _ = redactor.redact(text)
            except Exception as error:  # noqa: BLE001 - what can't be searched is not shown; the run is not lost for it
                return f"(not shown: it could not be searched for personal data, {type(error).__name__})"
        text = _BLANK_LINES.sub("\n\n", text)
        return visible(text[:length].rstrip()) + (" …" if len(text) > length else "")

    return excerpt


def filter_names(chain: tuple[Filter, ...]) -> str:
    """The filters of a chain by name, in order."""
    return ", ".join(filter_.name for filter_ in chain)


def funnel_bar(funnel: facts.Funnel) -> Markup:
    """All that was read of a source as one bar: kept, then the losses in order."""
    segments = [charts.Segment(ratio(funnel.kept, funnel.read), "kept", f"kept: {number(funnel.kept)}")]
    for loss in funnel.losses:
        share = ratio(loss.count, funnel.read)
        segments.append(
            charts.Segment(share, loss.stage, f"{loss.reason}: {number(loss.count)} ({charts.percent(share)})")
        )
    return charts.stacked(segments, f"{funnel.source}: {number(funnel.kept)} of {number(funnel.read)} records kept")


def funnel_keys(funnel: facts.Funnel) -> list[tuple[str, str]]:
    """Style and label of the colours in a source's bar."""
    labels = {"source": "removed by the source", "dedup": "dedup", "failed": "failed"}
    found = {loss.stage: labels.get(loss.stage, loss.filter) for loss in funnel.losses}
    return list(found.items())
