"""What dedup works on: the key files of this run and of its references, gathered into blocks of documents."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline import files, manifest
from pipeline.dedup.runs import CORPUS_BITS, Rows
from pipeline.dedup.settings import Dedup
from pipeline.layout import Layout

DOCUMENTS_PER_BLOCK = 1 << 17
"""Documents whose signatures are held at a time: some 60 MB."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of ``keys/``: the corpus it is of (0: this run), its documents (first and last number), its keys by level.

    ``name`` is SOURCE/SPLIT-PART.parquet: so are called, below the folder ``out``, the tables with the same documents.
    ``survivors`` of them stand in the corpus of a reference (0 for this run, which has no corpus yet).
    """

    out: str
    name: str
    corpus: int
    first: int
    last: int
    documents: int
    addresses: int
    signatures: int
    spans: int
    lines: int
    survivors: int = 0

    @property
    def path(self) -> str:
        return files.join(self.out, "keys", self.name)

    def keys(self, level: str, bands: int) -> int:
        """How many keys of a level it holds."""
        counts = {"exact": self.documents, "url": self.addresses, "near": self.signatures * bands, "spans": self.spans}
        return counts.get(level, self.lines)


@dataclass(frozen=True)
class Inputs:
    """Key files in the order of their documents, cut into blocks.

    ``edges`` has the place of each block's first file, and at its end the number of files; ``own`` is the number of blocks that
    hold this run's documents, which come first.
    """

    files: tuple[KeyFile, ...]
    edges: tuple[int, ...]
    own: int

    @property
    def blocks(self) -> int:
        return len(self.edges) - 1

    def block(self, number: int) -> Sequence[KeyFile]:
        """The files of a block."""
        return self.files[self.edges[number] : self.edges[number + 1]]

    def blocks_of(self, numbers: Rows) -> Rows:
        """The block that each document number lies in."""
        return np.searchsorted(self._block_firsts, numbers, side="right")

    def file_of(self, number: int) -> KeyFile:
        """The file that a document's keys lie in."""
        return self.files[int(np.searchsorted(self._file_firsts, np.uint64(number), side="right")) - 1]

    @functools.cached_property
    def _file_firsts(self) -> Rows:
        return np.array([one.first for one in self.files], np.uint64)

    @functools.cached_property
    def _block_firsts(self) -> Rows:
        return np.array([self.files[edge].first for edge in self.edges[1:-1]], np.uint64)


def make(layout: Layout, dedup: Dedup, prepared: Sequence[dict[str, Any]]) -> Inputs:
    """The inputs of a run from the commits of its first stage, in plan order, and from the manifests of its references."""
    found = list(_key_files(layout.out, 0, (one for commit in prepared for one in commit["outputs"])))
    edges = _edges(found, 0)
    own = len(edges)
    for corpus, out in enumerate(dedup.reference, 1):
        folder = Layout.of(out)
        known = _reference(folder, corpus)
        edges += _edges(known, len(found))
        found += known
    return Inputs(tuple(found), (*edges, len(found)), own)


def _reference(folder: Layout, corpus: int) -> list[KeyFile]:
    """The key files of an earlier run, in the order of their documents."""
    made = manifest.read(folder)
    corpus_rows = {one["path"].partition("/")[2]: one["rows"] for one in manifest.of_kind(made, "documents")}
    found = _key_files(folder.out, corpus, manifest.of_kind(made, "keys"))
    return sorted((replace(one, survivors=corpus_rows.get(one.name, 0)) for one in found), key=lambda one: one.first)


def _key_files(out: str, corpus: int, outputs: Iterable[dict[str, Any]]) -> Iterator[KeyFile]:
    for one in outputs:
        if one["kind"] == "keys":
            first, last = (int(one[name]) | corpus << CORPUS_BITS for name in ("first", "last"))
            counts = (one[name] for name in ("rows", "addresses", "signatures", "spans", "lines"))
            yield KeyFile(out, one["path"].removeprefix("keys/"), corpus, first, last, *counts)


def _edges(found: Sequence[KeyFile], start: int) -> list[int]:
    """The places where blocks begin: a block ends before the file with which it would hold too many documents."""
    edges: list[int] = []
    held = 0
    for place, one in enumerate(found, start):
        if not edges or held + one.documents > DOCUMENTS_PER_BLOCK:
            edges.append(place)
            held = 0
        held += one.documents
    return edges


def save(inputs: Inputs, layout: Layout) -> None:
    """Write the inputs where the stages find them: they may be too large to travel with every step of a job."""
    files.write_json(_path(layout), asdict(inputs))


def load(layout: Layout) -> Inputs:
    """The inputs of the run in this folder, read once a process."""
    (found,) = files.find(_path(layout))
    return _load(found.path, found.changed)


def _path(layout: Layout) -> str:
    return layout.work("dedup/inputs.json")


@functools.lru_cache(maxsize=2)
def _load(path: str, changed: float) -> Inputs:
    del changed
    written = files.read_json(path)
    return Inputs(tuple(KeyFile(**one) for one in written["files"]), tuple(written["edges"]), written["own"])
