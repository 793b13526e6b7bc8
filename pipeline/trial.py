"""Tries a recipe's rules on the built-in sample: a rule that removes every good document there is a mistake, or meant.

Each chain is tried on the kind of documents that its sources read, prose or code, and where the chain says which languages it
keeps, on documents in these alone; a language that the sample lacks can't be tried. Every rule is judged for itself, on the
documents on which its signal is measured, after the cleaning of the filters before it. What depends on a file of the
user's (a model, a list) or comes from a plugin is not tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from filters import catalog, sample
from filters.document import Document
from filters.filter import Filter, Judge, Rule
from pipeline.recipe import Chain, Recipe


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that removes the whole sample: its place in the recipe, and what to say of it."""

    place: tuple[Any, ...]
    message: str


def findings(recipe: Recipe) -> Iterator[Finding]:
    """The rules that remove every document they should be able to keep, but for those that ``alarms.intended`` names."""
    for name, chain in recipe.chains.items():
        told: set[Finding] = set()
        for prose in sorted({source.prose for source in recipe.sources if source.filters == name}):
            documents = sample.prose() if prose else sample.code()
            tried = [_can_be_tried(filter_) and not recipe.trains_for(filter_) for filter_ in chain]
            for finding in _chain(name, chain, tried, documents, recipe.alarms.intended):
                if finding not in told:
                    told.add(finding)
                    yield finding


def _can_be_tried(filter_: Filter) -> bool:
    """Whether a filter comes with corpusmill and depends on no file of the user's."""
    return not filter_.files() and type(filter_).__module__.startswith("filters.")


def _chain(
    name: str, chain: Chain, can_be_tried: Sequence[bool], documents: list[Document], intended: Sequence[str]
) -> Iterator[Finding]:
    long = sample.long()
    for index, filter_ in enumerate(chain):
        if filter_.name == "language":
            documents = [document for document in documents if _kept(filter_, document)]
            continue
        if not can_be_tried[index]:
            continue
        filter_.prepare()
        tried = [document for document in documents if document.text and _measured(filter_, document)]
        if not tried:
            continue
        _measured(filter_, long)
        always = [rule for rule in filter_.rules() if _removes_all(filter_, rule, tried, long)]
        for rule in always:
            if rule.reason not in intended:
                yield _finding(("filters", name, index, filter_.name), filter_, rule, tried)
        if always:  # what the filters behind it would say follows from this
            return


def _kept(filter_: Filter, document: Document) -> bool:
    Judge(filter_)(document)
    return not document.removed_by


def _measured(filter_: Filter, document: Document) -> bool:
    """Cleans and measures a document; False if the filter is not for documents in its language."""
    if filter_.languages and document.language not in filter_.languages:
        return False
    filter_.clean(document)
    document.signals.update(filter_.measure(document))
    return True


def _removes_all(filter_: Filter, rule: Rule, tried: Sequence[Document], long: Document) -> bool:
    """Whether a rule removes every document that it can judge, the long one too where it asks for more of something."""
    judged = [document for document in tried if rule.signal in document.signals]
    unbounded = any(signal.name == rule.signal and signal.high == math.inf for signal in filter_.signals)
    if unbounded and rule.comparison in ("<", "<="):
        judged.append(long)
    return bool(judged) and all(rule.removes(document.signals) for document in judged)


def _finding(place: tuple[Any, ...], filter_: Filter, rule: Rule, tried: Sequence[Document]) -> Finding:
    values = [document.signals[rule.signal] for document in tried if rule.signal in document.signals]
    setting = catalog.settings_of(filter_).get(rule.reason)
    return Finding(
        (*place, setting) if setting else place,
        f"rule {rule.reason} removes every one of {len(values)} sample documents: {rule.signal} is {min(values):.4g} to "
        f"{max(values):.4g} there, always {rule.comparison} {rule.threshold:g}; change the threshold, set it to null to leave "
        f"the rule out, or add {rule.reason} to alarms.intended if you mean it",
    )
