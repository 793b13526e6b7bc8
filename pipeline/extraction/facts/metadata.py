"""What a page says about itself: title, author, date of publication, canonical address, language, site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import numpy as np

from pipeline.extraction.facts.declared import (
    MAX_VALUE,
    articles,
    brief_text,
    clean,
    is_outside,
    linked_data,
    meta_values,
)
from pipeline.extraction.facts.publication_date import publication_date
from pipeline.extraction.html.hints import hint
from pipeline.extraction.html.markup import tag
from pipeline.extraction.html.tree import Tree

_MAX_ELEMENTS: Final = 60
"""Elements of one kind that are looked at."""

_MAX_RELATIONS: Final = 5_000

_LINK: Final = tag("link")


@dataclass(frozen=True, slots=True)
class PageMetadata:
    """What was found; empty where nothing was."""

    title: str = ""
    author: str = ""
    """Names, joined by ``; ``."""
    published: str = ""
    """Date of publication, YYYY-MM-DD."""
    canonical: str = ""
    """Absolute http(s) address."""
    language: str = ""
    """As the page declares it, a BCP 47 tag such as ``pt-BR``."""
    site: str = ""

    def noted(self) -> dict[str, str]:
        """What was found, by the keys that a record's metadata has for it."""
        values = {
            "title": self.title,
            "author": self.author,
            "published": self.published,
            "canonical": self.canonical,
            "language_declared": self.language,
            "site": self.site,
        }
        return {key: value for key, value in values.items() if value}


def page_metadata(tree: Tree, url: str = "", latest: str = "9999") -> PageMetadata:
    """What a page says about itself. Never raises.

    ``url`` is where it was found, ``latest`` the day after which it can't have been published (ISO 8601; that of the
    crawl).
    """
    meta = meta_values(tree)
    linked = list(linked_data(tree))
    language = _language(tree, meta)
    return PageMetadata(
        title=_title(tree, meta, linked),
        author=_author(tree, meta, linked),
        published=publication_date(tree, meta, linked, url, latest, language),
        canonical=_canonical(tree, meta, url),
        language=language,
        site=clean(meta.get("og:site_name", "") or meta.get("application-name", "")),
    )


# --- title ----------------------------------------------------------------------------------------

_MAX_HEADINGS: Final = 8
_SEPARATORS: Final = " |–—•·»«:/\\-"


def _title(tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]]) -> str:
    """The heading that the document's title or what the page tells of itself repeats, else what it tells, else that title."""
    whole = next((brief_text(tree, int(node)) for node in tree.nodes("title")), "")
    told = [clean(one.get("headline")) for one in articles(linked)]
    told += [clean(meta.get(key)) for key in ("og:title", "twitter:title", "dc.title", "citation_title", "headline")]
    told = [one for one in told if one]
    heads = [brief_text(tree, int(node)) for node in tree.nodes("h1", "h2")[:_MAX_HEADINGS]]
    site = clean(meta.get("og:site_name")).lower()
    for node in tree.nodes("h1")[:_MAX_HEADINGS]:
        head = brief_text(tree, int(node))
        if len(head) > 3 and whole.lower().startswith(head.lower()) and head.lower() != site:
            return head
    places = "\n".join((whole, *told)).lower()
    repeated = [head for head in heads if len(head) > 3 and head.lower() in places]
    if repeated:
        best = max(repeated, key=len)
        if not told or 2 * len(best) > len(told[0]):
            return best
    if told:
        return _without_site(told[0], site)
    first = next((brief_text(tree, int(node)) for node in tree.nodes("h1")), "")
    return first or _without_site(whole, site)


def _without_site(title: str, site: str) -> str:
    """A title without the name of the site, which is in lower case, before or after it."""
    if site and title.lower().endswith(site):
        return title[: -len(site)].rstrip(_SEPARATORS) or title
    if site and title.lower().startswith(site):
        return title[len(site) :].lstrip(_SEPARATORS) or title
    return title


# --- author ---------------------------------------------------------------------------------------

_AUTHOR_KEYS: Final = (
    "author article:author dc.creator dcterms.creator citation_author parsely-author sailthru.author byl"
)
_LONGEST_NAME: Final = 80
_NAME: Final = re.compile(r"[^\W\d_a-z][^\d|:!?/@]{2,40}")
_SIGNED: Final = np.uint64(hint("author"))
_BY: Final = re.compile(
    r"^(?:written |posted |published )?(?:by|von|par|por|di|door|af|av|od|autor(?:in)?|author|text)\s*:?\s+",
    re.IGNORECASE,
)


def _author(tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]]) -> str:
    for one in articles(linked):
        if names := _names(one.get("author")):
            return "; ".join(names)
    for key in _AUTHOR_KEYS.split():
        value = _BY.sub("", clean(meta.get(key)))
        if value and not value.startswith(("http", "@", "/")):
            return value
    named = [
        node
        for name in ("rel", "itemprop")
        for node, value in islice(tree.attributes(name), _MAX_RELATIONS)
        if value.lower() == "author"
    ]
    signed = np.flatnonzero(((tree.hints & _SIGNED) != 0) & (tree.stop - tree.start < _LONGEST_NAME))
    for node in (*named[:_MAX_ELEMENTS], *signed[:_MAX_ELEMENTS].tolist()):
        if tree.stop[node] - tree.start[node] < _LONGEST_NAME:
            name = _BY.sub("", brief_text(tree, node))
            if _NAME.fullmatch(name) and (node in named or not is_outside(tree, node)):
                return name
    return ""


def _names(author: object) -> list[str]:
    people = author if isinstance(author, list) else [author]
    names = [clean(one.get("name") if isinstance(one, dict) else one) for one in people[:20]]
    return list(dict.fromkeys(name for name in names if name and not name.startswith(("http", "@", "/", "#"))))


# --- address and language -------------------------------------------------------------------------

_LANGUAGE_KEYS: Final = "content-language og:locale dc.language language"
_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}$")


def _canonical(tree: Tree, meta: dict[str, str], url: str) -> str:
    """The address of ``link rel=canonical`` or ``og:url``, made absolute; empty where it is none of http or https."""
    links = (
        tree.attribute(node, "href") or ""
        for node, value in islice(tree.attributes("rel"), _MAX_RELATIONS)
        if tree.tag[node] == _LINK and "canonical" in value.lower().split()
    )
    addresses = (_absolute(address, url) for address in (*links, meta.get("og:url", "")))
    return next((address for address in addresses if address), "")


def _absolute(address: str, url: str) -> str:
    address = address.strip()[: MAX_VALUE * 2]
    if not address:
        return ""
    try:
        whole = urljoin(url, address)
        parts = urlsplit(whole)
    except ValueError:
        return ""
    return (
        whole if parts.scheme in ("http", "https") and parts.netloc and whole.isprintable() and " " not in whole else ""
    )


def _language(tree: Tree, meta: dict[str, str]) -> str:
    declared = [tree.attribute(0, "lang"), *(meta.get(key) for key in _LANGUAGE_KEYS.split())]
    tags = (_LANGUAGE_TAG.match((value or "").split(",")[0].strip()) for value in declared)
    return next((found[0].replace("_", "-") for found in tags if found), "")
