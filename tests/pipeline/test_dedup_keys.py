"""Dedup keys: folding and spans do what they say, runs are found whatever the order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import segment
from filters.document import Document, Origin
from pipeline.dedup import keys, runs
from pipeline.dedup.settings import Boilerplate, Dedup, Near, Sentence, Survivor


def document(text: str, name: str = "a") -> Document:
    return Document(name, text, "test", Origin("f", 0, 0))


def test_folding_makes_copies_equal_and_keeps_others_apart() -> None:
    def hashes(text: str) -> list[int]:
        points = segment.codepoints(text)
        return segment.folded_hashes(points, segment.words(points)).tolist()

    assert hashes("Café  1984 ＡＢＣ") == hashes("CAFE\u0301 2077 abc")
    assert hashes("cafe") != hashes("care")
    assert hashes("12") != hashes("123"), "digits fold to zeros, their number stays"


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab天 \n\t\x1c\x85\xa0\u200b\u3000"), max_size=20))
def test_exact_key_ignores_white_space_only(text: str) -> None:
    def key(text: str) -> int:
        lower, upper = keys.of_documents([document("before"), document(text)], Dedup(), False).exact[1].tolist()
        return int(upper << 64 | lower)

    plain = " ".join(text.split())
    assert segment.squeezed(segment.codepoints(text)).tobytes() == plain.encode("utf-32-le")
    assert key(text) == key(plain)
    assert (key(text) == 0) == (not plain), "an empty text is no duplicate of another"
    assert key(text) != key(text + "b")
    assert key("a b c") != key("a b C")
    assert key("a b c") >> 64 != 0, "128 bits"


def test_span_keys_are_equal_where_spans_are() -> None:
    one = document("Alpha starts here. Shared one. Shared two. Shared three. Beta ends.")
    two = document("Quite another text! Something more. Shared one. Shared two! SHARED three. And the end.")
    dedup = Dedup()
    first, second = (keys.of_documents([each], dedup, sentences=True).spans.values for each in (one, two))
    assert len(first) == len(one.sentences) - 2 == 3
    assert np.intersect1d(first, second).tolist() == [first[1]]
    assert first[1] == second[2]


def test_spans_that_mean_nothing_have_no_key() -> None:
    text = "* * *\nYes.\nThis line is long enough to count.\n-----\nThis line is long enough to count."
    by_line = Dedup(sentence=Sentence(unit="lines"))
    spans = keys.of_documents([document(text)], by_line, sentences=True).spans.values
    assert (spans != 0).tolist() == [False, False, True, False, True], "no words, or fewer than min_span_words"
    assert spans[2] == spans[4]
    three = keys.of_documents([document("One two. Three four five. Six.")], Dedup(), sentences=True).spans.values
    assert (three != 0).all(), "six words"
    assert not keys.of_documents([document("One. Two. Three.")], Dedup(), sentences=True).spans.values.any()


def test_texts_without_words_have_no_keys_at_all() -> None:
    for text in ("", " \n\t ", "\u3000"):
        found = keys.of_documents([document(text)], Dedup(url=True), sentences=True)
        assert not found.exact.any()
        assert not found.urls.any()
        assert (len(found.signatures.values), len(found.spans.values)) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("ab cd.世界\n１é"), max_size=60), max_size=6), st.booleans())
def test_keys_do_not_depend_on_the_documents_beside(texts: list[str], sentences: bool) -> None:
    dedup = Dedup(
        url=True, near=Near(ngram=2, characters=2, bands=2, rows=3), sentence=Sentence(boilerplate=Boilerplate())
    )

    def of(*chosen: str) -> keys.Keys:
        made = [
            Document("x", text, "t", Origin("f", 0, 0), url=f"https://a.example/{len(text) % 2}") for text in chosen
        ]
        return keys.of_documents(made, dedup, sentences)

    together = of(*texts)
    for place, text in enumerate(texts):
        alone = of(text)
        for name in ("exact", "urls", "sites"):
            assert getattr(together, name)[place].tolist() == getattr(alone, name)[0].tolist()
        own = together.signatures.values[: int(together.signatures.there[: place + 1].sum())][-1:]
        assert together.signatures.there[place] == alone.signatures.there[0]
        assert not alone.signatures.there[0] or own.tolist() == alone.signatures.values.tolist()
        for name in ("spans", "lines"):
            offsets, values = getattr(together, name)
            assert values[offsets[place] : offsets[place + 1]].tolist() == getattr(alone, name).values.tolist()


def rank(priority: int, one: Document, **survivor: str) -> int:
    return keys.rank(priority, one, Survivor.model_validate(survivor))


def test_rank_orders_by_priority_then_length_then_id() -> None:
    long, short, other = document("x" * 100), document("x" * 99), document("x" * 100, "b")
    assert rank(0, short) < rank(1, long)
    assert rank(1, long) < rank(1, short)
    assert rank(1, long) != rank(1, other)
    assert rank(1, short, order="ascending") < rank(1, long, order="ascending")
    assert rank(0, document("x" * (1 << 25))) >= 1 << 56
    assert rank(300, short) < 1 << 64


def test_rank_orders_by_date_and_what_has_none_comes_last() -> None:
    dates = ["2024-05-01T10:00:00Z", "20240501095959", "2024-05-01", "2024-05", "2023", "1950-01-01", "", "yesterday"]
    documents = [document("x") for _ in dates]
    for one, date in zip(documents, dates, strict=True):
        one.date = date
    assert keys.seconds("1970-01-02") == 86_400
    places = [rank(1, one, by="date") >> 24 for one in documents]
    assert places == sorted(places)
    assert places[-1] == places[-2] == rank(1, document("x"), by="date", order="ascending") >> 24
    assert len(set(places)) == len(dates) - 2, "a month is its first day, and no date is no date"


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=5))
def test_rank_orders_by_a_signal(values: list[float]) -> None:
    documents = [document("x") for _ in values]
    for one, value in zip(documents, values, strict=True):
        one.signals["quality"] = value
    stored = [float(np.clip(np.float64(value), *np.array([-1, 1]) * np.finfo(np.float32).max)) for value in values]
    exact = [float(np.float32(value)) for value in stored]
    for order, sign in (("descending", -1), ("ascending", 1)):
        places = [rank(1, one, by="quality", order=order) for one in documents]
        for one, a in zip(places, exact, strict=True):
            for other, b in zip(places, exact, strict=True):
                assert (one < other) == (sign * a < sign * b)
    assert rank(1, document("x"), by="quality") > max(rank(1, one, by="quality") for one in documents)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 3), st.integers(0, 9), st.integers(0, 3)),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_repeats_equal_a_plain_loop_and_ignore_order(tuples: list[tuple[int, ...]], shuffler: object) -> None:
    tuples = sorted(set(tuples))
    first: dict[tuple[int, int], tuple[int, ...]] = {}
    for row in sorted(tuples, key=lambda row: (row[2], row[3], row[4])):
        first.setdefault((row[0], row[1]), row)
    expected = sorted(
        (row[3], row[4], first[row[0], row[1]][3], first[row[0], row[1]][4])
        for row in tuples
        if first[row[0], row[1]] != row
    )
    shuffler.shuffle(tuples)  # type: ignore[attr-defined]
    table = np.array(tuples, dtype=np.uint64).reshape(-1, 5)
    made = runs.rows(table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4])
    found = [tuple(int(value) for value in row) for row in runs.repeats(made)]
    assert sorted(found) == expected


def test_partitions_cover_the_key_space_in_order() -> None:
    edges = np.array([0, (1 << 62) - 1, 1 << 62, (1 << 64) - 1], np.uint64)
    assert runs.partition_of(edges, 4).tolist() == [0, 0, 1, 3]
    assert runs.partition_of(edges, 1).tolist() == [0, 0, 0, 0]
    spread = runs.partition_of(np.random.default_rng(0).integers(0, 1 << 64, 10_000, np.uint64), 7)
    assert set(spread.tolist()) == set(range(7))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 3)), max_size=40), st.integers(2, 4))
def test_crowds_equal_a_plain_count(tuples: list[tuple[int, int, int]], least: int) -> None:
    tuples = sorted(set(tuples), key=lambda row: (row[2], row[1]))
    pages = {key: len({row[1] for row in tuples if row[0] == key}) for key in range(4)}
    expected = sorted((number, at, pages[key]) for key, number, at in tuples if pages[key] >= least)
    table = np.array(tuples, np.uint64).reshape(-1, 3)
    made = runs.rows(table[:, 0], 0, np.zeros(len(table), np.uint64), table[:, 1], table[:, 2])
    assert sorted(tuple(int(value) for value in row) for row in runs.crowds(made, least)) == expected
