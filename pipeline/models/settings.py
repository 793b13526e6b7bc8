"""What a recipe may say of the models that are to be trained."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from filters.language_models import Lines, Tokens
from filters.quality_classifier import MAX_CHARACTERS
from pipeline.sizes import Size


class ModelSettings(BaseModel):
    """What all models have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    filters: str | None = Field(
        None,
        description="a chain that a document of good text must pass to be learned from; it may use no trained model",
    )
    read: Size = Field(
        64 << 30,
        description="input bytes of each source that are read to draw from; which splits is a keyed hash's choice",
    )
    seed: int = Field(0, ge=0, lt=1 << 64, description="of the keyed hashes that draw splits and documents")

    @property
    def good(self) -> tuple[str, ...]:
        """The sources of good text."""
        raise NotImplementedError


class PerplexityModel(ModelSettings):
    """An n-gram model of good text, by KenLM's lmplz (modified Kneser-Ney), as CCNet trains them on Wikipedia."""

    kind: Literal["perplexity"] = "perplexity"
    sources: tuple[str, ...] = Field(min_length=1, description="where the good text is")
    tokens: Tokens = Field("sentencepiece", description="what the model's tokens are; sentencepiece is trained as well")
    vocabulary: int = Field(65_536, ge=32, le=1 << 20, description="pieces of the SentencePiece model, at most")
    order: int = Field(5, ge=2, le=6, description="the longest n-grams")
    prune: tuple[int, ...] = Field(
        (),
        description="n-grams seen at most so often are left out, by length from 1 on: [0, 0, 1]; the last holds for the rest",
    )
    normalize: bool = Field(True, description="whether text is normalised as CCNet does it")
    lines: Lines = Field("each", description="what a sentence is: each line, or the document joined to one line")
    structure: Literal["probing", "trie"] = Field("probing", description="KenLM's: probing is fast, trie is small")
    sample: Size = Field(1 << 30, description="text that is learned from")
    pieces_sample: Size = Field(64 << 20, description="text that the SentencePiece model is trained on")
    cutoff_documents: int = Field(
        10_000,
        ge=10,
        description="documents that come as far as the filter, from whose perplexities head and middle follow",
    )
    percentiles: tuple[float, float] = Field(
        (30, 60), description="where head and middle end, in percent of these documents"
    )

    @model_validator(mode="after")
    def _consistent(self) -> PerplexityModel:
        if not 0 < self.percentiles[0] < self.percentiles[1] < 100:
            raise ValueError("percentiles are two numbers between 0 and 100, the smaller one first")
        if len(self.prune) > self.order or list(self.prune) != sorted(self.prune) or (self.prune and self.prune[0]):
            raise ValueError("prune holds at most `order` numbers that never fall, and begins with 0")
        return self

    @property
    def good(self) -> tuple[str, ...]:
        """The sources of good text."""
        return self.sources


class QualityModel(ModelSettings):
    """A fastText classifier that tells reference text from raw text, as GPT-3, RedPajama and DCLM have it."""

    kind: Literal["quality"] = "quality"
    like: tuple[str, ...] = Field(min_length=1, description="sources of text as it should be")
    unlike: tuple[str, ...] = Field(min_length=1, description="sources of raw text, taken as it was extracted")
    documents: int = Field(100_000, ge=20, description="documents of either kind, at most")
    held_out: float = Field(0.1, gt=0, lt=1, description="share of them that the classifier is judged by")
    keep: float = Field(
        0.1, gt=0, lt=1, description="wanted share of raw documents to keep, for which a threshold is stored"
    )
    max_characters: int = Field(
        MAX_CHARACTERS, gt=0, description="how much of a long text is read, here and by the filter"
    )
    dimensions: int = Field(16, ge=1, le=1000)
    ngram: int = Field(2, ge=1, le=5, description="the longest word n-grams that are features")
    buckets: int = Field(1 << 20, ge=1, le=1 << 26, description="how many hashes the n-grams share")
    min_count: int = Field(2, ge=1, description="words that occur less often are not learned")
    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="how often every document is learned from; null: 5 times, more where there are few",
    )
    rate: float = Field(0.5, gt=0, le=10, description="learning rate at the beginning; it falls to 0")

    KINDS: ClassVar[tuple[str, str]] = ("like", "unlike")

    @property
    def good(self) -> tuple[str, ...]:
        """The sources of good text."""
        return self.like


MODEL_KINDS: dict[str, type[PerplexityModel] | type[QualityModel]] = {
    "perplexity": PerplexityModel,
    "quality": QualityModel,
}

AnyModel = PerplexityModel | QualityModel
