"""Trains a quality classifier and finds out how good it is, and which threshold keeps which share of raw text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from filters import fasttext_models
from filters.quality_classifier import GOOD
from pipeline import files, pulse
from pipeline.layout import Layout
from pipeline.models import fasttext_trainer
from pipeline.models.fasttext_trainer import Example
from pipeline.models.samples import Sample, drawn
from pipeline.models.settings import QualityModel
from pipeline.stage import output
from tokenizer.draws import keyed_hash

RAW: Final = "__label__cc"
"""The label of raw text, as DCLM's classifier has it."""
MIN_DOCUMENTS: Final = 20
"""Of either kind, to learn from and to judge by."""
STEPS: Final = 1000
"""Quantiles are stored in steps of a thousandth."""
CURVE: Final = (0.9, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of raw text to keep for which precision and recall are told."""


def train(name: str, settings: QualityModel, layout: Layout) -> list[dict[str, Any]]:
    """Train the classifier, write it to ``models/`` and return the manifest's rows of its files.

    Raises ValueError where there are too few documents.
    """
    good = drawn(layout, name, "good", documents=settings.documents)
    raw = drawn(layout, name, "raw", documents=settings.documents)
    for kind, sample, sources in (("like", good, settings.like), ("unlike", raw, settings.unlike)):
        if sample.documents < MIN_DOCUMENTS:
            raise ValueError(
                f"models.{name}: {sample.documents} documents of {kind} ({', '.join(sources)}) are too few to learn from: "
                f"{MIN_DOCUMENTS} at least"
            )
    with tempfile.TemporaryDirectory(prefix="corpusmill-quality-") as folder:
        own = fasttext_trainer.Settings(
            **{key: getattr(settings, key) for key in fasttext_trainer.Settings.__dataclass_fields__}
        )
        examples = _examples(good, raw, settings, held_out=False)
        model = fasttext_trainer.train(examples, (GOOD, RAW), own, Path(folder))
        made = Path(folder) / "model.bin"
        model.saveModel(str(made))
        with files.replacing(layout.model(name, ".bin")) as written, made.open("rb") as stream:
            while block := stream.read(1 << 20):
                written.stream.write(block)
        outputs = [output(layout, "model", written, rows=0, model=name)]
        scores = _scores(str(made), _examples(good, raw, settings, held_out=True))
    about = {
        "kind": "quality",
        "label": GOOD,
        "max_characters": settings.max_characters,
        **_judged(scores[GOOD], scores[RAW], settings.keep),
        "settings": settings.model_dump(mode="json"),
        "corpus": {kind: _corpus(sample) for kind, sample in (("like", good), ("unlike", raw))},
        "files": {one["path"].rpartition("/")[2]: one["sha256"] for one in outputs},
    }
    described = files.write_json(layout.model(name, ".json"), about)
    return [*outputs, output(layout, "model", described, rows=0, model=name)]


def _corpus(sample: Sample) -> dict[str, Any]:
    return {"documents": sample.documents, "text": sample.text, "sources": sample.sources}


def _examples(good: Sample, raw: Sample, settings: QualityModel, held_out: bool) -> Iterator[Example]:
    """The examples to learn from, or those to judge by: a keyed hash of a document's place in the draw says which it is."""
    for sample, label in ((good, GOOD), (raw, RAW)):
        for rank, text in sample.ranked():
            if (keyed_hash(f"{rank}", settings.seed, b"held out") < settings.held_out * 2.0**64) == held_out:
                yield Example(rank, label, text[: settings.max_characters])
                pulse.count(1, int(not held_out))


def _scores(path: str, examples: Iterator[Example]) -> dict[str, NDArray[np.float64]]:
    """What the filter would measure of the examples, by label, sorted."""
    model = fasttext_models.load(path)
    found: dict[str, list[float]] = {GOOD: [], RAW: []}
    for one in examples:
        if one.text.strip():
            found[one.label].append(dict(fasttext_models.predict(model, one.text, 2)).get(GOOD, 0.0))
    return {label: np.sort(np.array(scores)) for label, scores in found.items()}


def _judged(good: NDArray[np.float64], raw: NDArray[np.float64], keep: float) -> dict[str, Any]:
    """Threshold, precision and recall on what was held out. Empty parts give no numbers.

    Precision is as if there were as many good documents as raw ones; raw ones that are good count against it.
    """
    if not len(good) or not len(raw):
        return {"held_out": {"like": len(good), "unlike": len(raw)}, "quantiles": []}
    below = np.searchsorted(raw, good, "left") + np.searchsorted(raw, good, "right")
    return {
        "held_out": {"like": len(good), "unlike": len(raw), "auc": round(float(below.mean()) / 2 / len(raw), 6)},
        "quantiles": np.quantile(raw, np.linspace(0, 1, STEPS + 1), method="higher").tolist(),
        "keep": keep,
        "threshold": _point(good, raw, keep)["threshold"],
        "curve": [_point(good, raw, share) for share in sorted({keep, *CURVE}, reverse=True)],
    }


def _point(good: NDArray[np.float64], raw: NDArray[np.float64], keep: float) -> dict[str, float]:
    """The threshold that keeps this share of raw documents, and what it keeps of either kind."""
    threshold = float(np.quantile(raw, 1 - keep, method="higher"))
    kept, recall = (float((scores >= threshold).mean()) for scores in (raw, good))
    precision = recall / (recall + kept) if recall + kept else 0.0
    return {
        "keep": keep,
        "threshold": threshold,
        "kept": round(kept, 6),
        "recall": round(recall, 6),
        "precision": round(precision, 6),
    }
