"""Counts the words of the drawn sample, split by split, so that training sees a bounded table and never the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline import files, plan, pulse, tables
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from tokenizer import words


@dataclass(frozen=True)
class CountWords(Stage):
    """Counts words of every split's sample and writes them as a table."""

    recipe: Recipe
    layout: Layout
    name: str = "count-words"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        drawn = [(split.name, samples(self.layout, split.name)) for split in plan.load(self.layout).splits]
        return [Item(name, sum(one["bytes"] for one in sample)) for name, sample in drawn if sample]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return items | "count words" >> beam.ParDo(_Count(self.recipe, self.layout)) | Commit(self.name, self.layout)


def samples(layout: Layout, split: str) -> list[dict[str, Any]]:
    """The files of a split's sample: outputs of the stage that drew it."""
    commit = committed(layout, "finish", split)
    assert commit is not None
    return [one for one in commit["outputs"] if one["kind"] == "work"]


class _Count(beam.DoFn):
    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        settings = self._recipe.tokenizer
        assert settings
        part = Part(item.name, 0, last=True)
        counted = words.count_words(self._texts(item), settings.pattern)
        table = words.table(counted, settings.distinct)
        with (
            files.replacing(self._layout.work(f"words/{item.name}.arrow")) as written,
            pa.ipc.new_file(written.stream, table.schema) as writer,
        ):
            writer.write_table(table)
        part.outputs.append(output(self._layout, "work", written, rows=len(table)))
        yield part

    def _texts(self, item: Item) -> Iterator[str]:
        for one in samples(self._layout, item.name):
            texts = tables.read(self._layout.path(one["path"])).column("text").to_pylist()
            yield from texts
            pulse.count(len(texts), len(texts))
