"""The stage after dedup: apply its decisions, cut repeated sentence spans, remove personal data, write the corpus.

load and drop duplicates ─► cut repeated spans ─► remove personal data ─► write
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import apache_beam as beam
import pyarrow as pa

from filters.document import Document
from filters.pii import PiiSettings, Place, Redactor
from pipeline import plan, pulse, tables
from pipeline.dedup import evidence
from pipeline.dedup.evidence import Duplicate
from pipeline.dedup.removal import Cutter, removals
from pipeline.layout import Layout
from pipeline.prepare import RECORD_MASK, WORKER, Batch, of_failures
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, WholeCoder, committed, output
from tokenizer import draws


@dataclass(slots=True)
class Finished(Batch):
    """A batch with the evidence for what dedup took from it, and the counts of what was found in it."""

    name: str = ""
    """Of its tables: SOURCE/SPLIT-PART.parquet, as in ``filtered/``."""
    evidence: list[Duplicate] = field(default_factory=list)
    removed: list[Document] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


beam.coders.registry.register_coder(Finished, WholeCoder)


@dataclass(frozen=True)
class Finish(Stage):
    """Turns ``filtered/`` into ``documents/`` and writes ``duplicates/``."""

    recipe: Recipe
    layout: Layout
    sample_rates: Mapping[str, float]
    """Share of each source's documents that are drawn for the tokenizer."""
    name: str = "finish"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        found = []
        for split in plan.load(self.layout).splits:
            commit = committed(self.layout, "prepare", split.name)
            assert commit is not None, f"{split.name} was not prepared"
            size = sum(one["bytes"] for one in commit["outputs"] if one["kind"] == "filtered")
            found.append(Item(split.name, size, (split,)))
        return found

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        batches = items | "load and drop duplicates" >> beam.ParDo(_Load(self.recipe, self.layout)).with_output_types(
            Finished
        )
        if self.recipe.dedup and (self.recipe.dedup.sentence or self.recipe.dedup.decontaminate):
            batches |= "cut repeated spans" >> beam.ParDo(_Cut(self.recipe, self.layout)).with_output_types(Finished)
        if self.recipe.pii:
            batches |= "remove personal data" >> beam.ParDo(_RemovePersonalData(self.recipe)).with_output_types(
                Finished
            )
        return (
            batches
            | "write" >> beam.ParDo(_Write(self.recipe, self.layout, self.sample_rates))
            | Commit(self.name, self.layout)
        )


class _Load(beam.DoFn):
    """Loads the filtered documents of a split without those that dedup removes."""

    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._dedup = recipe.dedup
        self._layout = layout

    def process(self, item: Item) -> Iterator[Finished]:
        (split,) = item.splits
        commit = committed(self._layout, "prepare", split.name)
        assert commit is not None
        names = [one["path"].removeprefix("filtered/") for one in commit["outputs"] if one["kind"] == "filtered"]
        skip = dict(item.skip)
        for part, name in enumerate(names or [f"{item.name}-00.parquet"]):
            batch = Finished(item.name, split.index, part, last=part == max(len(names) - 1, 0), name=name)
            if names:
                found = tables.to_documents(tables.read(self._layout.path(f"filtered/{name}")))
                gone = removals(self._dedup, self._layout, name, found) if self._dedup else {}
                for document in found:
                    if document.number in gone:
                        reason, why = gone[document.number]
                        batch.evidence += why
                        batch.counts[f"{document.source}|removed|dedup.{reason}"] += 1
                    elif document.number & RECORD_MASK in skip:
                        batch.fail(document, WORKER, skip[document.number & RECORD_MASK])
                    else:
                        batch.documents.append(document)
            yield batch


class _Cut(beam.DoFn):
    """Cuts what stands in another document, in most pages of the site, or in a benchmark; removes what loses too much."""

    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        assert recipe.dedup
        self._dedup = recipe.dedup
        self._layout = layout

    def process(self, batch: Finished) -> Iterator[Finished]:
        going_on = []
        cutter = Cutter(self._dedup, self._layout, batch.name, batch.documents)
        for document in batch.documents:
            pulse.at(batch.split, document.number & RECORD_MASK)
            batch.counts[f"{document.source}|characters_searched"] += len(document.text)
            cut = cutter.cut(document)
            batch.evidence += cut.evidence
            if cut.characters:
                batch.counts[f"{document.source}|spans_cut"] += len(cut.ranges)
                batch.counts[f"{document.source}|characters_cut"] += cut.characters
            if cut.reason:
                batch.counts[f"{document.source}|removed|dedup.{cut.reason}"] += 1
            else:
                going_on.append(document)
        pulse.rest()
        batch.documents = going_on
        yield batch


_LOADING = threading.Lock()


def redactor(settings: str) -> Redactor:
    """The redactor for settings given as JSON, once a process: its recognizers take a while to load."""
    with _LOADING:
        return _redactor(settings)


@functools.cache
def _redactor(settings: str) -> Redactor:
    return Redactor(PiiSettings.model_validate_json(settings))


class _RemovePersonalData(beam.DoFn):
    """Replaces personal data by placeholders, in the evidence of dedup too; the counts become signals.

    A document with more of an entity than the recipe allows is removed for it (``pii.many_phone`` and so on).
    """

    def __init__(self, recipe: Recipe) -> None:
        assert recipe.pii
        self._settings = recipe.pii
        self._kinds = {source.name: "" if source.prose else "code" for source in recipe.sources}
        self._kinds |= {source.name: source.kind for source in recipe.sources if source.prose}

    def process(self, batch: Finished) -> Iterator[Finished]:
        own = redactor(self._settings.model_dump_json())
        going_on: list[Document] = []
        places: dict[int, Place] = {}
        for document in batch.documents:
            pulse.at(batch.split, document.number & RECORD_MASK)
            place = places[document.number] = self._place(document)
            try:
                text, found = own.redact(document.text, place)
            except Exception as error:  # noqa: BLE001 - never let a text pass that could not be searched
                batch.fail(document, "pii", withheld(error))
                continue
            for entity, count in found.items():
                batch.counts[f"{document.source}|pii|{entity}"] += count
            document.replace_text(text)
            document.signals.update({f"pii.{entity}": found.get(entity, 0) for entity in self._settings.entities})
            if (excess := own.too_many(found)) is not None:
                document.removed_by = f"pii.many_{excess}"
            (batch.removed if document.removed_by else going_on).append(document)
        pulse.rest()
        batch.documents = going_on
        kind = self._kinds.get(batch.item.rpartition("/")[0], "")
        batch.evidence = [
            replace(one, text=own.redact(_whole_words(one.text), places.get(one.number, Place(kind=kind)))[0])
            if one.text
            else one
            for one in batch.evidence
        ]
        yield batch

    def _place(self, document: Document) -> Place:
        kind = self._kinds.get(document.source, "")
        code = document.metadata.get("programming_language", "") if kind == "code" else ""
        return Place(document.language, kind, document.source, code)


def _whole_words(snippet: str) -> str:
    """The snippet without a last word or figure that was cut through: half an address is not recognized as one."""
    if len(snippet) < evidence.SNIPPET:
        return snippet
    whole = snippet.rstrip("0123456789 +()./-")
    return whole[: max(whole.rfind(" "), whole.rfind("\n")) + 1] if whole == snippet else whole


def withheld(error: Exception) -> str:
    """What a failure may say of an error in the search: its kind, since messages quote what they could not read."""
    return f"{type(error).__name__} while looking for personal data (the message is withheld: it may quote the text)"


class _Write(beam.DoFn):
    """Writes documents, evidence, failures, and the drawn sample for the tokenizer."""

    def __init__(self, recipe: Recipe, layout: Layout, sample_rates: Mapping[str, float]) -> None:
        self._schema = tables.documents(signals(recipe))
        self._removed_schema = tables.documents(signals(recipe), removed=True)
        self._layout = layout
        self._sample_rates = sample_rates

    def process(self, batch: Finished) -> Iterator[Part]:
        part = Part(batch.item, batch.part, batch.last, counts=batch.counts)
        source = batch.item.rpartition("/")[0]
        name = batch.name
        part.counts[f"{source}|kept"] += len(batch.documents)
        part.counts.update(f"{source}|failed|{failure.step}" for failure in batch.failures)
        if batch.documents:
            written = tables.write(
                self._layout.path(f"documents/{name}"), tables.of_documents(batch.documents, self._schema)
            )
            text = sum(len(document.text.encode()) for document in batch.documents)
            part.outputs.append(
                output(self._layout, "documents", written, rows=len(batch.documents), source=source, text=text)
            )
            part.counts[f"{source}|text_bytes"] += text
            drawn = self._sample_rates.get(source, 0.0) * 2.0**64
            sample = [one for one in batch.documents if draws.sample_rank(one.id) < drawn]
            if sample:
                table = pa.table({"text": pa.array([one.text for one in sample], pa.string())})
                written = tables.write(self._layout.work(f"sample/{name}"), table)
                part.outputs.append(output(self._layout, "work", written, rows=len(sample)))
        part.counts.update(f"{source}|removed|{document.removed_by}" for document in batch.removed)
        if batch.removed:
            path = self._layout.path(f"removed/{name.removesuffix('.parquet')}-finish.parquet")
            written = tables.write(path, tables.of_documents(batch.removed, self._removed_schema))
            part.outputs.append(output(self._layout, "removed", written, rows=len(batch.removed), source=source))
        if batch.evidence:
            written = tables.write(self._layout.path(f"duplicates/{name}"), evidence.table(batch.evidence))
            part.outputs.append(output(self._layout, "duplicates", written, rows=len(batch.evidence), source=source))
        if batch.failures:
            path = self._layout.path(f"failed/{name.removesuffix('.parquet')}-finish.parquet")
            written = tables.write(path, of_failures(batch.failures))
            part.outputs.append(output(self._layout, "failed", written, rows=len(batch.failures), source=source))
        pulse.count(len(batch.documents) + len(batch.failures), len(batch.documents))
        yield part


def signals(recipe: Recipe) -> tuple[str, ...]:
    """The signal columns of ``documents/``: those of the filters and a count for every kind of personal data."""
    entities = recipe.pii.entities if recipe.pii else ()
    return (*recipe.signals, *(f"pii.{entity}" for entity in sorted(entities)))
