"""EPUB: the spine in order, frames left out, and what hostile archives do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import outcome

from pipeline.sources.book import epub
from pipeline.sources.book.books import Books
from pipeline.sources.source import FilePart, UnreadableRecord

LIMIT = 1 << 20
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>The Book</dc:title><dc:creator>A. Writer</dc:creator><dc:creator>B. Other</dc:creator><dc:language>en</dc:language>
<dc:date>1901</dc:date></metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="c" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/><item id="i" href="i.png" media-type="image/png"/>
</manifest><spine><itemref idref="n"/><itemref idref="c"/><itemref idref="b"/><itemref idref="a"/><itemref idref="i"/></spine>
<guide><reference type="cover" href="cover.xhtml"/></guide></package>"""


def page(title: str, text: str) -> str:
    return f"""<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
    <body><section epub:type="chapter"><h2>{title}</h2><p>{text}<a epub:type="noteref" href="#n">1</a></p></section>
    <section epub:type="colophon"><p>made by</p></section></body></html>"""


FILES = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": PACKAGE,
    "OEBPS/nav.xhtml": page("Contents", "nav"),
    "OEBPS/cover.xhtml": page("Cover", "cover"),
    "OEBPS/text/b b.xhtml": page("First", "Once &mdash; upon a time." * 12),
    "OEBPS/text/a.xhtml": page("Second", "The end." * 30),
}


def packed(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_the_spine_is_read_in_order_without_cover_and_navigation() -> None:
    found, metadata = epub.read(packed(FILES), LIMIT)
    assert metadata == {"title": "The Book", "author": "A. Writer; B. Other", "language": "en", "date": "1901"}
    assert [(one.level, one.text[:16]) for one in found] == [
        (2, "First"),
        (0, "Once \u2014 upon a ti"),
        (2, "Second"),
        (0, "The end.The end."),
    ]


def test_as_a_source_and_by_chapters(tmp_path: Path) -> None:
    path = tmp_path / "book.epub"
    path.write_bytes(packed(FILES))
    part = FilePart(str(path), path.name, 0, path.stat().st_size, path.stat().st_size)
    chapters = list(Books(name="b", paths=("x",), unit="chapter").read(part, LIMIT))
    assert [one.metadata["chapter_title"] for one in chapters] == ["First", "Second"]
    (book,) = Books(name="b", paths=("x",)).read(part, LIMIT)
    assert outcome(book) == "\n\n".join(map(outcome, chapters))
    assert book.metadata["title"] == "The Book"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"META-INF/container.xml": None}, "container.xml"),
        ({"META-INF/container.xml": CONTAINER.replace("OEBPS/book.opf", "../../etc/passwd")}, "not in the archive"),
        ({"OEBPS/book.opf": PACKAGE.replace("text/a.xhtml", "../../../etc/passwd")}, "not in the archive"),
        ({"OEBPS/text/a.xhtml": " " * (2 * LIMIT)}, "unpacks to more than"),
        ({"OEBPS/text/a.xhtml": "no markup"}, "neither XML nor XHTML"),
        (
            {
                "META-INF/encryption.xml": '<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'
            },
            "encrypted",
        ),
    ],
)
def test_what_can_not_be_read_says_why(changes: dict[str, str | None], said: str) -> None:
    files = {name: text for name, text in {**FILES, **changes}.items() if text is not None}
    with pytest.raises(UnreadableRecord, match=said):
        epub.read(packed(files), LIMIT)


def test_veiled_fonts_are_no_encryption() -> None:
    veiled = '<e><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></e>'
    assert epub.read(packed({**FILES, "META-INF/encryption.xml": veiled}), LIMIT)[0]


@settings(max_examples=150)
@given(at=st.integers(0, 3000), noise=st.binary(min_size=1, max_size=40), cut=st.booleans())
def test_damage_raises_nothing_else(at: int, noise: bytes, cut: bool) -> None:
    data = packed(FILES, zipfile.ZIP_STORED)
    data = data[:at] if cut else data[:at] + noise + data[at + len(noise) :]
    try:
        found, _ = epub.read(data, LIMIT)
    except UnreadableRecord:
        return
    assert all(one.text for one in found)
