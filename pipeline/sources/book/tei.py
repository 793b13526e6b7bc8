"""Reads TEI XML: the text of the edition and what its header says of title, author, language and date."""

from __future__ import annotations

import re

from lxml import etree

from pipeline.sources.book.markup import Block, Tei, blocks, elements, language_of, name_of, text_of

_EDITION = re.compile(r"\s*:\s*(?:[^:]{0,30}\bELTeC\b[^:]*|[\w -]{0,30}(?:edition|ausgabe))$", re.IGNORECASE)
_YEAR = re.compile(r"\b1[0-9]{3}\b|\b20[0-9]{2}\b")


def is_tei(root: etree._Element) -> bool:
    """Whether this is the root of a TEI document, P5 or P4."""
    return name_of(root) in ("tei", "tei.2", "teicorpus")


def read(root: etree._Element) -> tuple[list[Block], dict[str, str]]:
    """The blocks of all its texts, and its metadata: title, author, language, date, as far as the header has them."""
    found: list[Block] = []
    for text in elements(root, "text"):
        if not any(name_of(above) == "text" for above in text.iterancestors()):
            found += blocks(text, Tei())
    return found, _metadata(root)


def _metadata(root: etree._Element) -> dict[str, str]:
    header = next(elements(root, "teiheader"), None)
    if header is None:
        return {}
    statement = next(elements(header, "titlestmt"), header)
    title = _EDITION.sub("", text_of(next(elements(statement, "title"), None)))
    author = "; ".join(dict.fromkeys(filter(None, map(text_of, elements(statement, "author")))))
    languages = [one.get("ident") or "" for one in elements(header, "language")]
    source = next(elements(header, "sourcedesc"), None)
    dates = [text_of(one) or one.get("when") or "" for one in elements(source, "date")] if source is not None else []
    years = sorted(match[0] for date in dates if (match := _YEAR.search(date)))
    metadata = {
        "title": title,
        "author": author,
        "language": language_of(root) or next(filter(None, languages), ""),
        "date": years[0] if years else "",
    }
    return {name: value for name, value in metadata.items() if value}
