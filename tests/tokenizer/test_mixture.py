"""Mixtures: exact weights, the published tables, epochs, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tokenizer import mixture


def test_without_weights_every_source_has_the_part_of_its_size():
    assert mixture.weights({"web": 300, "books": 100}) == {"web": Fraction(3, 4), "books": Fraction(1, 4)}


def test_weights_are_exact_and_keep_the_order_of_the_corpus():
    found = mixture.weights({"web": 1, "books": 1, "code": 1}, {"code": 0.1, "web": 0.2})
    assert list(found.items()) == [("web", Fraction(2, 3)), ("code", Fraction(1, 3))]


@pytest.mark.parametrize("name", mixture.PUBLISHED)
def test_the_published_tables_add_up(name):
    table = mixture.PUBLISHED[name]
    assert sum(table.values()) == (101 if name == "gpt3" else 100)
    found = mixture.weights(dict.fromkeys(table, 1), name)
    assert sum(found.values()) == 1
    assert all(abs(found[one] * sum(table.values()) - share) < 1e-9 for one, share in table.items())


def test_shares_tell_epochs_and_what_is_repeated_too_often():
    web, books = mixture.shares({"web": 1000, "books": 50}, 500, {"web": 3, "books": 2})
    assert (web.tokens, web.epochs, web.repeated_too_often) == (300, 0.3, False)
    assert (books.tokens, books.epochs, books.repeated_too_often) == (200, 4.0, False)
    assert mixture.shares({"web": 1000, "books": 49}, 500, {"web": 3, "books": 2})[1].repeated_too_often


@pytest.mark.parametrize(
    ("available", "wanted", "message"),
    [
        ({}, None, "no source has tokens"),
        ({"web": 0}, None, "no tokens in web"),
        ({"web": 5}, {"books": 1}, "the mixture names books, but the corpus has web"),
        ({"web": 5}, {"web": 0}, "the weight of web"),
        ({"web": 5}, {"web": float("nan")}, "the weight of web"),
        ({"web": 5}, {"web": float("inf")}, "the weight of web"),
        ({"web": 5}, "gpt9", "no published mixture 'gpt9'; there are llama, palm, gpt3"),
        ({"web": 5}, "llama", "the mixture names commoncrawl, c4"),
    ],
)
def test_what_can_not_be_mixed_is_said(available, wanted, message):
    with pytest.raises(ValueError, match=message):
        mixture.weights(available, wanted)


def test_mixtures_and_counts_as_people_write_them():
    assert mixture.parse("web=0.7, books=3") == {"web": 0.7, "books": 3.0}
    assert mixture.parse("llama") == "llama"
    assert [mixture.parse_count(one) for one in ("5000", "300M", "1.5B", "2 T", "1,000k")] == [
        5000,
        300_000_000,
        1_500_000_000,
        2_000_000_000_000,
        1_000_000,
    ]
    for wrong in ("web", "web=", "=3", "web=much", "gpt9"):
        with pytest.raises(ValueError, match="is no mixture"):
            mixture.parse(wrong)
    for wrong in ("", "many", "-5", "3X", "1e9"):
        with pytest.raises(ValueError, match="is no number of tokens"):
            mixture.parse_count(wrong)
