"""Turns the HTML of a post (Stack Exchange and the like) into text: paragraphs, lists, quotes, code kept as written."""

from __future__ import annotations

import re
from typing import Any

_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLOCKS = frozenset(
    (
        "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "table", "thead", "tbody",
        "tr", "hr", "dl", "dt", "dd", "section", "article",
    )
)  # fmt: skip
_SKIPPED = frozenset(("script", "style", "template", "noscript", "iframe", "svg", "head"))
_MAX_DEPTH = 8
"""Quotes and lists nested deeper are shown as if they were not."""


def post_text(html: str) -> str:
    """The text of a post: blocks between empty lines, ``- `` and ``1. `` before list items, ``> `` before quotes.

    Code blocks stand between lines of three backticks with their indentation, code in a line between single ones; a
    superscript follows a ``^``. Of links the text is kept, images are left out, cells of a table are parted by ``|``.
    """
    from resiliparse.parse.html import HTMLTree

    body = HTMLTree.parse(html).body
    if body is None:
        return ""
    writer = _Writer()
    node: Any = body.first_child
    while node is not None:  # without recursion: posts may nest as deeply as they like
        if writer.enter(node) and node.first_child is not None:
            node = node.first_child
            continue
        writer.leave(node)
        while node.next is None and node.parent != body:
            node = node.parent
            writer.leave(node)
        node = node.next
    return writer.text()


class _Writer:
    """Gathers the blocks of a post while its tree is walked."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._inline: list[str] = []
        self._lists: list[int | None] = []  # the number of the last item; None in lists without numbers
        self._quotes = 0
        self._marker = ""
        self._near = False  # whether a list item that comes next follows without an empty line
        self._after_row = False

    def enter(self, node: Any) -> bool:
        """Begin a node; whether its children are to be walked."""
        tag = node.tag
        if tag == "#text":
            self._inline.append(_SPACE.sub(" ", node.value))
        elif tag in _SKIPPED or tag.startswith("#"):
            return False
        elif tag == "pre":
            self._flush()
            self._code(node.text)
            return False
        elif tag == "br":
            self._inline.append("\n")
        elif tag == "code":
            self._inline.append("`")
        elif tag == "sup":
            self._inline.append("^")
        elif tag in ("td", "th") and "".join(self._inline).strip():
            self._inline.append(" | ")
        elif tag in _BLOCKS:
            self._flush()
            self._after_row = self._after_row and tag in ("tr", "tbody", "td", "th")
            self._open(tag)
        return True

    def leave(self, node: Any) -> None:
        """End a node."""
        tag = node.tag
        if tag == "code":
            self._inline.append("`")
        elif tag in _BLOCKS and tag != "pre":
            self._flush()
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
                self._near = bool(self._lists)
            elif tag == "blockquote":
                self._quotes -= 1
            elif tag == "li":
                self._marker = ""
            elif tag in ("tr", "table"):
                self._after_row = tag == "tr"

    def text(self) -> str:
        """All that was gathered."""
        self._flush()
        return "".join(self._blocks).strip("\n")

    def _open(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "li":
            last = self._lists[-1] if self._lists else None
            if last is not None:
                self._lists[-1] = last + 1
            self._marker = "- " if last is None else f"{last + 1}. "

    def _flush(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._inline).split("\n")]
        self._inline = []
        if any(lines):
            self._write("\n".join(lines).strip("\n"))

    def _code(self, code: str) -> None:
        code = code.strip("\n")
        if code.strip():
            fence = "```" if "```" not in code else "````"
            self._write(f"{fence}\n{code}\n{fence}")

    def _write(self, block: str) -> None:
        depth = min(len(self._lists), _MAX_DEPTH)
        indent = "  " * max(0, depth - 1)
        begin = "> " * min(self._quotes, _MAX_DEPTH) + indent
        further = begin + ("  " if depth else "")
        first = begin + (self._marker or ("  " if depth else ""))
        near = (bool(self._marker) and self._near) or self._after_row
        shown = [(first if number == 0 else further) + line for number, line in enumerate(block.split("\n"))]
        self._blocks.append(("\n" if near else "\n\n") + "\n".join(line.rstrip() for line in shown))
        self._near = bool(self._lists)
        self._marker = ""
        self._after_row = False
