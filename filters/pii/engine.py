"""Names in running text by a model that the user has installed, through presidio's NLP engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from presidio_analyzer import RecognizerResult
from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpEngine, SpacyNlpEngine, TransformersNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from filters.pii.matches import Match
from filters.pii.settings import Engine

LONGEST: Final = 100_000
"""Characters given to the model at once, cut at line breaks: models take memory by the length of a text."""


class EngineFinder:
    """The entities of one language's model. Loading it takes seconds to minutes; it is never downloaded.

    Raises ValueError if the model is not installed.
    """

    def __init__(self, engine: Engine, language: str) -> None:
        self._language = language
        self._entities = engine.entities
        self._engine = _loaded(engine, language)
        self._recognizer = SpacyRecognizer(
            supported_language=language, supported_entities=sorted(engine.entities), context=[]
        )

    def find(self, text: str) -> Iterator[Match]:
        """What the model finds, with presidio's score for models (0.85 unless the model says)."""
        start = 0
        while start < len(text):
            end = text.rfind("\n", start, start + LONGEST) + 1 if len(text) - start > LONGEST else len(text)
            end = end if end > start else start + LONGEST
            part = text[start:end]
            artifacts = self._engine.process_text(part, self._language)
            results: list[RecognizerResult] = self._recognizer.analyze(part, sorted(self._entities), artifacts)
            for one in results:
                yield Match(start + one.start, start + one.end, self._entities[one.entity_type], one.score)
            start = end


def _loaded(engine: Engine, language: str) -> NlpEngine:
    name = engine.models[language]
    if engine.kind == "spacy":
        import spacy

        if not spacy.util.is_package(name) and not Path(name).exists():
            raise ValueError(f"pii.engine: spaCy's model {name!r} is not installed; python -m spacy download {name}")
    made = (
        SpacyNlpEngine(
            models=[{"lang_code": language, "model_name": name}], ner_model_configuration=NerModelConfiguration()
        )
        if engine.kind == "spacy"
        else TransformersNlpEngine(
            models=[{"lang_code": language, "model_name": {"spacy": f"{language}_core_web_sm", "transformers": name}}]
        )
    )
    made.load()
    return made
