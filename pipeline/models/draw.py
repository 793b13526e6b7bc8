"""Draws the documents that models learn from and are held against, before any filter needs a model.

Whole splits are chosen by a keyed hash of their names, then documents by a keyed hash of their ids: every split writes the
documents of lowest hash, and training takes the lowest of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import apache_beam as beam
import pyarrow as pa

from filters.document import Document
from filters.filter import Judge
from filters.language_models import language_of
from pipeline import plan, pulse, tables
from pipeline.layout import Layout
from pipeline.models.settings import PerplexityModel, QualityModel
from pipeline.plan import Plan
from pipeline.prepare import RECORD_MASK, Batch, Read, is_of, judge
from pipeline.recipe import Chain, Recipe
from pipeline.stage import Commit, Item, Part, Stage, output
from tokenizer.draws import keyed_hash

Role = Literal["good", "raw", "judged"]
"""What documents are drawn for: to be learned as good, as raw text, or to find a perplexity model's cut-offs."""

SAMPLE = pa.schema([("rank", pa.uint64()), ("text", pa.string())])


@dataclass(frozen=True, slots=True)
class Draw:
    """Documents of one source that one model needs: for what, which filters they must pass, how much at most.

    ``text`` is bytes of UTF-8, ``documents`` their number; the smaller bound holds. ``language`` is that of the documents, empty
    for any.
    """

    model: str
    role: Role
    source: str
    chain: Chain
    text: int
    documents: int
    seed: int
    language: str = ""

    @property
    def folder(self) -> str:
        """Where they are written, below the work folder."""
        return f"models/{self.model}/{self.role}"


MANY = 1 << 62


def draws(recipe: Recipe) -> list[Draw]:
    """Everything that the models of a recipe need, in recipe order."""
    found: list[Draw] = []
    for name, model in recipe.models.items():
        chain = recipe.chains[model.filters] if model.filters else ()
        if isinstance(model, QualityModel):
            bound = (MANY, model.documents, model.seed)
            found += [Draw(name, "good", source, chain, *bound) for source in model.like]
            found += [Draw(name, "raw", source, (), *bound) for source in model.unlike]
        else:
            found += [Draw(name, "good", source, chain, model.sample, MANY, model.seed) for source in model.sources]
            found += _judged(recipe, name, model)
    return found


def _judged(recipe: Recipe, name: str, model: PerplexityModel) -> Iterator[Draw]:
    """Documents as they reach a filter that uses the model: its cut-offs are percentiles of these."""
    for source in recipe.sources:
        chain = recipe.chain(source)
        place = next((at for at, filter_ in enumerate(chain) if name in recipe.trains_for(filter_)), None)
        if place is not None:
            before = tuple(one for one in chain[:place] if not recipe.trains_for(one))
            language = language_of(chain[place].reads_model() or "", name) or ""
            yield Draw(name, "judged", source.name, before, MANY, model.cutoff_documents, model.seed, language)


def chosen(recipe: Recipe, planned: Plan) -> dict[str, list[Draw]]:
    """What is drawn from each split, by its name: all splits of a source, or as many as its bound allows."""
    found: dict[str, list[Draw]] = {}
    for draw in draws(recipe):
        splits = [split for split in planned.splits if split.source == draw.source]
        splits.sort(key=lambda split: (keyed_hash(split.name, draw.seed, b"splits"), split.number))
        left = recipe.models[draw.model].read
        for split in splits:
            found.setdefault(split.name, []).append(draw)
            left -= split.size
            if left <= 0:
                break
    return found


@dataclass(frozen=True)
class DrawSamples(Stage):
    """Reads the chosen splits and writes the documents that models need from them."""

    recipe: Recipe
    layout: Layout
    sources: tuple[str, ...] | None = None
    name: str = "draw-samples"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        planned = plan.load(self.layout)
        wanted = chosen(self.recipe, planned)
        return [Item(split.name, split.size, (split,)) for split in planned.splits if split.name in wanted]

    def narrowed(self, items: Sequence[Item]) -> DrawSamples:
        return replace(self, sources=tuple(item.splits[0].source for item in items))

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        drawn = []
        for source in self.recipe.sources:
            if self.sources is not None and source.name not in self.sources:
                continue
            drawn.append(
                items
                | f"splits of {source.name}" >> beam.Filter(is_of, source.name)
                | f"{source.name}: read and extract"
                >> beam.ParDo(Read(self.recipe, source, self.layout)).with_output_types(Batch)
                | f"{source.name}: draw" >> beam.ParDo(_Draw(self.recipe, self.layout))
            )
        return drawn | "all sources" >> beam.Flatten() | Commit(self.name, self.layout)


class _Draw(beam.DoFn):
    """Writes the documents of a batch that models need."""

    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout
        self._wanted: Mapping[str, list[Draw]] | None = None

    def process(self, batch: Batch) -> Iterator[Part]:
        if self._wanted is None:
            self._wanted = chosen(self._recipe, plan.load(self._layout))
        part = Part(batch.item, batch.part, batch.last)
        kept = 0
        for draw in self._wanted[batch.item]:
            rows = self._rows(draw, batch)
            kept += len(rows)
            if rows:
                table = pa.Table.from_pylist(rows, SAMPLE)
                name = f"{draw.folder}/{batch.item}-{batch.part:02d}.parquet"
                written = tables.write(self._layout.work(name), table)
                facts = {"rows": len(rows), "model": draw.model, "role": draw.role, "source": draw.source}
                part.outputs.append(output(self._layout, "work", written, **facts))
        pulse.count(len(batch.documents), kept)
        yield part

    def _rows(self, draw: Draw, batch: Batch) -> list[dict[str, Any]]:
        """Ranks and texts of the documents that pass, lowest rank first, up to the bound."""
        candidates = [document for document in batch.documents if not document.removed_by]
        ranks = [keyed_hash(document.id, draw.seed, b"sample") for document in candidates]
        rows: list[dict[str, Any]] = []
        text, judges = 0, [judge(filter_) for filter_ in draw.chain]
        for rank, document in sorted(zip(ranks, candidates, strict=True), key=lambda one: (one[0], one[1].id)):
            if len(rows) >= draw.documents or text >= draw.text:
                break
            pulse.at(batch.split, document.number & RECORD_MASK)
            passed = _passed(document, judges, draw.language)
            if passed is not None:
                rows.append({"rank": rank, "text": passed})
                text += len(passed.encode())
        pulse.rest()
        return rows


def _passed(document: Document, judges: Sequence[Judge], language: str) -> str | None:
    """The text of a document as the filters leave it; None where one removes it or fails on it, or of another language."""
    tried = dataclasses.replace(document, signals={}, metadata=dict(document.metadata))
    try:
        for apply in judges:
            apply(tried)
            if tried.removed_by:
                return None
    except Exception:  # noqa: BLE001 - it becomes a row of failed/ when it comes to this filter in the run itself
        return None
    return tried.text if language in ("", tried.language) else None
