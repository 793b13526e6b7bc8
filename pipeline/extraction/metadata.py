"""What a page says about itself: title, author, date of publication, canonical address, language, site."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import numpy as np

from pipeline.extraction.dates import date_in
from pipeline.extraction.hints import hint
from pipeline.extraction.markup import ATTRIBUTES, tag
from pipeline.extraction.tree import Tree

_MAX_JSON: Final = 1 << 18
"""Bytes of linked data that are parsed; more is passed over."""
_MAX_VALUE: Final = 1_000
"""Characters of a title, author or address that are kept."""
_MAX_VISITS: Final = 2_000
"""Objects of a page's linked data that are looked at."""
_MAX_ELEMENTS: Final = 60
"""Elements with words of dates that are looked at."""

_META, _LINK, _SCRIPT, _TIME, _TITLE, _H1 = (tag(name) for name in ("meta", "link", "script", "time", "title", "h1"))


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
    crawl). The date is that of the linked data (JSON-LD), the ``meta`` elements, the address, elements marked as dates
    or the text below the headline, in this order.
    """
    meta = _meta(tree)
    linked = list(_linked_data(tree))
    language = _language(tree, meta)
    return PageMetadata(
        title=_title(tree, meta, linked),
        author=_author(tree, meta, linked),
        published=_published(tree, meta, linked, url, latest, language),
        canonical=_canonical(tree, meta, url),
        language=language,
        site=_clean(meta.get("og:site_name", "") or meta.get("application-name", "")),
    )


def _clean(value: object) -> str:
    """A value on one line, of bounded length, without controls; empty where it is no text."""
    return " ".join("".join(one if one.isprintable() else " " for one in value[:_MAX_VALUE]).split()) if isinstance(value, str) else ""


# --- where it stands ------------------------------------------------------------------------------


def _meta(tree: Tree) -> dict[str, str]:
    """The content of ``meta`` elements by name, property, itemprop or http-equiv in lower case; the first one counts."""
    found: dict[str, str] = {}
    which = np.flatnonzero(tree.tag[tree.attribute_nodes] == _META)
    keys: list[str] = []
    content = ""
    before = -1
    for one, node, name in zip(
        which.tolist(), tree.attribute_nodes[which].tolist(), tree.attribute_names[which].tolist(), strict=True
    ):
        if node != before:
            for key in keys:
                found.setdefault(key, content)
            keys, content, before = [], "", node
        if name == _CONTENT:
            content = tree.value(one)
        elif name in _KEYS:
            keys += tree.value(one).lower().split()
    for key in keys:
        found.setdefault(key, content)
    return {key: value for key, value in found.items() if value.strip()}


_CONTENT: Final = ATTRIBUTES.index("content")
_KEYS: Final = tuple(ATTRIBUTES.index(name) for name in ("name", "property", "itemprop", "http-equiv"))


def _linked_data(tree: Tree) -> Iterator[dict[str, Any]]:
    """The objects of JSON-LD in the page, those of a graph one by one, outer ones before those inside them."""
    room = _MAX_JSON
    visits = _MAX_VISITS
    for node, kind in tree.attributes("type"):
        if tree.tag[node] != _SCRIPT or "ld+json" not in kind.lower():
            continue
        source = tree.source_of(node, "#text")
        room -= len(source)
        if room < 0:
            return
        try:
            data = json.loads(source.decode("utf-8", "replace").strip().rstrip(";"), strict=False)
        except (ValueError, RecursionError):
            continue
        queue = [data]
        for one in queue:
            visits -= 1
            if visits < 0:
                return
            if isinstance(one, list):
                queue += one
            elif isinstance(one, dict):
                yield one
                queue += [one[key] for key in ("@graph", "mainEntity", "mainEntityOfPage") if key in one]


_ARTICLE: Final = re.compile(r"Article|Posting|Report|Review|Recipe|CreativeWork|Webpage|QAPage|Question|Video|Book", re.IGNORECASE)


def _types(one: dict[str, Any]) -> str:
    kinds = one.get("@type", "")
    return " ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)


def _articles(linked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects that may be what the page is about, articles before whole pages."""
    works = [one for one in linked if _ARTICLE.search(_types(one))]
    return sorted(works, key=lambda one: "webpage" in _types(one).lower())


# --- title ----------------------------------------------------------------------------------------

_SEPARATOR: Final = re.compile(r"\s+[|–—•·»«:/\\-]+\s+|\s*[|»]\s*|::|(?<=\w): ")


def _title(tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]]) -> str:
    """The headline: that of the linked data, of Open Graph, or the h1 that the document's title repeats."""
    whole = next((_clean(tree.text_of(int(node))) for node in tree.nodes("title")), "")
    heads = [_clean(tree.text_of(int(node))) for node in tree.nodes("h1")[:5]]
    heads = [one for one in heads if one]
    for head in heads:
        if len(head) > 3 and head.lower() in whole.lower():
            return head
    told = [_clean(one.get("headline")) for one in _articles(linked)]
    told += [_clean(meta.get(key)) for key in ("og:title", "twitter:title", "dc.title", "citation_title", "headline")]
    told = [one for one in told if one]
    if told:
        return _without_site(told[0], meta)
    if len(heads) == 1:
        return heads[0]
    return _without_site(whole, meta) or (heads[0] if heads else "")


def _without_site(title: str, meta: dict[str, str]) -> str:
    """A title without the name of the site before or after it."""
    parts = [part for part in _SEPARATOR.split(title) if part.strip()]
    if len(parts) < 2:
        return title
    site = _clean(meta.get("og:site_name", "")).lower()
    for part, rest in ((parts[-1], title[: title.rfind(parts[-1])]), (parts[0], title[len(parts[0]) :])):
        if site and (part.strip().lower() == site):
            return rest.strip(" |–—•·»«:/\\-")
    return title


# --- author ---------------------------------------------------------------------------------------

_BY: Final = re.compile(r"^(?:written |posted |published )?(?:by|von|par|por|di|door|af|av|od|autor(?:in)?|author|text)\s*:?\s+", re.IGNORECASE)


def _author(tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]]) -> str:
    for one in _articles(linked):
        if names := _names(one.get("author")):
            return "; ".join(names)
    for key in ("author", "article:author", "dc.creator", "dcterms.creator", "citation_author", "parsely-author", "sailthru.author", "byl"):
        value = _BY.sub("", _clean(meta.get(key)))
        if value and not value.startswith(("http", "@", "/")):
            return value
    for node, value in tree.attributes("rel"):
        if value.lower() == "author":
            name = _BY.sub("", _clean(tree.text_of(node)))
            if 3 < len(name) < 60:
                return name
    for node, value in tree.attributes("itemprop"):
        if value.lower() == "author":
            name = _BY.sub("", _clean(tree.text_of(node)))
            if 3 < len(name) < 60:
                return name
    return ""


def _names(author: object) -> list[str]:
    people = author if isinstance(author, list) else [author]
    names = [_clean(one.get("name") if isinstance(one, dict) else one) for one in people[:20]]
    return list(dict.fromkeys(name for name in names if name and not name.startswith(("http", "@", "/", "#"))))


# --- date -----------------------------------------------------------------------------------------

_DATE_KEYS: Final = """
article:published_time article:published og:published_time og:article:published_time og:pubdate datepublished
date.issued dc.date.issued dcterms.issued dc.issued dc.date.created dcterms.created dc.date dcterms.date dcterms.available
citation_publication_date citation_date citation_online_date prism.publicationdate
publishdate publish-date publish_date publish_time publishtime published_date published-date published_time published pubdate pub_date
publication_date publication-date publicationdate parsely-pub-date sailthru.date bt:pubdate cxenseparse:recs:publishtime
article_date_original article.published article.created originalpublicationdate datecreated created created_date date displaydate
rnews:datepublished shareaholic:article_published_time lastmodified
""".split()
_URL_DATE: Final = re.compile(r"(?:^|[/_.-])((?:19|20)\d\d)([/_.-]?)([01]?\d)\2([0-3]?\d)(?=[/_.-]|$|\D)")
_US: Final = re.compile(r"en(?:[-_]us)?$|$", re.IGNORECASE)

_OUTSIDE: Final = np.uint64(hint("comment", "sidebar", "footer", "related", "nav", "menu", "popular", "widget", "breadcrumb", "event"))
_DATED: Final = np.uint64(hint("date"))


def _published(
    tree: Tree, meta: dict[str, str], linked: list[dict[str, Any]], url: str, latest: str, language: str
) -> str:
    month_first = bool(_US.match(language))
    for one in _articles(linked):
        for key in ("datePublished", "dateCreated", "uploadDate"):
            if found := date_in(_clean(one.get(key)), month_first, latest):
                return found
    for key in _DATE_KEYS:
        if found := date_in(meta.get(key, ""), month_first, latest):
            return found
    if found := _url_date(url, latest):
        return found
    if found := _marked_date(tree, month_first, latest):
        return found
    return ""


def _url_date(url: str, latest: str) -> str:
    found = _URL_DATE.search(urlsplit_path(url))
    return date_in(f"{found[1]}-{found[3]}-{found[4]}", latest=latest) if found else ""


def urlsplit_path(url: str) -> str:
    try:
        return urlsplit(url[:2_000]).path
    except ValueError:
        return ""


def _marked_date(tree: Tree, month_first: bool, latest: str) -> str:
    """The first date of an element that is a ``time`` or has words of dates in its attributes."""
    marked = np.flatnonzero((tree.tag == _TIME) | (((tree.hints & _DATED) != 0) & (tree.stop - tree.start < 200)))
    outside = ""
    for node in marked[:_MAX_ELEMENTS].tolist():
        text = tree.attribute(node, "datetime") or tree.attribute(node, "content") or ""
        if tree.attribute(node, "title"): text += " " + (tree.attribute(node, "title") or "")
        found = date_in(text, month_first, latest) or date_in(_clean(tree.text_of(node)), month_first, latest)
        if found:
            if not _is_outside(tree, node):
                return found
            outside = outside or found
    return outside


def _is_outside(tree: Tree, node: int) -> bool:
    while node > 0:
        if tree.hints[node] & _OUTSIDE:
            return True
        node = int(tree.parent[node])
    return False


# --- address and language -------------------------------------------------------------------------

_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}$")


def _canonical(tree: Tree, meta: dict[str, str], url: str) -> str:
    """The address of ``link rel=canonical`` or ``og:url``, made absolute; empty where it is none of http or https."""
    for node, value in tree.attributes("rel"):
        if tree.tag[node] == _LINK and "canonical" in value.lower().split():
            if address := _absolute(tree.attribute(node, "href") or "", url):
                return address
    return _absolute(meta.get("og:url", ""), url)


def _absolute(address: str, url: str) -> str:
    address = address.strip()[:_MAX_VALUE * 2]
    if not address:
        return ""
    try:
        whole = urljoin(url, address)
        parts = urlsplit(whole)
    except ValueError:
        return ""
    return whole if parts.scheme in ("http", "https") and parts.netloc and whole.isprintable() and " " not in whole else ""


def _language(tree: Tree, meta: dict[str, str]) -> str:
    for value in (tree.attribute(0, "lang"), meta.get("content-language"), meta.get("og:locale"), meta.get("dc.language"), meta.get("language")):
        found = _LANGUAGE_TAG.match((value or "").split(",")[0].strip())
        if found:
            return found[0].replace("_", "-")
    return ""
