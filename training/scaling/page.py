"""What a fit says, as text for a terminal and as a page with charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.charts import Chart, Section, Series, Table, write
from training.scaling.fit import Allocation, Estimate, Fit
from training.scaling.forms import FLOPS_PER_PARAMETER

CONVENTION = (
    "N counts the parameters that every token is multiplied with (matrices and head, no look-up of embeddings), "
    "D the tokens trained on, and C = 6·N·D. Other counts give other exponents. Intervals hold 95 of 100 resamplings of the runs."
)
MOST_SIZES = 10
"""Sizes whose curves are drawn."""


def coefficients(fit: Fit) -> Table:
    """The coefficients, and the exponent with which the best size grows."""
    rows = [[name, f"{one.value:.5g}", _interval(one)] for name, one in fit.coefficients().items()]
    growth = fit.exponent()
    rows.append(["best N grows with C to the power", f"{growth.value:.3f}", _interval(growth)])
    rows.append(["sum of Huber losses", f"{fit.objective:.6g}", f"{len(fit.points)} runs"])
    rows.append(["largest error of a fitted loss", f"{np.abs(fit.relative_errors()).max():.2%}", ""])
    return Table(("", "value", "95 %"), rows)


def allocations(fit: Fit, budgets: Sequence[float]) -> Table:
    """The best size and length for each budget of FLOPs."""
    rows = []
    for budget in budgets:
        best = fit.best(budget)
        ratio = best.tokens.value / best.parameters.value
        rows.append(
            [
                f"{budget:.3g}",
                *(_estimate(one) for one in (best.parameters, best.tokens)),
                f"{ratio:.1f}",
                _loss(best.loss),
            ]
        )
    return Table(("FLOPs", "parameters", "tokens", "tokens a parameter", "loss"), rows)


def predictions(fit: Fit, wanted: Sequence[tuple[float, float]]) -> Table:
    """The loss that models of these parameters and tokens should reach."""
    rows = [[f"{n:.4g}", f"{d:.4g}", f"{FLOPS_PER_PARAMETER * n * d:.3g}", _loss(fit.predict(n, d))] for n, d in wanted]
    return Table(("parameters", "tokens", "FLOPs", "loss"), rows)


def write_page(
    folder: Path, fits: Mapping[str, Fit], budgets: Sequence[float], wanted: Sequence[tuple[float, float]] = ()
) -> Path:
    """Write ``scaling.html`` and its PNGs for the fits by name; returns the page's path."""
    sections = []
    for name, fit in fits.items():
        sections.append(
            Section(
                name.capitalize(), fit.form.title, [_frontier(name, fit, budgets), _sizes(name, fit, budgets), _errors(name, fit)],
                coefficients(fit),
            )
        )  # fmt: skip
        sections.append(Section(f"{name.capitalize()}: the best use of a budget", table=allocations(fit, budgets)))
        if wanted:
            sections.append(Section(f"{name.capitalize()}: predictions", table=predictions(fit, wanted)))
    return write(folder, "scaling", "Scaling laws", CONVENTION, sections)


def budgets_beyond(fit: Fit) -> list[float]:
    """The largest budget that was spent, and 10 and 100 times as much."""
    most = float(fit.points.compute.max())
    return [most, 10 * most, 100 * most]


def _frontier(name: str, fit: Fit, budgets: Sequence[float]) -> Chart:
    """Loss over compute: the runs, the curves of their sizes, and the best that the law says can be had."""
    points = fit.points
    sizes = np.unique(points.parameters)
    shown = sizes[np.unique(np.linspace(0, len(sizes) - 1, min(MOST_SIZES, len(sizes))).astype(int))]
    series = []
    for size in shown:
        tokens = points.tokens[points.parameters == size]
        lengths = np.geomspace(tokens.min() / 3, tokens.max() * 3, 40)
        losses = [fit.predict_value(size, length) for length in lengths]
        series.append(Series("", FLOPS_PER_PARAMETER * size * lengths, losses, colour=2, faint=True))
    best = _along(fit, budgets)
    bests = [one.loss for one in best]
    series.append(Series("best of every budget", [one.compute for one in best], *_banded(bests), colour=1))
    series.append(Series("runs", points.compute, points.loss, dots=True))
    return Chart(
        f"{name}-loss", "Loss over compute", "training FLOPs", "loss", series, log_x=True, log_y=True,
        note="Thin lines: one size, longer and longer. The band holds 95 of 100 resamplings.",
    )  # fmt: skip


def _sizes(name: str, fit: Fit, budgets: Sequence[float]) -> Chart:
    best = _along(fit, budgets)
    compute = [one.compute for one in best]
    series = [
        Series("parameters", compute, *_banded([one.parameters for one in best])),
        Series("tokens", compute, *_banded([one.tokens for one in best]), colour=1),
    ]
    return Chart(f"{name}-best", "Best size and length", "training FLOPs", "", series, log_x=True, log_y=True)


def _errors(name: str, fit: Fit) -> Chart:
    series = [Series("", fit.points.compute, 100 * fit.relative_errors(), dots=True)]
    return Chart(f"{name}-errors", "Errors of the fitted losses", "training FLOPs", "per cent", series, log_x=True)


def _along(fit: Fit, budgets: Sequence[float]) -> list[Allocation]:
    return [fit.best(budget) for budget in np.geomspace(fit.points.compute.min(), max(budgets), 30)]


def _banded(values: Sequence[Estimate]) -> tuple[np.ndarray, bool, tuple[np.ndarray, np.ndarray]]:
    """Values, that they are no dots, and the band, as ``Series`` takes them."""
    lows, highs = (np.array([getattr(one, name) for one in values]) for name in ("low", "high"))
    return np.array([one.value for one in values]), False, (lows, highs)


def _interval(one: Estimate) -> str:
    return f"{one.low:.4g} to {one.high:.4g}"


def _estimate(one: Estimate) -> str:
    return f"{one.value:.3g} ({one.low:.3g} to {one.high:.3g})"


def _loss(one: Estimate) -> str:
    return f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})"
