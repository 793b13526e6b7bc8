"""Gopher's rules against DCLM's values: golden texts, boundary cases, and a plain re-statement of the definitions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.document import Document, Origin
from filters.filter import Judge
from filters.gopher_quality import GopherQuality
from filters.gopher_repetition import GopherRepetition


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


def repetition(text: str) -> dict[str, float]:
    return {name.removeprefix("gopher."): value for name, value in GopherRepetition().measure(document(text)).items()}


def quality(text: str, **settings: object) -> dict[str, float]:
    found = GopherQuality(**settings).measure(document(text))
    return {name.removeprefix("gopher."): value for name, value in found.items()}


# Four texts on which the field's implementations disagree; the values are DCLM's.
TEXT_A = "Hello, World.\nHello, World.\n\nHello"
# 14 words of 52 letters after 4 x 17 letters: 120 letters.
TEXT_D = "I am a solo traveller " * 4 + "my plan was to go home by winter came, but storms delayed us badly."
TEXT_E = "Nine careful bakers sold warm bread beside the harbour before sunrise every day."
# A menu of 20 letters twice, each time followed by "The"; 173 letters in words, 203 characters in lines.
MENU = "Home\nBlog\nForum\nContact\n"
TEXT_F = (
    f"{MENU}The old river ran slow that morning and nobody spoke about it again until noon.\n"
    f"{MENU}The train to Leeds left without them because someone had lost every ticket they had."
)


@pytest.mark.parametrize(
    ("text", "lines", "line_characters", "top_2", "top_3", "top_4", "duplicate_5"),
    [
        # 2 of 3 lines, 26 of 31 characters; "Hello World" twice is 20 of 25 letters, "Hello World Hello" 30.
        (TEXT_A, 0.667, 0.839, 0.800, 1.200, 0, 0),
        # 4 x "solo traveller" = 52 of 120, 4 x "a solo traveller" = 56, 4 x "am a solo traveller" = 64; 68 in 5-grams.
        (TEXT_D, 0, 0, 0.433, 0.467, 0.533, 0.567),
        (TEXT_E, 0, 0, 0, 0, 0, 0),
        # 8 of 10 lines, 40 of 203 characters; 2 x 12, 2 x 16, 2 x 20 and (20 + 3) x 2 letters of 173.
        (TEXT_F, 0.800, 0.197, 0.139, 0.185, 0.231, 0.266),
    ],
    ids=["A", "D", "E", "F"],
)
def test_golden_values(text, lines, line_characters, top_2, top_3, top_4, duplicate_5):
    found = repetition(text)
    assert found["duplicate_lines"] == pytest.approx(lines, abs=5e-4)
    assert found["duplicate_line_characters"] == pytest.approx(line_characters, abs=5e-4)
    assert found["top_2_gram"] == pytest.approx(top_2, abs=5e-4)
    assert found["top_3_gram"] == pytest.approx(top_3, abs=5e-4)
    assert found["top_4_gram"] == pytest.approx(top_4, abs=5e-4)
    assert found["duplicate_5_grams"] == pytest.approx(duplicate_5, abs=5e-4)


HELLOS = "hello      world hello apple.... world hello\n world hello"  # 8 words of 5 letters: 40
TIES = "a b a b a b ab cd ab cd ab cd abc def abc def"  # 6 + 12 + 12 = 30 letters; "ab cd" and "a b" three times
APPLE = "hello world hello\n world hello. apple world hello world hello world hello world"  # 13 words: 65 letters


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("Hello, World.", "duplicate_lines", 0),  # a single line repeats nothing
        ("Hello\nHello\n\n\n\nHello", "duplicate_lines", 1),  # empty lines are no lines
        ("Hello\nHello\n\n\n\nHello", "duplicate_line_characters", 1),
        (TEXT_A, "duplicate_lines", 2 / 3),
        (TEXT_A, "duplicate_line_characters", 26 / 31),
        ("Hello, World.\n\nHello, World.\n\nHello, World.\nHello", "duplicate_paragraphs", 2 / 3),
        ("Hello, World.\n\nHello, World.\n\nHello, World.\nHello", "duplicate_paragraph_characters", 26 / 45),
        ("hello", "top_2_gram", 0),  # fewer words than n: nothing repeats
        ("hello", "duplicate_5_grams", 0),
        ("hello world hello world hello world", "top_2_gram", 1),  # 3 x 10 of 30
        (HELLOS, "top_2_gram", 30 / 40),  # "world hello" three times
        (HELLOS, "top_3_gram", 30 / 40),  # "hello world hello", 15 letters, twice
        (HELLOS, "top_4_gram", 0),
        (TIES, "top_2_gram", 12 / 30),  # of the ties the longer one, wherever it stands
        ("a b a b a b abc def abc def ab cd ab cd ab cd", "top_2_gram", 12 / 30),
        (APPLE, "duplicate_5_grams", 60 / 65),  # every word but "apple"
    ],
)
def test_dclm_boundaries(text, signal, value):
    assert repetition(text)[signal] == pytest.approx(value)
    limits = dict.fromkeys((f"max_{name.removeprefix('gopher.')}" for name in signals_of(GopherRepetition)), None)
    for limit, removed in ((value + 1e-2, ""), (value, ""), (value - 1e-2, f"gopher.{signal}")):
        judged = document(text)
        Judge(GopherRepetition(**limits | {f"max_{signal}": limit}))(judged)
        assert judged.removed_by == removed


def signals_of(filter_class) -> list[str]:
    return [signal.name for signal in filter_class.signals]


def restated(words: list[str], n: int) -> float:
    """DCLM's definition of the n-gram rules, over words without punctuation."""
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    total = sum(map(len, words))
    counts = Counter(grams)
    most = max(counts.values(), default=1)
    if most == 1:
        return 0.0
    if n <= 4:
        return most * max(sum(map(len, gram)) for gram, count in counts.items() if count == most) / total
    inside = {k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(i, i + n)}
    return sum(len(words[k]) for k in inside) / total


@given(st.lists(st.sampled_from(["a", "b", "bb", "ccc", "dddd", "中", "é"]), min_size=1, max_size=60))
def test_ngrams_equal_the_definition(words):
    found = repetition(" ".join(words))
    for n in range(2, 11):
        assert found[f"top_{n}_gram" if n <= 4 else f"duplicate_{n}_grams"] == pytest.approx(restated(words, n))


def test_without_words_or_lines_nothing_is_measured():
    assert repetition("") == {}
    assert repetition(" \n\n ") == {}
    assert set(repetition("...")) == {
        "duplicate_lines",
        "duplicate_line_characters",
        "duplicate_paragraphs",
        "duplicate_paragraph_characters",
    }


def test_a_long_text_takes_no_longer_than_it_should():
    # A hundred thousand words of two kinds: every n-gram up to 10 is repeated, the worst case of the kernel.
    found = repetition("ab cd " * 50_000)
    assert found["top_2_gram"] == pytest.approx(1, abs=1e-4)
    assert found["duplicate_10_grams"] == 1


SENTENCE = "We have walked to the end of the long road that winds around quiet hills with our good friends today. "
PAGE = SENTENCE * 3  # 60 words
TRAILING = "have with us...\n" * 3


@pytest.mark.parametrize(
    ("kept", "removed", "reason"),
    [
        ("have with " * 25, "have with " * 24 + "the", "gopher.too_few_words"),  # 50 and 49 words
        ("have with " * 50_000, "have with " * 50_000 + "the", "gopher.too_many_words"),  # 100,000 and 100,001
        ("the " * 60, "the " * 60 + "to", "gopher.short_words"),  # mean 3 and 182 / 61
        # (60 x 10 + 6 + 24) / 63 = 10 and (60 x 10 + 6 + 25) / 63 = 10.02
        ("gatherings " * 60 + "the the " + "x" * 24, "gatherings " * 60 + "the the " + "x" * 25, "gopher.long_words"),
        # 6 / 60 and 6 / 59
        ("# " * 6 + "have with " * 27, "# " * 6 + "have with " * 26 + "have", "gopher.too_many_symbols"),
        # 54 / 60 and 55 / 61
        ("- have\n" * 54 + "with\n" * 6, "- have\n" * 55 + "with\n" * 6, "gopher.too_many_bullets"),
        # 3 / 10 and 3 / 9
        (TRAILING + f"{PAGE}\n" * 7, TRAILING + f"{PAGE}\n" * 6, "gopher.too_many_ellipses"),
        ("have " * 48 + "2021 " * 12, "have " * 47 + "2021 " * 12, "gopher.too_few_letters"),  # 48 / 60 and 47 / 59
        ("house " * 58 + "the The", "house " * 59 + "the", "gopher.too_few_stop_words"),  # 2 and 1, whatever their case
    ],
)
def test_quality_boundaries(kept, removed, reason):
    for text, wanted in ((kept, ""), (removed, reason)):
        judged = document(text)
        only = {
            "gopher.too_few_letters": {"min_mean_word_length": None, "min_stop_words": None},
            "gopher.too_many_bullets": {"min_mean_word_length": None, "min_alphabetic_words": None},
            "gopher.too_many_symbols": {"min_mean_word_length": None},
        }.get(reason, {})
        Judge(GopherQuality(**only))(judged)
        assert judged.removed_by == wanted


@given(st.text(alphabet=" .….#aB1é中\n\t-•Kthe", max_size=60))
def test_quality_equals_the_definition(text):
    found = quality(text)
    words = text.split()
    stop_words = {"the", "be", "to", "of", "and", "that", "have", "with"}
    assert found["stop_words"] == sum(word.lower() in stop_words for word in words)
    if words:
        symbols = sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…"))
        assert found["symbols_per_word"] == symbols / len(words)
        assert found["mean_word_length"] == sum(map(len, words)) / len(words)
        assert found["alphabetic_words"] == sum(any(map(str.isalpha, word)) for word in words) / len(words)
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if lines:
        assert found["bullet_lines"] == sum(line.startswith(("●", "•", "*", "-")) for line in lines) / len(lines)
        assert found["ellipsis_lines"] == sum(line.endswith(("...", ". . .", "…")) for line in lines) / len(lines)


def test_stop_words_of_another_language():
    assert quality("Über und ÜBER die Straße", stop_words=("über", "die"))["stop_words"] == 3
    assert quality("这是我的书，不是你的。", stop_words=("的", "是"))["stop_words"] == 4
    assert quality("И в лесу, и В поле", stop_words=("и", "в"))["stop_words"] == 4


def test_empty_text_has_no_means():
    assert quality("") == {"words": 0, "stop_words": 0}
