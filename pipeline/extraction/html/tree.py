"""A parsed page: its elements and texts in document order, as arrays."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.extraction.html.markup import ATTRIBUTES, TAGS

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A page. Node 0 is the root, ``html``; parents come before their children; ``n`` is the number of nodes."""

    source: bytes
    """The page."""
    tag: Array
    """uint8[n]: number in TAGS; 0 is a text."""
    parent: Array
    """int32[n]: node that this one is in; -1 for the root."""
    end: Array
    """int32[n]: the node behind the last one inside this one."""
    depth: Array
    """int16[n]: number of elements around it."""
    start: Array
    """int32[n]: where its text begins in ``text``."""
    stop: Array
    """int32[n]: where its text ends, for an element with all that is in it."""
    hints: Array
    """uint64[n]: groups of HINTS whose words its attributes hold; 0 for a text."""
    text: Array
    """uint8: all texts one after another, in UTF-8 if the page was, character references resolved, line ends ``\\n``."""
    attribute_nodes: Array
    """int32[m]: the node that an attribute belongs to, ascending."""
    attribute_names: Array
    """uint8[m]: its number in ATTRIBUTES."""
    attribute_starts: Array
    """int32[m]: where its value begins in ``source``."""
    attribute_stops: Array
    """int32[m]: where its value ends."""

    def __len__(self) -> int:
        return len(self.tag)

    def text_of(self, node: int) -> str:
        """The text in a node, with white space as it stands in the source."""
        return bytes(self.text[self.start[node] : self.stop[node]]).decode("utf-8", "replace")

    def nodes(self, *names: str) -> Array:
        """The elements of these names, ascending. Raises ValueError for a name that is not in TAGS."""
        wanted = np.zeros(256, np.bool_)
        wanted[[TAGS.index(name) for name in names]] = True
        return np.flatnonzero(wanted[self.tag])

    def attribute(self, node: int, name: str) -> str | None:
        """The value of an attribute, character references resolved; None where it is absent, empty or not kept."""
        one = self._find(node, name)
        return self.value(one) if one >= 0 else None

    def attributes(self, name: str) -> Iterator[tuple[int, str]]:
        """All elements that have an attribute, with its value, in document order."""
        for one in np.flatnonzero(self.attribute_names == ATTRIBUTES.index(name)):
            yield int(self.attribute_nodes[one]), self.value(int(one))

    def source_of(self, node: int, name: str) -> bytes:
        """The value of an attribute as it stands in the source; empty where it is absent."""
        one = self._find(node, name)
        return self.source[self.attribute_starts[one] : self.attribute_stops[one]] if one >= 0 else b""

    def value(self, one: int) -> str:
        """The value of the attribute of this number, character references resolved."""
        value = self.source[self.attribute_starts[one] : self.attribute_stops[one]].decode("utf-8", "replace")
        return html.unescape(value) if "&" in value else value

    def _find(self, node: int, name: str) -> int:
        number = ATTRIBUTES.index(name)
        first, last = np.searchsorted(self.attribute_nodes, (node, node + 1))
        for one in range(int(first), int(last)):
            if self.attribute_names[one] == number:
                return one
        return -1
