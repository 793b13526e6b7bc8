"""Which settings of a filter only judge: with other values of these, its signals stay as they were measured."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap

from filters.filter import Filter

_JUDGING = ("rules", "files", "prepare")
"""Methods that neither measure nor edit text."""


@functools.cache
def measuring_settings(filter_class: type[Filter]) -> frozenset[str]:
    """The settings that the filter reads while it cleans or measures, without its ``judging``.

    Found in its source: every ``self.SETTING`` outside of the methods that only judge. Where ``self`` itself is handed on, or
    there is no source, it is all settings but those.
    """
    every = frozenset(filter_class.model_fields)
    read: set[str] = set()
    for one in filter_class.__mro__[: filter_class.__mro__.index(Filter)]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except (OSError, TypeError, SyntaxError):
            return every - frozenset(filter_class.judging)
        (body,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
        for method in body.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name not in _JUDGING:
                names = _of_self(method)
                if names is None:
                    return every - frozenset(filter_class.judging)
                read |= names
    return (every & read) - frozenset(filter_class.judging)


def edits(filter_class: type[Filter]) -> bool:
    """Whether the filter may change the text that the filters after it measure."""
    return filter_class.clean is not Filter.clean


def _of_self(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str] | None:
    """The attributes of ``self`` that a method reads; None where it uses ``self`` in any other way."""
    known = {id(node.value) for node in ast.walk(method) if isinstance(node, ast.Attribute | ast.Return)}
    for node in ast.walk(method):
        if isinstance(node, ast.Name) and node.id == "self" and id(node) not in known:
            return None
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
