"""The text of a page without navigation, advertising and the like, by one of several extractors."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Literal

from resiliparse.extract.html2text import extract_plain_text

from pipeline.extraction.affordable import affordable
from pipeline.extraction.charset import UTF16_MARKS, decode
from pipeline.extraction.html_parser import parse
from pipeline.extraction.metadata import page_metadata

Extractor = Literal["resiliparse", "trafilatura"]


def main_content(
    html: str | bytes,
    extractor: Extractor = "resiliparse",
    http_charset: str = "",
    notes: MutableMapping[str, str] | None = None,
    url: str = "",
    crawled: str = "",
) -> str:
    """The text of a page without navigation, advertising and the like; empty where nothing was found.

    Bytes are decoded (see ``decode``). A page is cut where it grows past ``MAX_HTML`` bytes or past what a parser can
    take in bounded time (see ``affordable``). ``notes``, if given, gets ``charset``, what the page says about itself
    (see ``PageMetadata.noted``; ``url`` is where it was found, ``crawled`` when, ISO 8601) and, of a page that was cut,
    ``cut``: how many bytes of it were parsed. Raises what an extractor raises on a page that breaks it.
    """
    wanted = notes is not None
    notes = {} if notes is None else notes
    if isinstance(html, bytes) and (html.startswith(UTF16_MARKS) or http_charset.lower().startswith("utf-16")):
        html, notes["charset"] = decode(html, http_charset)
    if isinstance(html, str):
        try:
            data = html.encode()
        except UnicodeEncodeError:  # parsers refuse lone surrogates
            data = html.encode("utf-8", "replace")
            html = data.decode()
    else:
        data = html
    stop = affordable(data)
    if stop < len(data):
        notes["cut"] = str(stop)
        html = data[:stop].decode("utf-8", "replace") if isinstance(html, str) else data[:stop]
    if isinstance(html, bytes):
        html, notes["charset"] = decode(html, http_charset)
    if wanted:
        tree = parse(html.encode("utf-8", "replace"))
        notes.update(page_metadata(tree, url, crawled or "9999").noted())
    return clean(_EXTRACTORS[extractor](html))


def _by_resiliparse(html: str) -> str:
    # Alternative texts and form fields cost precision, comments are neutral (1,000 gold pages).
    return str(extract_plain_text(html, main_content=True, alt_texts=False))


def _by_trafilatura(html: str) -> str:
    import trafilatura  # takes a second to import

    return trafilatura.extract(html, include_comments=False, include_tables=True, with_metadata=False) or ""


_EXTRACTORS: dict[Extractor, Callable[[str], str]] = {"resiliparse": _by_resiliparse, "trafilatura": _by_trafilatura}

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with ``\\n`` as its only line break and without control characters and lone surrogates; tabs stay."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).strip()
