"""Judges the documents of a finished run again by another recipe's thresholds, from the signals that it stored.

No text is read: thresholds are compared with the columns of ``filtered/`` and ``removed/``. What was never measured can't be
judged, and is counted as unknown with the reason why. Kept means here: passed all filters. Dedup, personal data and tokens
come after, and are not worked out again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from filters import language_models
from filters.filter import COMPARE, Filter, Rule
from filters.measuring import edits, measuring_settings
from pipeline import manifest, recipe_file, tables
from pipeline.layout import Layout
from pipeline.recipe import Chain, Recipe
from pipeline.sources.source import Source

KEPT: Final = "kept"
UNKNOWN: Final = "unknown: "
"""How the fate of a document begins that reaches a filter which did not measure it; the filter's name follows."""
EXAMPLES: Final = 3
_LATER: Final = ("pii.", "dedup.")
"""Reasons of the stages after the filters: documents so removed had passed these."""


@dataclass(frozen=True, slots=True)
class Step:
    """A filter of the new chain, for documents in its languages (none: all).

    ``place`` is that of the filter in the old chain that measured what it needs. Where there is none, ``why`` says why not.
    """

    filter: str
    rules: tuple[Rule, ...]
    languages: tuple[str, ...]
    place: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A document that ends elsewhere."""

    number: int
    source: str
    url: str
    before: str
    after: str


@dataclass(slots=True)
class Answer:
    """What would become of a source's documents: counts by fate before and after, and by change of fate.

    ``kept``, a reason, or ``unknown: `` and a filter. ``missing`` says of filters why they can't be judged.
    """

    source: str
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[Change]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    """The reasons of both chains in the order in which they are judged."""


def answers(
    out: str, recipe: Recipe, tell: Callable[[str], None], note: Callable[[Change], None] | None = None
) -> Iterator[Answer]:
    """What the recipe's thresholds would make of each source of a finished run, in the order of the run.

    ``tell`` is given what should be known besides, ``note`` every document that changes its fate. Raises FileNotFoundError
    where there is no finished run, ValueError where it can't be judged.
    """
    layout = Layout.of(out)
    made = manifest.read(layout)
    old = recipe_file.load(layout.recipe)
    new_sources = {one.name: one for one in recipe.sources}
    common = [one for one in old.sources if one.name in new_sources]
    if not common:
        raise ValueError(f"the recipe has none of the sources of {out}: {', '.join(one.name for one in old.sources)}")
    for message in _differences(made, old, recipe, common):
        tell(message)
    for source in common:
        steps = tuple(matched(old, old.chain(source), recipe, recipe.chain(new_sources[source.name])))
        yield _answer(layout, made, old, source, steps, note)


def matched(old: Recipe, before: Chain, new: Recipe, after: Chain) -> Iterator[Step]:
    """The filters of a new chain, each with the one of the old chain that measured the same of the same text."""
    measured = [_measured(old, before, at) for at in range(len(before))]
    for at, filter_ in enumerate(after):
        wanted = _measured(new, after, at)
        place = measured.index(wanted) if wanted in measured else None
        why = ""
        if place is None:
            why = _why_not(filter_, [one for one in before if one.name == filter_.name])
        elif any(_overwrites(later, before[place]) for later in before[place + 1 :]):
            place, why = None, "the run measured it twice under the same name, and kept the later values"
        yield Step(filter_.name, filter_.rules(), filter_.languages, place, why)


def _overwrites(later: Filter, earlier: Filter) -> bool:
    """Whether a filter measures signals of the same name as one before it, of the same documents."""
    same = {one.name for one in later.signals} & {one.name for one in earlier.signals}
    apart = later.languages and earlier.languages and not set(later.languages) & set(earlier.languages)
    return bool(same) and not apart


def _measured(recipe: Recipe, chain: Chain, at: int) -> str:
    """What the numbers of a filter depend on, as text: its settings, and the edits that the text has gone through."""

    def described(filter_: Filter) -> Any:
        used = filter_.model_dump(mode="json", include=set(measuring_settings(type(filter_))))
        trained = {name: recipe.models[name].model_dump(mode="json") for name in recipe.trains_for(filter_)}
        return [filter_.name, used, trained]

    by_language = chain[at].languages or language_models.LANGUAGE in (chain[at].reads_model() or "")
    edited = [described(one) for one in chain[:at] if edits(type(one)) or (by_language and one.name == "language")]
    return json.dumps([edited, described(chain[at])], sort_keys=True)


def _why_not(filter_: Filter, same: Sequence[Filter]) -> str:
    if not same:
        return "the run did not measure it"
    settings = sorted(measuring_settings(type(filter_)))
    changed = [name for name in settings if all(getattr(one, name) != getattr(filter_, name) for one in same)]
    if changed:
        return f"{', '.join(changed)} changes what is measured, not only what is removed"
    return "the text that it would measure has been edited in another way, or its model would be another"


def _differences(made: Mapping[str, Any], old: Recipe, new: Recipe, common: Sequence[Source]) -> Iterator[str]:
    """What a new run would do otherwise that stored signals say nothing about."""
    try:
        changed = old.digest != made["recipe"]
    except OSError:
        changed = True
    if changed:
        yield "a model, list or plugin of the run has changed since or is gone: judged is by what was measured then"
    new_sources = {one.name: one for one in new.sources}
    for source in old.sources:
        if source not in common:
            yield f"source {source.name!r} is not in the recipe: left out"
            continue
        ours, theirs = (one.model_dump(exclude={"filters", "paths"}) for one in (source, new_sources[source.name]))
        differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if differing:
            yield f"source {source.name!r}: {', '.join(differing)} differ from the run's; its texts are taken as they were"
    yield from (
        f"source {one.name!r} is not in the run: left out" for one in new.sources if one.name not in made["sources"]
    )


def _answer(
    layout: Layout,
    made: Mapping[str, Any],
    old: Recipe,
    source: Source,
    steps: Sequence[Step],
    note: Callable[[Change], None] | None,
) -> Answer:
    chain = old.chain(source)
    reasons: dict[str, int] = {}
    for place, filter_ in enumerate(chain):
        for rule in filter_.rules():
            reasons.setdefault(rule.reason, place)
    found = Answer(source.name, missing={one.filter: one.why for one in steps if one.place is None})
    judged = [rule.reason for one in steps for rule in one.rules]
    found.order = tuple(dict.fromkeys([*reasons, *judged]))
    for one in manifest.of_kind(made, "filtered", "removed"):
        if one["source"] == source.name:
            names = ["number", "url", "language", *(["signals"] if old.signals else [])]
            columns = [*names, "removed_by"] if one["kind"] == "removed" else names
            table = tables.read(layout.path(one["path"]), columns)
            _count(found, table, reasons, len(chain), old.measure_removed, steps, note)
    return found


def _count(
    found: Answer,
    table: pa.Table,
    reasons: Mapping[str, int],
    filters: int,
    measure_removed: bool,
    steps: Sequence[Step],
    note: Callable[[Change], None] | None,
) -> None:
    """Judge the documents of a table and add them to the answer."""
    before = np.full(len(table), KEPT, object)
    measured = np.full(len(table), filters)
    if "removed_by" in table.schema.names:
        reason = table.column("removed_by").to_pylist()
        later = np.array([one.startswith(_LATER) for one in reason], bool)
        table, before = table.filter(pa.array(~later)), np.array(reason, object)[~later]
        by_filter = {one: filters if measure_removed else place + 1 for one, place in reasons.items()}
        measured = np.array([by_filter.get(one, -1) for one in before], np.int64)
    after = _judged(table, before, measured, steps)
    found.before.update(before.tolist())
    found.after.update(after.tolist())
    moved = np.flatnonzero(before != after)
    if len(moved):
        numbers, urls = table.column("number").take(moved).to_pylist(), table.column("url").take(moved).to_pylist()
        for number, url, at in zip(numbers, urls, moved.tolist(), strict=True):
            change = Change(number, found.source, url or "", before[at], after[at])
            way = (change.before, change.after)
            found.changes[way] += 1
            if len(shown := found.examples.setdefault(way, [])) < EXAMPLES:
                shown.append(change)
            if note is not None:
                note(change)


def _judged(
    table: pa.Table, before: NDArray[np.object_], measured: NDArray[np.int64], steps: Sequence[Step]
) -> NDArray[np.object_]:
    """The new fate of every document: how many filters of the old chain measured it is in ``measured``, -1 for those that
    the source itself turned away.

    A document that some filter did not measure is removed if a later one surely removes it, else unknown.
    """
    fate = np.where(measured < 0, before, "")
    unsure = np.full(len(table), "", object)
    language = np.array(table.column("language").to_pylist(), object)
    for step in steps:
        meant = np.isin(language, step.languages) if step.languages else np.full(len(table), fill_value=True)
        known = (fate == "") & (step.place is not None) & (measured > (-1 if step.place is None else step.place))
        for rule in step.rules:
            if step.place is not None:
                fires = _fires(table, rule) & known & meant & (fate == "")
                fate = np.where(fires, rule.reason, fate)
        if step.rules:
            unsure = np.where((fate == "") & meant & ~known & (unsure == ""), UNKNOWN + step.filter, unsure)
    left = np.where(unsure == "", KEPT, unsure)
    return np.where(fate == "", left, fate)


def _fires(table: pa.Table, rule: Rule) -> NDArray[np.bool_]:
    values = pc.struct_field(table.column("signals").combine_chunks(), rule.signal)
    numbers = values.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return np.asarray(COMPARE[rule.comparison](numbers, rule.threshold)) & np.asarray(values.is_valid())


def as_line(change: Change) -> bytes:
    """A change as a line of JSON."""
    row = {name: getattr(change, name) for name in Change.__slots__}
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
