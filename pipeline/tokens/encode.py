"""Encodes every document and sorts its tokens by the shard that they go to."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline import files, plan, pulse, tables
from pipeline.layout import Layout
from pipeline.prepare import RECORD_MASK, Failure, describe, of_failures
from pipeline.recipe import Recipe, Shards
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from pipeline.tokens.placing import HELD_OUT, TRAIN, ShardName, shard_counts
from tokenizer import shard
from tokenizer.encode import Encoder, encoder_of
from tokenizer.sentencepiece_model import SentencePieceEncoder


def tokenizer_of(layout: Layout) -> dict[str, Any]:
    """The manifest's row of the run's tokenizer."""
    commit = committed(layout, "train-tokenizer", "tokenizer")
    assert commit is not None
    return next(one for one in commit["outputs"] if one["kind"] == "tokenizer")


AnyEncoder = Encoder | SentencePieceEncoder


@functools.lru_cache(maxsize=2)
def _encoder(path: str, digest: str) -> AnyEncoder:
    """The tokenizer of a run, once a process."""
    with files.open_read(path) as stream:
        encoder = encoder_of(stream.read())
    if encoder.digest != digest:
        raise ValueError(f"{path} has changed since it was trained: run again with --fresh")
    return encoder


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
        trained = tokenizer_of(self._layout)
        encoder = _encoder(self._layout.path(trained["path"]), trained["sha256"])
        commit = committed(self._layout, "finish", item.name)
        assert commit is not None
        paths = [self._layout.path(one["path"]) for one in commit["outputs"] if one["kind"] == "documents"]
        for number, path in enumerate(paths):
            part = Part(item.name, number, last=number == len(paths) - 1)
            table = tables.read(path, ["id", "number", "url", "text", "source", "language", "origin"])
            tokens = self._tokens(item, part, encoder, table)
            part.counts.update(_sizes(table, tokens))
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

    def _tokens(self, item: Item, part: Part, encoder: AnyEncoder, table: pa.Table) -> list[Any]:
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


def _sizes(table: pa.Table, tokens: Sequence[Any]) -> Counter[str]:
    """Bytes of text and tokens by source and language."""
    counts: Counter[str] = Counter()
    for source, language, text, encoded in zip(*_columns(table, "source", "language", "text"), tokens, strict=True):
        if encoded is not None:
            counts[f"{source}|encoded_bytes.{language or '?'}"] += len(text.encode("utf-8", "surrogatepass"))
            counts[f"{source}|encoded_tokens.{language or '?'}"] += len(encoded)
    return counts


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
