"""Reads EPUB 2 and 3: the documents of the spine in reading order, without cover, contents and navigation.

An EPUB is a zip archive that anyone may have made: sizes are bounded as they are unpacked, paths are looked up in the
archive's own table and lead nowhere else, XML is parsed without entities, and what is encrypted is said to be so.
"""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib
from urllib.parse import unquote

from lxml import etree

from pipeline.sources.book.markup import Block, Xhtml, blocks, elements, name_of, parse, text_of
from pipeline.sources.source import UnreadableRecord

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONT_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Algorithms that veil embedded fonts; the text of such books is open."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, KeyError, struct.error)
_XHTML_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_MOST_ENTRIES = 20_000


def read(data: bytes, max_bytes: int) -> tuple[list[Block], dict[str, str]]:
    """The book's blocks and its metadata (title, author, language, date).

    Raises UnreadableRecord for what is no EPUB, is encrypted, or unpacks to more than ``max_bytes`` in all.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGE as error:
        raise UnreadableRecord(f"no EPUB: not a zip archive that can be read: {error}") from error
    if len(archive.namelist()) > _MOST_ENTRIES:
        raise UnreadableRecord(f"the EPUB has more than {_MOST_ENTRIES} files")
    package = _Package(archive, max_bytes)
    found: list[Block] = []
    for path in package.spine():
        root = parse(package.content(path))
        body = next(elements(root, "body"), root)
        found += blocks(body, Xhtml())
    return found, package.metadata()


class _Package:
    """The files of an EPUB and what its package document (.opf) says of them."""

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self._room = max_bytes
        self._max_bytes = max_bytes
        if _CONTAINER not in self._names:
            raise UnreadableRecord(f"no EPUB: the archive has no {_CONTAINER}")
        self._refuse_encryption()
        container = parse(self.content(_CONTAINER))
        path = next((one.get("full-path") or "" for one in elements(container, "rootfile")), "")
        if path not in self._names:
            raise UnreadableRecord(f"the EPUB's container names the package {path!r}, which is not in the archive")
        self._folder = posixpath.dirname(path)
        self._opf = parse(self.content(path))

    def content(self, path: str) -> bytes:
        """A file's bytes. Raises UnreadableRecord where it is damaged, encrypted or too large."""
        try:
            with self._archive.open(path) as stream:
                data = stream.read(self._room + 1)
        except _DAMAGE as error:
            raise UnreadableRecord(f"{path} in the EPUB can't be unpacked: {error}") from error
        self._room -= len(data)
        if self._room < 0:
            raise UnreadableRecord(f"the EPUB unpacks to more than {self._max_bytes} bytes, the largest record allowed")
        return data

    def spine(self) -> list[str]:
        """The paths of the documents to read, in order."""
        items: dict[str, etree._Element] = {one.get("id") or "": one for one in elements(self._opf, "item")}
        framing = {
            self._path(one.get("href") or "")
            for one in elements(self._opf, "reference")
            if (one.get("type") or "").lower() in ("cover", "toc", "title-page", "copyright-page")
        }
        found: list[str] = []
        for reference in elements(self._opf, "itemref"):
            item = items.get(reference.get("idref") or "")
            if item is None or (item.get("media-type") or _XHTML_TYPES[0]) not in _XHTML_TYPES:
                continue
            path = self._path(item.get("href") or "")
            if "nav" in (item.get("properties") or "").split() or path in framing or path in found:
                continue
            if path not in self._names:
                raise UnreadableRecord(f"the EPUB's spine names {path!r}, which is not in the archive")
            found.append(path)
        return found

    def metadata(self) -> dict[str, str]:
        """Title, author, language and date, as far as they are given."""
        found: dict[str, str] = {}
        for one in elements(self._opf, "metadata"):
            for child in one:
                name = {"creator": "author"}.get(name_of(child), name_of(child))
                if name in ("title", "author", "language", "date") and (text := text_of(child)):
                    found[name] = (
                        f"{found[name]}; {text}" if name == "author" and name in found else found.get(name, text)
                    )
        return found

    def _path(self, href: str) -> str:
        return posixpath.normpath(posixpath.join(self._folder, unquote(href.partition("#")[0])))

    def _refuse_encryption(self) -> None:
        if _ENCRYPTION not in self._names:
            return
        for method in elements(parse(self.content(_ENCRYPTION)), "encryptionmethod"):
            if (method.get("Algorithm") or "") not in _FONT_ONLY:
                raise UnreadableRecord("the EPUB is encrypted (DRM): its text can't be read")
