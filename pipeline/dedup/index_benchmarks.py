"""The stage that writes the index of the benchmarks, before the documents are read that are searched for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam

from pipeline.dedup import benchmarks, store
from pipeline.dedup.settings import Decontaminate
from pipeline.layout import Layout
from pipeline.stage import Commit, Item, Part, Stage, output


@dataclass(frozen=True)
class IndexBenchmarks(Stage):
    """Writes the index. One item: benchmarks are small."""

    settings: Decontaminate
    layout: Layout
    name: str = "benchmarks"
    unit: str = "items"

    def items(self) -> Sequence[Item]:
        return [Item("index", 1)]

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return items | "index" >> beam.Map(_write_index, self.settings, self.layout) | Commit(self.name, self.layout)


def _write_index(item: Item, settings: Decontaminate, layout: Layout) -> Part:
    index, of_items = benchmarks.built(settings)
    part = Part(item.name, 0, last=True)
    for name, array in index._asdict().items():
        written = store.save(layout.work(f"benchmarks/{name}.npy"), array)
        part.outputs.append(output(layout, "work", written, rows=len(array)))
    items, looked_for = Counter[str](), Counter[str]()
    for number, name in enumerate(of_items):
        items[name] += 1
        looked_for[name] += int(index.grams_of[number] > 0)
    for benchmark in settings.benchmarks:
        part.counts[f"{benchmark.name}|items"] = items[benchmark.name]
        part.counts[f"{benchmark.name}|not_looked_for"] = items[benchmark.name] - looked_for[benchmark.name]
    return part
