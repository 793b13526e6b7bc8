"""Stops a run that removes so much that it is probably a mistake: a wrong rule, a broken source, a dedup gone wild."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.manifest import Fates
from pipeline.recipe import Recipe


class Implausible(Exception):  # noqa: N818
    """A source or a dedup level removed more than its band allows."""


NOT_DOCUMENTS = ("warc.", "http.", "links.")
"""Reasons that say that a record was no document to begin with, or not asked for: they are no sign of a wrong rule."""

DOCUMENT_STAGES = {"dedup-exact": "exact", "dedup-url": "url", "dedup-decide-near": "near"}
"""Stages that decide on whole documents, and the level that each decides: they are looked at before text is read again."""

LEVELS = {
    "benchmark_removed": ("dedup.benchmark.",),
    "sentence_removed": ("dedup.sentence.",),
    "dedup_removed": ("dedup.",),
}
"""Alarms that the last stage of dedup may raise, and the reasons that each counts."""

Commits = Mapping[str, Sequence[dict[str, Any]]]


def check(recipe: Recipe, stage: str, commits: Commits) -> Iterator[str]:
    """Warnings after a stage; with ``alarms.action: stop`` the first one is raised as Implausible."""
    for message in _found(recipe, stage, commits):
        if recipe.alarms.action == "stop":
            raise Implausible(
                f"{message} If this is meant, raise that limit in the recipe, or set alarms.action: warn."
            )
        yield message


def _found(recipe: Recipe, stage: str, commits: Commits) -> Iterator[str]:
    for source in recipe.sources:
        if stage == "prepare":
            fates = _fates(commits["prepare"], source.name)
            yield from _too_many(recipe, source.name, "source_removed", fates.removed, fates.kept, NOT_DOCUMENTS)
        elif stage == "finish":
            fates = _fates(commits["finish"], source.name)
            for alarm, reasons in LEVELS.items():
                removed = Counter({why: count for why, count in fates.removed.items() if why.startswith(reasons)})
                rest = fates.kept + fates.removed.total() - removed.total()
                yield from _too_many(recipe, source.name, alarm, removed, rest)
            yield from _too_much_text(recipe, source.name, fates)
        elif level := DOCUMENT_STAGES.get(stage):
            gone = sum(commit["counts"].get(f"{source.name}|{level}", 0) for commit in commits[stage])
            seen = _fates(commits["prepare"], source.name).kept
            yield from _too_many(
                recipe, source.name, f"{level}_removed", Counter({f"dedup {level}": gone}), seen - gone
            )


def _fates(commits: Sequence[dict[str, Any]], source: str) -> Fates:
    """What became of a source's documents in a stage."""
    fates = Fates()
    for commit in commits:
        if commit["item"].rpartition("/")[0] == source:
            fates.add(commit["counts"], "finish")
    return fates


def _too_many(
    recipe: Recipe, source: str, alarm: str, removed: Counter[str], kept: int, left_out: tuple[str, ...] = ()
) -> Iterator[str]:
    reasons = Counter({why: count for why, count in removed.items() if not why.startswith(left_out or ("\0",))})
    gone = reasons.total()
    seen = kept + gone
    limit = getattr(recipe.alarms, alarm)
    if seen >= recipe.alarms.min_documents and gone > limit * seen:
        reason, count = min(reasons.items(), key=lambda one: (-one[1], one[0]))
        yield (
            f"source {source!r}: {gone} of {seen} documents were removed, more than alarms.{alarm} = {limit:g}; "
            f"most of them by {reason} ({count})."
        )


def _too_much_text(recipe: Recipe, source: str, fates: Fates) -> Iterator[str]:
    """Whether more of the text that was searched for repeated spans was cut than is plausible."""
    cut, seen = fates.facts["characters_cut"], fates.facts["characters_searched"]
    limit = recipe.alarms.text_cut
    if fates.kept + fates.removed.total() >= recipe.alarms.min_documents and cut > limit * seen:
        yield (
            f"source {source!r}: {cut} of {seen} characters were cut out of documents, more than "
            f"alarms.text_cut = {limit:g}."
        )
