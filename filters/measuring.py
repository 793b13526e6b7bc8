"""Which settings of a filter only judge: with other values of these, its signals stay as they were measured."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap

from filters.filter import Filter

Method = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def measuring_settings(filter_class: type[Filter]) -> frozenset[str]:
    """The settings that the filter reads while it cleans or measures, and those that all filters have.

    Found in its source: every ``self.SETTING`` in ``clean``, ``measure`` and the methods that these call. Where ``self``
    itself is handed on, or there is no source, it is all settings.
    """
    every = frozenset(filter_class.model_fields)
    common = frozenset(Filter.model_fields)
    read = _read(filter_class)
    return every if read is None else every & read | common


def edits(filter_class: type[Filter]) -> bool:
    """Whether the filter may change the text that the filters after it measure."""
    return filter_class.clean is not Filter.clean


def _read(filter_class: type[Filter]) -> set[str] | None:
    """The attributes of ``self`` that cleaning and measuring read; None where that can't be told."""
    methods: dict[str, list[Method]] = {}  # of all its classes, for one may call another's by super()
    for one in filter_class.__mro__[: filter_class.__mro__.index(Filter)]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except (OSError, TypeError, SyntaxError):
            return None
        (body,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
        for node in body.body:
            if isinstance(node, Method):
                methods.setdefault(node.name, []).append(node)
    read: set[str] = set()
    waiting = ["clean", "measure"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        for method in () if name in seen else methods.get(name, ()):
            names = _of_self(method)
            if names is None:
                return None
            read |= names
            waiting += names
        seen.add(name)
    return read


def _of_self(method: Method) -> set[str] | None:
    """The attributes of ``self`` that a method reads; None where it uses ``self`` in any other way."""
    owners = {id(node.value): node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute)}
    uses = [id(node) for node in ast.walk(method) if isinstance(node, ast.Name) and node.id == "self"]
    return {owners[one] for one in uses} if all(one in owners for one in uses) else None
