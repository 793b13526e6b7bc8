"""Reads MediaWiki XML dumps: one document a page, its wikitext turned into prose.

A dump is not parsed as one XML document. Pages are found by their tags in the byte stream and parsed one by one, so
that memory stays at one page and damage costs the page it is in. Of a page with many revisions (a history dump) only
the newest is held.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal
from urllib.parse import quote

from lxml import etree
from pydantic import Field

from pipeline.sources import wikitext
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord
from pipeline.sources.unpacked import Unpacked, open_unpacked

_CHUNK = 1 << 18
_TAG = re.compile(rb"<(/?)(page|revision)(?:\s[^<>]*)?>")
_LONGEST_TAG = 256  # how much of a buffer may be the beginning of a tag
_MAX_HEAD = 1 << 20  # bytes before the first page, where the site is described; real ones have a few thousand

_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_OTHER_ENCODING = re.compile(
    rb"""<\?xml[^>]{0,80}?\bencoding=["'](iso-8859-\d+|windows-125\d|koi8-[ru]|gb18030|gbk|big5|euc-jp|euc-kr|shift_jis)["']""",
    re.IGNORECASE,
)
_TIMESTAMP = re.compile(rb"<timestamp>([^<]{1,40})</timestamp>")
_WIKI_IN_NAME = re.compile(r"(?:^|/)([a-z][a-z0-9_]{0,30}(?:wiki[a-z]{0,8}|wiktionary))(?=[-.])")

# Old dumps don't mark redirects. Their magic word differs from wiki to wiki; all are a number sign, a word and a link.
_REDIRECT = re.compile(r"\s*#\s*[^\s\[\]|{}#*]{3,40}\s*:?\s*\[\[[^\[\]\n]+\]\]", re.IGNORECASE)

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


@dataclass(slots=True)
class _Page:
    """A page's XML with its newest revision, its place in the dump, or the ``failure`` to read it."""

    offset: int
    length: int
    xml: bytes = b""
    failure: str = ""


class Wikipedia(Source):
    """MediaWiki dumps: Wikipedia and every other wiki that exports its pages as XML.

    Pages of other namespaces, redirects, disambiguation pages and pages without prose are removed with a reason.
    """

    kind: Literal["wikipedia"] = "wikipedia"
    reads: ClassVar[str] = "MediaWiki XML dumps: .xml, also as .bz2, .gz, .xz or .zst"

    namespaces: tuple[int, ...] = Field((0,), description="numbers of the namespaces to keep; 0 holds the articles")
    keep_disambiguation: bool = Field(False, description="whether pages that list the meanings of a name are documents")

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a page; offsets are bytes of the unpacked XML (of its UTF-8 form if it has another)."""
        if part.start > 0:
            return
        with open_unpacked(part.path) as stream:
            pages = _pages(stream, max_record_bytes)
            site = site_of(next(pages).xml, part.name)
            shown = wikitext.Namespaces.of(site.namespaces)
            for page in pages:
                if page.failure:
                    yield Record(page.offset, page.length, failure=page.failure)
                else:
                    yield self._record(page, site, shown)

    def _record(self, page: _Page, site: Site, shown: wikitext.Namespaces) -> Record:
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


def _pages(stream: Unpacked, max_bytes: int) -> Iterator[_Page]:
    """First the bytes before the first page, then every page of the dump; damage where it stands."""
    head: list[bytes] | None = []
    head_size = 0
    page: _Building | None = None
    offset = 0
    try:
        for offset, tag, data in _pieces(stream):
            if head is not None:
                if tag != b"page":
                    head_size += len(data)
                    if head_size <= _MAX_HEAD:
                        head.append(data)
                    continue
                yield _Page(0, offset, b"".join(head))
                head = None
            if tag == b"page":
                if page is not None:
                    yield page.cut_off(offset, "the page has no end: another one begins")
                page = _Building(offset, max_bytes)
            elif tag == b"/page":
                if page is not None:
                    yield page.finished(offset + len(data))
                page = None
            elif page is not None:
                page.add(tag, data)
    except UnreadableRecord as error:
        if head is not None:
            yield _Page(0, stream.position, b"".join(head))
        start = offset if page is None else page.offset
        yield _Page(start, stream.position - start, failure=str(error))
        return
    if head is not None:
        yield _Page(0, stream.position, b"".join(head))
        if not any(b"<mediawiki" in piece for piece in head):
            yield _Page(0, stream.position, failure="no MediaWiki dump: neither <mediawiki> nor <page> was found")
    if page is not None:
        yield page.cut_off(stream.position, "the dump ends in the middle of the page")


class _Building:
    """A page while its pieces arrive: what is outside its revisions, and the newest revision so far."""

    def __init__(self, offset: int, max_bytes: int) -> None:
        self.offset = offset
        self._room = max_bytes
        self._outside = bytearray()
        self._revision: bytearray | None = None
        self._newest = b""
        self._newest_date = b""
        self._failure = ""

    def add(self, tag: bytes, data: bytes) -> None:
        """Take the next piece: the tag of a revision, or what stands between tags."""
        if self._failure:
            return
        if tag == b"revision":
            self._revision = bytearray()
        target = self._outside if self._revision is None else self._revision
        if len(self._outside) + len(self._revision or b"") + len(data) > self._room:
            self._failure = f"the page has more than {self._room} bytes, the largest record allowed"
            self._outside, self._revision, self._newest = bytearray(), None, b""
            return
        target += data
        if tag == b"/revision" and self._revision is not None:
            dated = _TIMESTAMP.search(self._revision)
            date = dated[1] if dated else self._newest_date
            if date >= self._newest_date:
                self._newest, self._newest_date = bytes(self._revision), date
            self._revision = None

    def finished(self, end: int) -> _Page:
        """The whole page; ``end`` is the offset after its last byte."""
        if self._failure:
            return _Page(self.offset, end - self.offset, failure=self._failure)
        if self._revision is not None:
            return self.cut_off(end, "a revision of the page has no end")
        return _Page(self.offset, end - self.offset, b"<page>" + self._outside + self._newest + b"</page>")

    def cut_off(self, end: int, failure: str) -> _Page:
        """The page as one that can't be read."""
        return _Page(self.offset, end - self.offset, failure=self._failure or failure)


def _pieces(stream: Unpacked) -> Iterator[tuple[int, bytes, bytes]]:
    """The dump cut at the tags of pages and revisions: offset, the tag's name (``/page``; b"" for all else), the bytes.

    In a dump these tags are nowhere but in the markup: inside texts MediaWiki writes ``&lt;``.
    """
    buffer = b""
    base = 0
    for chunk in _utf8_chunks(stream):
        buffer += chunk
        done = 0
        for match in _TAG.finditer(buffer):
            if match.start() > done:
                yield base + done, b"", buffer[done : match.start()]
            yield base + match.start(), match[1] + match[2], match[0]
            done = match.end()
        unfinished = buffer.rfind(b"<", max(done, len(buffer) - _LONGEST_TAG))
        keep = unfinished if unfinished >= 0 and buffer.find(b">", unfinished) < 0 else len(buffer)
        if keep > done:
            yield base + done, b"", buffer[done:keep]
        base += keep
        buffer = buffer[keep:]
    if buffer:
        yield base, b"", buffer


def _utf8_chunks(stream: Unpacked) -> Iterator[bytes]:
    """The dump in UTF-8, piece by piece. Raises UnreadableRecord."""
    start = b""
    while len(start) < _LONGEST_TAG and (more := stream.read(_CHUNK)):
        start += more
    if start.startswith(_SEVEN_ZIP):
        raise UnreadableRecord("a 7z archive, which is not supported: take the .bz2 dump, or unpack it")
    encoding = ""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif start.startswith(b"<\0"):
        encoding = "utf-16-le"
    elif start.startswith(b"\0<"):
        encoding = "utf-16-be"
    elif declared := _OTHER_ENCODING.match(start):
        encoding = declared[1].decode("ascii")
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace") if encoding else None
    chunk = start
    while chunk:
        yield chunk if decoder is None else decoder.decode(chunk).encode("utf-8", "replace")
        chunk = stream.read(_CHUNK)
