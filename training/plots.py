"""The curves of trainings: loss, validation, learning rate, speed, from their logs; several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.charts import Chart, Section, Series, Table, write
from training.watch import metrics

MOST_POINTS = 1000
"""Of a curve; longer ones are drawn as means of neighbours."""

_OF_STEPS = (
    ("loss", "loss", "Loss in training", "nats a token", False),
    ("learning-rate", "learning_rate", "Learning rate", "learning rate", False),
    ("gradient-norm", "gradient_norm", "Norm of the gradient before clipping", "norm", True),
    ("speed", "tokens_per_second", "Speed", "tokens a second", False),
    ("batch", "batch_tokens", "Tokens of a step", "tokens", False),
)


def write_run(runs: Sequence[Path], folder: Path) -> Path:
    """Write ``run.html`` and PNGs of the curves of one run, or of several over each other; returns the page's path.

    Raises FileNotFoundError where a folder has no log, ValueError where none has a step yet.
    """
    logs = {run.resolve().name: metrics.read(run) for run in runs}
    if not any(one["kind"] == "step" for log in logs.values() for one in log):
        raise ValueError(f"{', '.join(map(str, runs))}: no step has been logged yet")
    charts = [_of_steps(logs, *one) for one in _OF_STEPS]
    validation = [_of_validation(logs, *one) for one in _OF_VALIDATION]
    sections = [
        Section("Loss", charts=[charts[0], *(one for one in validation if one.series)], table=_summary(logs)),
        Section("Course", charts=charts[1:]),
    ]
    events = [(name, one) for name, log in logs.items() for one in log if one["kind"] == "event"]
    if events:
        rows = [[name, f"{one['step']:,}", str(one["event"]), _facts(one)] for name, one in events]
        sections.append(
            Section("Events", "What was out of the ordinary.", table=Table(("run", "step", "event", ""), rows))
        )
    title = " · ".join(logs)
    return write(folder, "run", title, "From metrics.jsonl, over the tokens that were trained on.", sections)


_OF_VALIDATION = (
    ("validation", "loss", "Loss on held-out text", "nats a token"),
    ("bits-per-byte", "bits_per_byte", "Bits per byte of held-out text", "bits a byte"),
)


def _of_steps(logs: dict[str, list[dict[str, Any]]], name: str, key: str, title: str, label: str, log_y: bool) -> Chart:
    series = []
    for colour, (run, log) in enumerate(logs.items()):
        steps = [one for one in log if one["kind"] == "step" and one[key] is not None]
        x, y = thinned([one["tokens"] for one in steps], [one[key] for one in steps])
        series.append(Series(run if len(logs) > 1 else "", x, y, colour=colour))
    return Chart(name, title, "tokens", label, series, log_y=log_y)


def _of_validation(logs: dict[str, list[dict[str, Any]]], name: str, key: str, title: str, label: str) -> Chart:
    """Every source of one run; of several runs all sources together."""
    series: list[Series] = []
    for run, log in logs.items():
        looks = [one for one in log if one["kind"] == "validation"]
        for source in {source: None for one in looks for source in one["sources"]}:
            if len(logs) > 1 and source != "all":
                continue
            used = [one for one in looks if one["sources"].get(source, {}).get(key) is not None]
            if used:
                values = [one["sources"][source][key] for one in used]
                label_of = run if len(logs) > 1 else source
                series.append(Series(label_of, [one["tokens"] for one in used], values, colour=len(series)))
    return Chart(name, title, "tokens", label, series)


def thinned(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Both with at most ``MOST_POINTS`` values: means of as many neighbours as it takes."""
    width = -(-len(x) // MOST_POINTS) or 1
    begins = np.arange(0, len(x), width)
    counts = np.diff([*begins, len(x)])
    if not len(x):
        return np.zeros(0), np.zeros(0)
    return np.add.reduceat(np.array(x, float), begins) / counts, np.add.reduceat(np.array(y, float), begins) / counts


def _summary(logs: dict[str, list[dict[str, Any]]]) -> Table:
    headings = (
        "run",
        "parameters",
        "tokens",
        "steps",
        "last loss",
        "held-out",
        "bits a byte",
        "tokens a second",
        "MFU",
        "causal",
    )
    rows = []
    for run, log in logs.items():
        start = next(one for one in log if one["kind"] == "start")
        steps = [one for one in log if one["kind"] == "step"]
        looks = [one["sources"]["all"] for one in log if one["kind"] == "validation"]
        last = looks[-1] if looks else {"loss": None, "bits_per_byte": None}
        median = {
            key: float(np.median([one[key] for one in steps])) for key in ("tokens_per_second", "mfu", "mfu_causal")
        }
        rows.append(
            [
                run, f"{start['parameters']['all']:,}", f"{steps[-1]['tokens']:,}", f"{steps[-1]['step']:,}", _number(steps[-1]["loss"]),
                _number(last["loss"]), _number(last["bits_per_byte"]), f"{median['tokens_per_second']:,.0f}",
                f"{median['mfu']:.1%}", f"{median['mfu_causal']:.1%}",
            ]
        )  # fmt: skip
    return Table(headings, rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _facts(one: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.items() if name not in ("kind", "step", "event"))
