"""What dedup found: counts by level, the largest clusters, the sites that repeat most, the spans cut most often."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import tables
from pipeline.dedup import evidence
from pipeline.report.facts import Funnel
from pipeline.report.sample import PLACE, Place, Sample, find_rows, place_of

Numbers = NDArray[Any]

LEVELS = tuple(level for level in evidence.WHOLE if not level.startswith("reference."))
"""The levels that remove a document as a whole in favour of another of this run: what makes a cluster."""
CUT = (evidence.SPAN, evidence.REFERENCE_SPAN, evidence.BOILERPLATE)
"""The levels that cut a part of a document because it stands elsewhere."""
LINK = np.dtype([("number", "<u8"), ("kept", "<u8"), ("similarity", "<f4"), ("level", "u1")])
"""A removed document, the one it was removed for, how similar they are, and at which of LEVELS."""
MAX_CHAIN = 64
"""Steps from a removed document to the one that stays in the end; more than two are rare."""
SHOWN_CLUSTERS, SHOWN_MEMBERS = 8, 6
SHOWN_SITES = 12
SHOWN_SPANS = 8
MAX_SPANS = 200_000
"""Different spans counted at a time; beyond that, those seen least so far are forgotten."""
SIZES = ((2, 2), (3, 3), (4, 5), (6, 10), (11, 100), (101, np.inf))
"""Classes of cluster sizes, from and to, the document that stays included."""
SIMILARITY_EDGES = np.linspace(0.5, 1, 21)


@dataclass(frozen=True, slots=True)
class Level:
    """How many documents of each source (in recipe order) one level of dedup removed."""

    reason: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster, the level at which it was removed (or ``kept``), and how similar it is to the kept one."""

    level: str
    similarity: float
    source: str
    place: Place


@dataclass(frozen=True, slots=True)
class Cluster:
    """A document that stays, the beginning of its text, and documents that were removed for it (the first few)."""

    size: int
    kept: Member
    text: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All that is shown of duplicates.

    ``similarities`` are near-duplicates by bin of SIMILARITY_EDGES, ``sizes`` clusters by class of SIZES; ``sites`` and
    ``spans`` come with how often they occur.
    """

    levels: tuple[Level, ...]
    clusters: tuple[Cluster, ...]
    sizes: tuple[int, ...]
    similarities: Numbers
    sites: tuple[tuple[str, int], ...]
    spans: tuple[tuple[str, int], ...]

    @property
    def removed(self) -> int:
        return sum(level.total for level in self.levels)


def gather(funnels: Sequence[Funnel], sample: Sample) -> Duplicates:
    """Read the evidence of the sample, one split at a time."""
    found: list[Numbers] = [np.empty(0, LINK)]
    spans: Counter[str] = Counter()
    sites: Counter[str] = Counter()
    for split in sample.names:
        gone: list[Numbers] = []
        for path in sample.paths(split, "duplicates"):
            table = tables.read(path, ["number", "level", "kept_number", "similarity", "text"])
            _count_spans(spans, _of_levels(table, CUT).column("text"))
            found.append(_links(table))
            gone.append(_of_levels(table, evidence.WHOLE).column("number").to_numpy())
        _count_sites(sites, sample, split, np.concatenate(gone) if gone else np.empty(0, np.uint64))
    links = np.concatenate(found)
    roots = final(links["number"], links["kept"])
    kept, counts = np.unique(roots, return_counts=True)
    sizes = counts + 1
    near = links["similarity"][
        np.isin(links["level"], [place for place, name in enumerate(LEVELS) if name.endswith("near")])
    ]
    return Duplicates(
        levels=_levels(funnels),
        clusters=_largest(sample, links, roots, kept, sizes),
        sizes=tuple(int(np.count_nonzero((sizes >= low) & (sizes <= high))) for low, high in SIZES),
        similarities=np.histogram(np.clip(near, SIMILARITY_EDGES[0], SIMILARITY_EDGES[-1]), SIMILARITY_EDGES)[0],
        sites=tuple(_top(sites, SHOWN_SITES)),
        spans=tuple(one for one in _top(spans, SHOWN_SPANS) if one[1] > 1),
    )


def _of_levels(table: pa.Table, levels: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table.column("level"), value_set=pa.array(levels)))


def _links(table: pa.Table) -> Numbers:
    """The documents of a table of evidence that were removed as a whole, as an array of LINK."""
    codes = pc.index_in(table.column("level"), pa.array(LEVELS))
    table, codes = table.filter(pc.is_valid(codes)), codes.drop_null()
    links = np.empty(table.num_rows, LINK)
    for name, column in (("number", "number"), ("kept", "kept_number"), ("similarity", "similarity")):
        links[name] = pc.fill_null(table.column(column), 0).to_numpy()
    links["level"] = codes.to_numpy()
    return links


def _levels(funnels: Sequence[Funnel]) -> tuple[Level, ...]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(funnels))
    for place, funnel in enumerate(funnels):
        for loss in funnel.losses:
            if loss.stage == "dedup":
                counts[loss.reason][place] += loss.count
    return tuple(Level(reason, tuple(counts[reason])) for reason in sorted(counts))


def _top(counts: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:number]


def _count_spans(spans: Counter[str], texts: Any) -> None:
    for one in pc.value_counts(texts).to_pylist():
        spans[one["values"]] += one["counts"]
    if len(spans) > MAX_SPANS:
        kept = _top(spans, MAX_SPANS // 2)
        spans.clear()
        spans.update(dict(kept))


_HOST = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)", re.IGNORECASE)


def _count_sites(sites: Counter[str], sample: Sample, split: str, numbers: Numbers) -> None:
    """The hosts of the URLs of the documents that dedup removed from a split."""
    for path in sample.paths(split, "filtered") if len(numbers) else ():
        table = tables.read(path, ["number", "url"])
        urls = table.column("url").filter(np.isin(table.column("number").to_numpy(), numbers)).to_pylist()
        sites.update(match[1].lower() for url in urls if (match := _HOST.match(url or "")))


def final(gone: Numbers, kept: Numbers) -> Numbers:
    """For each removed document the one that stays in the end.

    What it was removed for may itself be gone for another: an exact duplicate of a near-duplicate.
    """
    order = np.argsort(gone, kind="stable")
    roots = kept.copy()
    for _ in range(MAX_CHAIN if len(gone) else 0):
        place = order[np.minimum(np.searchsorted(gone, roots, sorter=order), len(gone) - 1)]
        moves = (gone[place] == roots) & (kept[place] != roots)
        if not moves.any():
            break
        roots[moves] = kept[place[moves]]
    return roots


def _largest(sample: Sample, links: Numbers, roots: Numbers, kept: Numbers, sizes: Numbers) -> tuple[Cluster, ...]:
    """The largest clusters, with their documents looked up."""
    top = np.lexsort((kept, -sizes))[:SHOWN_CLUSTERS]
    shown = {int(kept[one]): np.sort(links[roots == kept[one]], order="number")[:SHOWN_MEMBERS] for one in top}
    members = {int(number) for own in shown.values() for number in own["number"]}
    documents = find_rows(sample, "filtered", shown.keys(), ["source", *PLACE, "text"])
    others = find_rows(sample, "filtered", members, ["source", *PLACE])
    found = []
    for place in top:
        root = int(kept[place])
        row = documents[root]
        gone = tuple(
            _member(others[int(one["number"])], LEVELS[one["level"]], float(one["similarity"])) for one in shown[root]
        )
        found.append(Cluster(int(sizes[place]), _member(row, "kept", 1.0), row["text"], gone))
    return tuple(found)


def _member(row: Mapping[str, Any], level: str, similarity: float) -> Member:
    return Member(level, similarity, row["source"], place_of(row))
