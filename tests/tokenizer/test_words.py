"""Counting words: what a pattern matches, whole, whatever the order; and adding up tables within a bound."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from tokenizer import splits, words


def counted(**counts: int):
    return words.table(Counter(counts), 1 << 20)


def rows(table) -> list[tuple[bytes, int]]:
    return list(zip(table.column("word").to_pylist(), table.column("count").to_pylist(), strict=True))


@pytest.mark.parametrize("pattern", sorted(splits.KNOWN))
@given(st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=60))  # newer letters are not letters to all yet
@settings(deadline=None)
def test_words_are_those_of_tokenizers(pattern, text):
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    expected = Counter(piece for piece, _ in split.pre_tokenize_str(text))
    assert words.count_words([text], pattern) == expected


def test_digits_split_as_asked():
    def of(digits):
        return list(words.count_words(["x 12345"], splits.pattern("gpt2", digits)))

    assert of(None) == of("any") == ["x", " 12345"]
    assert of("single") == ["x", " ", "1", "2", "3", "4", "5"]
    assert of("threes") == ["x", " ", "123", "45"]


@given(st.lists(st.tuples(st.sampled_from(["a", "-", "中", "1", "é"]), st.integers(1, 900)), max_size=6))
@settings(deadline=None)
def test_long_words_are_cut_and_nothing_is_lost(parts):
    text = "".join(part * times for part, times in parts)
    found = words.count_words([text, text], splits.GPT4)
    assert max(map(len, found), default=0) <= words.LONGEST_WORD
    assert sum(len(word) * count for word, count in found.items()) == 2 * len(text)


def test_tables_are_sorted_and_keep_the_most_frequent():
    assert rows(counted(b=2, a=2, ccc=5)) == [(b"ccc", 5), (b"a", 2), (b"b", 2)]
    assert rows(words.table(Counter(b=2, a=2, ccc=5), 4)) == [(b"ccc", 5), (b"a", 2)]
    assert rows(words.table(Counter(b=2, ccc=5), 2)) == []
    assert rows(words.table(Counter(), 9)) == []


def test_adding_up():
    found = words.add_up([counted(a=1, b=5), counted(a=3), counted(c=4, b=1)], 1 << 20)
    assert rows(found) == [(b"b", 6), (b"a", 4), (b"c", 4)]
    assert rows(words.add_up([], 10)) == []


def test_adding_up_holds_no_more_than_a_few_times_the_limit():
    limit = 10_000
    sizes = []

    def tables():
        for part in range(60):
            one = words.table(Counter({f"word-{part}-{i}": 1 for i in range(500)} | {"often": 10}), 1 << 20)
            sizes.append(one.nbytes)
            yield one

    found = words.add_up(tables(), limit)
    assert sum(sizes) > 50 * limit
    assert rows(found)[0] == (b"often", 600)
    assert sum(len(word) for word, _ in rows(found)) <= limit
    assert rows(words.add_up(tables(), limit)) == rows(found)


def test_a_megabyte_of_one_thing_is_counted_in_seconds():
    begin = time.process_time()
    for unit in ("a", " ", "\n", " \n", "-", "1", "中", "'", " a", "\u3000x"):
        for pattern in (splits.GPT2, splits.GPT4):
            text = unit * (1_000_000 // len(unit))
            assert sum(len(word) * count for word, count in words.count_words([text], pattern).items()) == len(text)
    assert time.process_time() - begin < 60
