"""Filters that work from lists: keywords and addresses."""

import gzip
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters import address_lists, word_lists
from filters.address_lists import of_entries
from filters.document import Document, Origin
from filters.filter import Judge
from filters.keywords import Keywords
from filters.url import Url


def document(text: str = "text", url: str = "") -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)), url=url)


def count(text: str, *words: str) -> float:
    return Keywords(built_in=(), words=words).measure(document(text))["keywords.count"]


@pytest.mark.parametrize(
    ("text", "words", "wanted"),
    [
        ("Casino, CASINO and casinos", ["casino"], 2),
        ("occasional occasions", ["casio"], 0),
        ("free spins, free\n  spins, free spin", ["free spins"], 2),
        ("free spins", ["free", "free spins"], 1),  # the longest of those that begin here
        ("an été, étés, ÉTÉ", ["été"], 2),
        ("casinoé écasino", ["casino"], 0),  # a letter is a letter without being ASCII
        ("под казино, Казино", ["казино"], 2),
        ("подказино", ["казино"], 0),
        ("最新网上赌场开户", ["赌场"], 1),  # no spaces: wherever it stands
        ("これはカジノです", ["カジノ"], 1),
        ("看AV女优", ["av女优"], 1),
        ("บาคาร่าออนไลน์", ["บาคาร่า"], 1),
        ("c++ and c+", ["c++"], 1),  # taken literally
        ("a.b axb", ["a.b"], 1),
        ("the cat", ["he cat", "cat"], 1),  # what does not count takes nothing from what does
        ("İstanbul casino", ["casino"], 1),
        ("", ["casino"], 0),
    ],
)
def test_where_a_keyword_counts(text, words, wanted):
    assert count(text, *words) == wanted


def test_rates_and_rules():
    text = "casino " + "word " * 49  # 1 in 50: 20 in a thousand, not above it
    for page, removed in ((text, ""), (text.removesuffix("word "), "keywords.too_frequent")):
        judged = document(page)
        Judge(Keywords())(judged)
        assert judged.removed_by == removed
    judged = document("casino " + "word " * 999)
    Judge(Keywords(max_count=0, max_per_thousand=None))(judged)
    assert judged.signals == {"keywords.count": 1, "keywords.per_thousand_words": 1, "keywords.share": 6 / 5001}
    assert judged.removed_by == "keywords.too_many"


def test_lists_by_path(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# comment\n\nFirst\nsecond thing\r\n", encoding="utf-8")
    filter_ = Keywords(built_in=(), lists=(str(path),))
    assert filter_.files() == (str(path),)
    assert filter_.measure(document("first SECOND thing comment"))["keywords.count"] == 2
    with pytest.raises(FileNotFoundError):
        Keywords(lists=(str(tmp_path / "none.txt"),)).prepare()
    path.with_name("latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        Keywords(lists=(str(path.with_name("latin.txt")),)).prepare()
    path.with_name("empty.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="empty"):
        Keywords(built_in=(), lists=(str(path.with_name("empty.txt")),)).prepare()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_built_in_lists(language):
    entries = word_lists.built_in([language])
    assert 20 <= len(entries) <= 100
    assert len(set(entries)) == len(entries)
    assert all(count(f"x {entry} y", *entries) == 1 for entry in entries)


def test_the_share_of_the_characters():
    text = "网上赌场 开户,\n\n赌场"  # 4 and 2 of 11 characters, two of them white space
    for limit, removed in ((6 / 11, ""), (6 / 11 - 1e-9, "keywords.too_much")):
        judged = document(text)
        Judge(Keywords(built_in=(), words=("网上赌场", "赌场"), max_per_thousand=None, max_share=limit))(judged)
        assert judged.signals["keywords.share"] == 6 / 11
        assert judged.removed_by == removed


def test_lists_by_language(tmp_path):
    (tmp_path / "en").write_text("badword\n")
    (tmp_path / "zh.txt").write_text("坏词\n")
    (tmp_path / "LICENSE.md").write_text("no list\n")
    filter_ = Keywords(built_in=(), by_language=str(tmp_path), words=("common",))
    assert [path.rpartition("/")[2] for path in filter_.files()] == ["en", "zh.txt"]
    filter_.prepare()
    for language, count in (("en", 2), ("zh", 3), ("de", 1), ("", 1)):
        made = document("badword 坏词坏词 common")
        made.language = language
        assert filter_.measure(made)["keywords.count"] == count, language
    only = Keywords(built_in=(), by_language=str(tmp_path))
    assert only.measure(document("badword"))["keywords.count"] == 0
    with pytest.raises(FileNotFoundError, match="no folder with lists"):
        Keywords(by_language=str(tmp_path / "none")).prepare()
    assert Keywords(by_language=str(tmp_path / "none")).files() == (str(tmp_path / "none"),)


def test_many_keywords_are_one_pass():
    words = tuple(f"word{number}x" for number in range(50_000))
    filter_ = Keywords(built_in=(), words=words)
    text = "nothing of this is blocked but word4999x is " * 2_000
    started = time.process_time()
    assert filter_.measure(document(text))["keywords.count"] == 2_000
    assert time.process_time() - started < 2  # 88,000 characters; a lazy automaton takes minutes to build its states


def test_nothing_to_look_for_is_an_error():
    with pytest.raises(ValidationError, match="nothing to look for"):
        Keywords(built_in=())
    with pytest.raises(ValidationError, match="nothing to block"):
        Url()


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://blocked.com/page?with=stuff", 1),
        ("http://www.blocked.com", 1),
        ("http://HEY.Deep.Blocked.com:8080/", 1),
        ("blocked.com/page", 1),
        ("https://user:word@blocked.com./", 1),
        ("https://notblocked.com/blocked.com", 0),
        ("https://blocked.com.example.org/", 0),
        ("https://nice.com/", 0),
        ("https://bad.nice.com/", 1),
        ("https://very.bad.nice.com/", 1),  # datatrove would keep it
        ("http://[::1", 0),
        ("http://1.2.3.4/", 1),
        ("not an address", 0),
    ],
)
def test_domains(url, blocked):
    judged = document(url=url)
    Judge(Url(domains=("Blocked.com", "bad.nice.com", "1.2.3.4")))(judged)
    assert judged.signals["url.blocked"] == blocked
    assert judged.removed_by == ("url.blocked_domain" if blocked else "")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/casino/", 1),
        ("https://example.org/CASINO_bonus?casino", 2),
        ("https://example.org/casinos", 0),  # another word
        ("https://free-po.rn-example.org/", 1),  # a sub-word, with "-" and "." taken out
        ("https://example.org/", 0),
    ],
)
def test_words(url, words):
    judged = document(url=url)
    Judge(Url(words=("Casino",), subwords=("porn",)))(judged)
    assert judged.signals["url.words"] == words
    assert judged.removed_by == ("url.blocked_word" if words else "")


def test_lists_of_addresses(tmp_path):
    (tmp_path / "domains").write_text("blocked.com\n")
    (tmp_path / "words").write_text("casino\n")
    filter_ = Url(domain_lists=(str(tmp_path / "domains"),), word_lists=(str(tmp_path / "words"),))
    assert len(filter_.files()) == 2
    found = filter_.measure(document(url="http://a.blocked.com/casino"))
    assert found == {"url.blocked": 1, "url.category": 0, "url.words": 1, "url.soft_words": 0}


@pytest.mark.parametrize(
    ("entry", "url", "blocked"),
    [
        ("example.org/~me", "http://example.org/~me/page.html", 1),
        ("example.org/~me", "http://www.example.org:80/~ME", 1),
        ("example.org/~me", "http://example.org/~meg/", 0),
        ("example.org/~me", "http://sub.example.org/~me/", 0),
        ("example.org/a/b.html", "https://example.org/a/b.html?x=1#y", 1),
        ("http://www.example.org/a/", "https://example.org/a/b", 1),
        ("WWW.Example.ORG.", "https://example.org/", 1),
        ("*.example.org", "https://deep.example.org/", 1),
        ("bücher.example", "https://xn--bcher-kva.example/seite", 1),
        ("xn--bcher-kva.example", "https://www.BÜCHER.example/", 1),
        ("例え.テスト", "http://xn--r8jz45g.xn--zckzah/", 1),
        ("10.0.0.1", "http://10.0.0.1:8080/x", 1),
        ("[2001:db8::1]", "http://[2001:db8::1]:80/", 1),
        ("example.org", "http://example.org@other.example/", 0),
        ("other.example", "http://example.org@other.example/", 1),
        ("com", "http://example.com/", 1),
        ("example.org", "//example.org/x", 1),
        ("example.org", "http://example.org%2fother.example/", 0),
    ],
)
def test_addresses(entry, url, blocked):
    assert Url(domains=(entry,)).measure(document(url=url))["url.blocked"] == blocked


@pytest.mark.parametrize(("url", "soft"), [("https://free-girls.example/sexy", 2), ("https://example.org/girls", 1)])
def test_soft_words(url, soft):
    judged = document(url=url)
    Judge(Url(soft_words=("girls", "Sexy")))(judged)
    assert judged.signals["url.soft_words"] == soft
    assert judged.removed_by == ("url.blocked_soft_words" if soft > 1 else "")


@pytest.fixture
def ut1(tmp_path):
    """A folder as UT1's archive unpacks: a file or a packed one, in upper case, with Windows line ends, with rubbish."""
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult" / "domains").write_bytes(
        b"naughty.example\r\nWWW.Other.Example.\r\n\r\n# comment\r\n\xff\xfe\r\n1.2.3.4"
    )
    (tmp_path / "adult" / "urls").write_text("host.example/~rude\nhost.example/b/c.html\n")
    (tmp_path / "adult" / "expressions").write_text("(a+)+$\n")
    (tmp_path / "gambling").mkdir()
    (tmp_path / "gambling" / "domains.gz").write_bytes(gzip.compress(b"casino.example\nnaughty.example\n"))
    (tmp_path / "usage").write_text("not a category")
    return tmp_path


def test_a_folder_of_categories(ut1):
    filter_ = Url(ut1=str(ut1), categories=("adult", "gambling"))
    assert [Path(path).relative_to(ut1).as_posix() for path in filter_.files()] == [
        "adult/domains",
        "adult/urls",
        "gambling/domains.gz",
    ]
    for host, category in {
        "naughty.example": 1,
        "www.naughty.example/x": 1,
        "other.example": 1,
        "1.2.3.4:80": 1,
        "host.example/~rude/x": 1,
        "host.example/": 0,
        "casino.example": 2,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!.example": 0,
    }.items():
        judged = document(url=f"https://{host}")
        Judge(filter_)(judged)
        assert judged.signals["url.category"] == category, host
        assert judged.removed_by == ("url.blocked_domain" if category else "")
    assert (
        Url(ut1=str(ut1), categories=("gambling",)).measure(document(url="https://other.example"))["url.blocked"] == 0
    )


def test_categories_that_are_not_there(ut1, tmp_path):
    with pytest.raises(ValueError, match="no such category of a UT1 folder; it has adult, gambling"):
        Url(ut1=str(ut1), categories=("adlut",)).prepare()
    nowhere = Url(ut1=str(tmp_path / "nowhere"), categories=("adult",))
    assert nowhere.files() == (str(tmp_path / "nowhere" / "adult" / "domains"),)
    with pytest.raises(ValueError, match=r"no such category of a UT1 folder$"):
        nowhere.prepare()
    with pytest.raises(ValidationError, match="belong together"):
        Url(ut1=str(ut1))
    (ut1 / "gambling" / "domains.gz").write_bytes(gzip.compress(b"casino.example\n" * 999)[:-9])
    with pytest.raises(ValueError, match=r"domains\.gz is no whole gzip file"):
        Url(ut1=str(ut1), categories=("gambling",)).prepare()
    (tmp_path / "empty").write_text("# nothing\n\n")
    with pytest.raises(ValueError, match="holds no entry"):
        Url(domain_lists=(str(tmp_path / "empty"),)).prepare()


def test_long_lists_take_little_memory(tmp_path):
    path = tmp_path / "domains"
    path.write_text("".join(f"site{number:x}.sub{number % 97}.example\n" for number in range(300_000)))
    tracemalloc.start()
    found = address_lists.read((str(path),))
    used, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 300_000
    assert used < 3_000_000  # eight bytes an entry; the file has nine million
    assert peak < 45_000_000
    assert found.holds("www.site1.sub1.example") and found.holds("site493df.sub75.example")
    assert not found.holds("sub1.example") and not found.holds("")


@given(st.text("aB1-.é中ß", min_size=1, max_size=60), st.text("aB1-./~é中:@", max_size=40))
def test_an_address_is_found_in_a_list_of_itself(host, path):
    normal = address_lists.split(f"{host}/{path}")
    assume(normal[0])
    assert normal == address_lists.split(f"https://www.{host}:80/{path}?query#part")
    assert of_entries([f"{host}/{path}"]).holds(*normal)


@given(st.text(max_size=60))
def test_no_address_breaks_the_filter(url):
    found = Url(domains=("a.example",), words=("x",), subwords=("y",)).measure(document(url=url))
    assert bool(found) == bool(url)


def test_no_address_is_not_judged():
    assert Url(words=("casino",)).measure(document()) == {}
