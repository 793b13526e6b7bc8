"""The published forms of a scaling law: the loss of a model from its parameters N and its training tokens D.

Both are a power of a sum of powers. They are fitted on the logarithm of the loss, so each form gives that and its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]

FLOPS_PER_PARAMETER = 6.0
"""Training FLOPs are taken as C = 6·N·D, forward and backward pass (Kaplan et al. 2020, section 2.1)."""

_SMALLEST_TERM = 1e-3
"""Share of the mean loss that a term has at the start, where non-negative least squares leaves it none: 0 has no logarithm."""


@dataclass(frozen=True, slots=True)
class Points:
    """What trained models reached: parameters, training tokens and loss of each, all above 0."""

    parameters: Floats
    tokens: Floats
    loss: Floats

    def __post_init__(self) -> None:
        """Raises ValueError where a value is no number above 0, or a column is shorter than another."""
        if not len(self.parameters) == len(self.tokens) == len(self.loss):
            raise ValueError("every point needs parameters, tokens and a loss")
        for name in ("parameters", "tokens", "loss"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values > 0)).all():
                raise ValueError(f"{name} must be finite numbers above 0, not {values.min():g}")

    def __len__(self) -> int:
        return len(self.loss)

    def take(self, rows: NDArray[np.int64]) -> Points:
        """The points at these places, which may repeat."""
        return Points(self.parameters[rows], self.tokens[rows], self.loss[rows])

    @property
    def compute(self) -> Floats:
        """Training FLOPs of each point, 6·N·D."""
        return FLOPS_PER_PARAMETER * self.parameters * self.tokens


class Form(Protocol):
    """A law that can be fitted. ``values`` are its coefficients, in the order of ``names``."""

    @property
    def title(self) -> str:
        """What it is called, and its formula."""

    @property
    def names(self) -> Sequence[str]:
        """The coefficients by name, as ``shown`` gives them."""

    def log_loss(self, values: Floats, log_n: Floats, log_d: Floats) -> tuple[Floats, Floats]:
        """The logarithm of the loss at every point, and its gradient (coefficients, points)."""

    def starts(self, points: Points) -> Iterator[Floats]:
        """Coefficients to begin the search from."""

    def shown(self, values: Floats) -> dict[str, float]:
        """The coefficients as the papers write them."""

    def split(self, values: Floats) -> tuple[float, float, float, float]:
        """ln A, alpha, ln B, beta of the sum A/N^alpha + B/D^beta that the best split of a budget makes least."""


@dataclass(frozen=True, slots=True)
class Chinchilla:
    """L = E + A/N^alpha + B/D^beta, approach 3 of Hoffmann et al. 2022, equation 10.

    ``shared`` holds alpha and beta equal, as Gadre et al. 2024 do: one coefficient less, for few runs.
    The values are ln A, ln B, ln E, alpha, beta (shared: without the last).
    """

    shared: bool = False

    @property
    def title(self) -> str:
        return f"Chinchilla: L = E + A/N^alpha + B/D^{'alpha' if self.shared else 'beta'}"

    @property
    def names(self) -> Sequence[str]:
        return ("A", "B", "E", "alpha") if self.shared else ("A", "B", "E", "alpha", "beta")

    def log_loss(self, values: Floats, log_n: Floats, log_d: Floats) -> tuple[Floats, Floats]:
        a, b, e, alpha, beta = self._full(values)
        terms = np.stack([a - alpha * log_n, b - beta * log_d, np.full(len(log_n), e)])
        total, weights = _log_sum(terms)
        by_alpha, by_beta = -weights[0] * log_n, -weights[1] * log_d
        exponents = [by_alpha + by_beta] if self.shared else [by_alpha, by_beta]
        return total, np.stack([*weights, *exponents])

    def starts(self, points: Points) -> Iterator[Floats]:
        """For exponents on a small grid the best A, B and E of 0 or more: relative errors are linear in them."""
        for alpha, beta in product((0.2, 0.3, 0.4, 0.5), repeat=2):
            if self.shared and alpha != beta:
                continue
            columns = [points.parameters**-alpha, points.tokens**-beta, np.ones(len(points))]
            linear = _log_coefficients(np.stack(columns, axis=1), points.loss)
            yield np.array([*linear, alpha] if self.shared else [*linear, alpha, beta])

    def shown(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.names, [*np.exp(values[:3]).tolist(), *values[3:].tolist()], strict=True))

    def split(self, values: Floats) -> tuple[float, float, float, float]:
        a, b, _, alpha, beta = self._full(values)
        return a, alpha, b, beta

    def _full(self, values: Floats) -> tuple[float, float, float, float, float]:
        a, b, e, alpha = (float(value) for value in values[:4])
        return a, b, e, alpha, alpha if self.shared else float(values[4])


@dataclass(frozen=True, slots=True)
class Kaplan:
    """L = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D, equation 1.5 of Kaplan et al. 2020 (the survey's KM law).

    Without end of data it is L(N) = (N_c/N)^alpha_N, without end of parameters L(D) = (D_c/D)^alpha_D, the two laws that are
    quoted most. The values are ln N_c, ln D_c, alpha_N, alpha_D.
    """

    title: str = "Kaplan: L = ((N_c/N)^(alpha_N/alpha_D) + D_c/D)^alpha_D"
    names: Sequence[str] = ("N_c", "D_c", "alpha_N", "alpha_D")

    def log_loss(self, values: Floats, log_n: Floats, log_d: Floats) -> tuple[Floats, Floats]:
        log_nc, log_dc, alpha_n, alpha_d = values
        terms = np.stack([alpha_n / alpha_d * (log_nc - log_n), log_dc - log_d])
        total, weights = _log_sum(terms)
        gradient = [weights[0] * alpha_n, weights[1] * alpha_d, weights[0] * (log_nc - log_n)]
        return alpha_d * total, np.stack([*gradient, total - weights[0] * terms[0]])

    def starts(self, points: Points) -> Iterator[Floats]:
        """For exponents on a small grid L^(1/alpha_D) is linear in the two terms."""
        for alpha_n, alpha_d in product((0.05, 0.08, 0.12, 0.2), repeat=2):
            ratio = alpha_n / alpha_d
            columns = np.stack([points.parameters**-ratio, 1 / points.tokens], axis=1)
            log_a, log_dc = _log_coefficients(columns, points.loss ** (1 / alpha_d))
            yield np.array([log_a / ratio, log_dc, alpha_n, alpha_d])

    def shown(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.names, [*np.exp(values[:2]).tolist(), *values[2:].tolist()], strict=True))

    def split(self, values: Floats) -> tuple[float, float, float, float]:
        ratio = float(values[2] / values[3])
        return ratio * float(values[0]), ratio, float(values[1]), 1.0


FORMS: dict[str, Form] = {"chinchilla": Chinchilla(), "shared": Chinchilla(shared=True), "kaplan": Kaplan()}


def _log_sum(terms: Floats) -> tuple[Floats, Floats]:
    """The logarithm of the sum of the terms' exponentials, and the share of each term in it."""
    most = terms.max(axis=0)
    powers = np.exp(terms - most)
    total = powers.sum(axis=0)
    return most + np.log(total), powers / total


def _log_coefficients(columns: Floats, goal: Floats) -> Floats:
    """Logarithms of the coefficients, all above 0, whose sum of columns comes nearest to the goal in relative error."""
    relative = columns / goal[:, None]
    scale = relative.mean(axis=0)
    found, _ = nnls(relative / scale, np.ones(len(goal)))
    return np.asarray(np.log(np.maximum(found, _SMALLEST_TERM) / scale))
