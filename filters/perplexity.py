"""Perplexity under an n-gram language model: how surprising the text is for a model of good text.

Wenzek et al. 2020 (CCNet): every line that is not blank is scored by KenLM with sentence begin and end; perplexity is
10^(-score / length), where score is the sum of the lines' log10 probabilities and length that of their tokens + 1
(the sentence end). Low is like the training text; very low is often boilerplate. Numbers mean something for one model
only, so there is no default. CCNet cuts the documents of a crawl at the 30th and 60th percentile into ``head``,
``middle`` and ``tail``, and `max: middle` removes the tail; the cut-offs lie beside a model that `corpusmill models
train-perplexity` made, and in `cutoffs` for CCNet's own models (English: 340 and 520).

`model` is a path, the name of a model in the recipe's section `models`, or has `{language}` in it, which stands for the
document's language; a folder is short for `FOLDER/{language}.arpa.bin`. A document in a language without a model is not
measured. A SentencePiece model `NAME.sp.model` beside `NAME.arpa.bin` is used, as CCNet's are.

`normalize` does what CCNet does before it splits: lower case; accents dropped (NFD without marks); every digit is
0; typographic and full-width punctuation becomes ASCII; control characters vanish. Tokens are SentencePiece pieces,
what is between white space (`tokens: space`) or Unicode words without punctuation (`tokens: word`, which makes Han
characters tokens); the model must have been trained on the same.

`lines: each` scores every line by itself. `joined` scores the document as one line, as DCLM and Data-Juicer do. `ccnet`
does what CCNet's released code does, and what its cut-offs were computed with: one line, made by dropping newlines and
tabs, which joins the words around them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from filters import language_models
from filters.document import Document
from filters.filter import Comparison, Filter, Rule, Signal, register, rule_when
from filters.language_models import BUCKETS, LanguageModel, Lines, Tokens


@register
class Perplexity(Filter):
    """Remove a document that surprises the language model too much, or too little."""

    name: ClassVar[str] = "perplexity"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("perplexity.perplexity", 1, math.inf, "perplexity by token under the model"),
        Signal("perplexity.bucket", 0, 2, "0 head, 1 middle, 2 tail, where the model has cut-offs"),
    )

    model_kind: ClassVar[str] = "perplexity"

    model: str = Field(
        description="path of a KenLM model (binary or ARPA), a folder of them, or a name of the section models"
    )
    max: float | Literal["head", "middle"] | None = None
    min: float | Literal["middle", "tail"] | None = None
    tokens: Tokens | None = Field(
        None, description="null: as the model's own description says, else by what lies beside it"
    )
    normalize: bool | None = Field(None, description="null: as the model's own description says, else true")
    lines: Lines | None = Field(None, description="null: as the model's own description says, else each")
    cutoffs: str | None = Field(None, description="path of a table as CCNet's cutoff.csv; null: as beside the model")

    def prepare(self) -> None:
        """Loads the models, and checks that there are cut-offs where a rule needs them."""
        models = _models(self.model)
        if not models:
            raise FileNotFoundError(f"there is no KenLM model at {self.model}")
        loaded = {language: self._load(path, language) for language, path in models.items()}
        if isinstance(self.max, str) or isinstance(self.min, str):
            without = [models[language] for language, model in loaded.items() if not model.cutoffs]
            if len(without) == len(loaded):
                raise ValueError(
                    f"{', '.join(without)}: head and middle are not known; give numbers, or cutoffs, or train the model "
                    "with corpusmill models train-perplexity"
                )

    def measure(self, document: Document) -> Mapping[str, float]:
        """Perplexity and bucket, unless the text has no token or the language no model."""
        models = _models(self.model)
        path = models.get("") or models.get(document.language)
        if path is None:
            return {}
        model = self._load(path, document.language)
        perplexity = model.perplexity(document.text)
        if perplexity is None:
            return {}
        bucket = model.bucket(perplexity)
        return {"perplexity.perplexity": perplexity} | ({} if bucket is None else {"perplexity.bucket": float(bucket)})

    def rules(self) -> tuple[Rule, ...]:
        """At most ``max``, at least ``min``."""
        rules: list[Rule] = []
        limits: tuple[tuple[float | str | None, Comparison, str], ...] = (
            (self.max, ">", "perplexity.too_high"),
            (self.min, "<", "perplexity.too_low"),
        )
        for limit, comparison, reason in limits:
            if isinstance(limit, str):
                rules.append(Rule("perplexity.bucket", comparison, BUCKETS.index(limit), reason))
            else:
                rules += rule_when(limit, "perplexity.perplexity", comparison, reason)
        return tuple(rules)

    def files(self) -> tuple[str, ...]:
        """The models, and what lies beside them."""
        models = _models(self.model).values()
        others = (language_models.beside(path, ending) for path in models for ending in (".sp.model", ".json"))
        found = [*(models or [self.model]), *filter(None, others), *filter(None, [self.cutoffs])]
        return tuple(found)

    def reads_model(self) -> str:
        """The model."""
        return self.model

    def with_models(self, places: Mapping[str, str]) -> Filter:
        """A copy that reads its model where that was trained."""
        for name, path in places.items():
            language = language_models.language_of(self.model, name)
            if language is not None:
                folder, slash, file = path.rpartition("/")
                at_work = folder + slash + file.replace(name, self.model, 1) if language else path
                return self.model_copy(update={"model": at_work})
        return self

    def _load(self, path: str, language: str) -> LanguageModel:
        return language_models.load(path, self.tokens, self.normalize, self.lines, self.cutoffs, language)


@functools.cache
def _models(path: str) -> dict[str, str]:
    return language_models.model_files(path)
