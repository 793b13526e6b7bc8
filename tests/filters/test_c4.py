"""C4's cleaning against TensorFlow Datasets' own cases: the text that is left, and the counters."""

import pytest

from filters.c4 import C4
from filters.document import Document, Origin
from filters.filter import Judge


def run(text: str, **settings: object) -> Document:
    document = Document("id", text, "test", Origin("file", 0, len(text)))
    Judge(C4(**settings))(document)
    return document


def cut(document: Document) -> dict[str, float]:
    lines = {name.removeprefix("c4.lines_"): value for name, value in document.signals.items() if "lines_" in name}
    return {name: count for name, count in lines.items() if count}


MIXED = """The ferry leaves at nine and returns before dark, Mr. Hale!
Home | Timetable | Prices | Weather | About the company and its ships
"All hands on deck. Cast off the ropes. Mind your heads."
Read more about the islands and their history...
Far too short.
Please switch on javascript in your browser to see the map.
Without JavaScript the timetable cannot be shown on this page.
Our cookie policy: we bake them every Sunday morning.
The privacy policy is pinned to the mast as well.
By stepping aboard you agree to our terms of use!
"""


def test_lines_are_cut_and_counted():
    cleaned = run(MIXED)
    assert cleaned.text == (
        "The ferry leaves at nine and returns before dark, Mr. Hale!\n"
        '"All hands on deck. Cast off the ropes. Mind your heads."'
    )
    assert cut(cleaned) == {"no_end_mark": 2, "too_short": 1, "javascript": 2, "policy": 3}
    assert cleaned.removed_by == ""
    assert cleaned.signals["c4.sentences"] == 4


def test_citations_are_cut_before_anything_is_counted():
    text = "The island was settled early.[3]\nNobody knows by whom[citation needed]. Some suspect traders.[edit]\n"
    assert run(text).text == "The island was settled early.\nNobody knows by whom. Some suspect traders."
    # Five words with the citation, four without: counted after the cut, unlike datatrove.
    assert cut(run("Only four are here [1].\nOnly five words are here.")) == {}
    assert cut(run("Only three words [1] .\nOnly five words are here.")) == {"too_short": 1}


@pytest.mark.parametrize(
    ("last_line", "reason"),
    [
        ("function sail(wind) { return wind * speed; }.", "c4.curly_bracket"),
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "c4.lorem_ipsum"),
        ("Lorem ipsum dolor sit amet in javascript, too.", "c4.lorem_ipsum"),
        ("In javascript one writes { before the body and } after it.", ""),  # the line goes before the page does
        ("if (wind) { sail(); }", ""),  # no end mark: the brace has gone with the line
        ("Here the privacy policy has a { in it, and that comes first.", "c4.curly_bracket"),
        ("lorem ipsum", ""),  # cut as it has no end mark
    ],
)
def test_pages_go_for_what_their_lines_hold(last_line, reason):
    text = f"This page begins with text.\nAll of it looks good at first.\nThen there is something else.\n{last_line}"
    assert run(text).removed_by == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("One sentence is on this line. A second one follows it.", "c4.too_few_sentences"),
        ("One sentence is on this line. A second one follows it. And a third.", ""),
        ("", "c4.too_few_sentences"),
    ],
)
def test_three_sentences(text, reason):
    assert run(text).removed_by == reason


def test_words_beyond_the_limit():
    line = f"This line has a {'x' * 1000} in it."
    assert cut(run(line)) == {}
    assert cut(run(line.replace("x", "xx", 1))) == {"long_word": 1}


def test_without_end_marks_every_longer_line_stays():
    text = "A heading of exactly five words\nAnother line that trails off into nothing...\nshort one\n"
    assert run(text).text == ""
    assert run(text, terminal_punctuation=False).text == "\n".join(text.splitlines()[:2])


def test_an_unchanged_text_keeps_its_views():
    document = Document("id", "This line has five words.\nSo does this one here.", "test", Origin("file", 0, 1))
    words = document.words
    C4().clean(document)
    assert document.words is words


CHINESE = """今天的天气非常好，我们一起去公园散步。
首页
他问：“你什么时候回来？”
很短。
孩子们在湖边放风筝！
更多内容请点击这里"""


def test_chinese_lines_end_with_full_width_marks_and_count_characters():
    cleaned = run(CHINESE)
    assert cleaned.text == "今天的天气非常好，我们一起去公园散步。\n他问：“你什么时候回来？”\n孩子们在湖边放风筝！"
    assert cut(cleaned) == {"no_end_mark": 2, "too_short": 1}
    assert cleaned.removed_by == ""


def test_a_typographic_quote_ends_a_line_only_after_a_full_width_mark():
    assert cut(run("She said that “all hands are on deck.”")) == {"no_end_mark": 1}  # as in the released code
    assert cut(run("他说：“所有人都在甲板上。”")) == {}
