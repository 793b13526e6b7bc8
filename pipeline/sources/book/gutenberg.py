"""Cuts away what Project Gutenberg has put around its texts since 1971, and reads the header.

Header, credits, transcriber's notes and licence go, in all their forms; title, author, language and number are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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
      | this\s+text\s+(?:includes|uses)\s+(?:characters\s+that\s+require\s+)?utf-8
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


@dataclass(frozen=True, slots=True)
class Book:
    """A book without its wrapping: the text, and what the header said of it (title, author, language, number)."""

    text: str
    metadata: dict[str, str] = field(default_factory=dict)


def address(data: bytes) -> str:
    """Where Project Gutenberg shows the book whose file this is; "" where the file's beginning does not number it."""
    head = data[:_HEAD].decode("latin-1")
    number = _NUMBER.search(head) if "utenberg" in head else None
    return f"https://www.gutenberg.org/ebooks/{number[1]}" if number else ""


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
