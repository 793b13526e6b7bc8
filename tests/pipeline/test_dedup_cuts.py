"""Cuts: offsets in characters in every script, what is repeated goes, what is not stays, lines leave no holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.document import Document, Origin
from pipeline.dedup import cuts, keys, runs
from pipeline.dedup.settings import Dedup, Sentence


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("One. Two. Three.", "Two.", "One. Three."),
        ("One. Two.", "Two.", "One."),
        ("One. Two.", "One.", "Two."),
        ("一。二。三。", "二。", "一。三。"),
        ("first\nsecond\nthird", "second", "first\nthird"),
        ("first\nsecond\n\nthird", "second", "first\n\nthird"),
        ("first\n\nsecond\n\nthird", "second", "first\n\nthird"),
        ("first\nsecond", "second", "first"),
        ("first\n  second \n    third", "second", "first\n    third"),
        ("first\nOne. Two.\nthird", "One.", "first\nTwo.\nthird"),
        ("first\nOne. Two.\nthird", "Two.", "first\nOne.\nthird"),
        ("keep (this part) please", "this part", "keep () please"),
        ("a well-known fact", "well", "a -known fact"),
        ("all", "all", ""),
    ],
)
def test_a_cut_leaves_no_hole(text: str, gone: str, left: str) -> None:
    start = text.index(gone)
    assert cuts.without(text, [(start, start + len(gone))]) == left


@given(st.text(alphabet="ab \n\t。é🙂", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_everything_but_white_space_at_the_seams_stays(text: str, edges: list[int]) -> None:
    ordered = sorted({min(edge, len(text)) for edge in edges})
    ranges = list(zip(ordered[::2], ordered[1::2], strict=False))
    edges = [0, *(edge for one in ranges for edge in one), len(text)]
    kept = "".join(text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True))
    assert "".join(cuts.without(text, ranges).split()) == "".join(kept.split())
    if not ranges:
        assert cuts.without(text, ranges) == text.strip()


UNITS = (
    "The weir was older than the mill beside it.",
    "Когда наступила весна, река вышла из берегов.",
    "我们在河边走了很久，直到天黑。",
    "هذا النص مكتوب باللغة العربية في كتاب قديم.",
    "นี่คือประโยคภาษาไทยที่ยาวพอสมควร!",
    "Ein Satz mit Umlauten: größer, älter, schöner. 🙂 ok?",
    "এটি বাংলা ভাষায় লেখা একটি বাক্য।",
    "두 번째 문장은 한국어로 쓰여 있습니다.",
)


def document(number: int, units: list[str], between: str) -> Document:
    return Document(str(number), between.join(units), "test", Origin("f", 0, 0), number=number)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=9), min_size=1, max_size=4),
    st.sampled_from(["\n", "\n\n"]),
)
def test_lines_that_occurred_before_are_cut_to_the_character(documents: list[list[int]], between: str) -> None:
    """Lines are planted at random; those of eight or more are unique to their place."""
    settings_ = Sentence(unit="lines", min_span_words=1)
    texts, serial = [], 0
    for planted in documents:
        lines = []
        for unit in planted:
            serial += unit >= len(UNITS)
            lines.append(UNITS[unit] if unit < len(UNITS) else f"Only here stands the line {'i' * serial}.")
        texts.append(lines)
    made = [document(number, lines, between) for number, lines in enumerate(texts)]
    rows = [
        (key, number, position)
        for number, one in enumerate(made)
        for position, key in enumerate(keys.of_documents([one], Dedup(sentence=settings_), True).spans.values.tolist())
    ]
    table = np.array(rows, np.uint64)
    found = runs.repeats(runs.rows(table[:, 0], 0, np.zeros(len(table), np.uint64), table[:, 1], table[:, 2]))
    seen: set[str] = set()
    for one, lines in zip(made, texts, strict=True):
        left = [line for line in lines if line not in seen and not seen.add(line)]  # type: ignore[func-returns-value]
        own = found[found["number"] == one.number]
        stretches = list(cuts.of_repeats(own, one.number, 1, one.lines.starts, one.lines.stops))
        for stretch in stretches:
            assert all(line in lines for line in one.text[stretch.start : stretch.stop].split(between))
        after = cuts.without(one.text, cuts.union((stretch.start, stretch.stop) for stretch in stretches))
        assert after.split(between) == (left or [""])


def test_a_document_keeps_its_own_first_span_where_two_overlap() -> None:
    text = "One two three. " * 5
    one = document(7, [text.strip()], "")
    spans = keys.of_documents([one], Dedup(sentence=Sentence(span=3, min_span_words=0)), True).spans.values
    assert len(set(spans.tolist())) == 1
    found = runs.repeats(runs.rows(spans, 0, np.zeros(3, np.uint64), np.full(3, 7, np.uint64), np.arange(3)))
    (stretch,) = cuts.of_repeats(found, 7, 3, *one.sentences)
    assert cuts.without(one.text, [(stretch.start, stretch.stop)]) == ("One two three. " * 3).strip()
