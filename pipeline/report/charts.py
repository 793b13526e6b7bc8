"""The charts of the report, as inline SVG: bars, stacked bars, histograms.

Colours are CSS classes, so they follow the theme. Everything that goes in is escaped: text reaches SVG by
``Markup.format`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pipeline.report.distributions import GROUPS, LENGTH_BINS_PER_DECADE, Axis, Lengths, Measured, Numbers

WIDTH, HEIGHT = 360.0, 172.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 8.0, 20.0, 22.0
"""Of a histogram: the room around its plot, for labels."""
LABEL_ROOM = 0.16
"""Share of the width that a tick's label needs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a stacked bar: its share of the whole (0 to 1), its CSS class, and what it says when pointed at."""

    share: float
    style: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A threshold in a histogram: where (0 to 1), its label, and the side that is removed (-1: left, 1: right, 0: none)."""

    place: float
    label: str
    side: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """``places`` (0 to 1) are the edges of the bins; ``series`` are shares of each group by bin, by CSS class.

    ``rooted``: heights are square roots of shares, so that the few in the tail are seen beside the many.
    """

    title: str
    places: Sequence[float]
    series: Mapping[str, Sequence[float]]
    ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line] = ()
    rooted: bool = False


def stacked(segments: Sequence[Segment], title: str) -> Markup:
    """A bar from 0 to 100 %, cut into segments. Thin ones are drawn at least a hair wide."""
    pieces, at = [], 0.0
    for segment in segments:
        if segment.share > 0:
            pieces.append(_rectangle(1000 * at, 0, max(1000 * segment.share, 1.5), 20, segment.style, segment.title))
            at += segment.share
    return _bar(pieces, 20, title)


def bar(share: float, style: str, start: float = 0.0) -> Markup:
    """A small bar in a table's cell, from ``start`` on, of a full width of 1."""
    return _bar([_rectangle(1000 * start, 0, max(1000 * share, 3.0 if share else 0.0), 10, style)], 10, "")


def step(before: float, after: float, style: str) -> Markup:
    """One step of a funnel: what is left (pale), then what was lost at this step."""
    lost = max(1000 * (before - after), 3.0 if before > after else 0.0)
    return _bar([_rectangle(0, 0, 1000 * after, 10, "left"), _rectangle(1000 * after, 0, lost, 10, style)], 10, "")


def _bar(pieces: Sequence[Markup], height: int, title: str) -> Markup:
    labelled = Markup('role="img" aria-label="{}"').format(title) if title else Markup('aria-hidden="true"')
    return Markup('<svg class="bar" viewBox="0 0 1000 {}" preserveAspectRatio="none" {}>{}</svg>').format(
        height, labelled, Markup("").join(pieces)
    )


def _rectangle(x: float, y: float, width: float, height: float, style: str, title: str = "") -> Markup:
    inside = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>').format(
        style, x, y, width, height, inside
    )


def histogram(one: Histogram) -> Markup:
    """Bins side by side: filled areas for the groups, a dashed line for every threshold, its wrong side tinted."""
    top = max((max(shares, default=0.0) for shares in one.series.values()), default=0.0)
    scale = _nice(top)
    parts = [_tinted(line) for line in one.lines if line.side]
    for mark in (0.0, scale / (4 if one.rooted else 2), scale):
        y = _y(_height(mark / scale, one.rooted))
        parts.append(_line("grid" if mark else "base", LEFT, y, WIDTH - RIGHT, y))
        parts.append(_text("end", LEFT - 5, y + 3.5, f"{100 * mark:g}%"))
    parts += [
        _area(one.places, [_height(share / scale, one.rooted) for share in shares], name)
        for name, shares in one.series.items()
    ]
    parts += [_tick(place, label) for place, label in one.ticks]
    parts += [_threshold(line) for line in one.lines]
    return Markup(
        '<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(WIDTH, HEIGHT, one.title, one.title, Markup("").join(parts))


def _x(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _height(share: float, rooted: bool) -> float:
    return math.sqrt(share) if rooted else share


def _area(places: Sequence[float], heights: Sequence[float], style: str) -> Markup:
    """The outline of the bins as one path, closed at the base."""
    path = [f"M{_x(places[0]):.1f} {_y(0):.1f}"]
    for left, right, height in zip(places, places[1:], heights, strict=False):
        path.append(f"V{_y(height):.1f}" if left == places[0] else f"L{_x(left):.1f} {_y(height):.1f}")
        path.append(f"H{_x(right):.1f}")
    return Markup('<path class="area {}" d="{}V{:.1f}"/>').format(style, "".join(path), _y(0))


def _tick(place: float, label: str) -> Markup:
    x, anchor = _x(place), "start" if place < 0.03 else "end" if place > 0.97 else "middle"
    return _line("base", x, _y(0), x, _y(0) + 4) + _text(anchor, x, HEIGHT - 5, label)


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(style, x1, y1, x2, y2)


def _text(style: str, x: float, y: float, label: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(style, x, y, label)


def _tinted(line: Line) -> Markup:
    left, right = (0.0, line.place) if line.side < 0 else (line.place, 1.0)
    return _rectangle(_x(left), TOP, _x(right) - _x(left), HEIGHT - TOP - BOTTOM, "wrong")


def _threshold(line: Line) -> Markup:
    """The dashed line, its label on the side that is removed if there is room for it."""
    x = _x(line.place)
    right = line.place < 1 - LABEL_ROOM if line.side >= 0 else line.place < LABEL_ROOM
    label = _text("start limit" if right else "end limit", x + (4 if right else -4), TOP - 8, line.label)
    return _line("threshold", x, TOP - 6, x, _y(0)) + label


def of_signal(one: Measured) -> Histogram | None:
    """The histogram of a signal with its rules; None where it was never measured."""
    if one.axis is None:
        return None
    lines = [
        Line(
            one.axis.place(rule.threshold),
            f"{rule.comparison} {short(rule.threshold)}",
            -1 if rule.comparison[0] == "<" else 1,
        )
        for rule in (share.rule for share in one.rules)
    ]
    places = [one.axis.place(edge) for edge in one.axis.edges]
    series = {group: _shares(one.bins[group]) for group in GROUPS if one.documents[group]}
    return Histogram(one.signal.name, places, series, ticks(one.axis), lines, rooted=True)


def of_lengths(lengths: Mapping[str, Lengths]) -> Histogram | None:
    """The histogram of text lengths on a logarithmic axis; None where there is no text."""
    used = np.flatnonzero(np.sum([one.bins for one in lengths.values()], axis=0))
    if not len(used):
        return None
    first, last = int(used[0]), int(used[-1]) + 1
    places = [(edge - first) / (last - first) for edge in range(first, last + 1)]
    series = {group: _shares(one.bins)[first:last] for group, one in lengths.items() if one.documents}
    decades = range(math.ceil(first / LENGTH_BINS_PER_DECADE), last // LENGTH_BINS_PER_DECADE + 1)
    marks = [((decade * LENGTH_BINS_PER_DECADE - first) / (last - first), short(10.0**decade)) for decade in decades]
    return Histogram("characters", places, series, marks)


def of_similarities(counts: Numbers, edges: Numbers, threshold: float) -> Histogram:
    """The histogram of how similar near-duplicates are to the document that stayed."""
    axis = Axis(edges, "left", logarithmic=False)
    line = Line(axis.place(threshold), short(threshold), 0)
    return Histogram(
        "similarity", [axis.place(edge) for edge in edges], {"duplicate": _shares(counts)}, ticks(axis), [line]
    )


def _shares(counts: Numbers) -> list[float]:
    total = max(int(counts.sum()), 1)
    return [float(count) / total for count in counts]


def ticks(axis: Axis) -> list[tuple[float, str]]:
    """Round numbers along an axis, with their places; never so close that labels touch."""
    first, last = float(axis.edges[0]), float(axis.edges[-1])
    if axis.logarithmic:
        decades = [10.0**exponent for exponent in range(12)]
        values = [0.0, *decades]
        if sum(first <= value <= last for value in values) < 3:
            values = [0.0, *(factor * decade for decade in decades for factor in (1, 2, 5))]
    else:
        size = _nice((last - first) / 5)
        values = [size * place for place in range(math.ceil(first / size - 1e-9), math.floor(last / size + 1e-9) + 1)]
    found: list[tuple[float, str]] = []
    for value in values:
        if first - 1e-9 <= value <= last + 1e-9 and (not found or axis.place(value) - found[-1][0] > LABEL_ROOM):
            found.append((axis.place(value), short(value)))
    return found


def _nice(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least the value; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= value * (1 - 1e-9))


def short(value: float) -> str:
    """A number as a label: 0.25, 12, 1.5k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share as a percentage with as many digits as say something: 12.3%, 0.04%, <0.01%."""
    value = 100 * share
    if value == 0 or value >= 99.995:
        return f"{value:.0f}%"
    if value < 0.01:
        return "<0.01%"
    return f"{value:.1f}%" if 1 <= value < 99.95 else f"{value:.2f}%"
