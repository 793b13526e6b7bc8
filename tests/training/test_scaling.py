"""Scaling laws: published coefficients, errors and optima are reproduced; the intervals hold; bad input is told."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scaling.fit import fit, power_law
from training.scaling.forms import FORMS, Chinchilla, Kaplan, Points
from training.scaling.page import budgets_beyond, write_page
from training.scaling.read import read

EPOCH = (482.01, 2085.43, 1.8172, 0.3478, 0.3658)
"""Besiroglu et al. 2024: A, B, E, alpha, beta."""


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Eight sizes, six lengths each."""
    sizes, ratios = np.meshgrid(np.geomspace(5e7, 1.6e10, 8), np.geomspace(5, 300, 6))
    return sizes.ravel(), (sizes * ratios).ravel()


def chinchilla(a: float, b: float, e: float, alpha: float, beta: float) -> Points:
    n, d = grid()
    return Points(n, d, e + a / n**alpha + b / d**beta)


def test_published_chinchilla_coefficients_come_back() -> None:
    found = fit(chinchilla(*EPOCH), Chinchilla(), resamples=0)
    assert list(found.form.shown(found.values).values()) == pytest.approx(EPOCH, rel=1e-5)
    assert found.objective < 1e-20


def test_published_kaplan_coefficients_come_back() -> None:
    n, d = grid()
    loss = ((6.4e13 / n) ** (0.076 / 0.103) + 1.8e13 / d) ** 0.103  # equation 1.5 and table 2 of Kaplan et al. 2020
    found = fit(Points(n, d, loss), Kaplan(), resamples=0)
    assert list(found.form.shown(found.values).values()) == pytest.approx([6.4e13, 1.8e13, 0.076, 0.103], rel=1e-6)


def test_the_published_errors_of_gadre_et_al_are_reproduced() -> None:
    """RedPajama, C4 validation loss: five small runs foretell 1.4B at M=640 and 6.9B at M=20 to 0.7103 % and 0.7320 %."""
    n = np.array([10_569_312, 10_569_312, 78_914_048, 153_677_376, 411_616_256], float)
    ratio = np.array([20, 320, 20, 20, 20], float)
    loss = np.array([5.387021, 4.572293, 3.899943, 3.531147, 3.149769])
    found = fit(Points(n, n * ratio, loss), FORMS["shared"], resamples=0, objective="squares")
    shown = found.form.shown(found.values)
    assert (shown["A"], shown["E"], shown["alpha"]) == pytest.approx((166.21, 1.83665, 0.27285), rel=1e-4)
    for size, tokens_each, measured, error in (
        (1_439_795_200, 640, 2.502054, 0.7103),
        (6_889_410_560, 20, 2.424993, 0.7320),
    ):
        predicted = found.predict(size, size * tokens_each).value
        assert 100 * abs(predicted / measured - 1) == pytest.approx(error, abs=5e-5)


def test_isoflop_optima_of_nanochat() -> None:
    """The slopes that its table has by least squares: .524 and .479 (its own note takes the first and last row)."""
    compute = np.array([1e18, 2e18, 5e18, 1e19])
    sizes = np.array([110_678_115, 167_797_457, 250_650_865, 381_758_347], float)
    tokens = np.array([1_241_505_403, 1_785_336_422, 2_642_234_152, 3_806_871_243], float)
    assert power_law(compute, sizes)[1] == pytest.approx(0.524, abs=5e-4)
    assert power_law(compute, tokens)[1] == pytest.approx(0.479, abs=5e-4)
    ends = [0, -1]
    assert power_law(compute[ends], sizes[ends])[1] == pytest.approx(0.538, abs=5e-4)


@pytest.mark.parametrize("name", FORMS)
def test_the_best_split_of_a_budget_is_the_best_of_all(name: str) -> None:
    found = fit(chinchilla(*EPOCH), FORMS[name], resamples=0)
    best = found.best(1e22)
    assert 6 * best.parameters.value * best.tokens.value == pytest.approx(1e22)
    sizes = best.parameters.value * np.geomspace(0.2, 5, 401)
    losses = [found.predict_value(size, 1e22 / 6 / size) for size in sizes]
    assert sizes[int(np.argmin(losses))] == pytest.approx(best.parameters.value, rel=0.01)
    assert min(losses) >= best.loss.value - 1e-12


@given(st.sampled_from(sorted(FORMS)), st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.floats(-1, 1))
def test_gradients_are_those_of_the_formula(name: str, alpha: float, beta: float, offset: float) -> None:
    form = FORMS[name]
    values = {
        "chinchilla": [6 + offset, 7, 0.5, alpha, beta],
        "shared": [6 + offset, 7, 0.5, alpha],
        "kaplan": [31 + offset, 30, alpha, beta],
    }[name]
    log_n, log_d = np.log([1e8, 3e9]), np.log([2e9, 1e11])
    _, gradient = form.log_loss(np.array(values), log_n, log_d)
    for place in range(len(values)):
        step = np.eye(len(values))[place] * 1e-6
        above, below = (form.log_loss(np.array(values) + sign * step, log_n, log_d)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-8)


def test_intervals_hold_the_truth_and_depend_on_the_seed_alone() -> None:
    clean = chinchilla(*EPOCH)
    noise = np.random.default_rng(5).normal(0, 2e-3, len(clean))
    points = Points(clean.parameters, clean.tokens, clean.loss * np.exp(noise))
    found = fit(points, Chinchilla(), resamples=40)
    again, other = fit(points, Chinchilla(), resamples=40), fit(points, Chinchilla(), resamples=40, seed=1)
    assert np.array_equal(found.resampled, again.resampled) and not np.array_equal(found.resampled, other.resampled)
    truth = dict(zip(("A", "B", "E", "alpha", "beta"), EPOCH, strict=True))
    coefficients = found.coefficients()
    for name in ("E", "alpha", "beta"):
        assert coefficients[name].low < truth[name] < coefficients[name].high
    ahead = found.predict(7e10, 1.4e12)
    real = EPOCH[2] + EPOCH[0] / 7e10 ** EPOCH[3] + EPOCH[1] / 1.4e12 ** EPOCH[4]
    assert ahead.low < real < ahead.high and ahead.high - ahead.low < 0.05


@pytest.mark.skipif(
    "CORPUSMILL_EPOCH_CSV" not in os.environ,
    reason="set CORPUSMILL_EPOCH_CSV to svg_extracted_data.csv of epoch-research/analyzing-chinchilla, which has no licence",
)
def test_the_points_of_epoch_ai() -> None:
    with open(os.environ["CORPUSMILL_EPOCH_CSV"], newline="") as stream:
        rows = [(float(r["Model Size"]), float(r["Training FLOP"]), float(r["loss"])) for r in csv.DictReader(stream)]
    n, c, loss = np.array(sorted(rows, key=lambda row: row[2])[:-5]).T
    found = fit(Points(n, c / 6 / n, loss), Chinchilla(), resamples=100)
    assert found.objective == pytest.approx(0.001018274, rel=1e-4)
    assert found.form.shown(found.values)["alpha"] == pytest.approx(0.3473, abs=2e-3)
    exponent = found.exponent()
    assert exponent.value == pytest.approx(0.5139, abs=2e-3) and (exponent.high - exponent.low) / 3.92 == pytest.approx(
        0.02, abs=0.008
    )


def test_too_few_runs_and_bad_numbers_are_told() -> None:
    points = chinchilla(*EPOCH)
    with pytest.raises(ValueError, match="4 runs can't settle the 5 coefficients"):
        fit(points.take(np.arange(4)), Chinchilla())
    with pytest.raises(ValueError, match="loss must be finite numbers above 0"):
        Points(points.parameters, points.tokens, -points.loss)
    with pytest.raises(ValueError, match="a budget is a number of FLOPs"):
        fit(points, Chinchilla(), resamples=0).best(0)


def run_folder(folder: Path, tokens: int, planned: int, loss: float | None) -> Path:
    folder.mkdir()
    lines = [
        {"kind": "start", "step": 0, "parameters": {"multiplied": 1000, "all": 1100}, "planned_tokens": planned},
        {"kind": "finish", "step": 9, "tokens": tokens, "validation_loss": loss},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_runs_and_tables_are_read(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("name,tokens,parameters,loss\na,2e9,1e8,3.5\n")
    points = read([table, run_folder(tmp_path / "whole", 5000, 5000, 4.25)])
    assert points.parameters.tolist() == [1e8, 1000] and points.tokens.tolist() == [2e9, 5000]
    assert points.loss.tolist() == [3.5, 4.25]
    table.write_text("parameters,tokens,loss\n1e8,2e9,3.5\n1e8,many,3\n")
    with pytest.raises(ValueError, match=r"points\.csv, line 3: .*many"):
        read([table])
    table.write_text("parameters,loss\n1,2\n")
    with pytest.raises(ValueError, match="has no column tokens"):
        read([table])
    with pytest.raises(ValueError, match="has not finished"):
        read([run_folder(tmp_path / "stopped", 4000, 5000, 4.25)])
    with pytest.raises(ValueError, match="no loss on held-out text"):
        read([run_folder(tmp_path / "blind", 5000, 5000, None)])
    with pytest.raises(FileNotFoundError, match="no training's folder"):
        read([tmp_path])


def test_the_page_holds_what_was_found(tmp_path: Path) -> None:
    found = fit(chinchilla(*EPOCH).take(np.arange(0, 48, 3)), Chinchilla(), resamples=3)
    page = write_page(tmp_path, {"chinchilla": found}, budgets_beyond(found), [(1e9, 2e10)])
    text = page.read_text()
    assert "482.01" in text and f"{found.predict_value(1e9, 2e10):.4f}" in text and "C = 6·N·D" in text
    for name in ("chinchilla-loss", "chinchilla-best", "chinchilla-errors"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert math.isclose(budgets_beyond(found)[1], 10 * found.points.compute.max())
