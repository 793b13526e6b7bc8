"""A fastText classifier of quality: how sure it is that the text is like the good examples it was trained on.

The score is the probability of one label for the text with newlines read as spaces. DCLM-Baseline keeps what scores
at least 0.018112 with its classifier (positives OpenHermes 2.5 and ELI5; label ``__label__hq``), about the best tenth
of its pages; GPT-3 and RedPajama had the like. The threshold belongs to the model: with one that `corpusmill models
train-quality` made, `keep: 0.1` keeps what scores like the best tenth of the raw text that it was held against.

`model` is a path, or the name of a model in the recipe's section `models`. Beside ``NAME.bin`` may lie ``NAME.json``,
which holds the quantiles of raw text's scores and how much of a text was read in training.
"""

# NeMo Curator follows GPT-3 and keeps when a random Pareto number exceeds 1 - score, drawn from a global generator;
# ours is a plain threshold. datatrove removes newlines, which joins the words around them.

from __future__ import annotations

import bisect
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from filters import fasttext_models
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

GOOD: Final = "__label__hq"
"""The label of good text, as DCLM's classifier has it."""
MAX_CHARACTERS: Final = 100_000


@register
class QualityClassifier(Filter):
    """Remove a document that the classifier scores too low."""

    name: ClassVar[str] = "quality_classifier"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("quality_classifier.score", 0, 1, "probability of the label of good text"),
        Signal("quality_classifier.top", 0, 1, "share of raw documents that score as high, where the model knows it"),
    )
    model_kind: ClassVar[str] = "quality"

    model: str = Field(description="path of a supervised fastText model, or a name of the section models")
    label: str = Field(GOOD, description="the label that stands for good text")
    min_score: float | None = Field(
        0.5, description="DCLM-Baseline: 0.018112 with its own model; a score below it removes, unless there is `keep`"
    )
    keep: float | None = Field(None, ge=0, le=1, description="share of raw documents to keep, in place of `min_score`")
    max_characters: int | None = Field(
        None, gt=0, description="how much of a long text is read; null: as in training, else 100,000"
    )

    def prepare(self) -> None:
        """Loads the model, and checks that it has the label, and the quantiles that ``keep`` needs."""
        labels = fasttext_models.load(self.model).get_labels()
        if self.label not in labels:
            raise ValueError(f"{self.model} has no label {self.label}; it has {', '.join(sorted(labels)[:20])}")
        if self.keep is not None and not _about(self.model).quantiles:
            raise ValueError(
                f"{self.model}: keep needs the scores of raw text, which are not known; give min_score, or train the "
                "model with corpusmill models train-quality"
            )

    def measure(self, document: Document) -> Mapping[str, float]:
        """The label's probability, and how many raw documents reach it, unless the text is blank."""
        about = _about(self.model)
        text = document.text[: self.max_characters or about.max_characters]
        if not text.strip():
            return {}
        model = fasttext_models.load(self.model)
        score = dict(fasttext_models.predict(model, text, len(model.get_labels()))).get(self.label, 0.0)
        top = about.top(score)
        return {"quality_classifier.score": score} | ({} if top is None else {"quality_classifier.top": top})

    def rules(self) -> tuple[Rule, ...]:
        """One rule: among the best of raw documents, or else a score high enough."""
        if self.keep is not None:
            return rule_when(self.keep, "quality_classifier.top", ">", "quality_classifier.low_score")
        return rule_when(self.min_score, "quality_classifier.score", "<", "quality_classifier.low_score")

    def files(self) -> tuple[str, ...]:
        """The model, and what is written about it."""
        description = Path(self.model).with_suffix(".json")
        return (self.model, str(description)) if description.is_file() else (self.model,)

    def reads_model(self) -> str:
        """The model."""
        return self.model

    def with_models(self, places: Mapping[str, str]) -> Filter:
        """A copy that reads its model where that was trained."""
        return self.model_copy(update={"model": places.get(self.model, self.model)})


@dataclass(frozen=True, slots=True)
class _About:
    """What is known of a model: how much of a text it reads, and evenly spaced quantiles of raw documents' scores."""

    max_characters: int = MAX_CHARACTERS
    quantiles: tuple[float, ...] = ()

    def top(self, score: float) -> float | None:
        """The share of raw documents that score as high or higher, to the precision of the quantiles."""
        if not self.quantiles:
            return None
        steps = len(self.quantiles) - 1
        return max(steps - bisect.bisect_left(self.quantiles, score), 0) / steps


@functools.cache
def _about(path: str) -> _About:
    description = Path(path).with_suffix(".json")
    if not description.is_file():
        return _About()
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
        if about["kind"] != "quality":
            raise ValueError(f"it describes a model of the kind {about['kind']!r}")
        return _About(int(about["max_characters"]), tuple(map(float, about["quantiles"])))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{description} does not describe a quality classifier: {error}") from error
