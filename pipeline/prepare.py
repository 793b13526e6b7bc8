"""The first stage: read a split, extract text, measure and judge it, and write what was kept with its dedup keys.

read and extract ─► one step a filter ─► write      (no shuffle; a batch is a bounded run of one split's records)
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from filters.document import Document, Origin
from filters.filter import Filter, Judge
from pipeline import http_files, plan, pulse, tables
from pipeline.dedup import benchmarks, key_table, keys, store
from pipeline.layout import Layout
from pipeline.links import Listed, open_list
from pipeline.models.at_hand import at_hand
from pipeline.plan import document_number
from pipeline.recipe import Recipe
from pipeline.sources.crawl.selection import NOT_LISTED, Pages
from pipeline.sources.source import FilePart, NotADocument, Record, Source
from pipeline.stage import Commit, Item, Part, Stage, WholeCoder, output

WORKER = "worker"
"""The step of a record that was given up because it stopped its worker, wherever that was."""
MAX_CAUSE = 500
"""Characters kept of an error message: it may quote the input."""


@dataclass(slots=True)
class Failure:
    """A record that ended in ``failed/``: where it lies, at which step, and why."""

    number: int
    source: str
    file: str
    offset: int
    length: int
    url: str
    step: str
    cause: str


@dataclass(slots=True)
class Batch:
    """A bounded run of the records of one split, in order: documents on their way, and those that failed."""

    item: str
    split: int
    part: int
    last: bool
    documents: list[Document] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def fail(self, document: Document, step: str, cause: str) -> None:
        """Move a document to the failures."""
        self.failures.append(
            Failure(
                document.number,
                document.source,
                document.origin.file,
                document.origin.offset,
                document.origin.length,
                document.url,
                step,
                cause[:MAX_CAUSE],
            )
        )


beam.coders.registry.register_coder(Batch, WholeCoder)


def describe(error: BaseException) -> str:
    """An exception as one line: its type and message."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:MAX_CAUSE]


@dataclass(frozen=True)
class Prepare(Stage):
    """Reads every split of the plan and writes ``filtered/``, ``removed/``, ``failed/`` and ``keys/``."""

    recipe: Recipe
    layout: Layout
    sources: tuple[str, ...] | None = None
    """The sources that the items come from, where that is known: the graph has no steps for others."""
    name: str = "prepare"
    unit: str = "records"

    def items(self) -> Sequence[Item]:
        return [Item(split.name, split.size, (split,)) for split in plan.load(self.layout).splits]

    def narrowed(self, items: Sequence[Item]) -> Prepare:
        return replace(self, sources=tuple(item.splits[0].source for item in items))

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        written = []
        for source in self.recipe.sources:
            if self.sources is not None and source.name not in self.sources:
                continue
            batches = (
                items
                | f"splits of {source.name}" >> beam.Filter(is_of, source.name)
                | f"{source.name}: read and extract"
                >> beam.ParDo(Read(self.recipe, source, self.layout)).with_output_types(Batch)
            )
            for index, filter_ in enumerate(self.recipe.chain_at_work(source, self.layout)):
                step = f"{source.name}: {index + 1} {filter_.name}"
                batches |= step >> beam.ParDo(_Filter(filter_, self.recipe.measure_removed)).with_output_types(Batch)
            written.append(batches | f"{source.name}: write" >> beam.ParDo(_Write(self.recipe, source, self.layout)))
        return written | "all sources" >> beam.Flatten() | Commit(self.name, self.layout)


def is_of(item: Item, source: str) -> bool:
    """Whether an item is a split of the source."""
    return item.splits[0].source == source


class Read(beam.DoFn):
    """Reads the records of a split and makes their texts, in bounded batches."""

    def __init__(self, recipe: Recipe, source: Source, layout: Layout) -> None:
        self._limits = recipe.limits
        self._source = source
        self._layout = layout
        self._links: Listed | None = None

    def process(self, item: Item) -> Iterator[Batch]:
        (split,) = item.splits
        if isinstance(self._source, Pages) and self._source.select:
            self._links = open_list(self._layout, self._source.name)
        skip = dict(item.skip)
        batch = Batch(item.name, split.index, 0, last=False)
        size = 0
        number = 0
        for part in split.parts:
            for record in self._records(split.index, part, number):
                document = self._document(batch, part, record, split.index, number, skip.get(number))
                number += 1
                if document is not None:
                    batch.documents.append(document)
                    size += len(document.text)
                full = len(batch.documents) + len(batch.failures) >= self._limits.batch_documents
                if full or size >= self._limits.batch_text:
                    pulse.rest()
                    yield batch
                    batch, size = Batch(item.name, split.index, batch.part + 1, last=False), 0
        pulse.rest()
        batch.last = True
        yield batch

    def _records(self, split: int, part: FilePart, number: int) -> Iterator[Record]:
        """The records of a file; a file that can't be opened, or a reader that gives up, is one failed record.

        Not so a file that a network keeps from us: then the run must stop, for with a better one its output would differ.
        """
        pulse.at(split, number)
        try:
            for record in self._source.read(part, self._limits.record):
                yield record
                number += 1
                pulse.at(split, number)
        except http_files.Unreachable:
            raise
        except (OSError, ValueError) as error:
            yield Record(part.start, part.stop - part.start, failure=describe(error))

    def _document(
        self, batch: Batch, part: FilePart, record: Record, split: int, number: int, guilty: str | None
    ) -> Document | None:
        document = Document(
            id=document_id(self._source.name, part.name, record.offset, record.length),
            text="",
            source=self._source.name,
            origin=Origin(part.name, record.offset, record.length),
            number=document_number(split, number),
            url=valid(record.url),
            date=valid(record.date),
            metadata=record.metadata,
        )
        if guilty is not None or record.failure or record.text is None:
            step = "read" if guilty is None else WORKER
            batch.fail(document, step, guilty or record.failure or "the reader gave no text")
            return None
        try:
            document.text = valid(self._text(record, record.text))
        except NotADocument as outcome:
            document.removed_by = outcome.reason
        except Exception as error:  # noqa: BLE001 - whatever a page does to a parser is that page's failure
            batch.fail(document, "extract", describe(error))
            return None
        document.url, document.date = valid(record.url), valid(record.date)
        document.metadata = {name: valid(value) for name, value in record.metadata.items()}
        if not document.removed_by and not document.text.strip():
            document.removed_by = "extraction.empty"
        return document

    def _text(self, record: Record, make: Callable[[], str]) -> str:
        """The text of a record; of pages that no link leads to it is not even made. Raises NotADocument."""
        if self._links is None:
            return make()
        if record.url and record.url not in self._links:
            raise NotADocument(NOT_LISTED)
        text = make()
        if not record.url:  # what has none may be no document for another reason, which then is told
            raise NotADocument(NOT_LISTED)
        return text


def document_id(source: str, file: str, offset: int, length: int) -> str:
    """A document's id: 128 bits, as hexadecimal, of where it was read. Stable while the file and its name stay."""
    place = f"{source}\0{file}\0{offset}\0{length}"
    return hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def valid(text: str) -> str:
    """The text with lone surrogates (JSON allows them) replaced, so that it can be written as UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_LOADING = threading.Lock()


def judge(filter_: Filter) -> Judge:
    """The prepared filter, once a process, however many threads an engine runs in it: its models are loaded the first time."""
    with _LOADING:
        return _judge(filter_)


@functools.cache
def _judge(filter_: Filter) -> Judge:
    return Judge(at_hand(filter_))


class _Filter(beam.DoFn):
    """Applies one filter to the documents that are still there."""

    def __init__(self, filter_: Filter, measure_removed: bool) -> None:
        self._filter = filter_
        self._measure_removed = measure_removed

    def process(self, batch: Batch) -> Iterator[Batch]:
        apply = judge(self._filter)
        going_on = []
        for document in batch.documents:
            if not document.removed_by or (self._measure_removed and document.text):
                pulse.at(batch.split, document.number & RECORD_MASK)
                try:
                    apply(document)
                except Exception as error:  # noqa: BLE001 - a text that breaks a filter is that document's failure
                    batch.fail(document, self._filter.name, describe(error))
                    continue
                if document.removed_by:
                    document.forget_views()
            going_on.append(document)
        pulse.rest()
        batch.documents = going_on
        yield batch


RECORD_MASK = document_number(1, 0) - 1


class _Write(beam.DoFn):
    """Writes a batch: kept documents and their dedup keys, removed documents, failures."""

    def __init__(self, recipe: Recipe, source: Source, layout: Layout) -> None:
        self._recipe = recipe
        self._source = source
        self._layout = layout

    def process(self, batch: Batch) -> Iterator[Part]:
        kept: list[Document] = []
        removed: list[Document] = []
        for document in batch.documents:
            (removed if document.removed_by else kept).append(document)
        part = Part(batch.item, batch.part, batch.last)
        part.counts.update(counts(self._source.name, kept, removed, batch.failures))
        name = f"{batch.item}-{batch.part:02d}.parquet"
        texts = sum(len(document.text.encode()) for document in kept)
        if kept and self._recipe.dedup:
            table, hits = self._keys(batch, kept)
            written = key_table.write(self._layout.path(f"keys/{name}"), table)
            part.outputs.append(output(self._layout, "keys", written, **key_table.facts(table)))
            if len(hits):
                written = store.save(benchmarks.hits_file(self._layout, name), hits)
                part.outputs.append(output(self._layout, "work", written, rows=len(hits)))
        for kind, documents in (("filtered", kept), ("removed", removed)):
            if documents:
                schema = tables.documents(self._recipe.signals, removed=kind == "removed")
                table = tables.of_documents(documents, schema)
                written = tables.write(self._layout.path(f"{kind}/{name}"), table)
                facts = {"rows": len(documents), "source": self._source.name}
                part.outputs.append(
                    output(self._layout, kind, written, **facts, **({"text": texts} if kind == "filtered" else {}))
                )
        if batch.failures:
            written = tables.write(self._layout.path(f"failed/{name}"), of_failures(batch.failures))
            facts = {"rows": len(batch.failures), "source": self._source.name}
            part.outputs.append(output(self._layout, "failed", written, **facts))
        pulse.count(len(batch.documents) + len(batch.failures), len(kept))
        yield part

    def _keys(self, batch: Batch, kept: Sequence[Document]) -> tuple[pa.Table, Any]:
        """The dedup keys of documents, and what of benchmarks stands in them (an array of HIT)."""
        dedup = self._recipe.dedup
        assert dedup
        priority = self._recipe.priority(self._source.name)
        ranks = [keys.rank(priority, document, dedup.survivor) for document in kept]
        hits = [np.empty(0, benchmarks.HIT)]
        if dedup.decontaminate:
            index = benchmarks.load(self._layout)
            for document in kept:
                pulse.at(batch.split, document.number & RECORD_MASK)
                hits.append(benchmarks.hits(document, index, dedup.decontaminate))
                document.forget_views()
            pulse.rest()
        found = keys.of_documents(kept, dedup, self._source.name in self._recipe.sentence_sources())
        return key_table.made([document.number for document in kept], ranks, found), np.concatenate(hits)


def counts(source: str, kept: Sequence[Any], removed: Sequence[Document], failures: Sequence[Failure]) -> Counter[str]:
    """Records by source and fate: ``source|read``, ``source|kept``, ``source|removed|reason``, ``source|failed|step``."""
    found: Counter[str] = Counter()
    found[f"{source}|read"] = len(kept) + len(removed) + len(failures)
    found[f"{source}|kept"] = len(kept)
    found.update(f"{source}|removed|{document.removed_by}" for document in removed)
    found.update(f"{source}|failed|{failure.step}" for failure in failures)
    return found


def of_failures(failures: Iterable[Failure]) -> pa.Table:
    """Failures as a table, in record order."""
    ordered = sorted(failures, key=lambda failure: failure.number)
    return pa.table(
        {
            name: [valid(value) if isinstance(value := getattr(one, name), str) else value for one in ordered]
            for name in tables.FAILED.names
        },
        schema=tables.FAILED,
    )
