"""Books: decoding, Project Gutenberg's wrapping, and lines joined into paragraphs."""

from __future__ import annotations

import io
import re
import tarfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import outcome

from pipeline.sources.book.books import Books, read_book
from pipeline.sources.book.gutenberg import without_wrapping
from pipeline.sources.book.lines import unwrap
from pipeline.sources.book.pages import without_pages
from pipeline.sources.book.plain_text import decode
from pipeline.sources.containers.archives import Member
from pipeline.sources.source import FilePart, Record, UnreadableRecord

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
GUTENBERG = SHARED / "books" / "gutenberg-raw.tar.zst"
LICENCE = re.compile(
    r"\*\*\* ?(START|END)|[Ss](?i:mall print)!|^Produced by|pgdp\.net|[Dd]onations|\b[Ee]text ", re.MULTILINE
)
SOURCE = Books(name="b", paths=("x",))
LIMIT = 1 << 24


def read(path: Path) -> list[Record]:
    size = path.stat().st_size
    return list(SOURCE.read(FilePart(str(path), path.name, 0, size, size), LIMIT))


@pytest.mark.skipif(not GUTENBERG.exists(), reason="the shared data is not here")
def test_real_gutenberg_files() -> None:
    records = {record.metadata["path"]: record for record in read(GUTENBERG)}
    assert len(records) == 33
    texts = {path: outcome(record) for path, record in records.items()}
    for path, text in sorted(texts.items()):
        if path.endswith("pandp09.txt"):  # the repository holds the listing of a folder under this name
            continue
        record = records[path]
        assert record.metadata["title"] and record.metadata["author"], path
        assert re.fullmatch(r"https://www\.gutenberg\.org/ebooks/\d+", record.url), path
        # Of the dozens of mentions in each file only a transcriber's remarks inside one book are left.
        assert len(re.findall("gutenberg", text, re.IGNORECASE)) <= (4 if "Ontboezemingen" in path else 0), path
        assert not LICENCE.search(text), path
        assert text.count("\ufffd") == 0, path
        assert "\r" not in text and "\n\n\n" not in text
    austen = texts["Pride-and-Prejudice_1342/1342.txt"]
    assert austen.startswith("PRIDE AND PREJUDICE")
    assert austen.endswith("had been the means of uniting them.")
    assert (
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in"
        in austen
    )
    assert "macrōn" not in austen
    latin = texts["Two-Latin-Plays-for-High-School-Students_31894/31894-0.txt"]
    assert "Lege, Philotīme, omnia fragmenta.  [frāgmenta]\nTē nōn pigēbit coniugem  [non]" in latin  # its lines stay


@pytest.mark.skipif(not GUTENBERG.exists(), reason="the shared data is not here")
def test_editions_of_one_book_become_nearly_the_same_text() -> None:
    records = {record.metadata["path"]: record for record in read(GUTENBERG)}
    words = [
        outcome(records[f"Pride-and-Prejudice_1342/{name}"]).split()
        for name in ("1342.txt", "1342-0.txt", "old/pandp12.txt")
    ]
    assert max(map(len, words)) - min(map(len, words)) < 1500  # the licence alone has some 3,000 words


HEADERS = [
    "*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***",
    "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
    "***START OF THE PROJECT GUTENBERG EBOOK EMMA***",
    "*** START OF THE PROJECT GUTENBERG EBOOK, A VERY LONG TITLE THAT\nGOES ON IN THE NEXT LINE ***",
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
    "*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*",
    "*** START OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK EMMA ***",
    "*** BEGIN OF THE PROJECT GUTENBERG EBOOK EMMA ***",
]
FOOTERS = [
    "*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***",
    "***END OF THE PROJECT GUTENBERG EBOOK EMMA***",
    "*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
    "End of the Project Gutenberg EBook of Emma, by Jane Austen",
    "End of Project Gutenberg's Emma, by Jane Austen",
    "End of The Project Gutenberg Etext of Emma",
    "END OF PROJECT GUTENBERG ETEXT",
    "Ende dieses Projekt Gutenberg Etextes Emma",
    "Ende dieses Project Gutenberg Etextes Emma",
    "Fin de Project Gutenberg Etext Emma",
    "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN EBOOKS**START***",
]
CREDITS = [
    "",
    "Produced by A. Volunteer and the Online\nDistributed Proofreading Team at http://www.pgdp.net",
    "E-text prepared by A. Volunteer",
    "This etext was prepared by A. Volunteer",
    "Produit par A. Volontaire",
    "Transcriber's Note: spelling kept.\n\n\nNote: Project Gutenberg also has an HTML version of this file",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("footer", FOOTERS)
def test_every_marker(header: str, footer: str) -> None:
    head, book = "Title: Emma\nAuthor: Jane\n  Austen\nlegal words", "EMMA\n\nIt began."
    text = f"{head}\n\n{header}\n\n\n{book}\n\n\n{footer}\nlegal words\n"
    found = without_wrapping(text)
    assert found.text.strip() == book
    assert found.metadata == {"title": "Emma", "author": "Jane Austen"}


@pytest.mark.parametrize("credit", CREDITS)
def test_credits_after_the_header_go(credit: str) -> None:
    text = f"x\n{HEADERS[0]}\n\n{credit}\n\n\nCHAPTER I\n\nShe was produced by the letter. It was prepared by nobody.\n"
    assert (
        without_wrapping(text).text.strip() == "CHAPTER I\n\nShe was produced by the letter. It was prepared by nobody."
    )


def test_notices_inside_and_books_without_any_wrapping() -> None:
    inside = "ACT I\n\n<<THIS ELECTRONIC VERSION OF THE COMPLETE WORKS IS\nCOPYRIGHT>>\n\nEnter."
    assert without_wrapping(inside).text.split() == ["ACT", "I", "Enter."]
    plain = "He had read of Project Gutenberg. Produced by nobody.\n\nThe end of the project."
    assert without_wrapping(plain).text == plain
    assert without_wrapping(plain).metadata == {}


PROSE = """This is a paragraph of plain prose whose words were
broken into lines by a typist who stopped near fifty
characters and then went on."""
JOINED = PROSE.replace("\n", " ")
VERSE = "Shall I compare thee\nTo a summer day\nThou art more lovely"


def test_prose_is_joined_and_the_rest_is_kept() -> None:
    table = "a      1      2\nbb     3      4"
    poem = "O wild West Wind, thou breath of Autumn's being,\n  Thou, from whose unseen presence the leaves dead"
    poem += "\nAre driven, like ghosts from an enchanter fleeing,"
    text = "\n\n\n".join(["CHAPTER I", PROSE, VERSE, table, "  " + poem.replace("\n", "\n  "), PROSE])
    assert unwrap(text) == "\n\n".join(["CHAPTER I", JOINED, VERSE, table, poem, JOINED])


def test_books_that_are_not_wrapped_keep_their_lines() -> None:
    long = "\n".join("word " * 60 + str(number) for number in range(10))
    assert unwrap(long) == long
    assert unwrap("") == ""
    assert unwrap("\n\n one \n\n") == "one"


def test_words_cut_in_two_are_mended_where_the_book_has_them_whole() -> None:
    text = "\n".join(
        [
            "The narrative begins here and it goes on for a narra-",
            "tive length, while a well-known man and a mother-in-",
            "law walked past the very long hedge and the house--",
            "and then they stopped.",
        ]
    )
    assert unwrap(text) == (
        "The narrative begins here and it goes on for a narrative length, while a well-known man and a mother-in-"
        "law walked past the very long hedge and the house--and then they stopped."
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Ü“\r\nb\rc".encode(), "Ü“\nb\nc"),
        ("Ü“".encode("utf-8-sig"), "Ü“"),
        ("Ü“".encode("utf-16"), "Ü“"),
        (
            b"Character set encoding: ISO-8859-1\r\n\r\ncaf\xe9 \x93q\x94",
            "Character set encoding: ISO-8859-1\n\ncafé “q”",
        ),
        (b"Character set encoding: nonsense\ncaf\xe9", "Character set encoding: nonsense\ncafé"),
        (b"\0\1\2", None),
    ],
)
def test_decoding(data: bytes, expected: str | None) -> None:
    assert decode(data) == expected


def test_archives_and_loose_files(tmp_path: Path) -> None:
    path = tmp_path / "books.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {
            "a.txt": b"Text.",
            "b.htm": b"<p>",
            "c.txt": b"<!DOCTYPE html><p>",
            "d.txt": b"\0",
            "e.TXT": b" \n",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found = {record.metadata["path"]: outcome(record) for record in read(path)}
    assert found == {
        "a.txt": "Text.",
        "b.htm": "books.empty",
        "c.txt": "books.not_text",
        "d.txt": "books.not_text",
        "e.TXT": "books.empty",
    }
    for name, expected in (("one.txt", "Text."), ("one.pdf", "books.not_text")):
        (tmp_path / name).write_bytes(b"Text.")
        assert [outcome(record) for record in read(tmp_path / name)] == [expected]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=500), header=st.sampled_from([b"", *(line.encode() + b"\n" for line in HEADERS[:5])]))
def test_random_bytes_never_raise(data: bytes, header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data + b"\n" + header + data)
    (record,) = read(path)
    with suppress(UnreadableRecord):
        assert outcome(record)


# --- pages, contents, chapters ------------------------------------------------------------------------------------


def test_page_numbers_and_running_heads_go_and_sentences_are_whole_again() -> None:
    pages = []
    for number in range(1, 9):
        body = "\n".join(f"line {number}.{row} of a page that goes on and on until" for row in range(12))
        pages.append(f"{number}   THE HISTORY OF IT\n\n{body}\n\n{number}\n")
    text = without_pages("\n".join(pages))
    assert "HISTORY" not in text
    assert not re.search(r"^\s*\d+\s*$", text, re.MULTILINE)
    assert "line 1.11 of a page that goes on and on until\nline 2.0 of" in text
    assert text.count("line ") == 8 * 12


def test_numbers_that_are_no_pages_and_marks_of_notes() -> None:
    letters = "\n\n".join(f"{number}\n\nDear friend." for number in range(1, 30))
    assert without_pages(letters) == letters
    assert without_pages("He said so.[12] And [sic] {p. 4}went[a] [1](x).") == "He said so. And [sic] went [1](x)."
    assert without_pages("a\n[Illustration]\nb") == "a\n\nb"


NOVEL = """THE NOVEL

CONTENTS

Chapter I. The Beginning
Chapter II. The End

CHAPTER I. THE BEGINNING

{long}

Part of the crowd left.

CHAPTER II. THE END

{long}"""


def test_a_book_is_one_document_or_its_chapters(tmp_path: Path) -> None:
    long = "It was a long story. " * 20
    path = tmp_path / "novel.txt"
    path.write_text(NOVEL.format(long=long.strip()))
    part = FilePart(str(path), path.name, 0, 1, 1)
    (book,) = Books(name="b", paths=("x",)).read(part, LIMIT)
    assert outcome(book).startswith("THE NOVEL\n\nCHAPTER I. THE BEGINNING\n\nIt was")
    chapters = list(Books(name="b", paths=("x",), unit="chapter").read(part, LIMIT))
    assert [one.metadata["chapter_title"] for one in chapters] == ["CHAPTER I. THE BEGINNING", "CHAPTER II. THE END"]
    assert "\n\n".join(map(outcome, chapters)) == outcome(book)
    assert len({(one.offset, one.length) for one in chapters}) == 2


@pytest.mark.skipif(not GUTENBERG.exists(), reason="the shared data is not here")
def test_chapters_of_real_books() -> None:
    size = GUTENBERG.stat().st_size
    part = FilePart(str(GUTENBERG), GUTENBERG.name, 0, size, size)
    counts = Counter(
        record.metadata["path"] for record in Books(name="b", paths=("x",), unit="chapter").read(part, LIMIT)
    )
    assert counts["Pride-and-Prejudice_1342/1342.txt"] == counts["Pride-and-Prejudice_1342/1342-h/1342-h.htm"] == 61
    assert 42 <= counts["Adventures-of-Huckleberry-Finn_76/76-0.txt"] <= 48  # it has 43 chapters


def test_tei_reads_the_edited_text() -> None:
    tei = """<?xml version="1.0"?><!DOCTYPE TEI [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
    <TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="de"><teiHeader><fileDesc><titleStmt><title>Titel : ELTeC ausgabe</title>
    <author>Autor, A.</author></titleStmt><sourceDesc><bibl><date>1961</date><date>1918</date></bibl></sourceDesc></fileDesc>
    </teiHeader><text><front><titlePage><docTitle>T</docTitle></titlePage></front><body><div type="chapter"><head>Eins</head>
    <p>Ein <choice><orig>alth</orig><reg>alter</reg></choice> Satz<note n="1">Eine Note.</note>,<pb n="3"/> der
    <hi>weiter</hi>geht.</p><fw>KOPF</fw><lg><l>Ein Vers</l><l>noch einer</l></lg></div></body></text></TEI>"""
    found, metadata = read_book(Member("x.xml", 0, 1, tei.encode()), LIMIT)
    assert metadata == {"title": "Titel", "author": "Autor, A.", "language": "de", "date": "1918"}
    assert [(one.level, one.text) for one in found] == [
        (1, "Eins"),
        (0, "Ein alter Satz, der weitergeht."),
        (0, "Eine Note."),
        (0, "Ein Vers\nnoch einer"),
    ]


def test_xhtml_leaves_out_what_frames_the_text() -> None:
    page = b"""<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>A &amp; B</title></head><body>
    <nav>menu</nav><h1>One</h1><p>caf&eacute;<span class="pagenum">[12]</span> and<sup><a href="#n">1</a></sup> so
    on</p><p>a<br/>b</p><pre>x
      y</pre><script>bad()</script></body></html>"""
    found, metadata = read_book(Member("x.xhtml", 0, 1, page), LIMIT)
    assert metadata == {"title": "A & B", "language": "en"}
    assert [one.text for one in found] == ["One", "caf\xe9 and so on", "a\nb", "x\n      y"]


def test_no_entity_is_expanded_and_no_file_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "BOMB"}">' for n in range(10))
    xml = f"""<?xml version="1.0"?><!DOCTYPE TEI [{entities}<!ENTITY f SYSTEM "file://{secret}">]>
    <TEI><text><body><p>a &e9; &f; b</p></body></text></TEI>"""
    found, _ = read_book(Member("x.xml", 0, 1, xml.encode()), LIMIT)
    assert "BOMB" not in found[0].text and "SECRET" not in found[0].text
