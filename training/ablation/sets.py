"""The documents of an ablation: a clean held-out text, and three sets to train on that hold nothing like it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tokenizer.draws import keyed_hash
from tokenizer.encode import encoder_of
from tokenizer.shard import About, ShardDocument, Split, write_shard

KINDS: Mapping[str, tuple[str, ...]] = {
    "raw": ("filtered", "removed"),
    "filtered": ("filtered",),
    "deduplicated": ("documents",),
}
"""The folders of a run that make up each set: what was read, what the filters left, what dedup left of that."""

LARGEST_CLUSTER = 50
"""A document with more duplicates is not held out: all of them would have to leave the sets."""
NGRAM = 8
"""Tokens of the n-grams by which documents are compared with the held-out ones."""
MOST_SHARED = 0.2
"""A document that shares more of its n-grams with held-out ones, or has more of those of one of them, is not trained on."""
_BYTES_PER_TOKEN = 6
"""No fewer than most tokenizers reach, so that enough text is drawn."""
_KEY = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Row:
    """A document: its number in the run, its id, source and text."""

    number: int
    id: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """A set as it was written."""

    folder: Path
    documents: int
    tokens: int
    excluded: int
    """Documents drawn that are like held-out ones."""


class Sets:
    """The sets of one run, made for trainings on so many tokens."""

    def __init__(self, run: Path, tokens: int, held_out_tokens: int, seed: int = 0) -> None:
        """Draw the held-out documents. Raises FileNotFoundError, ValueError where the run lacks what is needed."""
        try:
            self._manifest: dict[str, Any] = json.loads((run / "manifest.json").read_bytes())
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{run} holds no finished run: it has no manifest.json") from error
        self._tokenizer = self._manifest.get("tokenizer")
        if not self._tokenizer:
            raise ValueError(f"{run} has no tokenizer: run its recipe with a tokenizer section")
        self._run, self._tokens, self._seed = run, tokens, seed
        self._encoder = encoder_of((run / self._tokenizer["path"]).read_bytes())
        self._clusters = _clusters(self._paths("duplicates"))
        self._held_out = self._draw_held_out(held_out_tokens)
        self._tokens_held_out = self._encoder.encode_documents([one.text for one in self._held_out])
        if not self._held_out:
            raise ValueError(f"{run} has too few documents to hold any out")
        banned = {self._clusters.get(one.number, one.number) for one in self._held_out}
        self._banned = banned
        self._index = NgramIndex(self._tokens_held_out)

    @property
    def held_out(self) -> tuple[int, int]:
        """Held-out documents, and their tokens."""
        return len(self._held_out), sum(map(len, self._tokens_held_out))

    def write(self, kind: str, folder: Path) -> Made:
        """Write a set, with the held-out text as its validation split, as a corpus that a training reads."""
        chosen = self._drawn(KINDS[kind])
        rows = [
            row
            for row in self._rows(KINDS[kind], chosen)
            if self._clusters.get(row.number, row.number) not in self._banned
        ]
        excluded = len(chosen) - len(rows)
        encoded = self._encoder.encode_documents([row.text for row in rows])
        kept = [(row, ids) for row, ids in zip(rows, encoded, strict=True) if not self._index.like(ids)]
        excluded += len(rows) - len(kept)
        if not kept:
            raise ValueError(f"{self._run} has no {kind} documents besides those held out")
        files = [
            self._shard(folder, "train", kept),
            self._shard(folder, "validation", list(zip(self._held_out, self._tokens_held_out, strict=True))),
        ]
        tokenizer = folder / "tokenizer" / Path(self._tokenizer["path"]).name
        tokenizer.parent.mkdir(parents=True, exist_ok=True)
        tokenizer.write_bytes((self._run / self._tokenizer["path"]).read_bytes())
        about = {**self._tokenizer, "path": f"tokenizer/{tokenizer.name}"}
        manifest = {"format": 1, "tokenizer": about, "files": [one for of_split in files for one in of_split]}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
        return Made(folder, len(kept), sum(len(ids) for _, ids in kept), excluded)

    def _paths(self, *kinds: str) -> list[Path]:
        return [self._run / one["path"] for one in self._manifest["files"] if one["kind"] in kinds]

    def _draw_held_out(self, tokens: int) -> list[Row]:
        """Kept documents in the order of a keyed hash, as many as make so many tokens, but no more than a twentieth of the text."""
        sizes = Sizes(self._paths("documents"), self._seed, b"held-out")
        members: dict[int, int] = {}
        for root in self._clusters.values():
            members[root] = members.get(root, 0) + 1
        chosen: set[int] = set()
        goal, held = min(tokens * _BYTES_PER_TOKEN, sizes.total / 20), 0
        for number, size in sizes.ordered():
            small = members.get(self._clusters.get(number, number), 1) <= LARGEST_CLUSTER
            if small and size <= max(goal / 4, 2 * sizes.mean):  # no single document is most of the text
                chosen.add(number)
                held += size
            if held >= goal:
                break
        return list(self._rows(("documents",), chosen))

    def _drawn(self, kinds: Sequence[str]) -> set[int]:
        """Documents of these folders in the order of a keyed hash, as many as the training needs once, if there are so many."""
        chosen, held = set(), 0
        for number, size in Sizes(self._paths(*kinds), self._seed, b"ablation").ordered():
            chosen.add(number)
            held += size
            if held >= self._tokens * _BYTES_PER_TOKEN:
                break
        return chosen

    def _rows(self, kinds: Sequence[str], numbers: set[int]) -> Iterator[Row]:
        wanted = pa.array(sorted(numbers), pa.uint64())
        for path in self._paths(*kinds):
            for batch in pq.ParquetFile(path).iter_batches(1024, columns=["number", "id", "source", "text"]):
                for row in batch.filter(pc.is_in(batch.column("number"), wanted)).to_pylist():
                    yield Row(**row)

    def _shard(self, folder: Path, split: Split, documents: list[tuple[Row, Any]]) -> list[dict[str, Any]]:
        """A shard for every source."""
        made = []
        for source in sorted({row.source for row, _ in documents}):
            path = folder / f"shards/{split}/{source}/00000-of-00001.arrow"
            path.parent.mkdir(parents=True, exist_ok=True)
            about = About(
                self._tokenizer["sha256"], self._manifest["recipe"], source, split, self._encoder.vocabulary, self._encoder.end_of_text
            )  # fmt: skip
            with path.open("wb") as stream:
                rows = (ShardDocument(ids, row.id, row.number, "") for row, ids in documents if row.source == source)
                counts = write_shard(stream, rows, about)
            made.append(
                {
                    "kind": "shard",
                    "path": str(path.relative_to(folder)),
                    "source": source,
                    "split": split,
                    "rows": counts.documents,
                    "tokens": counts.tokens,
                    "bytes": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
            )
        return made


class Sizes:
    """How many bytes of text the documents of some tables have, and a keyed hash of their ids; 24 bytes of memory for each."""

    def __init__(self, paths: Iterable[Path], seed: int, purpose: bytes) -> None:
        numbers, sizes, ranks = [], [], []
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(1024, columns=["number", "id", "text"]):
                lengths = pc.fill_null(pc.binary_length(batch.column("text")), 0)
                numbers.append(batch.column("number").to_numpy(zero_copy_only=False))
                sizes.append(lengths.to_numpy(zero_copy_only=False))
                ids = batch.column("id").to_pylist()
                ranks.append(np.array([keyed_hash(one, seed, purpose) for one in ids], np.uint64))
        self._numbers = np.concatenate(numbers) if numbers else np.zeros(0, np.uint64)
        self._sizes = np.concatenate(sizes) if sizes else np.zeros(0, np.int64)
        self._ranks = np.concatenate(ranks) if ranks else np.zeros(0, np.uint64)

    @property
    def total(self) -> int:
        """Bytes of all texts."""
        return int(self._sizes.sum())

    @property
    def mean(self) -> float:
        """Bytes of a text, of those that are not empty."""
        return self.total / max(1, int((self._sizes > 0).sum()))

    def ordered(self) -> Iterator[tuple[int, int]]:
        """Number and bytes of every document that has text, by rank."""
        for place in np.lexsort((self._numbers, self._ranks)):
            if self._sizes[place]:
                yield int(self._numbers[place]), int(self._sizes[place])


class NgramIndex:
    """Finds documents that are like some others, by the n-grams of tokens that they share."""

    def __init__(self, documents: Sequence[NDArray[Any]]) -> None:
        grams = [np.unique(ngrams(one)) for one in documents]
        self._counts = np.array([len(one) for one in grams], np.int64)
        owners = np.repeat(np.arange(len(grams)), self._counts)
        values = np.concatenate(grams) if grams else np.zeros(0, np.uint64)
        order = np.argsort(values, kind="stable")
        self._values, self._owners = values[order], owners[order]

    def like(self, tokens: NDArray[Any]) -> bool:
        """Whether the document shares more than ``MOST_SHARED`` of its n-grams with the indexed ones, or of one of theirs."""
        grams = np.unique(ngrams(tokens))
        low, high = np.searchsorted(self._values, grams, "left"), np.searchsorted(self._values, grams, "right")
        found = high > low
        if not found.any():
            return False
        if found.mean() > MOST_SHARED:
            return True
        places = np.concatenate([np.arange(a, b) for a, b in zip(low[found], high[found], strict=True)])
        shared = np.bincount(self._owners[places], minlength=len(self._counts))
        return bool((shared > MOST_SHARED * np.maximum(self._counts, 1)).any())


def ngrams(tokens: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash of every ``NGRAM`` tokens in a row; of all of them where there are fewer."""
    values = tokens.astype(np.uint64)
    width = max(1, min(NGRAM, len(values)))
    count = max(0, len(values) - width + 1)
    total = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(width):
            total = (total ^ (values[place : place + count] + np.uint64(1))) * _KEY
            total ^= total >> np.uint64(29)
    return total


def _clusters(paths: Iterable[Path]) -> dict[int, int]:
    """For every document that has duplicates in the run, the one that stands for its cluster."""
    parents: dict[int, int] = {}

    def root(one: int) -> int:
        while parents.setdefault(one, one) != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for path in paths:
        table = pq.read_table(path, columns=["number", "kept_number", "kept_corpus"])
        for row in table.to_pylist():
            if row["kept_number"] is not None and not row["kept_corpus"]:
                parents[root(row["number"])] = root(row["kept_number"])
    return {one: root(one) for one in parents}
