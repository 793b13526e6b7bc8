"""What a filter is: signals it measures, rules that judge them, and the registry of filters by name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from filters.document import Document

Comparison = Literal["<", "<=", ">", ">="]
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Signal:
    """A number that a filter measures: its name, the range it can take, and one line on what it is."""

    name: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Remove a document when ``signal comparison threshold`` holds; ``reason`` is what its fate is called then."""

    signal: str
    comparison: Comparison
    threshold: float
    reason: str

    def removes(self, signals: Mapping[str, float]) -> bool:
        """Whether the rule removes a document with these signals. A signal that was not measured removes nothing."""
        value = signals.get(self.signal)
        return value is not None and COMPARE[self.comparison](value, self.threshold)

    def can_fire(self, signal: Signal) -> bool:
        """Whether any value in the signal's range would make the rule remove a document."""
        return any(COMPARE[self.comparison](value, self.threshold) for value in (signal.low, signal.high))

    def always_fires(self, signal: Signal) -> bool:
        """Whether every value in the signal's range makes the rule remove the document."""
        return all(COMPARE[self.comparison](value, self.threshold) for value in (signal.low, signal.high))


class Filter(BaseModel):
    """The base of every filter. Its fields are what a recipe may set; a threshold set to null is a rule left out.

    A filter is copied and changed more often than it is configured, so it says everything in one place:
    ``signals`` (what it measures), ``measure`` (how), ``rules`` (who is removed). A filter that edits the text overrides
    ``clean``, which runs before ``measure``. Filters are pure: the same document gives the same numbers, anywhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    """The name in recipes; the signals are called ``<prefix>.<what is measured>``."""
    signals: ClassVar[tuple[Signal, ...]]
    model_kind: ClassVar[str] = ""
    """The kind of trained model that it reads, as the recipe's section ``models`` calls it."""

    languages: tuple[str, ...] = Field(
        (),
        description="only documents in these languages (found by `language` before) are measured and judged; none: all",
    )

    def __hash__(self) -> int:  # pydantic's can't take settings that are mappings
        return hash((self.name, self.model_dump_json()))

    def prepare(self) -> None:
        """Load what ``measure`` needs (models, lists); called once per process before the first document.

        Raises FileNotFoundError or ValueError with a message that says what to do.
        """

    def clean(self, document: Document) -> None:
        """Edit the text of the document; filters that only measure leave it alone."""

    def measure(self, document: Document) -> Mapping[str, float]:
        """The document's signals. A signal that is undefined for it (no words, say) is left out, never 0."""
        raise NotImplementedError

    def rules(self) -> tuple[Rule, ...]:
        """The rules in force under this filter's settings, in the order in which they are judged."""
        raise NotImplementedError

    def files(self) -> tuple[str, ...]:
        """Paths of the models and lists it reads: they count as part of the recipe, and ``check`` looks for them."""
        return ()

    def reads_model(self) -> str | None:
        """What a recipe gives as its trained model: a path, or a name of the section ``models``; None without one."""
        return None

    def with_models(self, places: Mapping[str, str]) -> Filter:
        """A copy that reads its model from the path that ``places`` has for it, if it has one."""
        del places
        return self


class Judge:
    """A filter at work: prepared once, its rules read once, then applied to document after document."""

    def __init__(self, filter_: Filter) -> None:
        filter_.prepare()
        self._filter = filter_
        self._rules = filter_.rules()

    def __call__(self, document: Document) -> None:
        """Clean, measure and judge: fills the document's signals and, where a rule fires, ``removed_by``.

        A document in none of the filter's languages is left alone.
        """
        if self._filter.languages and document.language not in self._filter.languages:
            return
        self._filter.clean(document)
        document.signals.update(self._filter.measure(document))
        for rule in self._rules:
            if not document.removed_by and rule.removes(document.signals):
                document.removed_by = rule.reason


FILTERS: dict[str, type[Filter]] = {}
"""Every known filter by its name in recipes; filled by ``register``."""


def register(filter_class: type[Filter]) -> type[Filter]:
    """Class decorator: make a filter known under its name. Raises ValueError when the name is taken."""
    taken = FILTERS.get(filter_class.name)
    if taken is not None and taken.__qualname__ != filter_class.__qualname__:
        raise ValueError(f"two filters are called {filter_class.name!r}: {taken!r} and {filter_class!r}")
    FILTERS[filter_class.name] = filter_class
    return filter_class


def rule_when(threshold: float | None, signal: str, comparison: Comparison, reason: str) -> tuple[Rule, ...]:
    """The rule for a threshold from the recipe, or none where the recipe says null."""
    return () if threshold is None else (Rule(signal, comparison, threshold, reason),)


def ratio(part: float, whole: float) -> float:
    """``part / whole``, and 0 where there is nothing to take a part of."""
    return part / whole if whole else 0.0
