"""Trains the models of an ablation, one after another, and writes what came of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.ablation.sets import KINDS, NGRAM, Made, Sets
from training.charts import Chart, Section, Series, Table, write
from training.config import TrainConfig
from training.parallel import ranks
from training.run import run_on
from training.watch import metrics
from training.watch.watcher import Watch

LOOKS = 10
"""Validations in the course of each training."""
_LEARNING_RATES = {"tiny": 2e-3, "124m": 6e-4, "350m": 3e-4, "1.3b": 2e-4}
"""GPT-3's for models of these sizes (Brown et al. 2020, table 2.1); ``tiny`` bears more."""
_SIZES = {"tiny": (128, 8), "124m": (1024, 16), "350m": (2048, 8), "1.3b": (2048, 4)}
"""Sequence length and sequences of a micro-batch."""


@dataclass(frozen=True, slots=True)
class Settings:
    """An ablation: the model, and how many tokens it is trained on each time."""

    preset: str = "tiny"
    tokens: int = 100_000
    seed: int = 0

    @property
    def held_out_tokens(self) -> int:
        """How many are held out at most: every look reads them all, so that a short training must not have too many."""
        return min(max(self.tokens // 4, 20_000), 200_000)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an ablation: the page, and its chart and table for the run's report."""

    page: Path
    chart: Chart
    table: Table
    lead: str


def ablate(run: str | Path, settings: Settings, device: str | None = None) -> Outcome:
    """Train on the three sets of a run, below ``RUN/ablation``. The same call again goes on where it was stopped.

    Raises FileNotFoundError, ValueError where the run lacks what is needed, and what trainings raise.
    """
    folder = Path(run) / "ablation"
    wanted = json.dumps(asdict(settings) | {"manifest": _digest(Path(run))}, indent=1)
    if folder.exists() and (
        not (folder / "settings.json").is_file() or (folder / "settings.json").read_text() != wanted
    ):
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(wanted)
    sets = Sets(Path(run), settings.tokens, settings.held_out_tokens, settings.seed)
    made = {kind: sets.write(kind, folder / kind / "corpus") for kind in KINDS}
    with ranks(device) as here:
        for kind, one in made.items():
            config = _config(settings, one, folder / kind / "training", kind)
            if _finished(folder / kind / "training", settings.tokens):
                continue
            state = run_on(config, here, [Watch()])
            if state.tokens < settings.tokens:
                raise KeyboardInterrupt  # a signal ended the training, which is saved
    logs = {kind: metrics.read(folder / kind / "training") for kind in KINDS}
    return _write(folder, settings, sets.held_out, made, logs)


def _digest(run: Path) -> str:
    """What tells runs apart: recipe and input. The manifest itself changes with the report."""
    manifest = json.loads((run / "manifest.json").read_bytes()) if (run / "manifest.json").is_file() else {}
    return f"{manifest.get('recipe')} {manifest.get('input')}"


def _finished(training: Path, tokens: int) -> bool:
    if not (training / metrics.METRICS).is_file():
        return False
    last = metrics.read(training)[-1]
    return bool(last["kind"] == "finish" and last["tokens"] >= tokens)


def _config(settings: Settings, made: Made, output: Path, kind: str) -> TrainConfig:
    """The same for every set but for the corpus."""
    length, micro = _SIZES[settings.preset]
    least = length * micro
    batch = max(least, min(1 << 19, settings.tokens // 200) // least * least)
    steps = max(1, settings.tokens // batch)
    return TrainConfig.model_validate(
        {
            "output": str(output),
            "data": {
                "corpus": str(made.folder),
                "sequence_length": length,
                "micro_batch": micro,
                "seed": settings.seed,
            },
            "model": {"preset": settings.preset},
            "optimization": {
                "tokens": settings.tokens,
                "batch_tokens": batch,
                "learning_rate": _LEARNING_RATES[settings.preset],
                "warmup": 0.05,
                "seed": settings.seed,
            },
            "precision": "bf16" if settings.preset != "tiny" else "fp32",
            "checkpoints": {"every": max(1, steps // 4), "keep": 2},
            "recovery": False,
            "watching": {
                "every": max(1, steps // LOOKS),
                "validate_every": max(1, steps // LOOKS),
                "validation_tokens": settings.held_out_tokens,
                "tensorboard": False,
            },
        }
    )


def _write(
    folder: Path,
    settings: Settings,
    held_out: tuple[int, int],
    made: dict[str, Made],
    logs: dict[str, list[dict[str, Any]]],
) -> Outcome:
    looks = {kind: [one for one in log if one["kind"] == "validation"] for kind, log in logs.items()}
    colours = {"raw": 1, "filtered": 2, "deduplicated": 0}
    series = [
        Series(kind, [one["tokens"] for one in of_kind], [one["sources"]["all"]["bits_per_byte"] for one in of_kind], colour=colours[kind])
        for kind, of_kind in looks.items()
    ]  # fmt: skip
    chart = Chart("ablation", "Bits per byte of the same held-out text", "tokens trained on", "bits a byte", series)
    sources = sorted(looks["raw"][-1]["sources"].keys() - {"all"})
    rows = []
    for kind, one in made.items():
        last = looks[kind][-1]["sources"]
        rows.append(
            [
                kind, f"{one.documents:,}", f"{one.tokens:,}", f"{settings.tokens / one.tokens:.2f}", f"{one.excluded:,}",
                f"{last['all']['loss']:.4f}", f"{last['all']['bits_per_byte']:.4f}",
                *(f"{last[source]['bits_per_byte']:.4f}" for source in sources),
            ]
        )  # fmt: skip
    headings = ("trained on", "documents", "tokens", "epochs", "left out", "loss", "bits a byte", *sources)
    table = Table(headings, rows)
    lead = (
        f"The same {settings.preset} model, from the same first parameters, trained on {settings.tokens:,} tokens of what was read (raw), "
        f"of what the filters left (filtered), and of what dedup left of that (deduplicated). All are judged on the same "
        f"{held_out[0]:,} documents ({held_out[1]:,} tokens) of the finished corpus, drawn by hash; their duplicates, and documents "
        f"that share more than a fifth of their {NGRAM}-grams with them, are in none of the sets. One seed: differences of a per cent "
        "may be chance."
    )
    page = write(
        folder, "index", "What is the corpus worth?", lead, [Section("Held-out text", charts=[chart], table=table)]
    )
    return Outcome(page, chart, table, lead)
