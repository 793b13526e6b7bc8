"""Reads MediaWiki XML dumps: one document a page, its wikitext turned into prose.

Of a page with many revisions (a history dump) the newest is the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal
from urllib.parse import quote

from lxml import etree
from pydantic import Field

from pipeline.sources.source import FilePart, NotADocument, Record, Source
from pipeline.sources.wiki import dumps, wikitext

_WIKI_IN_NAME = re.compile(r"(?:^|/)([a-z][a-z0-9_]{0,30}(?:wiki[a-z]{0,8}|wiktionary))(?=[-.])")
_INDEX = re.compile(r"-index\d*\.txt(\.(bz2|gz|xz|zst))?$")
_ENTERED = re.compile(r"\.(xml|bz2)$", re.IGNORECASE)

# Old dumps don't mark redirects. Their magic word differs from wiki to wiki; all are a number sign, a word and a link.
_REDIRECT = re.compile(r"\s*#\s*[^\s\[\]|{}#*]{3,40}\s*:?\s*\[\[[^\[\]\n]+\]\]", re.IGNORECASE)

_LIST_TITLE = re.compile(
    r"""(?:lists?\ of|index\ of|outline\ of|timeline\ of|chronologie\ d | listen?\ d(?:er|es|e|u)\b | liste\ (?:von|des|d['’])|listas?\ de\b
      | anexo: | elenco\ (?:di|de|degli|dei|delle) | lista\ (?:di|dei|delle|degli|över|over|do) | lijst\ van | список | списък | спісак
      | списак | lista\ (?:na|av|de) | seznam | zoznam | liste\ over | listi\ yfir | luettelo | loend | sąrašas | saraksts | popis
      | κατάλογος | قائمة | فهرست | רשימת | danh\ sách | daftar | senarai | รายชื่อ | सूची | llista\ d | zerrenda:)
      | .*(?:の?一覧|列表|목록|listesi|listája|nimekiri|siyahısı|tizimi)$""",
    re.VERBOSE | re.IGNORECASE,
)
"""How the titles of list articles begin or end on the larger wikis."""

_DISAMBIGUATION = re.compile(
    r"""\{\{\s*(?:
      disambig[a-z]* | dab | (?:hn|geo|school|hospital)dis | mathdab | begriffsklärung | bk[lv]
    | homonymie | homonymes | (?:toponymie|patronymie|internationalisation)[ _]?homonymes? | paronymie
    | desambiguaci[óo]n? | desambigua(?:ção|ció) | desambig | disambigua | dp | doorverwijspagina
    | неоднозначность | многозначность | неадназначнасць | багатозначність | пояснение | вишезначна[ _]одредница
    | ujednoznacznienie | rozcestník | rozlišovacia[ _]stránka | egyért(?:-[a-z]+|elműsítő)? | dezambiguizare
    | gaffel | grensida | förgrening(?:ssida)? | flertydig | peker(?:side)? | aðgreining | täsmennyssivu
    | daudznozīmjlapa | nuorodinis | razločitev | razdvojba | višeznačna[ _]odrednica | argipen | apartigilo
    | αποσαφήνιση | anlam[ _]?ayrımı | dəqiqləşdirmə | توضيح | ابهام.?زدایی | ضد[ _]ابهام | פירושונים
    | (?:人名の|地名の)?曖昧さ回避 | aimai | 동음이의 | 消歧[义義][頁页]? | (?:trang[ _])?định[ _]hướng | แก้กำกวม
    | बहुविकल्पी[ _]शब्द | দ্ব্যর্থতা[ _]নিরসন | discretiva | disambiguasi
    )\s*(?:\||\}\}) | __DISAMBIG__""",
    re.VERBOSE | re.IGNORECASE,
)
"""The templates that mark a disambiguation page on the larger wikis, and MediaWiki's own mark."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a dump says of its wiki before the first page. ``wiki`` is a name such as ``enwiki``; "" where unknown."""

    wiki: str = ""
    language: str = ""
    address: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)


class Wikipedia(Source):
    """MediaWiki dumps: Wikipedia and every other wiki that exports its pages as XML.

    Pages of other namespaces, redirects, disambiguation pages, list articles and pages without prose are removed with a reason.
    """

    kind: Literal["wikipedia"] = "wikipedia"
    reads: ClassVar[str] = (
        "MediaWiki XML dumps: .xml, also as .bz2, .gz, .xz, .zst or .7z; .xml and multistream .bz2 are split"
    )

    namespaces: tuple[int, ...] = Field((0,), description="numbers of the namespaces to keep; 0 holds the articles")
    keep_disambiguation: bool = Field(False, description="whether pages that list the meanings of a name are documents")
    keep_lists: bool = Field(False, description='whether list articles ("List of …") are documents')

    def can_enter(self, path: str) -> bool:
        """Plain XML at any page, .bz2 at any stream; one that has a single stream is read by its first part."""
        return _ENTERED.search(path) is not None and _INDEX.search(path) is None

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a page; places are as ``dumps.Page`` says. An index of streams is not needed, and no document."""
        if _INDEX.search(part.name):
            if part.start == 0:
                yield Record(0, part.size, partial(_refuse, "wikipedia.index"))
            return
        site = site_of(dumps.head_of(part.path), part.name)
        shown = wikitext.Namespaces.of(site.namespaces)
        for page in dumps.pages(part, max_record_bytes):
            if page.failure:
                yield Record(page.offset, page.length, failure=page.failure)
            else:
                yield self._record(page, site, shown)

    def _record(self, page: dumps.Page, site: Site, shown: wikitext.Namespaces) -> Record:
        record = Record(page.offset, page.length)
        try:
            tree = etree.fromstring(page.xml, _parser())
        except etree.XMLSyntaxError as error:
            record.failure = f"the page is no well-formed XML: {error}"
            return record
        title = (tree.findtext("title") or "").strip()
        revision = tree.find("revision")
        source = "" if revision is None else revision.findtext("text") or ""
        model = "wikitext" if revision is None else revision.findtext("model") or "wikitext"
        number = _namespace(tree.findtext("ns"), title, site)
        record.url = _url(site.address, title)
        record.date = "" if revision is None else revision.findtext("timestamp") or ""
        record.metadata = {"title": title, "page_id": tree.findtext("id") or ""}
        if site.wiki:
            record.metadata["wiki"] = site.wiki
        if site.language:
            record.metadata["wiki_language"] = site.language
        if number not in self.namespaces:
            record.text = partial(_refuse, "wikipedia.namespace")
        elif tree.find("redirect") is not None or _REDIRECT.match(source):
            record.text = partial(_refuse, "wikipedia.redirect")
        elif model != "wikitext":
            record.text = partial(_refuse, "wikipedia.not_wikitext")
        elif not self.keep_disambiguation and _DISAMBIGUATION.search(source):
            record.text = partial(_refuse, "wikipedia.disambiguation")
        elif not self.keep_lists and _LIST_TITLE.match(title):
            record.text = partial(_refuse, "wikipedia.list")
        else:
            record.text = partial(_prose, title, source, shown)
        return record


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def _prose(title: str, source: str, shown: wikitext.Namespaces) -> str:
    """The page as text, its title on the first line. Raises NotADocument for a page without prose."""
    body = wikitext.to_text(source, shown)
    if not body:
        raise NotADocument("wikipedia.empty")
    return f"{title}\n\n{body}"


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)


def _namespace(number: str | None, title: str, site: Site) -> int:
    """The page's namespace; old dumps give no number, only the prefix of the title."""
    if number is not None and number.strip().lstrip("-").isdecimal():
        return int(number)
    prefix, colon, _ = title.partition(":")
    if colon:
        for known, name in site.namespaces.items():
            if name and name.casefold() == prefix.casefold():
                return known
    return 0


def _url(address: str, title: str) -> str:
    return address + quote(title.replace(" ", "_"), safe="/:()',!*~@$;") if address else ""


def site_of(head: bytes, file_name: str) -> Site:
    """What the bytes before the first page, or else the file's name, say of the wiki."""
    named = _WIKI_IN_NAME.search(file_name)
    tree = None
    if start := re.search(rb"<mediawiki[\s>]", head):
        try:
            tree = etree.fromstring(head[start.start() :] + b"</mediawiki>", etree.XMLParser(recover=True))
        except etree.XMLSyntaxError:
            tree = None  # beyond recovery: the site stays unknown, and its pages are read all the same
    if tree is None:
        return Site(wiki=named[1] if named else "")
    namespaces: dict[int, str] = {}
    for element in tree.iter("{*}namespace"):
        key = element.get("key") or ""
        if key.lstrip("-").isdecimal():
            namespaces[int(key)] = element.text or ""
    return Site(
        wiki=tree.findtext(".//{*}dbname") or (named[1] if named else ""),
        language=tree.get("{http://www.w3.org/XML/1998/namespace}lang") or "",
        address=_address(tree.findtext(".//{*}base") or ""),
        namespaces=namespaces,
    )


def _address(main_page: str) -> str:
    """What stands before a page's title in its URL, taken from the URL of the main page."""
    before, wiki, _ = main_page.partition("/wiki/")
    return before + wiki if wiki else main_page.rpartition("/")[0] + "/" if "//" in main_page else ""
