"""The stage after dedup: apply its decisions, cut repeated sentence spans, remove personal data, write the corpus.

load and drop duplicates ─► cut repeated spans ─► remove personal data ─► write
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
import pyarrow as pa

from filters.document import Document
from filters.pii import PiiSettings, Place, Redactor
from pipeline import plan, pulse, tables
from pipeline.dedup import stages
from pipeline.layout import Layout
from pipeline.plan import RECORD_BITS, Split, document_number
from pipeline.prepare import RECORD_MASK, WORKER, Batch, of_failures
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from tokenizer import bpe

SNIPPET = 200
"""Characters of a cut span that the evidence quotes."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Why dedup removed a document or cut a span of it; the columns are those of ``tables.DUPLICATES``."""

    number: int
    id: str
    level: str
    kept_number: int
    kept_source: str
    similarity: float
    start: int
    stop: int
    text: str


@dataclass(slots=True)
class Finished(Batch):
    """A batch with the evidence for what dedup took from it, and the counts of what was found in it."""

    evidence: list[Duplicate] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


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
        batches = items | "load and drop duplicates" >> beam.ParDo(_Load(self.recipe, self.layout))
        if self.recipe.dedup and self.recipe.dedup.sentence:
            batches |= "cut repeated spans" >> beam.ParDo(_CutSpans(self.recipe, self.layout))
        if self.recipe.pii:
            batches |= "remove personal data" >> beam.ParDo(_RemovePersonalData(self.recipe))
        return (
            batches
            | "write" >> beam.ParDo(_Write(self.recipe, self.layout, self.sample_rates))
            | Commit(self.name, self.layout)
        )


class _Load(beam.DoFn):
    """Loads the filtered documents of a split without those that dedup removes."""

    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        self._dedup = bool(recipe.dedup)
        self._layout = layout

    def process(self, item: Item) -> Iterator[Finished]:
        (split,) = item.splits
        commit = committed(self._layout, "prepare", split.name)
        assert commit is not None
        paths = [self._layout.path(one["path"]) for one in commit["outputs"] if one["kind"] == "filtered"]
        gone = self._decisions(split)
        skip = dict(item.skip)
        for part, path in enumerate(paths or [None]):
            batch = Finished(item.name, split.index, part, last=part == max(len(paths) - 1, 0))
            for document in tables.to_documents(tables.read(path)) if path else ():
                decision = gone.get(document.number)
                if decision is not None:
                    self._drop(batch, document, decision)
                elif document.number & RECORD_MASK in skip:
                    batch.fail(document, WORKER, skip[document.number & RECORD_MASK])
                else:
                    batch.documents.append(document)
            yield batch

    def _decisions(self, split: Split) -> dict[int, Any]:
        if not self._dedup:
            return {}
        first = document_number(split.index, 0)
        mine = stages.between(stages.load_decisions(self._layout), first, first + (1 << RECORD_BITS))
        return {int(one["number"]): one for one in mine}

    def _drop(self, batch: Finished, document: Document, decision: Any) -> None:
        kept = int(decision["kept"])
        keeper = plan.load(self._layout).of(kept).source
        level = f"{'document' if keeper == document.source else 'dataset'}.{'near' if decision['near'] else 'exact'}"
        batch.evidence.append(
            Duplicate(
                document.number,
                document.id,
                level,
                kept,
                keeper,
                float(decision["similarity"]),
                0,
                len(document.text),
                "",
            )
        )
        batch.counts[f"{document.source}|removed|dedup.{level}"] += 1


class _CutSpans(beam.DoFn):
    """Cuts the sentence spans that stand in another document, or earlier in the same one."""

    def __init__(self, recipe: Recipe, layout: Layout) -> None:
        assert recipe.dedup and recipe.dedup.sentence
        self._settings = recipe.dedup.sentence
        self._layout = layout

    def process(self, batch: Finished) -> Iterator[Finished]:
        repeats = self._repeats(batch.documents)
        going_on = []
        for document in batch.documents:
            cuts = repeats.get(document.number)
            if cuts is not None:
                pulse.at(batch.split, document.number & RECORD_MASK)
                self._cut(batch, document, cuts)
                if len(document.words) < self._settings.min_words:
                    batch.counts[f"{document.source}|removed|dedup.sentence.too_little_left"] += 1
                    batch.evidence.append(self._evidence(document, "sentence.too_little_left", cuts[0], 0, 0, ""))
                    continue
            going_on.append(document)
        pulse.rest()
        batch.documents = going_on
        yield batch

    def _repeats(self, documents: Sequence[Document]) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        if documents:
            first, last = documents[0].number, documents[-1].number
            for table in stages.load_repeats(self._layout, "spans"):
                for row in stages.between(table, first, last + 1):
                    found.setdefault(int(row["number"]), []).append(row)
        return {number: sorted(rows, key=_by_position) for number, rows in found.items()}

    def _cut(self, batch: Finished, document: Document, cuts: Sequence[Any]) -> None:
        """Cut the text and record every contiguous stretch with the document that keeps it."""
        text = document.text
        starts, stops = document.sentences
        kept_by: dict[int, Any] = {}
        for row in cuts:
            for sentence in range(int(row["position"]), int(row["position"]) + self._settings.span):
                own = int(row["kept"]) == document.number
                if not (own and sentence < int(row["kept_position"]) + self._settings.span):
                    kept_by.setdefault(sentence, row)
        pieces, at = [], 0
        for first, last in _stretches(sorted(kept_by)):
            start, stop = int(starts[first]), int(stops[last])
            pieces.append(text[at:start].rstrip(" \t"))
            at = stop
            batch.evidence.append(
                self._evidence(
                    document, "sentence.span", kept_by[first], start, stop, text[start : min(stop, start + SNIPPET)]
                )
            )
            batch.counts[f"{document.source}|spans_cut"] += 1
            batch.counts[f"{document.source}|characters_cut"] += stop - start
        document.replace_text("".join([*pieces, text[at:]]).strip())

    def _evidence(self, document: Document, level: str, row: Any, start: int, stop: int, text: str) -> Duplicate:
        kept = int(row["kept"])
        keeper = plan.load(self._layout).of(kept).source
        return Duplicate(document.number, document.id, level, kept, keeper, 1.0, start, stop, text)


def _by_position(row: Any) -> tuple[int, int]:
    return int(row["position"]), int(row["kept"])


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of every run of consecutive numbers."""
    first = previous = None
    for number in numbers:
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if first is not None and previous is not None:
            yield first, previous
        first = previous = number
    if first is not None and previous is not None:
        yield first, previous


@functools.cache
def redactor(settings: str) -> Redactor:
    """The redactor for settings given as JSON, once a process: its recognizers take a while to load."""
    return Redactor(PiiSettings.model_validate_json(settings))


class _RemovePersonalData(beam.DoFn):
    """Replaces personal data by placeholders, in the evidence of dedup too; the counts become signals.

    A document with more of an entity than the recipe allows is not written; it becomes a row in ``failed/`` that says of
    which entity it had how many.
    """

    def __init__(self, recipe: Recipe) -> None:
        assert recipe.pii
        self._settings = recipe.pii
        self._kinds = {source.name: "" if source.prose else "code" for source in recipe.sources}
        self._kinds |= {source.name: source.kind for source in recipe.sources if source.prose}

    def process(self, batch: Finished) -> Iterator[Finished]:
        own = redactor(self._settings.model_dump_json())
        going_on = []
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
            if (excess := own.too_many(found)) is not None:
                allowed = self._settings.drop_above[excess]
                batch.fail(
                    document, "pii", f"holds {found[excess]} of {excess}, more than pii.drop_above allows ({allowed})"
                )
                continue
            document.replace_text(text)
            document.signals.update({f"pii.{entity}": found.get(entity, 0) for entity in self._settings.entities})
            going_on.append(document)
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
    if len(snippet) < SNIPPET:
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
        self._layout = layout
        self._sample_rates = sample_rates

    def process(self, batch: Finished) -> Iterator[Part]:
        part = Part(batch.item, batch.part, batch.last, counts=batch.counts)
        source = batch.item.rpartition("/")[0]
        name = f"{batch.item}-{batch.part:02d}.parquet"
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
            sample = [one for one in batch.documents if bpe.sample_rank(one.id) < drawn]
            if sample:
                table = pa.table({"text": pa.array([one.text for one in sample], pa.string())})
                written = tables.write(self._layout.work(f"sample/{name}"), table)
                part.outputs.append(output(self._layout, "work", written, rows=len(sample)))
        if batch.evidence:
            rows = sorted(batch.evidence, key=lambda one: (one.number, one.start, one.level))
            table = pa.table(
                {name: [getattr(row, name) for row in rows] for name in tables.DUPLICATES.names},
                schema=tables.DUPLICATES,
            )
            written = tables.write(self._layout.path(f"duplicates/{name}"), table)
            part.outputs.append(output(self._layout, "duplicates", written, rows=len(rows), source=source))
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
