"""Filters that work from lists: keywords and addresses."""

import time

import pytest
from pydantic import ValidationError

from filters import word_lists
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
    assert judged.signals == {"keywords.count": 1, "keywords.per_thousand_words": 1}
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
    assert 20 <= len(entries) <= 40
    assert len(set(entries)) == len(entries)
    assert all(count(f"x {entry} y", *entries) == 1 for entry in entries)


def test_many_keywords_are_one_pass():
    words = tuple(f"word{number}x" for number in range(5_000))
    filter_ = Keywords(built_in=(), words=words)
    text = "nothing of this is blocked but word4999x is " * 2_000
    started = time.process_time()
    assert filter_.measure(document(text))["keywords.count"] == 2_000
    assert time.process_time() - started < 2  # 88,000 characters; one search for each word would take over ten seconds


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
    assert filter_.measure(document(url="http://a.blocked.com/casino")) == {"url.blocked": 1, "url.words": 1}


def test_no_address_is_not_judged():
    assert Url(words=("casino",)).measure(document()) == {}
