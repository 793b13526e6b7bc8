"""How long the texts are, in which languages, and what the filters measured, gathered file by file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from filters.filter import COMPARE, Rule, Signal
from pipeline.recipe import Recipe
from pipeline.report.sample import Sample

Numbers = NDArray[Any]

KEPT, REMOVED = "kept", "removed"
GROUPS = {KEPT: "documents", REMOVED: "removed"}
"""The two groups that are compared, and the tables they are read from."""

BINS = 36
SCOUTED_FILES = 64
"""Files of each group that are looked at first, to choose the axes."""
LENGTH_BINS_PER_DECADE = 8
LENGTH_DECADES = 9
MANY_TIMES = 5
"""A linear axis ends at the latest at so many times its largest threshold: else a threshold near 0 is out of sight."""


@dataclass(slots=True)
class Lengths:
    """Lengths of texts in characters: documents by bin, bin k from 10**(k / 8) up; their number and sum."""

    bins: Numbers = field(default_factory=lambda: np.zeros(LENGTH_BINS_PER_DECADE * LENGTH_DECADES, np.int64))
    documents: int = 0
    characters: int = 0

    def add(self, lengths: Numbers) -> None:
        """Count these lengths; empty texts (no document at all) are left out."""
        lengths = lengths[lengths > 0]
        places = np.floor(np.log10(lengths) * LENGTH_BINS_PER_DECADE).astype(np.int64)
        self.bins += np.bincount(np.minimum(places, len(self.bins) - 1), minlength=len(self.bins))
        self.documents += len(lengths)
        self.characters += int(lengths.sum())

    @property
    def mean(self) -> float:
        return self.characters / max(self.documents, 1)

    @property
    def median(self) -> float:
        """The median, as exact as the bins are (15 %)."""
        if not self.documents:
            return 0.0
        below = np.cumsum(self.bins)
        half = self.documents / 2
        place = int(np.searchsorted(below, half))
        inside = (half - (below[place] - self.bins[place])) / self.bins[place]
        return float(10 ** ((place + inside) / LENGTH_BINS_PER_DECADE))


@dataclass(frozen=True, slots=True)
class Language:
    """Documents in one language (as the filter's model calls it), kept and removed by filters."""

    name: str
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class Axis:
    """The bins of a histogram: ``edges`` increase; a value on an edge belongs to the bin on its ``closed`` side.

    What lies beyond either end is counted in the first or last bin.
    """

    edges: Numbers
    closed: str
    logarithmic: bool

    def bins_of(self, values: Numbers) -> Numbers:
        """How many of the values lie in each bin."""
        side: Any = "left" if self.closed == "right" else "right"
        places = np.searchsorted(self.edges, values, side=side) - 1
        return np.bincount(np.clip(places, 0, len(self.edges) - 2), minlength=len(self.edges) - 1)

    def place(self, value: float) -> float:
        """Where on the axis a value lies: 0 at the left end, 1 at the right."""
        first, last = self._scaled(self.edges[0]), self._scaled(self.edges[-1])
        return float(min(max((self._scaled(value) - first) / (last - first), 0.0), 1.0))

    def _scaled(self, value: float) -> float:
        return float(np.log1p(value)) if self.logarithmic else float(value)


@dataclass(slots=True)
class RuleShare:
    """A rule, and how many of the documents for which its signal was measured lie on its wrong side."""

    rule: Rule
    wrong: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Measured:
    """The distribution of one signal among the documents that went through one chain."""

    signal: Signal
    rules: tuple[RuleShare, ...]
    axis: Axis | None = None
    bins: dict[str, Numbers] = field(default_factory=dict)
    documents: Counter[str] = field(default_factory=Counter)
    above: Counter[str] = field(default_factory=Counter)

    def add(self, group: str, values: Numbers) -> None:
        """Count the values of some documents of a group."""
        self.documents[group] += len(values)
        for one in self.rules:
            one.wrong[group] += int(np.count_nonzero(COMPARE[one.rule.comparison](values, one.rule.threshold)))  # type: ignore[arg-type]
        if self.axis is not None:
            found = self.axis.bins_of(values)
            self.bins[group] = self.bins.get(group, np.zeros_like(found)) + found
            self.above[group] += int(np.count_nonzero(values > self.axis.edges[-1]))


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of filters: the sources that use it, and the signals that its rules judge, in order."""

    name: str
    sources: tuple[str, ...]
    signals: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Distributions:
    """All that is shown of the documents' lengths, languages and signals."""

    lengths: Mapping[str, Lengths]
    languages: tuple[Language, ...]
    chains: tuple[Chain, ...]


def gather(recipe: Recipe, sample: Sample) -> Distributions:
    """Read the kept and the removed documents of the sample, one file at a time."""
    chains = _chains(recipe)
    chain_of = {source: chain for chain in chains for source in chain.sources}
    _choose_axes(sample, chain_of)
    lengths = {group: Lengths() for group in GROUPS}
    languages: dict[str, Counter[str]] = {group: Counter() for group in GROUPS}
    for group, kind in GROUPS.items():
        for source, table in sample.read(kind, ["text", "language", "signals"]):
            lengths[group].add(pc.utf8_length(table.column("text")).to_numpy())
            for one in pc.value_counts(table.column("language")).to_pylist():
                languages[group][one["values"] or ""] += one["counts"]
            for measured, values in _values(table, chain_of.get(source)):
                measured.add(group, values)
    return Distributions(lengths, _languages(languages), chains)


def _chains(recipe: Recipe) -> tuple[Chain, ...]:
    """Every chain that sources use, with the signals that it judges."""
    sources: dict[str, list[str]] = defaultdict(list)
    for source in recipe.sources:
        if source.filters and recipe.chain(source):
            sources[source.filters].append(source.name)
    found = []
    for name, users in sources.items():
        signals = []
        for filter_ in recipe.chains[name]:
            rules = filter_.rules()
            for signal in filter_.signals:
                own = tuple(RuleShare(rule) for rule in rules if rule.signal == signal.name)
                if own:
                    signals.append(Measured(signal, own))
        found.append(Chain(name, tuple(users), tuple(signals)))
    return tuple(found)


def _values(table: pa.Table, chain: Chain | None) -> Iterator[tuple[Measured, Numbers]]:
    """The measured values of every signal that the chain judges."""
    if chain is None:
        return
    signals = table.column("signals").combine_chunks()
    for measured in chain.signals:
        if signals.type.get_field_index(measured.signal.name) >= 0:
            values = pc.struct_field(signals, measured.signal.name).drop_null().to_numpy(zero_copy_only=False)
            yield measured, values[np.isfinite(values)]


def _choose_axes(sample: Sample, chain_of: Mapping[str, Chain]) -> None:
    """Look at the first files of each group to see where the values lie."""
    seen: dict[int, tuple[Measured, list[Numbers]]] = {}
    for kind in GROUPS.values():
        for looked_at, (source, table) in enumerate(sample.read(kind, ["signals"])):
            if looked_at == SCOUTED_FILES:
                break
            for measured, values in _values(table, chain_of.get(source)):
                seen.setdefault(id(measured), (measured, []))[1].append(values)
    for measured, arrays in seen.values():
        measured.axis = axis(np.concatenate(arrays), [one.rule for one in measured.rules], measured.signal)


def axis(values: Numbers, rules: Sequence[Rule], signal: Signal) -> Axis | None:
    """Bins that show most of the values, and the thresholds of the rules as edges. None where there is no value.

    Signals without upper bound that reach far (words, perplexity) get an axis in log(1 + x).
    """
    if not len(values):
        return None
    thresholds = sorted({rule.threshold for rule in rules if np.isfinite(rule.threshold)})
    low, high = (float(one) for one in np.quantile(values, [0.002, 0.995]))
    logarithmic = signal.high == np.inf and low >= 0 and max(high, *thresholds) > 50
    if not logarithmic and thresholds and thresholds[-1] > 0:
        high = min(high, MANY_TIMES * thresholds[-1])
    low, high = min(low, *thresholds, high), max(high, *thresholds, low)
    forward, back = (np.log1p, np.expm1) if logarithmic else (_same, _same)
    first, last = float(forward(low)), float(forward(high))
    margin = (last - first) / 20 or 0.5
    first, last = max(first - margin, float(forward(signal.low))), min(last + margin, float(forward(signal.high)))
    step = (last - first) / BINS
    anchors = [float(forward(one)) for one in thresholds] or [first]
    if len(anchors) > 1:  # both thresholds on the grid
        step = (anchors[-1] - anchors[0]) / max(round((anchors[-1] - anchors[0]) / step), 1)
    start = anchors[0] - np.ceil((anchors[0] - first) / step - 1e-9) * step
    edges = back(start + step * np.arange(np.ceil((last - start) / step - 1e-9) + 1))
    if logarithmic and (values == np.round(values)).all():
        edges = np.unique(np.ceil(edges - 1e-9))  # no empty bins between whole numbers
    for threshold in thresholds:  # to the last bit, so that a value on the threshold falls on its own side
        edges[np.argmin(np.abs(edges - threshold))] = threshold
    edges = np.unique(np.clip(edges, signal.low, signal.high))
    if len(edges) < 2:
        edges = np.array([edges[0], edges[0] + 1.0])
    return Axis(edges, "right" if rules[0].comparison in ("<=", ">") else "left", logarithmic)


def _same(values: Any) -> Any:
    return values


def _languages(counts: Mapping[str, Counter[str]]) -> tuple[Language, ...]:
    """All languages, the most frequent among the kept documents first."""
    names = set(counts[KEPT]) | set(counts[REMOVED])
    found = [Language(name, counts[KEPT][name], counts[REMOVED][name]) for name in names]
    return tuple(sorted(found, key=lambda one: (-one.kept, -one.removed, one.name)))
