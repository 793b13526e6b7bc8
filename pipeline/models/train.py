"""Trains the models of a recipe on the documents that were drawn, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam

from pipeline.layout import Layout
from pipeline.models.settings import PerplexityModel
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage


@dataclass(frozen=True)
class TrainModels(Stage):
    """Trains every model and writes it, with its description, to ``models/``."""

    recipe: Recipe
    layout: Layout
    name: str = "train-models"
    unit: str = "documents"
    at_once: int | None = 1

    def items(self) -> Sequence[Item]:
        return [Item(name, 1) for name in self.recipe.models]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return items | "train models" >> beam.ParDo(_Train(self.recipe, self.layout)) | Commit(self.name, self.layout)


class _Train(beam.DoFn):
    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        settings = self._recipe.models[item.name]
        if isinstance(settings, PerplexityModel):
            from pipeline.models import perplexity

            outputs = perplexity.train(item.name, settings, self._layout, self._recipe.limits.memory)
        else:
            from pipeline.models import quality

            outputs = quality.train(item.name, settings, self._layout)
        yield Part(item.name, 0, last=True, outputs=outputs)
