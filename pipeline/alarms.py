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


def check(recipe: Recipe, stage: str, commits: Mapping[str, Sequence[dict[str, Any]]]) -> Iterator[str]:
    """Warnings after a stage; with ``alarms.action: stop`` the first one is raised as Implausible."""
    for message in _found(recipe, stage, commits):
        if recipe.alarms.action == "stop":
            raise Implausible(
                f"{message} If this is meant, raise that limit in the recipe, or set alarms.action: warn."
            )
        yield message


def _found(recipe: Recipe, stage: str, commits: Mapping[str, Sequence[dict[str, Any]]]) -> Iterator[str]:
    if stage not in ("prepare", "finish"):
        return
    for source in recipe.sources:
        fates = Fates()
        for commit in commits[stage]:
            if commit["item"].rpartition("/")[0] == source.name:
                fates.add(commit["counts"], "finish")
        reasons = Counter({why: count for why, count in fates.removed.items() if not why.startswith(NOT_DOCUMENTS)})
        gone = reasons.total()
        seen = fates.kept + gone
        limit = recipe.alarms.source_removed if stage == "prepare" else recipe.alarms.dedup_removed
        if seen >= recipe.alarms.min_documents and gone > limit * seen:
            reason, count = min(reasons.items(), key=lambda one: (-one[1], one[0]))
            name = "source_removed" if stage == "prepare" else "dedup_removed"
            yield (
                f"source {source.name!r}: {gone} of {seen} documents were removed, more than alarms.{name} = {limit:g}; "
                f"most of them by {reason} ({count})."
            )
