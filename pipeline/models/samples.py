"""Reads the drawn documents back: those of lowest rank up to a bound, in plan order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from pipeline import plan, tables
from pipeline.layout import Layout
from pipeline.models.draw import DrawSamples, Role
from pipeline.stage import committed


@dataclass(frozen=True, slots=True)
class Sample:
    """Documents of one model and role. ``last`` is the highest rank that belongs to it, -1 for an empty one.

    ``documents`` and ``text`` (bytes) are what it holds, ``sources`` its documents by source.
    """

    paths: tuple[str, ...]
    last: int
    documents: int
    text: int
    sources: dict[str, int]

    def texts(self, last: int | None = None) -> Iterator[str]:
        """The texts in plan order, or of them those up to a rank."""
        for _, text in self.ranked(last):
            yield text

    def ranked(self, last: int | None = None) -> Iterator[tuple[int, str]]:
        """Rank and text of its documents in plan order."""
        limit = self.last if last is None else min(last, self.last)
        for path in self.paths:
            table = tables.read(path)
            for rank, text in zip(table.column("rank").to_pylist(), table.column("text").to_pylist(), strict=True):
                if rank <= limit:
                    yield rank, text


def drawn(layout: Layout, model: str, role: Role, text: int | None = None, documents: int | None = None) -> Sample:
    """The documents of lowest rank, as many as the bounds allow: at least one, where any was drawn."""
    paths, ranks, sizes, sources = [], [np.empty(0, np.uint64)], [np.empty(0, np.int64)], []
    for split in plan.load(layout).splits:
        for one in (committed(layout, DrawSamples.name, split.name) or {"outputs": []})["outputs"]:
            if (one["model"], one["role"]) == (model, role):
                path = layout.path(one["path"])
                table = tables.read(path)
                paths.append(path)
                ranks.append(table.column("rank").to_numpy())
                sizes.append(pc.binary_length(table.column("text")).to_numpy().astype(np.int64))
                sources += [one["source"]] * len(table)
    rank, size = np.concatenate(ranks), np.concatenate(sizes)
    order = np.argsort(rank, kind="stable")
    total = np.cumsum(size[order])
    count = len(order)
    if text is not None:
        count = min(count, max(1, int(np.searchsorted(total, text, "right"))))
    if documents is not None:
        count = min(count, documents)
    if not count:
        return Sample(tuple(paths), -1, 0, 0, {})
    names = Counter(sources[at] for at in order[:count].tolist())
    return Sample(tuple(paths), int(rank[order[count - 1]]), count, int(total[count - 1]), dict(sorted(names.items())))
