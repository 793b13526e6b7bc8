"""Fits a form to trained models: sum of Huber losses of the logarithm by L-BFGS, and bootstrap intervals of all that follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from tokenizer.draws import keyed_hash
from training.scaling.forms import FLOPS_PER_PARAMETER, Floats, Form, Points

DELTA = 1e-3
"""Where Huber's loss turns from square to straight, in ln L (Hoffmann et al. 2022, appendix D.3)."""

Objective = Literal["huber", "squares"]
"""``huber`` of the logarithm of the loss (Hoffmann et al.), or plain ``squares`` of the loss (Gadre et al. 2024)."""

_EXACT = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20000, "maxcor": 20}
_CLOSE = _EXACT | {"ftol": 1e-9, "gtol": 1e-4}
"""For resamplings, whose values differ by far more."""
_RIDGE = 1e-12
"""Added to the curvature, in parts of its trace, so that it can be inverted where the points settle a coefficient badly."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and the interval that holds it in 95 of 100 resamplings of the runs (equal to it without a bootstrap)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Allocation:
    """How a budget of training FLOPs is best spent: parameters, tokens, and the loss that this should reach."""

    compute: float
    parameters: Estimate
    tokens: Estimate
    loss: Estimate


@dataclass(frozen=True, slots=True)
class Fit:
    """A form with the values that fit the points, and the values from resamplings of them (one row each)."""

    form: Form
    points: Points
    values: Floats
    objective: float
    """At ``values``, as the papers state it: the sum, not the mean."""
    resampled: Floats

    def coefficients(self) -> dict[str, Estimate]:
        """The coefficients as the papers write them, with intervals."""

        def of(name: str) -> Estimate:
            return self._estimate(lambda values: self.form.shown(values)[name])

        return {name: of(name) for name in self.form.names}

    def exponent(self) -> Estimate:
        """The power of compute with which the best number of parameters grows."""
        return self._estimate(lambda values: _best(self.form, values, 1.0)[1])

    def predict(self, parameters: float, tokens: float) -> Estimate:
        """The loss of a model of this size after so many tokens."""
        return self._estimate(lambda values: _loss(self.form, values, parameters, tokens))

    def predict_value(self, parameters: float, tokens: float) -> float:
        """``predict`` without its interval."""
        return _loss(self.form, self.values, parameters, tokens)

    def best(self, compute: float) -> Allocation:
        """The best size for a budget of FLOPs, by C = 6·N·D. Raises ValueError for a budget of 0 or less."""
        if not (compute > 0 and math.isfinite(compute)):
            raise ValueError(f"a budget is a number of FLOPs above 0, not {compute:g}")

        def parameters(values: Floats) -> float:
            return _best(self.form, values, compute)[0]

        def tokens(values: Floats) -> float:
            return compute / FLOPS_PER_PARAMETER / parameters(values)

        def loss(values: Floats) -> float:
            return _loss(self.form, values, parameters(values), tokens(values))

        return Allocation(compute, self._estimate(parameters), self._estimate(tokens), self._estimate(loss))

    def relative_errors(self) -> Floats:
        """Of every point: (fitted loss - measured loss) / measured loss."""
        fitted, _ = self.form.log_loss(self.values, np.log(self.points.parameters), np.log(self.points.tokens))
        return np.asarray(np.expm1(fitted - np.log(self.points.loss)))

    def _estimate(self, of: Callable[[Floats], float]) -> Estimate:
        value = of(self.values)
        if not len(self.resampled):
            return Estimate(value, value, value)
        low, high = np.quantile([of(values) for values in self.resampled], [0.025, 0.975])
        return Estimate(value, min(float(low), value), max(float(high), value))


def fit(
    points: Points,
    form: Form,
    *,
    resamples: int = 100,
    seed: int = 0,
    delta: float = DELTA,
    objective: Objective = "huber",
) -> Fit:
    """Fit a form. The best of all structured starts wins; resamplings of the runs begin where it ended.

    The same points, form and seed give the same values. Raises ValueError for fewer points than coefficients.
    """
    if len(points) < len(form.names):
        raise ValueError(
            f"{len(points)} runs can't settle the {len(form.names)} coefficients of {form.title}: train more, of other sizes and lengths"
        )
    best, least = np.zeros(0), math.inf
    for start in form.starts(points):
        values, reached = _descend(points, form, start, delta, objective, _EXACT)
        if reached < least:
            best, least = values, reached
    rows = (_resample(len(points), number, seed) for number in range(resamples))
    resampled = [
        _descend(points.take(one), form, best, delta, objective, _CLOSE)[0]
        for one in rows
        if _settles(points, form, one)
    ]
    return Fit(form, points, best, least, np.array(resampled).reshape(-1, len(best)))


def power_law(x: Floats, y: Floats) -> tuple[float, float]:
    """Factor and exponent of y = factor · x^exponent, by least squares of the logarithms."""
    exponent, log_factor = np.polyfit(np.log(x), np.log(y), 1)
    return math.exp(log_factor), float(exponent)


def _resample(count: int, number: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The places of one resampling: as many as there are, drawn with replacement."""
    return np.array([keyed_hash(f"{number}/{i}", seed, b"bootstrap") % count for i in range(count)], np.int64)


def _settles(points: Points, form: Form, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    """Whether a resampling holds as many different runs as there are coefficients, and two sizes and lengths."""
    sizes, lengths = set(points.parameters[rows].tolist()), set(points.tokens[rows].tolist())
    return len(set(rows.tolist())) >= len(form.names) and len(sizes) > 1 and len(lengths) > 1


def _descend(
    points: Points, form: Form, start: Floats, delta: float, objective: Objective, exactness: dict[str, float]
) -> tuple[Floats, float]:
    """The values that L-BFGS reaches from a start, and the objective there."""
    log_n, log_d, log_loss = np.log(points.parameters), np.log(points.tokens), np.log(points.loss)
    unit = delta**2 if objective == "huber" else 1e-6
    # ln A and alpha move the loss almost alike, so the search takes steps in directions that do not: those of Gauss and Newton.
    gradient = form.log_loss(start, log_n, log_d)[1]
    curvature = gradient @ gradient.T / len(points)
    towards = np.linalg.inv(np.linalg.cholesky(curvature + _RIDGE * np.trace(curvature) * np.eye(len(start)))).T

    def value(steps: Floats) -> tuple[float, Floats]:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found, gradient = form.log_loss(start + towards @ steps, log_n, log_d)
            off = found - log_loss if objective == "huber" else np.exp(found) - points.loss
            slope = np.clip(off, -delta, delta) if objective == "huber" else off
            total = float((slope * (off - slope / 2)).sum()) / unit
            chain = slope if objective == "huber" else slope * np.exp(found)
            return (total if math.isfinite(total) else math.inf), (gradient @ chain) @ towards / unit

    done = minimize(value, np.zeros(len(start)), jac=True, method="L-BFGS-B", options=exactness)
    return start + towards @ done.x, float(done.fun) * unit


def _loss(form: Form, values: Floats, parameters: float, tokens: float) -> float:
    found, _ = form.log_loss(values, np.log([parameters]), np.log([tokens]))
    return math.exp(found[0])


def _best(form: Form, values: Floats, compute: float) -> tuple[float, float]:
    """The best parameters for a budget, and the power of the budget with which they grow.

    Where A/N^a + B/D^b is least for N·D = C/6: N = (a·A / (b·B))^(1/(a+b)) · (C/6)^(b/(a+b)), Hoffmann et al. 2022, equation 4.
    """
    log_a, alpha, log_b, beta = form.split(values)
    log_g = (math.log(alpha / beta) + log_a - log_b) / (alpha + beta) if alpha > 0 and beta > 0 else math.nan
    exponent = beta / (alpha + beta)
    return math.exp(log_g + exponent * math.log(compute / FLOPS_PER_PARAMETER)), exponent
