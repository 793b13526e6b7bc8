"""XHTML and TEI as blocks of text: headings with their level, paragraphs, verse with its lines, footnotes at the end.

Nothing outside the file is ever read and no entity is expanded, so that neither bombs nor local files get in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from pipeline.sources.source import UnreadableRecord

Role = Literal["dropped", "block", "heading", "line", "break", "cell", "note", "inline", "verbatim"]

_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_PREDEFINED = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_SPACE = re.compile(r"[ \t\r\n\f]+")
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (``level`` 1 and up) or a paragraph (0); lines of verse are parted by newlines."""

    text: str
    level: int = 0


def parse(data: bytes) -> etree._Element:
    """The root of an XML file, mended where it is not well formed. Raises UnreadableRecord."""
    # HTML's entities are declared in a DTD that we don't load.
    data = _ENTITY.sub(_numbered, data)
    try:
        tree = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, recover=True))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableRecord(f"neither XML nor XHTML: {error}") from error
    if tree is None:
        raise UnreadableRecord("neither XML nor XHTML: no element was found")
    return tree


def parse_html(data: bytes) -> etree._Element:
    """The root of an HTML file that need not be XML. Raises UnreadableRecord."""
    from lxml import html as lxml_html

    try:
        tree: etree._Element = lxml_html.document_fromstring(data)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableRecord(f"no HTML: {error}") from error
    return tree


def _numbered(match: re.Match[bytes]) -> bytes:
    if match[1] in _PREDEFINED:
        return match[0]
    text = html.unescape(match[0].decode("ascii"))
    return "".join(f"&#{ord(sign)};" for sign in text).encode() if not text.startswith("&") else match[0]


def name_of(element: etree._Element) -> str:
    """The element's name without its namespace; "" for comments and the like."""
    return etree.QName(element).localname.lower() if isinstance(element.tag, str) else ""


class Rules:
    """What the elements of one vocabulary are: ``role`` says it of an element, ``level`` of a heading."""

    def role(self, element: etree._Element, name: str) -> Role:
        """What becomes of the element."""
        raise NotImplementedError

    def level(self, element: etree._Element, name: str) -> int:
        """1 for the headings of the largest parts."""
        raise NotImplementedError


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_XHTML_DROPPED = _words(
    "head script style nav svg img object iframe audio video canvas template noscript form button input select "
    "map rp rt"
)
_XHTML_BLOCKS = _words(
    "p div section article li blockquote tr dt dd ul ol dl table header footer figure figcaption hr body html "
    "main aside address center hgroup caption tbody thead details"
)
_XHTML_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NOT_TEXT = _words(
    "cover titlepage halftitlepage toc landmarks loi lot page-list copyright-page imprint colophon pagebreak "
    "noteref index seriespage other-credits z3998:publisher-logo"
)
"""Values of epub:type (and of role, there after "doc-") for what frames a book and is not its text."""
_FURNITURE = re.compile(
    r"^(?:page-?num(?:ber)?s?|pagenum|pginternal|pg-?boilerplate|pgheader|pg-header|pg-footer|toc|fnanchor|footnote-ref|"
    r"runninghead|transnote|pb)$",
    re.IGNORECASE,
)
"""Classes and ids of page numbers, running heads and notices, as Project Gutenberg and converters name them."""


class Xhtml(Rules):
    """XHTML as EPUB (with epub:type) and Project Gutenberg use it."""

    def role(self, element: etree._Element, name: str) -> Role:
        if name in _XHTML_DROPPED or not name or self._frames(element, name):
            return "dropped"
        if name in _XHTML_HEADINGS:
            return "heading"
        if name in _XHTML_BLOCKS:
            return "block"
        return {"br": "break", "td": "cell", "th": "cell", "pre": "verbatim"}.get(name, "inline")  # type: ignore[return-value]

    def level(self, element: etree._Element, name: str) -> int:
        return int(name[1])

    def _frames(self, element: etree._Element, name: str) -> bool:
        types = (element.get(_EPUB_TYPE) or element.get("epub:type") or "").split()
        types += [role.removeprefix("doc-") for role in (element.get("role") or "").split()]
        if any(one in _NOT_TEXT for one in types):
            return True
        if name == "sup" and len(element) == 1 and name_of(element[0]) == "a":
            return True  # a footnote's mark
        return any(_FURNITURE.match(one) for one in (*(element.get("class") or "").split(), element.get("id") or ""))


_TEI_DROPPED = _words(
    "teiheader fw gap figure graphic titlepage orig sic abbr del index milestone facsimile sourcedoc standoff "
    "metamark certainty interp interpgrp listbibl imprimatur doctitle castlist"
)
_TEI_BLOCKS = _words(
    "p div ab lg sp speaker stage quote list item label row table body front back text floatingtext argument "
    "epigraph trailer closer opener salute signed dateline byline postscript q said cit bibl div1 div2 div3 "
    "div4 div5 group set tei docauthor castitem"
)
_TEI_INLINE_UNLESS_BLOCK = frozenset({"quote", "q", "said", "cit", "bibl", "stage", "label", "list"})
_TEI_PARAGRAPHS = frozenset({"p", "l", "ab", "head", "hi", "item", "note", "s", "seg"})


class Tei(Rules):
    """TEI P4 and P5, as digital editions of books use it: the corrected and regularized reading, no apparatus."""

    def role(self, element: etree._Element, name: str) -> Role:
        if not name or name in _TEI_DROPPED:
            return "dropped"
        if name == "div" and element.get("type") in ("titlepage", "contents", "toc", "advertisement", "colophon"):
            return "dropped"
        if name == "head":
            return "heading"
        if name in _TEI_BLOCKS:
            parent = element.getparent()
            inside = parent is not None and name_of(parent) in _TEI_PARAGRAPHS
            return "inline" if inside and name in _TEI_INLINE_UNLESS_BLOCK else "block"
        if name == "lb":
            return "break" if element.get("rend") == "break" else "inline"
        return {"l": "line", "cell": "cell", "note": "note"}.get(name, "inline")  # type: ignore[return-value]

    def level(self, element: etree._Element, name: str) -> int:
        above = sum(name_of(one).startswith("div") for one in element.iterancestors())
        return max(1, min(above, 6))


class _Writer:
    """Blocks while the tree is walked: the text of the current block, and notes that wait for its end."""

    def __init__(self, rules: Rules) -> None:
        self.blocks: list[Block] = []
        self._rules = rules
        self._pieces: list[str] = []
        self._notes: list[Block] = []

    def end_block(self, level: int = 0) -> None:
        text = "".join(self._pieces)
        lines = [_SPACE.sub(" ", line).strip() for line in text.split("\x1e")]
        shown = "\n".join(line for line in lines if line).replace("\x1f", "\n").strip("\n")
        self._pieces = []
        if shown:
            self.blocks.append(Block(shown, level))
        if self._notes:
            self.blocks += self._notes
            self._notes = []

    def add(self, text: str | None) -> None:
        if text:
            self._pieces.append(text.replace("\x1e", " ").replace("\x1f", " "))

    def walk(self, element: etree._Element) -> None:
        """Write an element; libxml2 itself lets no tree be deeper than 256."""
        name = name_of(element)
        role = self._rules.role(element, name)
        if role == "dropped":
            return
        if role == "break":
            self._pieces.append("\x1e")
            return
        if role == "note":
            inner = _Writer(self._rules)
            inner._inside(element)
            inner.end_block()
            self._notes += inner.blocks
            return
        if role in ("block", "heading", "verbatim"):
            self.end_block()
        if role == "verbatim":
            self._pieces.append(
                "\x1f".join("".join(map(str, element.itertext())).rstrip().split("\n")).replace(" ", "\xa0")
            )
            self.end_block()
            self.blocks[-1:] = [Block(block.text.replace("\xa0", " ")) for block in self.blocks[-1:]]
            return
        self._inside(element)
        if role in ("block", "heading"):
            self.end_block(self._rules.level(element, name) if role == "heading" else 0)
        elif role == "line":
            self._pieces.append("\x1e")
        elif role == "cell":
            self._pieces.append("  ")

    def _inside(self, element: etree._Element) -> None:
        self.add(element.text)
        for child in element:
            self.walk(child)
            self.add(child.tail)


def blocks(element: etree._Element, rules: Rules) -> list[Block]:
    """What stands in an element, as blocks in reading order."""
    writer = _Writer(rules)
    writer.walk(element)
    writer.end_block()
    return writer.blocks


def elements(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """All elements of this name below ``root``, whatever namespace they are in."""
    return (one for one in root.iter() if name_of(one) == name)


def language_of(root: etree._Element) -> str:
    """The language that the root element declares, "" where it does not."""
    return root.get(_XML_LANGUAGE) or root.get("lang") or ""


def text_of(element: etree._Element | None) -> str:
    """All text in an element on one line."""
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""
