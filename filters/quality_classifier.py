"""A fastText classifier of quality: how sure it is that the text is like the good examples it was trained on.

The score is the probability of one label for the text with newlines read as spaces. DCLM-Baseline keeps what scores
at least 0.018112 with its classifier (positives OpenHermes 2.5 and ELI5; label ``__label__hq``), about the best tenth
of its pages; GPT-3 and RedPajama had the like. The threshold belongs to the model: draw yours from a sample's
distribution.
"""

# NeMo Curator follows GPT-3 and keeps when a random Pareto number exceeds 1 - score, drawn from a global generator;
# ours is a plain threshold. datatrove removes newlines, which joins the words around them.

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from filters import fasttext_models
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when


@register
class QualityClassifier(Filter):
    """Remove a document that the classifier scores below ``min_score``."""

    name: ClassVar[str] = "quality_classifier"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("quality_classifier.score", 0, 1, "probability of the label of good text"),
    )

    model: str = Field(description="path of a supervised fastText model")
    label: str = Field("__label__hq", description="the label that stands for good text")
    min_score: float | None = Field(0.5, description="DCLM-Baseline: 0.018112 with its own model")
    max_characters: int = Field(100_000, gt=0, description="how much of a long text is read")

    def prepare(self) -> None:
        """Loads the model, and checks that it has the label."""
        labels = fasttext_models.load(self.model).get_labels()
        if self.label not in labels:
            raise ValueError(f"{self.model} has no label {self.label}; it has {', '.join(sorted(labels)[:20])}")

    def measure(self, document: Document) -> Mapping[str, float]:
        """The label's probability, unless the text is blank."""
        text = document.text[: self.max_characters]
        if not text.strip():
            return {}
        model = fasttext_models.load(self.model)
        scores = dict(fasttext_models.predict(model, text, len(model.get_labels())))
        return {"quality_classifier.score": scores.get(self.label, 0.0)}

    def rules(self) -> tuple[Rule, ...]:
        """One rule."""
        return rule_when(self.min_score, "quality_classifier.score", "<", "quality_classifier.low_score")

    def files(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)
