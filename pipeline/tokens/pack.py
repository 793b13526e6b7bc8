"""Puts the shards together from the tokens that every split encoded for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
            facts = shard.write_shard(written.stream, _in_order([_mapped(one) for one in paths]), about)
        done = Part(item.name, 0, last=True)
        done.outputs.append(
            output(self._layout, "shard", written, rows=facts.documents, tokens=facts.tokens, source=source, split=part)
        )
        pulse.count(facts.documents, facts.documents)
        yield done


def _in_order(pieces: Sequence[pa.Table]) -> Iterator[shard.ShardDocument]:
    """The documents of encoded files by order, then id. One at a time: the tokens stay in the mapped files until then."""
    keys = pa.concat_tables([piece.select(["order", "id"]) for piece in pieces])
    places = pc.sort_indices(keys, [("order", "ascending"), ("id", "ascending")]).to_numpy().astype(np.int64)
    firsts = np.cumsum([0, *(piece.num_rows for piece in pieces)])
    of_piece = np.searchsorted(firsts, places, side="right") - 1
    readers = [_Piece(piece) for piece in pieces]
    for start in range(0, len(places), _AT_ONCE):
        chosen = of_piece[start : start + _AT_ONCE]
        rows = places[start : start + _AT_ONCE] - firsts[chosen]
        for number, row in zip(chosen.tolist(), rows.tolist(), strict=True):
            yield readers[number].document(row)


_AT_ONCE: Final = 1 << 16
"""Rows whose places become Python numbers at once."""


class _Piece:
    """The documents of one encoded file by their row."""

    def __init__(self, table: pa.Table) -> None:
        tokens, self._ids, self._numbers, self._urls = (
            table.column(name).combine_chunks() for name in ("tokens", "id", "number", "url")
        )
        self._offsets, self._values = tokens.offsets.to_numpy(), tokens.values.to_numpy()

    def document(self, row: int) -> shard.ShardDocument:
        tokens = self._values[self._offsets[row] : self._offsets[row + 1]]
        return shard.ShardDocument(tokens, self._ids[row].as_py(), self._numbers[row].as_py(), self._urls[row].as_py())


def _mapped(path: str) -> pa.Table:
    if files.is_remote(path):
        with files.open_read(path) as stream:
            return pa.ipc.open_file(pa.BufferReader(stream.read())).read_all()
    return pa.ipc.open_file(pa.memory_map(path)).read_all()
