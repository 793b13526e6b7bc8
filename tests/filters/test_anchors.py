"""The page's texts give every published value, and datatrove's definitions are what they say, restated in plain Python."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from docs import anchors
from filters.catalog import FILTERS
from filters.document import Document, Origin


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


def tokens(text: str) -> list[str]:
    found = document(text).tokens
    return [text[start:stop] for start, stop in zip(found.starts.tolist(), found.stops.tolist(), strict=True)]


@pytest.mark.parametrize("project", anchors.OURS)
@pytest.mark.parametrize("name", anchors.TEXTS)
def test_every_published_value_comes_out(name, project):
    published = anchors.PUBLISHED[name][project]
    compared = 0
    for value, wanted in zip(anchors.values(anchors.TEXTS[name], project), published, strict=True):
        if wanted:
            assert value == pytest.approx(float(wanted), abs=5.01e-4)
            compared += 1
    assert compared == (0 if (name, project) == ("F", "RedPajama v2") else 4 if project == "RedPajama v2" else 6)


def test_the_texts_have_the_shape_that_the_other_projects_values_need():
    # Dolma: characters of white-space words, count 1 scores; NeMo: what is left when the n-gram is cut out.
    words = anchors.TEXTS["E"].split()
    assert len("".join(words[:3])) / len("".join(words)) == pytest.approx(0.250, abs=5e-4)
    lengths = {len(" ".join(words[i : i + 2])) for i in range(len(words) - 1)}
    assert (min(lengths) / 64, max(lengths) / 64) == (pytest.approx(0.125), pytest.approx(0.172, abs=5e-4))
    lines = anchors.TEXTS["F"].split("\n")
    assert sum(lines.count(line) > 1 for line in lines) / len(lines) == pytest.approx(0.727, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
        ("It's — don't", ["It", "'s", "—", "do", "n't"]),
        ("we’re THEY’LL I'm rock'n'roll", ["we", "’re", "THEY", "’LL", "I", "'m", "rock'n'roll"]),
        ("a-b_c  3.14 $5", ["a", "-", "b_c", "3.14", "$", "5"]),
        ("中文。", ["中", "文", "。"]),
        ("'s n't", ["'", "s", "n't"]),
        ("", []),
    ],
)
def test_tokens(text, wanted):
    assert tokens(text) == wanted


def restated(text: str) -> dict[str, float]:
    """datatrove's definitions over the tokens of a text that is not empty."""
    found: dict[str, float] = {}
    units = {"paragraph": re.split(r"\n{2,}", text.strip()), "line": re.split(r"\n+", text)}
    for unit, segments in units.items():
        later = [segment for i, segment in enumerate(segments) if segment in segments[:i]]
        found[f"duplicate_{unit}s"] = len(later) / len(segments)
        found[f"duplicate_{unit}_characters"] = sum(map(len, later)) / len(text)
    words = tokens(text)
    for n in (2, 3, 4):
        grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1)).most_common(1)
        found[f"top_{n}_gram"] = len(grams[0][0]) * grams[0][1] / len(text) if grams else 0
    for n in range(5, 11):
        met, i, characters = set(), 0, 0
        while i + n <= len(words):
            gram = tuple(words[i : i + n])
            characters += len("".join(gram)) * (gram in met)
            i += n if gram in met else 1
            met.add(gram)
        found[f"duplicate_{n}_grams"] = characters / len(text)
    return found


@given(
    st.lists(
        st.sampled_from(["a", "bb", "ccc", "it's", ",", "...", " ", " ", " ", "\n", "\n\n", "中"]),
        min_size=1,
        max_size=80,
    )
)
@example(["a", "\n", "\n", "\n", "a", "\n", "\n", "\n", "\n", "a"])
@example(["\n", "a", "\n"])
def test_datatroves_repetition_equals_its_definition(parts):
    text = "".join(parts)
    measured = FILTERS["datatrove_repetition"]().measure(document(text))
    assert {name.removeprefix("datatrove."): value for name, value in measured.items()} == pytest.approx(restated(text))


@given(st.text(alphabet="aB1é中 .,!$%#…-•\n\r'", min_size=1, max_size=80))
def test_datatroves_quality_equals_its_definition(text):
    from filters.datatrove.quality import PUNCTUATION

    measured = FILTERS["datatrove_quality"](stop_words=("a", "B")).measure(document(text))
    found = {name.removeprefix("datatrove."): value for name, value in measured.items()}
    every = tokens(text)
    words = [token for token in every if set(token) - set(PUNCTUATION)]
    assert found["words"] == len(words)
    assert found["stop_words"] == len({"a", "B"} & set(every))
    assert found.get("mean_word_length") == (pytest.approx(sum(map(len, words)) / len(words)) if words else None)
    if every:
        assert found["alphabetic_tokens"] == sum(any(map(str.isalpha, token)) for token in every) / len(every)
        assert found["hashes_per_token"] == text.count("#") / len(every)
        assert found["ellipses_per_token"] == (text.count("...") + text.count("…")) / len(every)
    lines = text.splitlines()
    assert found["bullet_lines"] == sum(line.strip().startswith(("•", "-")) for line in lines) / len(lines)


def test_c4_in_datatroves_order():
    def left(text: str, **settings: object) -> tuple[str, dict[str, float]]:
        made = document(text)
        FILTERS["datatrove_c4"](**settings).clean(made)
        return made.text, {name.rpartition("lines_")[2]: count for name, count in made.signals.items() if count}

    assert left("Only [1] three.") == ("Only  three.", {})  # three words with the citation: counted before it is cut
    assert left("Only two.") == ("", {"too_short": 1})
    assert left("She said 'so it is'") == ("She said 'so it is'", {})
    assert left("one two three.\rfour five six.\x85seven eight nine.")[0].count("\n") == 2
    assert left("今天的天气非常好，我们一起去公园散步。") == ("", {"no_end_mark": 1})
    assert left("Two [2]", terminal_punctuation=False) == ("", {"too_short": 1})
    assert left("Two [2]...") == ("", {"no_end_mark": 1})


@given(
    st.lists(
        st.sampled_from(["It is a line", "so", "中文 字", "a\u0301b", " \u0301x", "\t", "", "don't"]), max_size=12
    ),
    st.data(),
)
def test_views_that_are_carried_over_are_those_of_the_new_text(parts, data):
    made = document("\n".join(parts))
    kept = data.draw(st.lists(st.booleans(), min_size=len(made.lines), max_size=len(made.lines)))
    import numpy as np

    made.keep_lines(np.array(kept, np.bool_))
    fresh = document(made.text)
    for view in ("lines", "words"):
        for mine, new in zip(getattr(made, view), getattr(fresh, view), strict=True):
            assert mine.tolist() == new.tolist()
    assert made.codepoints.tolist() == fresh.codepoints.tolist()
