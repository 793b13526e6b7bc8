"""Dedup keys: folding and spans do what they say, runs are found whatever the order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import segment
from filters.document import Document, Origin
from pipeline.dedup import keys, runs
from pipeline.dedup.settings import Dedup


def document(text: str, name: str = "a") -> Document:
    return Document(name, text, "test", Origin("f", 0, 0))


def test_folding_makes_copies_equal_and_keeps_others_apart() -> None:
    def hashes(text: str) -> list[int]:
        points = segment.codepoints(text)
        return segment.folded_hashes(points, segment.words(points)).tolist()

    assert hashes("Café  1984 ＡＢＣ") == hashes("CAFE\u0301 2077 abc")
    assert hashes("cafe") != hashes("care")
    assert hashes("12") != hashes("123"), "digits fold to zeros, their number stays"


def test_exact_key_ignores_white_space_only() -> None:
    assert keys.exact_key("a  b\n\nc ") == keys.exact_key("a b c")
    assert keys.exact_key("a b c") != keys.exact_key("a b C")
    assert keys.exact_key("a b c") >> 64 != 0, "128 bits"


def test_span_keys_are_equal_where_spans_are() -> None:
    one = document("Alpha starts here. Shared one. Shared two. Shared three. Beta ends.")
    two = document("Quite another text! Something more. Shared one. Shared two! SHARED three. And the end.")
    dedup = Dedup()
    first, second = (keys.of_document(each, dedup, sentences=True).spans for each in (one, two))
    assert len(first) == len(one.sentences) - 2 == 3
    assert np.intersect1d(first, second).tolist() == [first[1]]
    assert first[1] == second[2]


def test_rank_orders_by_priority_then_length_then_id() -> None:
    long, short, other = document("x" * 100), document("x" * 99), document("x" * 100, "b")
    assert keys.rank(0, short) < keys.rank(1, long)
    assert keys.rank(1, long) < keys.rank(1, short)
    assert keys.rank(1, long) != keys.rank(1, other)
    assert keys.rank(300, document("x" * (1 << 25))) < 1 << 64


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
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_clusters_are_connected_components(edges: list[tuple[int, int]]) -> None:
    label = list(range(20))
    for _ in range(20):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    left, right = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    assert runs.clusters(left, right, 20).tolist() == label
