"""FineWeb's rules at their boundaries."""

import pytest
import regex

from filters.document import Document, Origin
from filters.filter import Judge
from filters.fineweb import FineWeb, terminal_marks


def run(text: str, **settings: object) -> Document:
    document = Document("id", text, "test", Origin("file", 0, len(text)))
    Judge(FineWeb(**settings))(document)
    return document


LONG = "This line is written to be longer than thirty characters, number {}"
WITHOUT_END = "\n".join(LONG.format(i) for i in range(22))
THIRTY = "Exactly thirty characters, {:02}."  # with its number


@pytest.mark.parametrize(
    ("kept", "removed", "reason"),
    [
        # 3 of 25 lines end with a mark: 0.12; 3 of 26: 0.115.
        (
            f"{WITHOUT_END}\nIs it?\nYes it is!\n是的。",
            f"{WITHOUT_END}\nIs it?\nYes it is!\n是的。\nso",
            "fineweb.too_few_terminal_lines",
        ),
        # 67 of 100 lines are short: 0.67; 68 of 101.
        (
            "\n".join([*(THIRTY.format(i) for i in range(67)), *(LONG.format(i) + "." for i in range(33))]),
            "\n".join([*(THIRTY.format(i) for i in range(68)), *(LONG.format(i) + "." for i in range(33))]),
            "fineweb.too_many_short_lines",
        ),
        # 5 of 500 characters are in the second "again": 0.01; of 499 more.
        (
            "\n".join(["x y " * 100 + "x" * 89 + ".", "again", "again"]),
            "\n".join(["x y " * 100 + "x" * 88 + ".", "again", "again"]),
            "fineweb.duplicate_characters",
        ),
        # 3 newlines by 10 words: 0.3; 3 by 9.
        (
            "one two three four five six seven.\neight.\n\nnine - ten.",
            "one two three four five six seven.\neight.\n\nnine - .",
            "fineweb.too_many_newlines",
        ),
        ("x.", " \n ", "fineweb.empty"),
    ],
)
def test_boundaries(kept, removed, reason):
    shape = {"max_short_lines": None} if reason != "fineweb.too_many_short_lines" else {}
    if reason == "fineweb.empty":
        shape["max_newlines_per_word"] = None
    assert run(kept, **shape).removed_by == ""
    assert run(removed, **shape).removed_by == reason


def test_lines_of_thirty_characters_are_short():
    assert run(THIRTY.format(1)).signals["fineweb.short_lines"] == 1
    assert run(THIRTY.format(1) + ".").signals["fineweb.short_lines"] == 0


def test_repeats_after_the_first_count():
    # 5 + 5 of 4 x 5 characters: what comes again, not the group (Gopher's definition counts 15).
    assert run("again\nagain\nother\nagain").signals["fineweb.duplicate_characters"] == 0.5


def test_terminal_marks_are_unicodes():
    marks = terminal_marks()
    assert all(marks[ord(mark)] for mark in ".!?。！？؟۔।։‼⁇｡")
    assert not any(marks[ord(other)] for other in "\"”’'…,;:-）)")
    every = (chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    wanted = regex.findall(r"\p{Sentence_Terminal}", "".join(every))  # 172 in Unicode 17; datatrove lists 159
    assert "".join(map(chr, marks.nonzero()[0])) == "".join(wanted)
    assert 159 <= len(wanted) <= 200


def test_undefined_ratios_are_left_out():
    assert run("").signals == {"fineweb.lines": 0}
    assert "fineweb.newlines_per_word" not in run("...").signals
