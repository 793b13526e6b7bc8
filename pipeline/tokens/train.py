"""Trains the tokenizer on the counted words, or takes the one that the recipe names, and looks at it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline import files, plan, tables
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from pipeline.tokens.count import samples
from tokenizer import bpe, inspection, words
from tokenizer.encode import encoder_of


@dataclass(frozen=True)
class Train(Stage):
    """Trains the tokenizer on the words that were counted, or takes the one that the recipe names."""

    recipe: Recipe
    layout: Layout
    name: str = "train-tokenizer"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        return [Item("tokenizer", 1)]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return (
            items | "train tokenizer" >> beam.ParDo(_Train(self.recipe, self.layout)) | Commit(self.name, self.layout)
        )


class _Train(beam.DoFn):
    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        settings = self._recipe.tokenizer
        assert settings
        compared: list[inspection.Compared] = []
        if settings.path:
            with files.open_read(settings.path) as stream:
                data = stream.read()
        else:
            table = words.add_up(self._counted(), settings.distinct)
            data = bpe.to_text(bpe.train(table, settings)).encode()
            if settings.compare:
                compared = inspection.compare(self._sample(settings.compare), settings)
        encoder = encoder_of(data)
        name = "tokenizer.json" if data.lstrip().startswith(b"{") else "tokenizer.model"
        with files.replacing(self._layout.path(f"tokenizer/{name}")) as written:
            written.stream.write(data)
        part = Part(item.name, 0, last=True)
        facts = {
            "vocabulary": encoder.vocabulary,
            "end_of_text": encoder.end_of_text,
            "engine": encoder.engine,
            "trained": settings.path is None,
        }
        part.outputs.append(output(self._layout, "tokenizer", written, rows=0, **facts))
        seen = inspection.look(encoder.token_bytes())
        shown: dict[str, Any] = {
            "longest": seen.longest,
            "odd": seen.odd,
            "compared": [dataclasses.asdict(one) for one in compared],
        }
        about = files.write_json(self._layout.path("tokenizer/about.json"), shown)
        part.outputs.append(output(self._layout, "vocabulary", about, rows=0))
        yield part

    def _counted(self) -> Iterator[pa.Table]:
        for split in plan.load(self._layout).splits:
            commit = committed(self._layout, "count-words", split.name)
            for one in (commit or {"outputs": []})["outputs"]:
                with files.open_read(self._layout.path(one["path"])) as stream:
                    yield pa.ipc.open_file(pa.BufferReader(stream.read())).read_all()

    def _sample(self, limit: int) -> Iterator[str]:
        """Texts of the sample, in plan order, up to so many bytes."""
        for split in plan.load(self._layout).splits:
            for one in samples(self._layout, split.name):
                for text in tables.read(self._layout.path(one["path"])).column("text").to_pylist():
                    yield text
                    limit -= len(text.encode())
                    if limit <= 0:
                        return
