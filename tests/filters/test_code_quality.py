"""Rules for source code and for length, at their boundaries."""

import pytest

from filters.code_quality import CodeQuality
from filters.document import Document, Origin
from filters.filter import Judge
from filters.length import Length


def code(text: str, language: str = "Python", **settings: object) -> Document:
    document = Document("id", text, "test", Origin("file", 0, len(text)), metadata={"programming_language": language})
    Judge(CodeQuality(**settings))(document)
    return document


SHORT = "x = 1\n"


@pytest.mark.parametrize(
    ("kept", "removed", "reason"),
    [
        (SHORT * 20 + "x" * 1000, SHORT * 20 + "x" * 1001, "code.long_line"),
        ("x" * 99 + "\n" + "x" * 101, "x" * 100 + "\n" + "x" * 101, "code.long_lines"),  # means 100 and 100.5
        ("x1" + "=" * 6, "x1" + "=" * 7, "code.too_few_alphanumeric"),  # 2 / 8 and 2 / 9
        (SHORT * 20_000, SHORT * 20_001, "code.too_many_lines"),
        ("x", "", "code.too_few_lines"),
        # The declaration's 14 characters end at character 101, and at 100.
        ("#\n" * 43 + '\n<?xml version="1"?>', "#\n" * 43 + '<?xml version="1"?>', "code.xml_header"),
    ],
)
def test_boundaries(kept, removed, reason):
    relaxed = {"min_alphanumeric": None} if reason == "code.xml_header" else {}
    assert code(kept, **relaxed).removed_by == ""
    assert code(removed, **relaxed).removed_by == reason


def test_rules_that_depend_on_the_language():
    data = '{"key": "value"}'
    assert code(data).removed_by == ""
    assert code(data, "JSON").removed_by == "code.small_data_file"
    assert code(data.ljust(100, "x"), "YAML").removed_by == ""
    assert code(SHORT * 833 + "yy", "JSON").removed_by == ""  # 5,000 characters
    assert code(SHORT * 833 + "yyy", "JSON").removed_by == "code.large_data_file"
    assert code(SHORT * 833 + "yyy").removed_by == ""
    sheet = '<?xml version="1.0"?>\n<xsl:stylesheet version="1.0"/>'
    assert code(sheet, "XSLT").removed_by == ""
    assert code(sheet, "").removed_by == "code.xml_header"


def test_letters_only_if_asked_for():
    assert code("123 456 abc").removed_by == ""
    assert code("123 456 abc", min_letters=0.25).removed_by == ""  # 3 / 11
    assert code("123 4567 89 abc", min_letters=0.25).removed_by == "code.too_few_letters"  # 3 / 15


def test_lines_are_measured_with_their_indentation():
    signals = code("def f():\n    return 1\n\n").signals
    assert signals["code.lines"] == 3
    assert signals["code.longest_line"] == 12
    assert signals["code.mean_line"] == (8 + 12 + 0) / 3


@pytest.mark.parametrize(
    ("settings", "kept", "removed", "reason"),
    [
        ({}, "x", "", "length.too_few_characters"),
        ({"max_characters": 3}, "xyz", "wxyz", "length.too_many_characters"),
        ({"min_words": 2}, "two words", "one, ...", "length.too_few_words"),
        ({"max_words": 2}, "中文", "中文字", "length.too_many_words"),
    ],
)
def test_length(settings, kept, removed, reason):
    for text, wanted in ((kept, ""), (removed, reason)):
        document = Document("id", text, "test", Origin("file", 0, len(text)))
        Judge(Length(**settings))(document)
        assert document.removed_by == wanted
