"""RefinedWeb, MADLAD, RedPajama, Dolma, NeMo and Data-Juicer: published cases, and the definitions restated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.catalog import FILTERS
from filters.document import Document, Origin
from filters.filter import Judge


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


def measured(name: str, text: str, **settings: object) -> dict[str, float]:
    made = document(text)
    Judge(FILTERS[name](**settings))(made)
    return {signal.rpartition(".")[2]: value for signal, value in made.signals.items()}


def corrected(text: str, **settings: object) -> tuple[str, dict[str, float]]:
    """What RefinedWeb's corrections leave, and what they cut."""
    made = document(text)
    FILTERS["refinedweb"](**settings).clean(made)
    cut = {name.removeprefix("refinedweb."): value for name, value in made.signals.items() if value}
    cut.pop("words_removed", None)
    return made.text, cut


COUNTERS = "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers".split()


class TestRefinedWeb:
    @pytest.mark.parametrize("what", COUNTERS)
    def test_counters_go_and_sentences_with_counts_stay(self, what):
        text = f"3 {what}\n3,000 {what}\n123K {what}!\n 5.1M   {what}  \nThere were 3 {what} of it.\n40 {what} in a row are many."
        left, cut = corrected(text)
        assert left == f"There were 3 {what} of it.\n40 {what} in a row are many."
        assert cut["lines_counter"] == 4

    def test_upper_case_at_the_limit(self):
        assert corrected("ABC def\nABCd efG\nABCDe fg")[0] == "ABC def\nABCd efG\nABCDe fg"  # 3/7, 4/8, 4/8
        left, cut = corrected("HELLO world\nHELLO WORLD")
        assert (left, cut) == ("HELLO world", {"lines_uppercase": 1, "characters_uppercase": 11})
        assert corrected("HELLO WORLD", max_uppercase=10 / 11)[0] == "HELLO WORLD"

    def test_digits_alone_go(self):
        assert corrected("2024\n2024 was a year\n２０２４", min_words=0) == (
            "2024 was a year",
            {"lines_digits": 2, "characters_digits": 8},
        )

    def test_single_words_go_and_blank_lines_stay(self):
        left, cut = corrected("Short line\n\nHi\n   \nTwo words")
        assert left == "Short line\n\nTwo words"
        assert cut == {"lines_short": 2, "characters_short": 5}

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("You have 7 items in cart right now", "You have 7 right now"),
            ("  items in cart  ", ""),
            ("You have 7 Items In Cart right now but more can be added there.", None),  # thirteen words
            ("sign-in for full access", "for full access"),
            ("This is how to sign-in here", None),
            ("Please read more...", "Please"),
            ("Please READ MORE... and go on", None),
            ("Please read morexyz", None),  # dots are dots
        ],
    )
    def test_phrases_are_cut_from_short_lines(self, text, left):
        page = f"{text}\nThe rest of this page stays as it was."
        found, cut = corrected(page)
        assert found == (page if left is None else f"{left}\nThe rest of this page stays as it was.".lstrip())
        assert cut.get("lines_phrase", 0) == (left is not None)

    def test_a_page_that_lost_little_stays_and_says_what_it_lost(self):
        made = document("The first line has words enough to stay.\n\n" * 6 + "Menu\n12 likes\n")
        Judge(FILTERS["refinedweb"](max_words_removed=0.1))(made)
        assert made.removed_by == ""
        assert made.signals["refinedweb.words_removed"] == pytest.approx(3 / 51)
        assert made.text.startswith("The first line has words enough to stay.\n\nThe first")
        assert made.signals["refinedweb.characters_counter"] == len("12 likes")

    @given(st.text(alphabet="aB1 \n.中", max_size=60))
    def test_an_uncut_page_is_untouched(self, text):
        left, cut = corrected(text)
        if not cut:
            assert left == text
        assert corrected(left)[0] == left or cut


class TestMadlad:
    def test_rules_for_themselves(self):
        text = (
            "Anna Bert Cleo Dora Emil Fritz Gerd Hans Ida Jan Karl Lisa! "  # list case: 12 capitals of 12
            "Anna Bert Cleo Dora Emil Fritz Gerd Hans Ida Jan Karl. "  # one word too few
            "We all like to ownload it here and there. "  # cursed
            "Tel. "  # too short
            "Call (030) 12345/678 + 9 {or} 10000000. "  # technical
            "This is a sentence like any other one"
        )
        found = measured("madlad", text)
        assert found["sentences"] == 6
        assert found["list_case"] == pytest.approx(1 / 6)
        assert found["cursed"] == pytest.approx(1 / 6)
        assert found["questionable"] == pytest.approx(2 / 6)
        assert found["abnormal_length"] == pytest.approx(1 / 6)
        assert found["technical"] == pytest.approx(1 / 6)

    def test_patterns_at_the_end_of_a_sentence(self):
        text = "It stands in the book |. Nothing more is here. Or is it? We do not know. But who does."
        assert measured("madlad", text)["cursed"] == pytest.approx(1 / 5)
        assert measured("madlad", text.replace("|.", "| and."))["cursed"] == 0

    @given(st.lists(st.sampled_from(["mp3", "a |", "it", " nr", ". ", "! ", ".\n", "x.y", " г"]), max_size=30))
    def test_one_search_finds_what_a_search_by_sentence_finds(self, parts):
        import re

        from filters.heuristics.madlad import CURSED

        text = "".join(parts)
        sentences = [sentence for sentence in re.split(r"[.!?]+\s+", text) if sentence.strip()]
        found = measured("madlad", text, min_sentences=None)
        cursed = sum(any(re.search(one, sentence) for one in CURSED) for sentence in sentences)
        assert found["sentences"] == len(sentences)
        if sentences:
            assert found["cursed"] == pytest.approx(cursed / len(sentences))

    def test_a_pattern_that_is_none(self):
        with pytest.raises(ValueError, match=r"madlad\.cursed"):
            FILTERS["madlad"](cursed=("(",)).prepare()


@given(st.lists(st.sampled_from("abc,"), max_size=60))
def test_runs_of_tokens(tokens):
    most = 1
    for period in range(1, 14):
        for start in range(len(tokens)):
            times = 1
            while tokens[start : start + period] == tokens[start + times * period : start + (times + 1) * period]:
                times += 1
            if times >= 3 and start + times * period <= len(tokens):
                most = max(most, times)
    found = measured("token_repetition", " ".join(tokens))
    merged = " ".join(tokens)
    if ", ," not in merged:
        assert found["most_times"] == most
    assert 0 <= found["share"] <= 1
    assert (found["share"] > 0) == (found["most_times"] >= 3)


RPS = 'Über den Wolken... It\'s 2024! JavaScript, "javascript" {x}\n• The END…\n\nLorem ipsum: the the'


def test_redpajamas_signals_by_hand():
    found = measured("redpajama", RPS)
    assert found["ccnet_nlines"] == 4
    assert found["ccnet_length"] == len(RPS)
    # uber den wolken its 2024 javascript javascript x | • the end… | | lorem ipsum the the; decomposed: u and a mark
    assert found["doc_word_count"] == 15
    letters = "u-ber den wolken its 2024 javascript javascript x • the end… lorem ipsum the the".replace(" ", "")
    assert found["doc_mean_word_length"] == pytest.approx(len(letters) / 15)
    assert found["doc_frac_unique_words"] == pytest.approx(12 / 15)
    assert found["doc_unigram_entropy"] == pytest.approx(
        -(10 * 1 / 15 * math.log(1 / 15) + 2 / 15 * math.log(2 / 15) + 3 / 15 * math.log(3 / 15))
    )
    # Über den Wolken ... It ' s 2024 ! JavaScript , " javascript " { x } • The END … Lorem ipsum : the the
    assert found["doc_symbol_to_word_ratio"] == pytest.approx(2 / 26)
    assert found["doc_frac_no_alph_words"] == pytest.approx(12 / 26)
    assert found["doc_frac_all_caps_words"] == pytest.approx(1 / 26)
    assert found["doc_stop_word_fraction"] == pytest.approx(3 / 26)  # s, the, the
    assert found["doc_curly_bracket"] == pytest.approx(2 / len(RPS))
    assert found["doc_frac_lines_end_with_ellipsis"] == 0.25
    assert found["lines_javascript_counts"] == 2
    assert found["lines_num_words"] == 15 / 4
    assert found["lines_start_with_bulletpoint"] == 0.25
    assert found["doc_num_sentences"] == 3
    assert found["doc_frac_chars_top_2gram"] == 0
    first = RPS.split("\n")[0]
    assert found["lines_numerical_chars_fraction"] == pytest.approx(4 / (len(first) + 1) / 4)


def test_redpajama_judges_what_the_recipe_asks_for():
    judged = document("the the the")
    Judge(FILTERS["redpajama"]())(judged)
    assert judged.removed_by == ""
    Judge(FILTERS["redpajama"](max={"doc_frac_chars_top_2gram": 1.0}, min={"doc_word_count": 3}))(judged)
    assert judged.removed_by == "rps.doc_frac_chars_top_2gram_too_high"
    limited = FILTERS["redpajama"](max={"doc_word_count": 3})
    assert hash(limited) == hash(FILTERS["redpajama"](max={"doc_word_count": 3}))  # a worker keeps its judges by filter
    with pytest.raises(ValidationError, match="no signal 'doc_wrod_count'"):
        FILTERS["redpajama"](min={"doc_wrod_count": 3})


def test_nemo_and_data_juicer_by_hand():
    found = measured("nemo", "See (https://a.b/c?d) in 2024!\n\nWe use cookies here\n")
    size = len("See (https://a.b/c?d) in 2024!\n\nWe use cookies here\n")
    assert found["urls"] == pytest.approx(len("https://a.b/c") / size) or found["urls"] > len("https://a.b/c") / size
    assert found["parentheses"] == pytest.approx(2 / size)
    assert found["digits"] == pytest.approx(4 / size)
    assert found["boilerplate"] == 0.5
    assert found["no_end_mark"] == 0.5
    assert found["longest_word"] == len("(https://a.b/c?d)")
    assert measured("nemo", "Lorem Ipsum dolor")["boilerplate"] == 1
    found = measured("data_juicer", "The House of 7!\n\nIs it")
    assert found["alphanumeric"] == pytest.approx(15 / 22)
    assert found["special_characters"] == pytest.approx(1 - 14 / 22)
    assert found["mean_line"] == pytest.approx(20 / 3)
    assert found["longest_line"] == 15
    assert found["stop_words"] == pytest.approx(4 / 6)
