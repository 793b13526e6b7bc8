"""Both sides of every threshold: of every rule as a number, and of the statistical rules as texts written for it."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import ClassVar

import pytest

from filters.catalog import FILTERS, settings_of
from filters.document import Document, Origin
from filters.filter import Filter, Judge, Rule, Signal


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


class Fixed(Filter):
    """Gives every document one signal of one value, and judges it by one rule."""

    name: ClassVar[str] = "fixed"
    signals: ClassVar[tuple[Signal, ...]] = ()
    rule: Rule
    value: float

    def measure(self, document: Document) -> Mapping[str, float]:
        return {self.rule.signal: self.value}

    def rules(self) -> tuple[Rule, ...]:
        return (self.rule,)


def in_force(filter_class: type[Filter]) -> list[Rule]:
    """The rules of a filter with its defaults; a threshold that is off by default is taken to be 1."""
    off = {
        name: 1
        for name, field in filter_class.model_fields.items()
        if (field.default is None and "min" in name) or "max" in name
    }
    defaults = {name: field.default for name, field in filter_class.model_fields.items() if not field.is_required()}
    return list(filter_class.model_construct(None, **off | defaults).rules())


RULES = [
    (name, rule)
    for name, filter_class in sorted(FILTERS.items())
    for rule in in_force(filter_class)
    if isinstance(rule.threshold, int | float)
]


@pytest.mark.parametrize(("name", "rule"), RULES, ids=[f"{name}-{rule.reason}" for name, rule in RULES])
def test_a_rule_removes_beyond_its_threshold_and_not_before(name, rule):
    below = math.nextafter(rule.threshold, -math.inf)
    above = math.nextafter(rule.threshold, math.inf)
    wanted = {
        "<": (True, False, False),
        "<=": (True, True, False),
        ">": (False, False, True),
        ">=": (False, True, True),
    }[rule.comparison]
    for value, removed in zip((below, rule.threshold, above), wanted, strict=True):
        judged = document("")
        Judge(Fixed(rule=rule, value=value))(judged)
        assert judged.removed_by == (rule.reason if removed else "")
    unmeasured = document("")
    assert not rule.removes(unmeasured.signals)


def again(later: int, total: int, separator: str) -> str:
    """So many units, of which so many are equal to the first."""
    units = ["again"] * (later + 1) + [f"unit {i}" for i in range(total - later - 1)]
    return separator.join(units)


def twice(n: int, size: int, separator: str = " ") -> str:
    """n single letters twice and one long word: so many characters in all, or letters where these alone count."""
    letters = " ".join(string.ascii_lowercase[:n])
    repeated = f"{letters} {letters} "
    return repeated + "z" * (size - (len(repeated) if separator else 2 * n))


def lines(special: str, number: int, total: int) -> str:
    return "\n".join([special] * number + ["plain"] * (total - number))


GOPHER_SIZES = {2: 20, 3: 34, 4: 50, 5: 67, 6: 86, 7: 108, 8: 134, 9: 164, 10: 200}
"""Letters of a text in which n letters stand twice and that is just long enough."""
DATATROVE_SIZES = {2: 30, 3: 56, 4: 88, 5: 34, 6: 43, 7: 54, 8: 67, 9: 82, 10: 100}
"""The same in characters; for 2 to 4 the spaces between the letters count, twice."""

TEXTS: dict[str, tuple[str, str, str, str]] = {}
"""By reason: filter, setting, a text that is just kept, and one that is just not."""
for n in range(2, 11):
    kind = f"top_{n}_gram" if n <= 4 else f"duplicate_{n}_grams"
    size = GOPHER_SIZES[n]
    TEXTS[f"gopher.{kind}"] = ("gopher_repetition", f"max_{kind}", twice(n, size, ""), twice(n, size - 1, ""))
    size = DATATROVE_SIZES[n]
    TEXTS[f"datatrove.{kind}"] = ("datatrove_repetition", f"max_{kind}", twice(n, size), twice(n, size - 1))
for unit, separator in (("line", "\n"), ("paragraph", "\n\n")):
    # All members of a group: 3 of 10 and 3 of 9; 4 of 20 characters and 4 of 19.
    TEXTS[f"gopher.duplicate_{unit}s"] = (
        "gopher_repetition", f"max_duplicate_{unit}s", again(2, 10, separator), again(2, 9, separator),
    )  # fmt: skip
    TEXTS[f"gopher.duplicate_{unit}_characters"] = (
        "gopher_repetition", f"max_duplicate_{unit}_characters",
        separator.join(["aa", "aa", "b" * 16]), separator.join(["aa", "aa", "b" * 15]),
    )  # fmt: skip
    # Those that come again: 3 of 10 and 4 of 13; 4 of 20 characters and 4 of 19, separators included.
    rest = 20 - 2 * (4 + len(separator))
    TEXTS[f"datatrove.duplicate_{unit}s"] = (
        "datatrove_repetition", f"max_duplicate_{unit}s", again(3, 10, separator), again(4, 13, separator),
    )  # fmt: skip
    TEXTS[f"datatrove.duplicate_{unit}_characters"] = (
        "datatrove_repetition", f"max_duplicate_{unit}_characters",
        separator.join(["aaaa", "aaaa", "b" * rest]), separator.join(["aaaa", "aaaa", "b" * (rest - 1)]),
    )  # fmt: skip

GOOD = "This is a good sentence. "
DATATROVE_QUALITY = (
    ("too_few_words", "min_words", "the of " * 25, "the of " * 24 + "the"),
    ("too_many_words", "max_words", "a " * 100_000, "a " * 100_001),
    ("short_words", "min_mean_word_length", "the the the", "the the to"),
    ("long_words", "max_mean_word_length", "x" * 10, "x" * 10 + " " + "x" * 11),
    ("too_many_hashes", "max_hashes_per_token", "# " + "a " * 9, "# " + "a " * 8),
    ("too_many_ellipses", "max_ellipses_per_token", "… " + "a " * 9, "... " + "a " * 8),
    ("too_many_bullets", "max_bullet_lines", lines("- a", 9, 10), lines(" • a", 10, 11)),
    ("too_many_ellipsis_lines", "max_ellipsis_lines", lines("a...", 3, 10), lines("a… ", 3, 9)),
    ("too_few_letters", "min_alphabetic_tokens", "a b c d , e f g h ,", "a b c d , e f g ,"),
    ("too_few_stop_words", "min_stop_words", "the of", "the the The"),
)
C4 = (
    ("lorem_ipsum", "max_lorem_ipsum", "It is no Latin text.", "It is Lorem Ipsum text."),
    ("curly_bracket", "max_curly_brackets", "It is a } text.", "It is a { text."),
)
NEMO = (
    ("other_characters", "abc ", "ab "),
    ("digits", "1" * 3 + "a" * 17, "1" * 3 + "a" * 16),
    ("urls", "x" * 31 + " http://a", "x" * 30 + " http://a"),
    ("white_space", "abc\n", "ab\n"),
    ("parentheses", "(" + "a" * 9, "[" + "a" * 8),
    (
        "boilerplate",
        "\n\n".join(["Our Privacy Policy"] * 2 + ["a"] * 3),
        "\n\n".join(["We use cookies"] * 3 + ["a"] * 4),
    ),
    ("no_end_mark", lines("no end", 17, 20).replace("plain", "end."), lines("no end", 18, 21).replace("plain", "end'")),
    ("longest_word", "x" * 1000, "x" * 1001),
)
DATA_JUICER = (
    ("too_few_alphanumeric", "min_alphanumeric", "a+++", "a++++"),
    ("too_many_special_characters", "max_special_characters", "abc+", "ab+"),
    ("short_lines", "min_mean_line", "x" * 8 + "\n" + "x" * 12, "x" * 8 + "\n" + "x" * 11),
    ("no_long_line", "min_longest_line", "x\n" + "x" * 10, "x\n" + "x" * 9),
    ("too_few_stop_words", "min_stop_words", "The of and " + "x " * 7, "The of " + "x " * 5),
    # m stretches that are equal and k that are not.
    ("character_repetition", "max_character_repetition", "a" * 14 + "bcdef", "a" * 15 + "bcdef"),
    ("word_repetition", "max_word_repetition", "a " * 14 + "b c d e f", "a " * 15 + "b c d e f"),
)
TEXTS |= {f"datatrove.{reason}": ("datatrove_quality", *rest) for reason, *rest in DATATROVE_QUALITY}
TEXTS |= {f"{name}.{reason}": (name, *rest) for name in ("c4", "datatrove_c4") for reason, *rest in C4}
TEXTS |= {f"nemo.{kind}": ("nemo", f"max_{kind}", *rest) for kind, *rest in NEMO}
TEXTS |= {f"data_juicer.{reason}": ("data_juicer", *rest) for reason, *rest in DATA_JUICER}
TEXTS |= {
    "c4.too_few_sentences": ("c4", "min_sentences", GOOD * 3, GOOD * 2),
    "datatrove_c4.too_few_sentences": ("datatrove_c4", "min_sentences", GOOD * 5, GOOD * 4),
    "refinedweb.too_many_words_removed": (
        "refinedweb", "max_words_removed", "Menu\n" + "word " * 19, "Menu\n" + "word " * 18,
    ),
    "madlad.too_few_sentences": ("madlad", "min_sentences", GOOD * 5, GOOD * 4),
    "madlad.questionable": ("madlad", "max_questionable", "An mp3. " + GOOD * 4, "An mp3. Download. " + GOOD * 7),
    "token_repetition.too_many_times": ("token_repetition", "max_times", "spam, " * 99, "spam, " * 100),
    "code.long_line": ("code_quality", "max_longest_line", "x" * 1000, "x" * 1001),
    "code.long_lines": ("code_quality", "max_mean_line", "x" * 100, "x" * 101),
    "code.too_few_alphanumeric": ("code_quality", "min_alphanumeric", "x+++", "x++++"),
    "code.xml_header": ("code_quality", "max_xml_header", "x" * 86 + "<?xml version", "x" * 86 + "<?xml version="),
    "length.too_few_characters": ("length", "min_characters", "x", ""),
}  # fmt: skip
STATISTICAL = (
    "c4", "data_juicer", "datatrove_c4", "datatrove_quality", "datatrove_repetition", "gopher_repetition", "madlad", "nemo",
    "refinedweb", "token_repetition",
)  # fmt: skip


@pytest.mark.parametrize("reason", sorted(TEXTS))
def test_a_text_on_either_side_of_the_threshold(reason):
    name, setting, kept, removed = TEXTS[reason]
    filter_class = FILTERS[name]
    default = filter_class()
    others = {other: None for other in settings_of(default).values() if other != setting}
    alone = filter_class(**others)
    [rule] = alone.rules()
    assert rule.reason == reason
    assert rule.threshold == getattr(default, setting)
    values = []
    for text, wanted in ((kept, ""), (removed, reason)):
        judged = document(text)
        Judge(alone)(judged)
        assert judged.removed_by == wanted
        values.append(judged.signals[rule.signal])
    assert values[0] != values[1]
    near = max(rule.threshold / 6, 1) if rule.threshold >= 1 or not rule.threshold else rule.threshold / 3
    assert max(abs(value - rule.threshold) for value in values) <= near + 1e-9, values


@pytest.mark.parametrize("name", STATISTICAL)
def test_no_rule_that_is_on_lacks_its_texts(name):
    assert {rule.reason for rule in FILTERS[name]().rules()} <= set(TEXTS)
