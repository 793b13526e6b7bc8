"""The demo's input: the same bytes on every run, readable by others' readers, and with every kind of page in it."""

import bz2
import gzip
import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from demo import articles, wiki
from demo.web import captures

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "{http://www.mediawiki.org/xml/export-0.11/}"


def run_demo(out: Path, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "demo", str(out)],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        timeout=240,
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "input"
    run_demo(out, PYTHONHASHSEED="1")
    return out


@pytest.fixture(scope="session")
def members(made):
    """Every gzip member of the crawl's files: file name, bytes unpacked, or None where it is damaged."""
    found = []
    for path in sorted((made / "web").glob("*.warc.gz")):
        data = path.read_bytes()
        # A new member begins with this header exactly; that it can't occur in packed data is checked by unpacking.
        starts = [one.start() for one in re.finditer(re.escape(data[:10]), data)]
        for start, stop in zip(starts, [*starts[1:], len(data)], strict=True):
            try:
                found.append((path.name, gzip.decompress(data[start:stop])))
            except (EOFError, OSError, gzip.zlib.error):
                found.append((path.name, None))
    return found


@pytest.fixture(scope="session")
def responses(members):
    """The responses by URL: status, headers and payload, as warcio decodes them."""
    found = {}
    whole = io.BytesIO(b"".join(record for _, record in members if record))
    for record in ArchiveIterator(whole, check_digests="raise"):
        if record.rec_type == "response":
            url = record.rec_headers.get_header("WARC-Target-URI")
            found[url] = (record.http_headers, record.content_stream().read())
    return found


def test_two_runs_write_the_same_bytes_whatever_the_environment(made, tmp_path):
    run_demo(tmp_path / "again", PYTHONHASHSEED="4711", TZ="Asia/Shanghai", LC_ALL="C", HOME=str(tmp_path))
    first, second = tree(made), tree(tmp_path / "again")
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_the_files_and_their_size(made):
    names = sorted(tree(made))
    assert [name for name in names if name.startswith("web/")] == [f"web/demo-0000{n}.warc.gz" for n in range(3)]
    assert "wikipedia/demowiki.xml.bz2" in names
    assert sum(name.startswith("books/") for name in names) == 3
    assert sum(name.startswith("code/") for name in names) == 2
    assert 3e6 < sum(len(content) for content in tree(made).values()) < 12e6


def test_two_members_are_broken_the_way_that_was_meant(made, members):
    broken = [name for name, record in members if record is None]
    assert broken == ["demo-00000.warc.gz", "demo-00001.warc.gz"]
    names = [name for name, _ in members]
    last = len(names) - 1 - names[::-1].index("demo-00000.warc.gz")
    assert members[last][1] is None  # the first file ends in the middle of a record
    middle = [record is None for name, record in members if name == "demo-00001.warc.gz"].index(True)
    assert 10 < middle < names.count("demo-00001.warc.gz") - 10


def test_warcio_reads_a_whole_file_and_each_digest_is_right(made):
    path = made / "web" / "demo-00002.warc.gz"
    with path.open("rb") as stream:
        kinds = Counter(record.rec_type for record in ArchiveIterator(stream, check_digests="raise"))
    assert kinds["warcinfo"] == 1
    assert kinds["response"] > 150


def test_every_kind_of_record_and_answer_is_there(members, responses):
    kinds = Counter(re.search(rb"WARC-Type: (\w+)", record)[1].decode() for _, record in members if record)
    assert set(kinds) == {"warcinfo", "request", "response", "metadata", "revisit"}
    assert 650 < kinds["response"] < 1000
    ids = [re.search(rb"WARC-Record-ID: (\S+)", record)[1] for _, record in members if record]
    assert len(ids) == len(set(ids))
    statuses = Counter(headers.get_statuscode() for headers, _ in responses.values())
    assert {"200", "301", "404", "503"} <= set(statuses)
    types = {(headers.get_header("Content-Type") or "").partition(";")[0] for headers, _ in responses.values()}
    assert {"text/html", "image/gif", "text/plain", "application/json", ""} <= types
    assert sum(headers.get_header("Content-Encoding") == "gzip" for headers, _ in responses.values()) > 50
    assert sum(headers.get_header("Transfer-Encoding") == "chunked" for headers, _ in responses.values()) > 50


def test_the_odd_pages_are_as_odd_as_they_should_be(responses):
    alert = responses["https://numberedthings.example/computing/alert"][1]
    assert b"<title>&lt;script&gt;alert(1)&lt;/script&gt;" in alert
    assert b"<script>alert(1)" not in alert
    line = responses["https://stationlog.example/all-in-one-line"][1]
    assert b"\n" not in line
    assert len(line) > 300_000
    assert responses["https://fieldnotes.example/empty"][1] == b""
    chinese = responses["https://shanshui.example/xingzou/duchuan"][1]
    assert "最后一条渡船" in chinese.decode("gb18030")
    assert b'charset="gb2312"' in chinese
    german = responses["https://waldundwiese.example/garten/kompost-fuer-anfaenger"][1]
    assert "für Anfänger" in german.decode("windows-1252")
    lying = responses["https://petitcarnet.example/voyages/le-marche-de-six-heures"][1]
    assert b'charset="iso-8859-1"' in lying
    assert "Le marché" in lying.decode("utf-8")


def test_copies_and_near_copies_exist(responses):
    copies = [url for url in responses if "utm_source" in url]
    assert len(copies) > 8
    for url in copies:
        assert responses[url][1] == responses[url.partition("?")[0]][1]
    mirrored = [
        url
        for url in responses
        if url.startswith(("https://allarticles.example/read/", "https://wenzhai.example/read/"))
    ]
    assert len(mirrored) > 25
    for title in wiki.MIRRORED:
        page = responses[f"https://demopedia.example/wiki/{title.replace(' ', '_')}"][1].decode()
        paragraph = wiki.plain_text(title).split("\n\n")[0]
        assert paragraph in page
        assert "[[" not in page


def test_nothing_names_this_machine(made, members):
    folders = {str(ROOT), str(made.parent), sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), sys.executable}
    folders -= {"/usr", "/usr/local"}
    texts = [record for _, record in members if record]
    texts.append(bz2.decompress((made / "wikipedia" / "demowiki.xml.bz2").read_bytes()))
    for path in (made / "code").iterdir():
        with tarfile.open(path) as archive:
            for member in archive:
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                texts.append(archive.extractfile(member).read())
    for folder in folders:
        assert not [text[:200] for text in texts if folder.encode() in text], folder
    assert not [text for text in texts[: len(members)] if re.search(rb"at(?: |&nbsp;)0x[0-9a-f]{6,}", text)]


def test_the_wiki_dump_parses_and_has_every_kind_of_page(made):
    root = ET.fromstring(bz2.decompress((made / "wikipedia" / "demowiki.xml.bz2").read_bytes()))
    pages = root.findall(f"{NAMESPACE}page")
    namespaces = Counter(page.findtext(f"{NAMESPACE}ns") for page in pages)
    assert namespaces["0"] >= 20
    assert {"1", "2", "6", "10", "12", "14"} <= set(namespaces)
    redirects = [page for page in pages if page.find(f"{NAMESPACE}redirect") is not None]
    assert len(redirects) == 3
    for page in redirects:
        assert page.findtext(f"{NAMESPACE}revision/{NAMESPACE}text").startswith("#REDIRECT [[")
    for text in root.iter(f"{NAMESPACE}text"):
        assert int(text.get("bytes")) == len(text.text.encode())


def test_code_archives_hold_python_in_order(made):
    total = 0
    for path in sorted((made / "code").iterdir()):
        with tarfile.open(path) as archive:
            names = archive.getnames()
        assert names == sorted(names)
        assert all(name.startswith(path.name.removesuffix(".tar.gz") + "/") and name.endswith(".py") for name in names)
        total += len(names)
    assert 250 < total < 900


def test_hand_written_articles_are_many_varied_and_well_formed():
    written = articles.load_articles("pages")
    sites = articles.load_sites()
    assert len({article.url for article in written}) == len(written)
    assert {article.host for article in written} <= set(sites)
    languages = Counter(sites[article.host].language for article in written)
    assert languages["en"] >= 32
    assert languages["zh"] >= 12
    assert {"de", "fr", "es", "ja", "ru"} <= set(languages)


def test_books_are_wrapped_and_two_carry_the_frame(made):
    books = {path.name: path.read_text(encoding="utf-8") for path in (made / "books").iterdir()}
    framed = [name for name, text in books.items() if "*** START OF THE PROJECT GUTENBERG EBOOK" in text]
    assert len(framed) == 2
    for name in ("the-keeper-of-the-weir.txt", "a-handbook-for-old-houses.txt"):
        assert max(len(line) for line in books[name].splitlines()) <= 75


def test_iban_cards_and_resident_ids_have_right_check_digits():
    text = (articles.HERE / "pages" / "people.txt").read_text(encoding="utf-8")
    iban_form = r"\b[A-Z]{2}\d{2}(?: [A-Z0-9]{2,4})+\b"
    ibans = [one.replace(" ", "") for one in re.findall(iban_form, text)]
    assert len(ibans) == 4
    for iban in ibans:
        assert int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1
    rest = re.sub(iban_form, "", text)
    card_form = r"\b(?:\d{4}[ -]){3}\d{4}(?: \d{3})?\b|\b3782\d{11}\b"
    cards = [re.sub(r"\D", "", one) for one in re.findall(card_form, rest)]
    assert sorted(map(len, cards)) == [15, 16, 16, 19]
    for card in cards:
        digits = [int(digit) for digit in reversed(card)]
        assert (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
    residents = re.findall(r"(?<!\d)\d{17}[\dX](?![\dX])", rest)
    assert len(set(residents)) == 2
    for resident in residents:
        total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(resident[:17]))
        assert "10X98765432"[total % 11] == resident[17]


def test_a_broken_article_file_is_named():
    with pytest.raises(ValueError, match=r"some\.txt: no title below 'https://a\.example/b'"):
        list(articles.parse("%%% https://a.example/b\n\nText", "some.txt"))
    with pytest.raises(ValueError, match=r"some\.txt: header line without a colon .* 'oops'"):
        list(articles.parse("%%% https://a.example/b\ntitle: T\noops\n\nText", "some.txt"))


def test_captures_work_without_any_documentation():
    found = captures([])
    assert len({capture.url for capture in found}) == len(found)
    assert len(found) > 250
