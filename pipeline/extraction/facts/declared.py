"""What a page declares about itself: its ``meta`` elements, its linked data, its elements' texts in brief."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np

from pipeline.extraction.html.hints import hint
from pipeline.extraction.html.markup import ATTRIBUTES, numbers
from pipeline.extraction.html.tree import Tree

MAX_VALUE: Final = 1_000
"""Characters of a title, author or address that are kept."""
_MAX_JSON: Final = 1 << 18
"""Bytes of linked data that are parsed; more is passed over."""
_MAX_OBJECTS: Final = 2_000
"""Objects of a page's linked data, and scripts, that are looked at."""

_BODY, _META, _SCRIPT = numbers("body meta script")
_CONTENT: Final = ATTRIBUTES.index("content")
_KEYS: Final = tuple(ATTRIBUTES.index(name) for name in ("name", "property", "itemprop", "http-equiv"))
_OUTSIDE: Final = np.uint64(
    hint("comment", "sidebar", "footer", "related", "nav", "menu", "popular", "widget", "breadcrumb", "event")
)
_WORKS: Final = re.compile(
    r"Article|Posting|Report|Review|Recipe|CreativeWork|WebPage|QAPage|Question|Video|Book", re.IGNORECASE
)


def clean(value: object) -> str:
    """A value on one line, of bounded length, without controls; empty where it is no text."""
    if not isinstance(value, str):
        return ""
    value = value[:MAX_VALUE]
    if "&" in value:
        value = html.unescape(value)  # linked data is often escaped once too often
    if not value.isprintable():
        value = "".join(one for one in value if one.isprintable() or one.isspace())
    return " ".join(value.split())


def brief_text(tree: Tree, node: int) -> str:
    """The beginning of the text in a node, on one line."""
    stop = min(tree.stop[node], tree.start[node] + 4 * MAX_VALUE)
    return clean(bytes(tree.text[tree.start[node] : stop]).decode("utf-8", "replace"))


def meta_values(tree: Tree) -> dict[str, str]:
    """The content of ``meta`` elements by name, property, itemprop or http-equiv in lower case; the first one counts."""
    found: dict[str, str] = {}
    which = np.flatnonzero(tree.tag[tree.attribute_nodes] == _META)
    keys: list[str] = []
    content = ""
    before = -1
    for one, node, name in zip(
        which.tolist(), tree.attribute_nodes[which].tolist(), tree.attribute_names[which].tolist(), strict=True
    ):
        if node != before:
            for key in keys:
                found.setdefault(key, content)
            keys, content, before = [], "", node
        if name == _CONTENT:
            content = tree.value(one)
        elif name in _KEYS:
            keys += tree.value(one).lower().split()
    for key in keys:
        found.setdefault(key, content)
    return {key: value for key, value in found.items() if value.strip()}


def linked_data(tree: Tree) -> Iterator[dict[str, Any]]:
    """The objects of JSON-LD in the page, those of a graph one by one, outer ones before those inside them."""
    room = _MAX_JSON
    visits = _MAX_OBJECTS
    for node, kind in islice(tree.attributes("type"), _MAX_OBJECTS):
        if tree.tag[node] != _SCRIPT or "ld+json" not in kind.lower():
            continue
        source = tree.source_of(node, "#text")
        room -= len(source)
        if room < 0:
            return
        try:
            data = json.loads(source.decode("utf-8", "replace").strip().rstrip(";"), strict=False)
        except (ValueError, RecursionError):
            continue
        queue = [data]
        for one in queue:
            visits -= 1
            if visits < 0:
                return
            if isinstance(one, list):
                queue += one
            elif isinstance(one, dict):
                yield one
                queue += [one[key] for key in ("@graph", "mainEntity", "mainEntityOfPage") if key in one]


def types(one: dict[str, Any]) -> str:
    """The types of an object of linked data, in one string."""
    kinds = one.get("@type", "")
    return " ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)


def articles(linked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects that may be what the page is about, articles before whole pages."""
    works = [one for one in linked if _WORKS.search(types(one))]
    return sorted(works, key=lambda one: "webpage" in types(one).lower())


def is_outside(tree: Tree, node: int) -> bool:
    """Whether an element is in one that by its attributes' words holds something else than what the page is about."""
    while node > 0 and tree.tag[node] != _BODY:  # the classes of a body speak of the whole site
        if tree.hints[node] & _OUTSIDE:
            return True
        node = int(tree.parent[node])
    return False
