"""Reads books: plain text, Project Gutenberg's files, XHTML, EPUB and TEI, loose or in archives.

A book is one document or one a chapter, as the recipe says. What frames it (licence, contents, page numbers, running
heads) is removed; what its header says of title, author, language and date is kept as metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from pipeline.sources.book import epub, tei
from pipeline.sources.book.chapters import Chapter, chapters, joined, with_headings
from pipeline.sources.book.gutenberg import address, without_wrapping
from pipeline.sources.book.lines import unwrap
from pipeline.sources.book.markup import Block, Xhtml, blocks, elements, language_of, parse, parse_html, text_of
from pipeline.sources.book.pages import without_pages
from pipeline.sources.book.plain_text import decode
from pipeline.sources.containers.archives import Member, members
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

_BOOK_NAME = re.compile(r"\.(txt|text|utf-?8|x?html?|xml|tei|epub)$", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"\.(txt|text|utf-?8)$", re.IGNORECASE)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}<(?:!doctype\s{1,5}html|html|\?xml|tei|!--)", re.IGNORECASE)
_AUTHOR = frozenset({"author", "dc.creator", "dcterms.creator"})
_ZIP = b"PK\x03\x04"

Unit = Literal["book", "chapter"]


class Books(Source):
    """Books as plain text, XHTML, EPUB or TEI. Other files in the archives are removed as ``books.not_text``."""

    kind: Literal["books"] = "books"
    reads: ClassVar[str] = (
        "plain text (.txt), XHTML (.html), TEI (.xml) and EPUB, also as .gz, .bz2, .xz or .zst, or many in a .tar or .zip"
    )

    unit: Unit = Field("book", description="what a document is: a whole `book`, or each `chapter` of it")

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a book, or one a chapter; chapters share the book's offset and are told apart by their length."""
        for member in members(part, max_record_bytes, _is_book_name):
            record = Record(member.offset, member.length, failure=member.failure)
            record.metadata = {"path": member.path}
            record.url = address(member.data or b"")
            if member.data is None:
                record.text = partial(_refuse, "books.not_text") if not member.failure else None
                yield record
            elif self.unit == "book":
                record.text = partial(_whole, record, member, max_record_bytes)
                yield record
            else:
                yield from _chapters(record, member, max_record_bytes)


def _is_book_name(path: str) -> bool:
    return _BOOK_NAME.search(path) is not None


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def _whole(record: Record, member: Member, limit: int) -> str:
    """The book's text; its metadata goes into ``record``. Raises NotADocument and UnreadableRecord."""
    found, metadata = read_book(member, limit)
    record.metadata.update(metadata)
    return joined(found)


def _chapters(record: Record, member: Member, limit: int) -> Iterator[Record]:
    """A record for each chapter, or one that says why there are none."""
    try:
        found, metadata = read_book(member, limit)
    except NotADocument as removed:
        record.text = partial(_refuse, removed.reason)
        yield record
        return
    except UnreadableRecord as error:
        record.failure = str(error)
        yield record
        return
    record.metadata.update(metadata)
    end = 0
    for number, chapter in enumerate(chapters(found), 1):
        end += len(chapter.text)
        own = {"chapter": str(number), **({"chapter_title": chapter.title} if chapter.title else {})}
        yield replace(record, length=end, text=partial(_chapter_text, chapter), metadata={**record.metadata, **own})


def _chapter_text(chapter: Chapter) -> str:
    return chapter.text


def read_book(member: Member, limit: int) -> tuple[list[Block], dict[str, str]]:
    """A book's blocks, headings marked, and its metadata.

    Raises NotADocument for what is no book (``books.not_text``) or has no text (``books.empty``), UnreadableRecord for
    what is damaged, encrypted or, unpacked, larger than ``limit`` bytes.
    """
    data = member.data or b""
    if data.startswith(_ZIP):
        found, metadata = _without_licence(*epub.read(data, limit))
    elif _MARKUP.match(data) or not _PLAIN_NAME.search(member.path):
        found, metadata = _without_licence(*_marked_up(data, member.path))
    else:
        text = decode(data)
        if text is None:
            raise NotADocument("books.not_text")
        book = without_wrapping(text)
        found, metadata = with_headings(unwrap(without_pages(book.text))), book.metadata
    if not found:
        raise NotADocument("books.empty")
    return found, metadata


def _marked_up(data: bytes, path: str) -> tuple[list[Block], dict[str, str]]:
    """A TEI, XHTML or HTML file. Raises NotADocument for other XML."""
    is_html = re.search(rb"<html[\s>]", data[:4096], re.IGNORECASE) is not None or re.search(r"\.html?$", path, re.I)
    if is_html and not data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml"):
        root = parse_html(data)
    else:
        root = parse(data)
        if tei.is_tei(root):
            return tei.read(root)
        if not is_html:
            raise NotADocument("books.not_text")
    body = next(elements(root, "body"), root)
    authors = [one.get("content") or "" for one in elements(root, "meta") if (one.get("name") or "").lower() in _AUTHOR]
    metadata = {
        "title": text_of(next(elements(root, "title"), None)),
        "author": "; ".join(filter(None, authors)),
        "language": language_of(root),
    }
    return blocks(body, Xhtml()), {name: value for name, value in metadata.items() if value}


def _without_licence(found: list[Block], metadata: dict[str, str]) -> tuple[list[Block], dict[str, str]]:
    """Leave out the blocks of Project Gutenberg's header and licence where the file has them."""
    text = joined(found)
    book = without_wrapping(text)
    begin = text.find(book.text[:1000])
    if len(book.text) == len(text) or begin < 0:
        return found, metadata
    kept: list[Block] = []
    place = 0
    for block in found:
        if begin <= place and place + len(block.text) <= begin + len(book.text):
            kept.append(block)
        place += len(block.text) + 2
    return kept, {**metadata, **book.metadata}
