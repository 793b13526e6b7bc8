"""The last stages: train the tokenizer on a drawn sample, encode every document, and pack the shards.

train (once) ─► encode (per split, placed by keyed hash) ─► pack (per shard)      (tokens move once, through files)
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline import files, plan, pulse, tables
from pipeline.layout import Layout
from pipeline.prepare import RECORD_MASK, Failure, describe, of_failures
from pipeline.recipe import Recipe, Shards
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from tokenizer import bpe, shard
from tokenizer.encode import Encoder

HELD_OUT: Final = "validation"
TRAIN: Final = "train"
ENCODED_BATCH = 256
"""Documents encoded at a time."""


@dataclass(frozen=True)
class Train(Stage):
    """Trains the tokenizer on the sample that the documents were drawn into, or takes the one that the recipe names."""

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
        if settings.path:
            with files.open_read(settings.path) as stream:
                text = stream.read().decode()
        else:
            text = bpe.to_text(bpe.train(self._sample(), settings))
        encoder = Encoder(text)
        written = files.write_text(self._layout.tokenizer, text)
        part = Part(item.name, 0, last=True)
        facts = {
            "vocabulary": encoder.vocabulary,
            "end_of_text": encoder.end_of_text,
            "engine": encoder.engine,
            "trained": settings.path is None,
        }
        part.outputs.append(output(self._layout, "tokenizer", written, rows=0, **facts))
        yield part

    def _sample(self) -> Iterator[str]:
        for split in plan.load(self._layout).splits:
            commit = committed(self._layout, "finish", split.name)
            assert commit is not None
            for one in commit["outputs"]:
                if one["kind"] == "work":
                    yield from tables.read(self._layout.path(one["path"])).column("text").to_pylist()


@functools.lru_cache(maxsize=2)
def _encoder(path: str, digest: str) -> Encoder:
    """The tokenizer of a run, once a process."""
    with files.open_read(path) as stream:
        encoder = Encoder(stream.read().decode())
    if encoder.digest != digest:
        raise ValueError(f"{path} has changed since it was trained: run again with --fresh")
    return encoder


@dataclass(frozen=True, slots=True)
class ShardName:
    """One shard of one source: the held-out or the training part, its number, and how many there are."""

    source: str
    part: str
    number: int
    of: int

    @property
    def path(self) -> str:
        """Path below the output folder."""
        return f"shards/{self.part}/{self.source}/{self.number:05d}-of-{self.of:05d}.arrow"


def shard_counts(settings: Shards, texts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """How many shards each source gets, by (source, part), from its bytes of text."""
    shares = {TRAIN: 1 - settings.validation, HELD_OUT: settings.validation}
    return {
        (source, part): max(1, -int(-text * share // settings.size))
        for source, text in texts.items()
        for part, share in shares.items()
    }


@dataclass(frozen=True)
class Encode(Stage):
    """Encodes the documents of every split and sorts the tokens by the shard that they go to."""

    recipe: Recipe
    layout: Layout
    texts: Mapping[str, int]
    name: str = "encode"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        found = []
        for split in plan.load(self.layout).splits:
            commit = committed(self.layout, "finish", split.name)
            assert commit is not None
            size = sum(one["bytes"] for one in commit["outputs"] if one["kind"] == "documents")
            if size:
                found.append(Item(split.name, size, (split,)))
        return found

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        settings = self.recipe.shards
        assert settings
        return (
            items
            | "encode" >> beam.ParDo(_Encode(self.layout, settings, shard_counts(settings, self.texts)))
            | Commit(self.name, self.layout)
        )


class _Encode(beam.DoFn):
    """Encodes the documents of a split, file by file, and writes their tokens grouped by shard."""

    def __init__(self, layout: Layout, settings: Shards, counts: Mapping[tuple[str, str], int]) -> None:
        self._layout = layout
        self._settings = settings
        self._counts = counts

    def process(self, item: Item) -> Iterator[Part]:
        (trained,) = (committed(self._layout, "train-tokenizer", "tokenizer") or {})["outputs"]
        encoder = _encoder(self._layout.tokenizer, trained["sha256"])
        commit = committed(self._layout, "finish", item.name)
        assert commit is not None
        paths = [self._layout.path(one["path"]) for one in commit["outputs"] if one["kind"] == "documents"]
        for number, path in enumerate(paths):
            part = Part(item.name, number, last=number == len(paths) - 1)
            table = tables.read(path, ["id", "number", "url", "text", "source", "origin"])
            tokens = self._tokens(item, part, encoder, table)
            places = [self._place(source, name) for source, name in zip(*_columns(table, "source", "id"), strict=True)]
            groups: dict[ShardName, list[int]] = defaultdict(list)
            for row, (name, _) in enumerate(places):
                if tokens[row] is not None:
                    groups[name].append(row)
            for name in sorted(groups, key=lambda one: one.path):
                rows = sorted(groups[name], key=lambda row: (places[row][1], table.column("id")[row].as_py()))
                made = _encoded(
                    table, rows, [places[row][1] for row in rows], [tokens[row] for row in rows], encoder.dtype
                )
                written = _write_encoded(self._layout.work(f"tokens/{name.path}/{item.name}-{number:02d}.arrow"), made)
                facts = {"rows": len(rows), "shard": name.path, "source": name.source, "part": name.part}
                part.outputs.append(output(self._layout, "work", written, **facts))
            pulse.count(table.num_rows, table.num_rows)
            yield part

    def _place(self, source: str, document_id: str) -> tuple[ShardName, int]:
        """The shard of a document and its order there, by keyed hash of its id."""
        place = shard.place(document_id, self._counts[source, TRAIN], self._settings.validation, self._settings.seed)
        of = self._counts[source, place.split]
        if place.split == HELD_OUT:
            place = shard.place(document_id, of, self._settings.validation, self._settings.seed)
        return ShardName(source, place.split, place.shard, of), place.order

    def _tokens(self, item: Item, part: Part, encoder: Encoder, table: pa.Table) -> list[Any]:
        """The tokens of every document, None for one that can't be encoded: it moves from kept to failed."""
        (split,) = item.splits
        skip = dict(item.skip)
        found: list[Any] = []
        failures = []
        for row, (number, text) in enumerate(zip(*_columns(table, "number", "text"), strict=True)):
            record = number & RECORD_MASK
            pulse.at(split.index, record)
            try:
                if record in skip:
                    raise ValueError(skip[record])
                found += encoder.encode_documents([text])
            except ValueError as error:
                failures.append(_failure(table.slice(row, 1).to_pylist()[0], describe(error)))
                found.append(None)
        pulse.rest()
        if failures:
            path = self._layout.path(f"failed/{item.name}-{part.number:02d}-encode.parquet")
            written = tables.write(path, of_failures(failures))
            part.outputs.append(output(self._layout, "failed", written, rows=len(failures), source=split.source))
            part.counts.update({f"{split.source}|failed|encode": len(failures), f"{split.source}|kept": -len(failures)})
        return found


def _failure(row: Mapping[str, Any], cause: str) -> Failure:
    return Failure(row["number"], row["source"], **row["origin"], url=row["url"], step="encode", cause=cause)


def _columns(table: pa.Table, *names: str) -> tuple[list[Any], ...]:
    return tuple(table.column(name).to_pylist() for name in names)


def _encoded(
    table: pa.Table, rows: Sequence[int], orders: Sequence[int], tokens: Sequence[Any], dtype: Any
) -> pa.Table:
    """The rows that go to one shard, in its order, as a table."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(one) for one in tokens], out=offsets[1:])
    values = pa.array(np.concatenate(tokens).astype(dtype, copy=False))
    taken = table.select(["id", "number", "url"]).take(rows)
    return taken.append_column("order", pa.array(orders, pa.uint64())).append_column(
        "tokens", pa.LargeListArray.from_arrays(pa.array(offsets), values)
    )


def _write_encoded(path: str, table: pa.Table) -> files.Written:
    with files.replacing(path) as written, pa.ipc.new_file(written.stream, table.schema) as writer:
        writer.write_table(table)
    return written


@dataclass(frozen=True)
class Pack(Stage):
    """Puts together the shards: every shard gathers its documents from what the splits encoded for it."""

    recipe: Recipe
    layout: Layout
    texts: Mapping[str, int]
    name: str = "pack"
    unit: str = "documents"

    def items(self) -> Sequence[Item]:
        settings = self.recipe.shards
        assert settings
        pieces = self._pieces()
        found = []
        for (source, part), of in shard_counts(settings, self.texts).items():
            names = [ShardName(source, part, number, of) for number in range(of)]
            if any(name.path in pieces for name in names):
                found += [Item(name.path.removesuffix(".arrow"), sum(pieces.get(name.path, [0]))) for name in names]
        return found

    def _pieces(self) -> dict[str, list[int]]:
        """Sizes of the encoded files that belong to each shard."""
        pieces: dict[str, list[int]] = defaultdict(list)
        for one in _encoded_files(self.layout):
            pieces[one["shard"]].append(one["bytes"])
        return pieces

    def transform(self, items: beam.PCollection) -> beam.PCollection:
        return (
            items | "pack shards" >> beam.ParDo(_Pack(self.recipe.digest, self.layout)) | Commit(self.name, self.layout)
        )


def _encoded_files(layout: Layout) -> Iterator[dict[str, Any]]:
    for split in plan.load(layout).splits:
        commit = committed(layout, "encode", split.name)
        yield from (commit or {"outputs": []})["outputs"]


class _Pack(beam.DoFn):
    """Gathers the documents of one shard, orders them by keyed hash and writes the shard."""

    def __init__(self, recipe: str, layout: Layout) -> None:
        self._recipe = recipe
        self._layout = layout

    def process(self, item: Item) -> Iterator[Part]:
        path = f"{item.name}.arrow"
        folder, part, source, _ = path.split("/")
        del folder
        paths = [self._layout.path(one["path"]) for one in _encoded_files(self._layout) if one["shard"] == path]
        rows = sorted(_encoded_rows(paths), key=lambda row: (row[0], row[1].document_id))
        (trained,) = (committed(self._layout, "train-tokenizer", "tokenizer") or {})["outputs"]
        with files.replacing(self._layout.path(path)) as written:
            about = shard.About(
                tokenizer=trained["sha256"],
                recipe=self._recipe,
                source=source,
                split=TRAIN if part == TRAIN else HELD_OUT,
                vocabulary=trained["vocabulary"],
                end_of_text=trained["end_of_text"],
            )
            facts = shard.write_shard(written.stream, (document for _, document in rows), about)
        done = Part(item.name, 0, last=True)
        done.outputs.append(
            output(self._layout, "shard", written, rows=facts.documents, tokens=facts.tokens, source=source, split=part)
        )
        pulse.count(len(rows), len(rows))
        yield done


def _encoded_rows(paths: Iterable[str]) -> Iterator[tuple[int, shard.ShardDocument]]:
    """The documents of encoded files with their order; the tokens are views of mapped files."""
    for path in paths:
        table = _mapped(path)
        orders, names, numbers, urls = _columns(table, "order", "id", "number", "url")
        for row, tokens in enumerate(_lists(table.column("tokens"))):
            yield orders[row], shard.ShardDocument(tokens, names[row], numbers[row], urls[row])


def _mapped(path: str) -> pa.Table:
    if files.is_remote(path):
        with files.open_read(path) as stream:
            return pa.ipc.open_file(pa.BufferReader(stream.read())).read_all()
    return pa.ipc.open_file(pa.memory_map(path)).read_all()


def _lists(column: pa.ChunkedArray) -> Iterator[Any]:
    for chunk in column.chunks:
        offsets, values = chunk.offsets.to_numpy(), chunk.values.to_numpy()
        yield from (values[start:stop] for start, stop in itertools.pairwise(offsets))
