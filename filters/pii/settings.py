"""The recipe's ``pii`` section: what is looked for, what is done with it, and what stays because it is public."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Entity = Literal[
    "email",
    "phone",
    "ip",
    "mac",
    "url",
    "credit_card",
    "iban",
    "bank_account",
    "crypto",
    "national_id",
    "passport",
    "driver_license",
    "secret",
    "gps",
    "name",
    "address",
]
ENTITIES: Final[tuple[Entity, ...]] = get_args(Entity)
Action = Literal["replace", "pseudonym", "count"]

KEPT: Final[dict[str, tuple[Entity, ...]]] = {
    "wikipedia": ("name", "address", "gps"),
    "books": ("name", "address", "gps"),
    "code": ("name", "address", "gps"),
}

COUNTRIES: Final[dict[str, tuple[str, ...]]] = {
    "en": ("US", "GB", "CA", "AU", "IN"),
    "zh": ("CN", "HK", "TW"),
    "de": ("DE", "AT", "CH"),
    "fr": ("FR", "BE", "CH"),
    "es": ("ES", "MX", "AR"),
    "pt": ("BR", "PT"),
    "it": ("IT", "CH"),
    "nl": ("NL", "BE"),
    "pl": ("PL",),
    "ru": ("RU",),
    "uk": ("UA",),
    "sv": ("SE",),
    "fi": ("FI",),
    "no": ("NO",),
    "nb": ("NO",),
    "da": ("DK",),
    "cs": ("CZ",),
    "tr": ("TR",),
    "ja": ("JP",),
    "ko": ("KR",),
    "th": ("TH",),
    "vi": ("VN",),
    "id": ("ID",),
    "hi": ("IN",),
    "ca": ("ES",),
    "gl": ("ES",),
    "eu": ("ES",),
}
"""Countries (ISO 3166) whose telephone and identity numbers are looked for in a language (ISO 639)."""
DEFAULT_COUNTRIES: Final = ("US", "GB", "DE", "FR", "ES", "CN")
"""Those for a document without language, or of a language that is not in the table."""


class Engine(BaseModel):
    """A model that finds names and places in running text, by way of presidio's NLP engines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["spacy", "transformers"] = Field("spacy", description="presidio's engine")
    models: dict[str, str] = Field(
        min_length=1,
        description="model by language, installed by you: `{en: en_core_web_lg}`; for transformers the name of a Hugging Face "
        "model, with spaCy's small model of the language beside it",
    )
    entities: dict[str, Entity] = Field(
        default={"PERSON": "name"},
        description="what is taken of the model's findings, and as what; for example `{PERSON: name, LOCATION: address}`",
    )


class PiiSettings(BaseModel):
    """What personal data is looked for, what is written in its place, and what stays because it is public.

    Every finding has a score: 1.0 for what passes a check (e-mail addresses with a known top-level domain; cards, IBANs
    and identity numbers with the right check digits), 0.5 to 0.9 for what has a shape of its own, 0.4 for telephone
    numbers of a numbering plan and for numbers behind a key word. More: [personal data](pii.md).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entities: tuple[Entity, ...] = Field(ENTITIES, description="what is looked for")
    min_score: float = Field(default=0.4, ge=0.0, le=1.0, description="how sure a recognizer must be")
    min_scores: dict[Entity, float] = Field(default_factory=dict, description="the same for single entities")
    actions: dict[Entity, Action] = Field(
        default_factory=dict,
        description="`replace` (the default): write the placeholder; `pseudonym`: the placeholder with letters that follow from "
        "the value and `key`, the same for the same value everywhere; `count`: leave it and count it",
    )
    key: str = Field("", description="secret of the pseudonyms; who has it can tell whose they are")
    drop_above: dict[Entity, int] = Field(
        default_factory=dict, description="remove a document that holds more than so many of an entity"
    )
    placeholders: dict[Entity, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="what is written for an entity; those not named get `<EMAIL>`, `<PHONE>` and so on, in code "
        "`REDACTED_EMAIL`",
    )
    regions: tuple[str, ...] | None = Field(
        None,
        description="countries (ISO 3166) whose telephone numbers without country code, and identity numbers, are looked for; "
        "`null`: those of the document's language",
    )
    private_ips: bool = Field(
        False, description="also remove private, loopback, documentation and other addresses that belong to no one"
    )
    examples: bool = Field(
        False, description="also remove what is made for examples and everybody knows: `li@example.com`, 8.8.8.8"
    )
    keep: dict[str, tuple[Entity, ...]] = Field(
        default=KEPT,
        description="entities that stay in sources of a kind, or in the source of that name: people in encyclopedias and books "
        "are public, authors of code want to be named",
    )
    deny: dict[Entity, tuple[str, ...]] = Field(
        default_factory=dict, description="words that are always taken, by entity: `{name: [Jane Roe]}`, in any case"
    )
    allow: tuple[str, ...] = Field((), description="values that are never taken, in any case")
    engine: Engine | None = Field(None, description="a model that finds names in running text; `null`: rules alone")

    @field_validator("regions")
    @classmethod
    def _known_regions(cls, regions: tuple[str, ...] | None) -> tuple[str, ...] | None:
        from phonenumbers import SUPPORTED_REGIONS

        if unknown := sorted(set(regions or ()) - SUPPORTED_REGIONS):
            raise ValueError(f"unknown regions {unknown}: two capital letters are wanted, as in ISO 3166 (GB, not UK)")
        return regions

    @field_validator("placeholders")
    @classmethod
    def _inert(cls, placeholders: dict[Entity, str]) -> dict[Entity, str]:
        for entity, text in placeholders.items():
            if any(character in "@:" or character.isdigit() for character in text):
                raise ValueError(
                    f"placeholder {text!r} of {entity}: with a digit, '@' or ':' it may pass for personal data"
                )
        return {entity: f"<{entity.upper()}>" for entity in ENTITIES} | placeholders

    @field_validator("deny")
    @classmethod
    def _no_empty_words(cls, deny: dict[Entity, tuple[str, ...]]) -> dict[Entity, tuple[str, ...]]:
        for entity, words in deny.items():
            for word in words:
                if not 2 <= len(word.strip()) <= 200:
                    raise ValueError(f"deny.{entity}: {word!r} would take nearly everything, or nothing")
        return deny

    @model_validator(mode="after")
    def _pseudonyms_have_a_key(self) -> PiiSettings:
        if "pseudonym" in self.actions.values() and len(self.key) < 8:
            raise ValueError("pseudonyms need a key of 8 characters or more; without it anyone can try out values")
        return self

    def threshold(self, entity: Entity) -> float:
        """The least score with which a finding counts."""
        return self.min_scores.get(entity, self.min_score)

    def countries(self, language: str) -> tuple[str, ...]:
        """The countries whose national numbers are looked for in a document."""
        if self.regions is not None:
            return self.regions
        return COUNTRIES.get(language.partition("-")[0].partition("_")[0], DEFAULT_COUNTRIES)

    def wanted(self, place: Place) -> frozenset[Entity]:
        """The entities that are looked for in a document."""
        kept = {*self.keep.get(place.kind, ()), *self.keep.get(place.source, ())}
        return frozenset(self.entities) - kept


class Place(NamedTuple):
    """Where a text comes from, as far as it matters here: the document's language (ISO 639), kind and name of its source,
    and the programming language (Linguist's name) if it is code.
    """

    language: str = ""
    kind: str = ""
    source: str = ""
    code: str = ""

    @property
    def is_code(self) -> bool:
        """Whether the text is source code."""
        return bool(self.code) or self.kind == "code"


ANYWHERE: Final = Place()
