"""What the manifest alone says: totals, the funnel of every source, personal data, tokens, and files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.recipe import Recipe
from pipeline.sources.source import Source

COLOURS = 8
"""Filters of a chain that have a colour of their own."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One way out of the funnel: how many records took it, and how many were still there before and after.

    ``stage`` is what colours it: ``source`` (the source itself found no document), ``filter-0`` to ``filter-7`` (which
    filter of the chain, going round), ``dedup`` or ``failed``; ``filter`` is the filter's name.
    """

    reason: str
    stage: str
    filter: str
    count: int
    before: int

    @property
    def after(self) -> int:
        return self.before - self.count


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the records of one source. read = kept + all losses; ``text`` is bytes of UTF-8 that were kept."""

    source: str
    kind: str
    chain: str
    read: int
    kept: int
    removed: int
    failed: int
    text: int
    tokens: int
    spans_cut: int
    characters_cut: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all sources."""

    read: int
    kept: int
    removed: int
    failed: int
    text: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Entity:
    """How often one kind of personal data was replaced, by source (in recipe order), and what stands there now."""

    name: str
    placeholder: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class ShardGroup:
    """The token shards of one source and part: how many, with how many documents, tokens and bytes."""

    source: str
    split: str
    shards: int
    documents: int
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The files of one kind."""

    kind: str
    files: int
    rows: int
    bytes: int


def funnels(recipe: Recipe, manifest: Mapping[str, Any]) -> tuple[Funnel, ...]:
    """The funnel of every source, in recipe order."""
    return tuple(_funnel(recipe, source, manifest["sources"][source.name]) for source in recipe.sources)


def _funnel(recipe: Recipe, source: Source, fates: Mapping[str, Any]) -> Funnel:
    facts = fates["facts"]
    losses, left = [], fates["read"]
    for reason, stage, filter_, count in _in_order(recipe, source, fates):
        losses.append(Loss(reason, stage, filter_, count, left))
        left -= count
    return Funnel(
        source=source.name,
        kind=str(getattr(source, "kind", "")),
        chain=source.filters or "none",
        read=fates["read"],
        kept=fates["kept"],
        removed=sum(fates["removed"].values()),
        failed=sum(fates["failed"].values()),
        text=facts.get("text_bytes", 0),
        tokens=facts.get("tokens", 0),
        spans_cut=facts.get("spans_cut", 0),
        characters_cut=facts.get("characters_cut", 0),
        losses=tuple(losses),
    )


def _in_order(recipe: Recipe, source: Source, fates: Mapping[str, Any]) -> list[tuple[str, str, str, int]]:
    """Reason, stage, filter and count of every loss: by the source, by filters in order, by dedup, and what failed."""
    places: dict[str, tuple[int, str, str]] = {}
    for index, filter_ in enumerate(recipe.chain(source)):
        for rule in filter_.rules():
            places.setdefault(rule.reason, (len(places), f"filter-{index % COLOURS}", filter_.name))
    found = []
    for reason, count in fates["removed"].items():
        late = (len(places), "dedup", "") if reason.startswith("dedup.") else (-1, "source", "")
        place, stage, name = places.get(reason, late)
        found.append(((place, -count, reason), (reason, stage, name, count)))
    for step, count in fates["failed"].items():
        found.append(((len(places) + 1, -count, step), (f"failed: {step}", "failed", "", count)))
    return [loss for _, loss in sorted(found)]


def totals(found: Sequence[Funnel]) -> Totals:
    """The sums of all funnels."""
    return Totals(*(sum(getattr(one, name) for one in found) for name in Totals.__slots__))


def reasons(found: Sequence[Funnel]) -> dict[str, int]:
    """How many documents each reason removed, over all sources, in the order of the pipeline."""
    counts: Counter[str] = Counter()
    places: dict[str, tuple[int, int, int]] = {}
    for turn, funnel in enumerate(found):
        for place, loss in enumerate(funnel.losses):
            if loss.stage != "failed":
                counts[loss.reason] += loss.count
                places.setdefault(loss.reason, ({"source": 0, "dedup": 2}.get(loss.stage, 1), turn, place))
    return {reason: counts[reason] for reason in sorted(counts, key=lambda one: (places[one], one))}


def personal_data(recipe: Recipe, manifest: Mapping[str, Any]) -> tuple[Entity, ...]:
    """Replacements by kind and source, for every kind that the recipe looks for."""
    if not recipe.pii:
        return ()
    facts = [manifest["sources"][source.name]["facts"] for source in recipe.sources]
    return tuple(
        Entity(name, recipe.pii.placeholders[name], tuple(one.get(f"pii.{name}", 0) for one in facts))
        for name in recipe.pii.entities
    )


def shard_groups(recipe: Recipe, manifest: Mapping[str, Any]) -> tuple[ShardGroup, ...]:
    """The shards by source and part, sources in recipe order."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in manifest["files"]:
        if one["kind"] == "shard":
            groups[one["source"], one["split"]].append(one)
    order = [source.name for source in recipe.sources]
    return tuple(
        ShardGroup(source, split, len(rows), *(sum(row[name] for row in rows) for name in ("rows", "tokens", "bytes")))
        for (source, split), rows in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    )


def file_groups(manifest: Mapping[str, Any]) -> tuple[FileGroup, ...]:
    """The files of a run by kind, in the order in which the stages write them."""
    order = (
        "filtered",
        "removed",
        "failed",
        "keys",
        "duplicates",
        "documents",
        "tokenizer",
        "vocabulary",
        "shard",
    )
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in manifest["files"]:
        groups[one["kind"]].append(one)
    known = [kind for kind in order if kind in groups]
    return tuple(
        FileGroup(
            kind,
            len(groups[kind]),
            sum(one.get("rows", 0) for one in groups[kind]),
            sum(one["bytes"] for one in groups[kind]),
        )
        for kind in [*known, *sorted(set(groups) - set(known))]
    )
