"""The demo's wiki: hand-written wikitext of ``demo/wiki`` as the XML dump that MediaWiki exports (schema 0.11)."""

from __future__ import annotations

import base64
import bz2
import hashlib
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape, quoteattr

import mwparserfromhell

from demo.articles import Article, load_articles
from demo.warc import key

MIRRORED = ("Tide mill", "Lighthouse keeper")
"""Titles that a page of the demo's web repeats."""
_NAMESPACES = {"": 0, "Talk": 1, "User": 2, "Wikipedia": 4, "File": 6, "Template": 10, "Help": 12, "Category": 14}
_FIRST_EDIT = datetime(2021, 3, 1, tzinfo=UTC)


def dump() -> bytes:
    """The bytes of ``demowiki.xml.bz2``."""
    namespaces = "".join(
        f'      <namespace key="{number}" case="first-letter"' + (f">{name}</namespace>\n" if name else " />\n")
        for name, number in _NAMESPACES.items()
    )
    head = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">\n'
        "  <siteinfo>\n    <sitename>Demopedia</sitename>\n    <dbname>demowiki</dbname>\n"
        "    <base>https://demopedia.example/wiki/Main_Page</base>\n    <case>first-letter</case>\n"
        f"    <namespaces>\n{namespaces}    </namespaces>\n  </siteinfo>\n"
    )
    pages = "".join(_page(number, article) for number, article in enumerate(load_articles("wiki"), start=1))
    return bz2.compress((head + pages + "</mediawiki>\n").encode())


def plain_text(title: str) -> str:
    """The paragraphs of an article, without markup, tables, notes and templates. Raises ValueError if there is none."""
    for article in load_articles("wiki"):
        if article.title == title:
            code = mwparserfromhell.parse(article.body)
            for node in [
                *code.filter_templates(recursive=False),
                *code.filter_tags(matches=_is_dropped, recursive=False),
            ]:
                code.remove(node)
            lines = [line.strip() for line in code.strip_code().split("\n")]
            return "\n\n".join(line for line in lines if line and not line.startswith("Category:"))
    raise ValueError(f"the demo's wiki has no article {title!r}")


def _is_dropped(node: object) -> bool:
    return str(getattr(node, "tag", "")) in ("ref", "table", "references")


def _page(number: int, article: Article) -> str:
    prefix, colon, _ = article.title.partition(":")
    namespace = _NAMESPACES.get(prefix, 0) if colon else 0
    text = article.body
    edited = _FIRST_EDIT + timedelta(minutes=key(article.title) % 1_900_000)
    target = article.fields.get("redirect")
    if target:
        text = f"#REDIRECT [[{target}]]\n{text}".rstrip()
    sha1 = base64.b32encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode().lower()
    redirect = f"    <redirect title={quoteattr(target)} />\n" if target else ""
    return f"""\
  <page>
    <title>{escape(article.title)}</title>
    <ns>{namespace}</ns>
    <id>{number}</id>
{redirect}    <revision>
      <id>{number + 1000}</id>
      <timestamp>{edited.strftime("%Y-%m-%dT%H:%M:%SZ")}</timestamp>
      <contributor>
        <username>Demo editor</username>
        <id>7</id>
      </contributor>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>
      <sha1>{sha1}</sha1>
    </revision>
  </page>
"""
