"""Puts the shards together from the tokens that every split encoded for them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline import files, plan, pulse
from pipeline.layout import Layout
from pipeline.recipe import Recipe
from pipeline.stage import Commit, Item, Part, Stage, committed, output
from pipeline.tokens.encode import tokenizer_of
from pipeline.tokens.placing import HELD_OUT, TRAIN, ShardName, shard_counts
from tokenizer import shard


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
        trained = tokenizer_of(self._layout)
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
        orders, names, numbers, urls = (table.column(one).to_pylist() for one in ("order", "id", "number", "url"))
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
