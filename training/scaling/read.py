"""Reads points to fit: the folders of finished trainings, and CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from training.scaling.forms import Points
from training.watch import metrics

COLUMNS = ("parameters", "tokens", "loss")

Row = tuple[float, float, float]


def read(places: Iterable[str | Path]) -> Points:
    """The points of run folders and of CSV files with the columns parameters, tokens and loss (any others are passed over).

    A run is one point: its parameters that are multiplied (matrices and head; see `training.watch.flops`), its tokens, and its
    last loss on held-out text. Raises FileNotFoundError, and ValueError naming the run or line that can't be used: one that
    stopped early too, since its learning rate had not come down and its loss says nothing of its length.
    """
    rows = [row for place in places for row in (_table(Path(place)) if Path(place).is_file() else [_run(Path(place))])]
    columns = np.array(rows, np.float64).reshape(-1, 3).T
    return Points(*columns)


def _run(run: Path) -> Row:
    log = metrics.read(run)
    start = next((one for one in log if one["kind"] == "start"), None)
    if start is None or log[-1]["kind"] != "finish" or log[-1]["tokens"] < start["planned_tokens"]:
        raise ValueError(f"{run} has not finished: a law needs the loss at the end of the learning rate's schedule")
    loss = log[-1].get("validation_loss")
    if loss is None:
        raise ValueError(
            f"{run} has no loss on held-out text: its corpus needs validation shards, and its config validate_every"
        )
    return float(start["parameters"]["multiplied"]), float(log[-1]["tokens"]), float(loss)


def _table(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f"{path} has no column {', '.join(missing)}: it needs {', '.join(COLUMNS)}")
        for row in rows:
            try:
                yield float(row["parameters"]), float(row["tokens"]), float(row["loss"])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {rows.line_num}: {error}") from error
