"""Reads books: plain text files, loose or in archives, one document a book.

The header, the credits and the licence that Project Gutenberg put around its texts since 1971, in all their forms, are
removed; what the header says of title, author and language is kept as metadata. Lines that were broken to fit a screen
are joined into paragraphs again, while verse, tables and headings keep their lines.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal

from pipeline.sources.archives import members
from pipeline.sources.source import FilePart, NotADocument, Record, Source

_TEXT_NAME = re.compile(r"\.(txt|text|utf-?8)$", re.IGNORECASE)
_HTML = re.compile(r"\s*<(!doctype\s+html|html|\?xml)\b", re.IGNORECASE)

# --- Project Gutenberg --------------------------------------------------------------------------------------------

_HEAD = 60_000
"""Characters in which the header may end; the longest headers, with their small print, have some 25,000."""
_LONGEST_CREDIT = 1500

_START = re.compile(
    r"""^[ \t]*\*{1,3}[ \t]*
        (?:START|BEGIN(?:N|NING)?|D[ÉE]BUT|ANFANG|COMIENZO|INICIO|INIZIO)[ ]
        [^\n*]{0,60}\b(?:PROJE[CK]T|PROJET|PROYECTO|PROGETTO)?[ ]?GUTENBERG
        (?:[^*\n]{0,200}(?:\n[^*\n]{1,200}){0,2}\*{1,3}[^\n]*|[^\n]*)$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_SMALL_PRINT_END = re.compile(
    r"^[^\n]{0,40}\*[ ]?END[ *]{1,3}(?:THE )?SMALL PRINT[^\n]*$|^[ \t]*\[?\"?Small Print\"? V\.[^\n]*$", re.MULTILINE
)
_END = re.compile(
    r"""^[ \t*]*(?:THE[ ])?(?:END|FIN|ENDE|EINDE|FINE|FIM)\b[ ]
          [^\n]{0,40}?\b(?:PROJE[CK]T|PROJET|PROYECTO|PROGETTO)[ -]?GUTENBERG
      | ^[ \t]*\*{3}[ \t]*START:?[ ]FULL[ ]LICENSE
      | ^[ \t]*\*{3}START\*\*THE[ ]SMALL[ ]PRINT
      | ^[ \t]*Ende[ ]dieses[ ]E-?text
      | ^[ \t]*\*{2}This[ ]is[ ]a[ ]COPYRIGHTED[ ]Project[ ]Gutenberg
      | ^[ \t]*Ce[ ]document[ ]fut[ ]pr[ée]sent[ée][ ]en[ ]lecture""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_INSERTED_NOTICE = re.compile(r"<<\s?THIS ELECTRONIC VERSION OF [^<>]{1,1500}>>", re.IGNORECASE)
_CREDIT = re.compile(
    r"""\A\W*(?:
        (?:this|the)?\s*(?:project\s+gutenberg\s+)?(?:e-?text|e-?book|text|html|pdf|etext)?\s*(?:version\s+|edition\s+\d+\s+)?
            (?:was\s+)?(?:originally\s+)?(?:produced|prepared|transcribed|scanned|typed|digiti[sz]ed|created|converted|proofread)\b
            [^.]{0,80}?\bby\b
      | edition\s+\d+\s+was
      | (?:produit|pr[ée]par[ée]|produziert|erstellt|geproduceerd)\s+(?:par|von|door)\b
      | transcriber
      | note:\s+(?:project\s+gutenberg|images\s+of|the\s+original)
    )
    | project\s+gutenberg | \bpgdp\.net | distributed\s+proofread""",
    re.VERBOSE | re.IGNORECASE,
)
_FIELD = re.compile(
    r"^(Title|Author|Language|Titre|Auteur|Langue|Titel|Autor|Sprache):[ \t]*(\S[^\n]*(?:\n[ \t]+\S[^\n]*)*)",
    re.MULTILINE,
)
_FIELD_NAMES = {
    "titre": "title",
    "titel": "title",
    "auteur": "author",
    "autor": "author",
    "langue": "language",
    "sprache": "language",
}
_OLD_TITLE = re.compile(
    r"Project Gutenberg(?:'s)? E-?(?:text|book) (?:of )?([^\n]{1,200}?),? by ([^\n*]{1,100})", re.IGNORECASE
)
_NUMBER = re.compile(r"\[e-?(?:book|text)\s*#\s*(\d{1,6})\]", re.IGNORECASE)
_CHARSET = re.compile(rb"^Character set encoding:\s*([A-Za-z0-9 _-]{3,20}?)\s*$", re.IGNORECASE | re.MULTILINE)

# --- line breaks --------------------------------------------------------------------------------------------------

_NARROWEST, _WIDEST = 40, 100
"""Widths, in characters, between which lines are taken to have been broken by a typist or a program."""
_FULL_LINE = 0.8
"""A line counts as full when it and the next line's first word fill more than this share of the width."""
_TABLE_GAP = re.compile(r"\S {3,}\S|\t|\S\s*\|")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Book:
    """A book without its wrapping: the text, and what the header said of it (title, author, language, number)."""

    text: str
    metadata: dict[str, str] = field(default_factory=dict)


class Books(Source):
    """Plain text books, as from Project Gutenberg. Other files in the archives are removed as ``books.not_text``."""

    kind: Literal["books"] = "books"
    reads: ClassVar[str] = "plain text: .txt, also as .gz, .bz2, .xz or .zst, or many of them in a .tar or .zip archive"

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a text file."""
        for member in members(part, max_record_bytes, _is_text_name):
            record = Record(member.offset, member.length, failure=member.failure)
            record.metadata = {"path": member.path}
            if member.data is None:
                record.text = _refuse_not_text if not member.failure else None
            else:
                _fill(record, member.data)
            yield record


def _is_text_name(path: str) -> bool:
    return _TEXT_NAME.search(path) is not None


def _refuse_not_text() -> str:
    raise NotADocument("books.not_text")


def _fill(record: Record, data: bytes) -> None:
    """Give the record its text and what the book's header says."""
    text = decode(data)
    if text is None or _HTML.match(text):
        record.text = _refuse_not_text
        return
    book = without_wrapping(text)
    record.metadata.update(book.metadata)
    if "number" in book.metadata:
        record.url = f"https://www.gutenberg.org/ebooks/{book.metadata['number']}"
    record.text = partial(_paragraphs, book.text)


def _paragraphs(body: str) -> str:
    """Raises NotADocument for a book without text."""
    text = unwrap(body)
    if not text:
        raise NotADocument("books.empty")
    return text


def decode(data: bytes) -> str | None:
    r"""A text file's characters, with line ends as ``\n``; None where the bytes are no text.

    Tried in turn: the byte order mark, UTF-8, the encoding that a Gutenberg header names, detection, Latin-1.
    """
    from resiliparse.parse.encoding import detect_encoding

    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _lines_ended(data.decode("utf-16", "replace"))
    if b"\0" in data:
        return None
    with suppress(UnicodeDecodeError):
        return _lines_ended(data.decode("utf-8-sig"))
    named = _CHARSET.search(data[:8192])
    for name in (named[1].decode("ascii").replace("ISO ", "ISO-") if named else "", detect_encoding(data) or ""):
        try:
            # Most texts that call themselves Latin-1 use the quotation marks that Windows put into its gaps.
            encoding = codecs.lookup(name).name
            return _lines_ended(data.decode("cp1252" if encoding == "iso8859-1" else encoding))
        except (LookupError, ValueError):
            continue
    return _lines_ended(data.decode("latin-1"))


def _lines_ended(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")


def without_wrapping(text: str) -> Book:
    """Cut away Project Gutenberg's header, credits and licence, and read the header. Other books stay as they are."""
    start = 0
    marker = _START.search(text, 0, _HEAD)
    if marker is None:
        marker = max(_SMALL_PRINT_END.finditer(text, 0, _HEAD), key=re.Match.end, default=None)
    if marker is not None:
        start = marker.end()
    end = _END.search(text, start)
    body = text[start : end.start() if end else len(text)]
    body = _INSERTED_NOTICE.sub("", body)
    if marker is None and end is None:
        return Book(body)
    return Book(_without_credits(body), _header_fields(text[:start] or text[:2000]))


def _without_credits(body: str) -> str:
    """Drop the paragraphs at the beginning that say who produced the file."""
    body = body.lstrip()
    while body:
        paragraph = re.split(r"\n[ \t]*\n", body[:_LONGEST_CREDIT], maxsplit=1)[0]
        if len(paragraph) == _LONGEST_CREDIT or not _CREDIT.search(paragraph):
            break
        body = body[len(paragraph) :].lstrip()
    return body


def _header_fields(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _FIELD.finditer(header):
        name = match[1].lower()
        found.setdefault(_FIELD_NAMES.get(name, name), " ".join(match[2].split()))
    if "title" not in found and (old := _OLD_TITLE.search(header)):
        found["title"], found["author"] = old[1].strip(), old[2].strip()
    if number := _NUMBER.search(header):
        found["number"] = number[1]
    return found


def unwrap(text: str) -> str:
    """Join lines that were broken to fit a width; blocks of text end up parted by one blank line.

    The width is the length that nine lines in ten stay within. If it is narrower than 40 or wider than 100 characters
    the book is not wrapped and keeps its lines. A block between blank lines is joined if at least half of its line
    breaks stand where the next word would not have fitted; so verse, lists and headings, whose lines end early, stay.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    blocks = _blocks(lines)
    width = _width(blocks)
    known: frozenset[str] | None = None
    made = []
    for block in blocks:
        if width is None or not _is_prose(block, width):
            made.append("\n".join(_dedented(block)))
            continue
        if known is None and any(line.endswith("-") for line in block):
            known = frozenset(_WORD.findall(text))
        made.append(_joined(block, known or frozenset()))
    return "\n\n".join(made).strip("\n")


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _width(blocks: list[list[str]]) -> int | None:
    """The width to which the book was wrapped; None where it was not.

    Only lines that another one of their block follows say something of it.
    """
    lengths = sorted(len(line) for block in blocks for line in block[:-1])
    if not lengths:
        return None
    width = lengths[len(lengths) * 9 // 10]
    return width if _NARROWEST <= width <= _WIDEST else None


def _is_prose(block: list[str], width: int) -> bool:
    if len(block) < 2:
        return False
    indents = [len(line) - len(line.lstrip()) for line in block]
    if len(set(indents[1:])) > 1:  # a first line may be indented; lines at several depths are verse or a table
        return False
    gaps = sum(_TABLE_GAP.search(line.lstrip()) is not None for line in block)
    if gaps * 2 > len(block):
        return False
    full = sum(
        len(line) + 1 + len(following.split(maxsplit=1)[0]) > _FULL_LINE * width for line, following in pairwise(block)
    )
    return full * 2 >= len(block) - 1


def _joined(block: list[str], known: frozenset[str]) -> str:
    """The lines as one; a word cut in two is mended where the book has it whole elsewhere."""
    pieces = [block[0].strip()]
    for line in block[1:]:
        last, following = pieces[-1], line.strip()
        if last.endswith(("--", "—")):
            pieces.append(following)
            continue
        if last.endswith("-") and last[-2:-1].isalpha() and following[0].isalpha() and following[0].islower():
            before, after = _WORD.findall(last)[-1], _WORD.findall(following)[0]
            pieces[-1] = last[:-1] if before + after in known else last
            pieces.append(following)
            continue
        pieces.append(" " + following)
    return "".join(pieces)


def _dedented(block: list[str]) -> list[str]:
    """The lines without the indentation that all of them share."""
    shared = min(len(line) - len(line.lstrip()) for line in block)
    return [line[shared:] for line in block]
