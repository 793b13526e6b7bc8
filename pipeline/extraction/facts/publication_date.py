"""When a page was published: by its address, its metadata, its linked data, its elements and its text."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from pipeline.extraction.facts.dates import date_in
from pipeline.extraction.facts.declared import MAX_VALUE, articles, brief_text, clean, is_outside
from pipeline.extraction.html.hints import hint
from pipeline.extraction.html.markup import tag
from pipeline.extraction.html.tree import Tree

_PUBLISHED: Final = """
article:published article:published_time og:published_time og:article:published_time og:pubdate og:publish_date
datepublished date.issued dc.date.issued dcterms.issued dc.issued dc.date.created dcterms.created dc.date dcterms.date
dcterms.available citation_publication_date citation_date citation_online_date prism.publicationdate publishdate publish-date
publish_date publish_time publishtime published_date published-date published_time published pubdate pub_date publication_date
publication-date publicationdate parsely-pub-date sailthru.date bt:pubdate cxenseparse:recs:publishtime
cxenseparse:publishtime article_date_original article.published article.created originalpublicationdate datecreated created
created_date date displaydate rnews:datepublished shareaholic:article_published_time
"""
_CHANGED: Final = "article:modified_time og:updated_time datemodified last-modified lastmodified"
_DATE_KEYS: Final = _PUBLISHED.split()
_CHANGE_KEYS: Final = _CHANGED.split()
_URL_DATE: Final = re.compile(r"(?:^|[/_.-])((?:19|20)\d\d)([/_.-]?)([01]?\d)\2([0-3]?\d)(?=[/_.-]|$|\D)")
_URL_GERMAN_DATE: Final = re.compile(r"(?<![0-9])[0-3][0-9][.][01][0-9][.](?:19|20)[0-9]{2}(?![0-9])")
_US: Final = re.compile(r"en(?:[-_]us)?$|$", re.IGNORECASE)

_STATE_KEYS: Final = (
    b"datePublished",
    b"publishedAt",
    b"published_at",
    b"publishDate",
    b"publishedDate",
    b"created_at",
    b"createdAt",
)
_STATE_DATE: Final = re.compile(
    rb"""[A-Za-z_]{9,20}\\?["']?\s{0,4}[:=]\s{0,4}\\?["']((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})"""
)

_HAS_DATE: Final = re.compile(
    rb"[0-9].{0,20}(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}.{1,12}[0-9]|[0-9][./-][0-9]{1,2}[./-][0-9]{2}", re.DOTALL
)
_TIME: Final = tag("time")
_DATED: Final = np.uint64(hint("date"))
_MAX_PLACES: Final = 10
_MAX_ELEMENTS: Final = 60
_MAX_TEXTS: Final = 2_000


def publication_date(
    tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]], url: str, latest: str, language: str
) -> str:
    """The day a page was published, YYYY-MM-DD; empty where nothing tells.

    Asked are, in this order: the path of its address; ``article:published_time``; the linked data; other ``meta``
    elements; elements that are marked as dates; the data in its scripts; its text from the first heading on; when it
    was changed. ``meta`` and ``linked`` are the page's; of a date such as 03/04/2020 the month comes first where
    ``language`` is American or unknown.
    """
    month_first = bool(_US.match(language))
    return (
        _url_date(url, latest)
        or date_in(meta.get("article:published_time", ""), month_first, latest)
        or _linked_date(linked, latest)
        or next((found for key in _DATE_KEYS if (found := date_in(meta.get(key, ""), month_first, latest))), "")
        or _marked_date(tree, month_first, latest)
        or _state_date(tree, latest)
        or _text_date(tree, month_first, latest)
        or next((found for key in _CHANGE_KEYS if (found := date_in(meta.get(key, ""), month_first, latest))), "")
    )


def _url_date(url: str, latest: str) -> str:
    try:
        path = urlsplit(url[:MAX_VALUE]).path
    except ValueError:
        return ""
    if found := _URL_DATE.search(path):
        return date_in(f"{found[1]}-{found[3]}-{found[4]}", latest=latest)
    if found := _URL_GERMAN_DATE.search(path):
        return date_in(found[0], latest=latest)
    return ""


def _linked_date(linked: list[dict[str, Any]], latest: str) -> str:
    for key in ("datePublished", "dateCreated", "uploadDate"):
        for one in articles(linked):
            if found := date_in(clean(one.get(key)), latest=latest):
                return found
    return ""


def _state_date(tree: Tree, latest: str) -> str:
    """The first date of publication among the data that the page's scripts hold."""
    for key in _STATE_KEYS:
        at = tree.source.find(key)
        for _ in range(_MAX_PLACES):
            if at < 0:
                break
            if (found := _STATE_DATE.match(tree.source, at)) and (text := date_in(found[1].decode(), latest=latest)):
                return text
            at = tree.source.find(key, at + len(key))
    return ""


def _marked_date(tree: Tree, month_first: bool, latest: str) -> str:
    """The first date of an element that is a ``time`` or has words of dates in its attributes."""
    marked = np.flatnonzero((tree.tag == _TIME) | (((tree.hints & _DATED) != 0) & (tree.stop - tree.start < 200)))
    outside = ""
    for node in marked[:_MAX_ELEMENTS].tolist():
        text = tree.attribute(node, "datetime") or tree.attribute(node, "content") or ""
        text += " " + (tree.attribute(node, "title") or "")
        found = date_in(text, month_first, latest) or date_in(brief_text(tree, node), month_first, latest)
        if found:
            if not is_outside(tree, node):
                return found
            outside = outside or found
    return outside


def _text_date(tree: Tree, month_first: bool, latest: str) -> str:
    """The first date of a short text after the first h1, in comments and the like only where there is no other."""
    heads = tree.nodes("h1")
    start = int(heads[0]) if len(heads) else 0
    sizes = tree.stop - tree.start
    texts = np.flatnonzero((tree.tag == 0) & (sizes > 5) & (sizes < 120))
    texts = texts[texts > start][:_MAX_TEXTS]
    data = bytes(tree.text)
    spans = zip(tree.start[texts].tolist(), tree.stop[texts].tolist(), texts.tolist(), strict=True)
    outside = ""
    for first, last, node in spans:
        piece = data[first:last]
        if not _HAS_DATE.search(piece):
            continue
        if found := date_in(clean(piece.decode("utf-8", "replace")), month_first, latest):
            if not is_outside(tree, node):
                return found
            outside = outside or found
    return outside
