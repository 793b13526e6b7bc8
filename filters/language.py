"""Language identification by fastText: labels every document, and keeps the languages that are wanted.

By default the model is lid.176.ftz (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"; 176 languages). Any
other fastText model of languages will do by its path: lid.176.bin, GlotLID, OpenLID, NLLB's. Where a model says ``eng_Latn``, the
document's language is the short code ``en`` all the same (``codes: model`` keeps the model's own), and ``keep`` and
``min_score`` take either.

The threshold 0.65 is that of FineWeb, RefinedWeb and DCLM; the score is that of the best label for the text with white
space of any kind read as single spaces. ``min_score`` may be one for all languages, or one by language with ``default`` for the
others (none: they need no score): ``{en: 0.65, zh: 0.5, default: 0.65}``. Then ``language.kept_score`` is 0 also for what its own
threshold refuses.

A sample of the text is read first: ``sample`` characters in four pieces from its beginning to its end. It settles the language
where its best label, whichever that is, scores at least ``margin`` above what that label needs. Else the first
``max_characters`` are read, which decide. On 2,000 pages and declarations of 400 languages that gives the same decision as the whole
text for every one, at a third of the price (``benchmarks/language.py``); a sample of the same size from the
beginning alone gives another for five, where code or a second language follows.
"""

# CCNet keeps scores from 0.5 up and so does Dolma; NeMo Curator takes 0.3. datatrove, DCLM and CCNet read the whole
# text; CCNet and one of datatrove's filters remove newlines, which joins the words around them.

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from filters import fasttext_models
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.language_codes import plain, short_code

_PIECES: Final = 4
DEFAULT: Final = "default"
"""The key in ``min_score`` for languages that are not named there."""


@register
class Language(Filter):
    """Set the document's language; remove it unless that is one of ``keep`` with a score of at least ``min_score``."""

    name: ClassVar[str] = "language"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("language.score", 0, 1, "fastText's score of the document's language"),
        Signal("language.kept_score", 0, 1, "that score if the language is one of those to keep, else 0"),
    )

    keep: tuple[str, ...] = Field((), description="languages (en, zh, …) or labels of the model; none: all are kept")
    min_score: float | dict[str, float] | None = Field(0.65, description="for all languages, or by language")
    model: str | None = Field(None, description="path of a fastText model with language labels; null: lid.176.ftz")
    codes: Literal["short", "model"] = Field("short", description="what a document's language is called")
    sample: int = Field(1_024, ge=64, description="characters that are read at first")
    margin: float = Field(0.2, ge=0, description="how far above its threshold a score must be to settle it at once")
    max_characters: int = Field(20_000, gt=0, description="characters that are read in case of doubt")

    @model_validator(mode="after")
    def _scores_of_kept_languages(self) -> Language:
        if not isinstance(self.min_score, dict):
            return self
        if wrong := sorted(name for name, score in self.min_score.items() if not 0 <= score <= 1):
            raise ValueError(f"min_score: a score lies between 0 and 1 ({', '.join(wrong)})")
        kept = {*self.keep, *map(short_code, self.keep), DEFAULT}
        if self.keep and (idle := sorted(set(self.min_score) - kept)):
            raise ValueError(f"min_score: {', '.join(idle)} is not in `keep`, so its threshold would never be used")
        return self

    def prepare(self) -> None:
        """Loads the model, and checks that it knows the languages to keep."""
        labels = {
            plain(label) for label in fasttext_models.load(fasttext_models.path_or_default(self.model)).get_labels()
        }
        known = labels | set(map(short_code, labels))
        named = {*self.keep, *(self.min_score if isinstance(self.min_score, dict) else ())} - {DEFAULT}
        if unknown := sorted(named - known):
            raise ValueError(f"the language model knows no {', '.join(unknown)}; it knows {', '.join(sorted(labels))}")

    def measure(self, document: Document) -> Mapping[str, float]:
        """The best label's score; also sets ``document.language``."""
        text = document.text[: self.max_characters]
        model = fasttext_models.path_or_default(self.model)
        label, score = fasttext_models.best_label(model, _spread(text, self.sample))
        if len(text) > self.sample and not self._settled(label, score):
            label, score = fasttext_models.best_label(model, text)
        document.language = short_code(label) if self.codes == "short" else label
        kept = not self.keep or label in self.keep or short_code(label) in self.keep
        if isinstance(self.min_score, dict):
            kept = kept and score >= (self._needed(label) or 0.0)
        return ({"language.score": score} if label else {}) | {"language.kept_score": score if kept else 0.0}

    def rules(self) -> tuple[Rule, ...]:
        """One rule, if there are languages to keep or thresholds of their own."""
        if isinstance(self.min_score, dict):  # what it refuses has a kept_score of 0
            return rule_when(0, "language.kept_score", "<=", "language.not_kept")
        return rule_when(self.min_score, "language.kept_score", "<", "language.not_kept") if self.keep else ()

    def files(self) -> tuple[str, ...]:
        """The model, if it is not the one that comes with the installation."""
        return () if self.model is None else (self.model,)

    def _needed(self, label: str) -> float | None:
        """The threshold for a label; None where there is none."""
        if not isinstance(self.min_score, dict):
            return self.min_score
        return self.min_score.get(label, self.min_score.get(short_code(label), self.min_score.get(DEFAULT)))

    def _settled(self, label: str, score: float) -> bool:
        """Whether the sample says enough."""
        needed = self._needed(label)
        return needed is None or score >= needed + self.margin


def _spread(text: str, size: int) -> str:
    """Pieces of the text, as far from each other as can be, that have ``size`` characters together."""
    if len(text) <= size:
        return text
    length = max(size // _PIECES, 1)
    step = (len(text) - length) // (_PIECES - 1)
    return " ".join(text[start : start + length] for start in range(0, _PIECES * step, max(step, 1)))
