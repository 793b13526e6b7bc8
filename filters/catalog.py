"""All filters by name: those that come with corpusmill, and those from modules that a recipe names."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from filters import (  # noqa: F401 - importing a filter's module registers it
    boilerplate,
    c4,
    chinese,
    chinese_script,
    code_quality,
    fineweb,
    gopher_quality,
    gopher_repetition,
    keywords,
    language,
    length,
    line_language,
    perplexity,
    quality_classifier,
    url,
    word_segmenter,
)
from filters.datatrove import c4 as _c4  # noqa: F401
from filters.datatrove import quality as _quality  # noqa: F401
from filters.datatrove import repetition as _repetition  # noqa: F401
from filters.filter import FILTERS, Filter
from filters.heuristics import data_juicer, madlad, nemo, redpajama, refinedweb, token_repetition  # noqa: F401

__all__ = ["FILTERS", "conditions", "documentation", "load_plugins", "settings_of"]


def load_plugins(modules: Sequence[str]) -> None:
    """Imports modules that define filters of their own with ``@register``, as ``my_package.my_filter``.

    Raises whatever importing one raises; ValueError if a filter's name is taken.
    """
    for module in modules:
        importlib.import_module(module)


def documentation() -> str:
    """The filter reference in Markdown: each filter's definition, settings, signals and rules. Ends with a newline."""
    parts = ["# Filters\n\nGenerated from the filters themselves. A threshold set to `null` is a rule left out.\n"]
    parts += [_section(FILTERS[name]) for name in sorted(FILTERS)]
    return "\n".join(parts)


def _section(filter_class: type[Filter]) -> str:
    definition = inspect.getdoc(sys.modules[filter_class.__module__]) or inspect.getdoc(filter_class) or ""
    lines = [f"## {filter_class.name}", "", definition.replace("``", "`"), ""]
    lines += ["| Setting | Type | Default | |", "| --- | --- | --- | --- |"]
    for name, field in filter_class.model_fields.items():
        lines.append(f"| `{name}` | {_type(field)} | {_default(field)} | {field.description or ''} |")
    lines += ["", "| Signal | Range | Meaning |", "| --- | --- | --- |"]
    for signal in filter_class.signals:
        lines.append(f"| `{signal.name}` | {signal.low:g} to {signal.high:g} | {signal.meaning} |")
    lines += ["", "| Reason | Removes when |", "| --- | --- |"]
    lines += [f"| `{reason}` | {condition} |" for reason, condition in conditions(filter_class)]
    return "\n".join(lines) + "\n"


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return name.replace("typing.", "").replace(" | ", " or ").replace("None", "null")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or isinstance(field.default, bool):
        return {None: "null", True: "true", False: "false"}[field.default]
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`"


def conditions(filter_class: type[Filter]) -> list[tuple[str, str]]:
    """Reason and condition of every rule that the filter can have, with the name of the setting that is its threshold.

    To learn which setting that is, the filter is made with a number of its own for each threshold, which then turns
    up in the rules.
    """
    values: dict[str, Any] = {}
    names: dict[float, str] = {}
    for number, (name, field) in enumerate(filter_class.model_fields.items()):
        if _is_threshold(field):
            values[name] = 1e6 + number
            names[1e6 + number] = name
        elif field.default == ():
            values[name] = ("",)  # something is listed, so that rules about it are there
    filter_ = filter_class.model_construct(None, **values)
    return [
        (rule.reason, f"`{rule.signal}` {rule.comparison} {_threshold(names, rule.threshold)}".replace("<", "&lt;"))
        for rule in filter_.rules()
    ]


def _is_threshold(field: FieldInfo) -> bool:
    """Whether a setting is a number that may be null: what thresholds are, whatever else they may be."""
    kinds = get_args(field.annotation)
    return type(None) in kinds and bool({float, int} & set(kinds))


def settings_of(filter_: Filter) -> dict[str, str]:
    """The setting that holds the threshold of each rule in force, by reason; rules without such a setting are left out."""
    found: dict[str, str] = {}
    for name, field in type(filter_).model_fields.items():
        if _is_threshold(field) and isinstance(getattr(filter_, name), float | int | str):
            without = {rule.reason for rule in filter_.model_copy(update={name: None}).rules()}
            found |= {rule.reason: name for rule in filter_.rules() if rule.reason not in without}
    return found


def _threshold(names: dict[float, str], value: float) -> str:
    return f"`{names[value]}`" if value in names else f"{value:g}"
