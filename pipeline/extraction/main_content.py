"""The text of a page without navigation, advertising and the like, by one of several extractors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, Literal

from pipeline.extraction.affordable import affordable
from pipeline.extraction.charset import decode
from pipeline.extraction.facts.metadata import page_metadata
from pipeline.extraction.html.html_parser import MAX_HTML, parse
from pipeline.extraction.judge import main_text
from pipeline.extraction.judge.main_text import Page

Extractor = Literal["corpusmill", "resiliparse", "trafilatura", "justext", "everything"]


def main_content(
    html: str | bytes,
    extractor: Extractor = "corpusmill",
    http_charset: str = "",
    notes: MutableMapping[str, str] | None = None,
    url: str = "",
    crawled: str = "",
) -> str:
    """The text of a page without navigation, advertising and the like; empty where nothing was found.

    Bytes are decoded (see ``decode``). A page is cut where it grows past ``MAX_HTML`` bytes or, for the extractors that
    are not ours, past what a parser can take in bounded time (see ``affordable``). ``notes``, if given, gets ``charset``,
    what the page says about itself (see ``PageMetadata.noted``; ``url`` is where it was found, ``crawled`` when, ISO 8601)
    and, of a page that was cut, ``cut``: how many bytes of it, in UTF-8, were parsed. Raises what an extractor raises on a
    page that breaks it.
    """
    charset = ""
    if isinstance(html, bytes):
        html, charset = decode(html, http_charset)
    data = html.encode("utf-8", "replace")  # lone surrogates, which parsers refuse, become question marks
    stop = affordable(data) if extractor in _BY_OTHERS else min(len(data), MAX_HTML)
    if notes is not None:
        if charset:
            notes["charset"] = charset
        if stop < len(data):
            notes["cut"] = str(stop)
    data = data[:stop]
    if extractor in _BY_OTHERS:
        if notes is not None:
            notes.update(page_metadata(parse(data), url, crawled or "9999").noted())
        return clean(_BY_OTHERS[extractor](data.decode("utf-8", "replace")))
    page = main_text.read(data)
    if notes is not None:
        notes.update(page_metadata(page.tree, url, crawled or "9999").noted())
    return clean(_OURS[extractor](page))


def _by_resiliparse(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    # Alternative texts and form fields cost precision, comments are neutral (1,000 gold pages).
    return str(extract_plain_text(html, main_content=True, alt_texts=False))


def _by_trafilatura(html: str) -> str:
    import trafilatura  # takes a second to import

    return trafilatura.extract(html, include_comments=False, include_tables=True, with_metadata=False) or ""


def _by_justext(html: str) -> str:
    import justext

    # Without stop words, which it has for some languages and would have to be told which: its own advice.
    paragraphs = justext.justext(html, frozenset(), stopwords_low=0, stopwords_high=0)
    return "\n\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


_OURS: Final[Mapping[str, Callable[[Page], str]]] = {
    "corpusmill": main_text.main_text,
    "everything": main_text.everything,
}
_BY_OTHERS: Final[Mapping[str, Callable[[str], str]]] = {
    "resiliparse": _by_resiliparse,
    "trafilatura": _by_trafilatura,
    "justext": _by_justext,
}

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with ``\\n`` as its only line break and without control characters and lone surrogates; tabs stay."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).strip()
