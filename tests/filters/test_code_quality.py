"""Rules for source code and for length, at their boundaries."""

import pytest

from filters.code_comments import comment_characters
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
    relaxed = {"max_encoded": None}  # a hundred equal letters look like base64
    if reason == "code.xml_header":
        relaxed["min_alphanumeric"] = None
    assert code(kept, **relaxed).removed_by == ""
    assert code(removed, **relaxed).removed_by == reason


def test_rules_that_depend_on_the_language():
    data = '{"key": "value"}'
    assert code(data).removed_by == ""
    assert code(data, "JSON").removed_by == "code.small_data_file"
    assert code(data + " xyz" * 21, "YAML").removed_by == ""
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


LET = "let x;\n"


@pytest.mark.parametrize(
    ("language", "kept", "removed", "reason"),
    [
        ("Python", "x" * 98 + "\n#", "x" * 99 + "\n#", "code.too_few_comments"),  # 1 / 100 and 1 / 101
        ("JavaScript", "/*" + "x" * 76 + "*/" + "x" * 20, "/*" + "x" * 77 + "*/" + "x" * 20, "code.too_many_comments"),
        ("HTML", "<p>" + "x" * 100 + "</p>", "<p>" + "x" * 99 + "</p>", "code.little_visible_text"),
        # 100 visible characters of 500, and of 501
        ("HTML", "x" * 100 + f"<!--{'y' * 393}-->", "x" * 100 + f"<!--{'y' * 394}-->", "code.mostly_markup"),
        # runs of 1,024 and of 1,025 characters in a long file
        ("Rust", f"'{'Ab1+' * 256}'\n" + LET * 400, f"'{'Ab1+' * 256}x'\n" + LET * 400, "code.long_encoded_data"),
        # 64 of 128 characters, and of 127
        ("Rust", "x" * 64 + "-" * 32 + ";y" * 16, "x" * 64 + "-" * 32 + ";y" * 15 + ";", "code.encoded_data"),
        ("Markdown", "x " * 50_000, "x " * 50_000 + "x", "code.long_text_line"),
    ],
)
def test_boundaries_by_language(language, kept, removed, reason):
    only = {
        "code.long_text_line": {},
        "code.encoded_data": {"max_longest_line": None, "max_mean_line": None},
        "code.long_encoded_data": {"max_longest_line": None, "max_mean_line": None},
    }.get(reason, {"max_encoded": None, "max_mean_line": None, "min_comments": 0.01})
    assert code(kept, language, **only).removed_by == ""
    assert code(removed, language, **only).removed_by == reason


def test_comments_are_judged_for_the_languages_named():
    plain = "x = 1\n" * 30
    assert code(plain, "Python").removed_by == ""
    assert code(plain, "Python", min_comments=0.01).removed_by == "code.too_few_comments"
    assert code(plain, "Ruby", min_comments=0.01).removed_by == ""
    assert code(plain, "Ruby", min_comments=0.01, comment_languages=("ruby",)).removed_by == "code.too_few_comments"
    assert "code.comments" not in code(plain, "Brainfuck").signals


@pytest.mark.parametrize(
    ("language", "text", "comments"),
    [
        ("python", 'x = "# no"  # yes\n', "# yes"),
        ("python", 'def f():\n    """Doc."""\n    return """no # no"""\n', '    """Doc."""'),
        ("python", "'''open", "'''open"),
        ("c", 'x = "http://a"; // b\nchar c = \'"\'; /* d */', "// b/* d */"),
        ("rust", "fn f<'a>() {} // it's", "// it's"),
        ("javascript", "x = `// no\n` // yes", "// yes"),
        ("javascript", "a /* never closed", "/* never closed"),
        ("ruby", "x = '#' # y", "# y"),
        ("sql", "select '--' -- c", "-- c"),
        ("lua", "--[[ a\nb ]] c --d", "--[[ a\nb ]]--d"),
        ("html", "<p><!-- a --></p>", "<!-- a -->"),
        ("tex", r"5\% % c", "% c"),
        ("emacs lisp", '(a ";") ; b', "; b"),
    ],
)
def test_comments(language, text, comments):
    assert comment_characters(text, language) == len(comments)


@pytest.mark.parametrize(
    "sign", ['"', "'", "`", "/", "/*", "\\", '"\\', "#", "'''", "--[[", "{-", "<!--", " ", "\\u12"]
)
def test_hostile_files_take_time_in_proportion(sign):
    """A pattern that is quadratic would need hours for any of these."""
    for language in ("python", "c", "javascript", "lua", "haskell", "html", "sql"):
        assert comment_characters(sign * 200_000, language) is not None


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("A" * 63, 0),
        ("A" * 64, 64),
        ("0x12, " * 7, 0),
        ("0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0", 46),
        (r"\x48\x31\xc0\x50\x68\x2f\x2f\x73\x68", 36),
        (r"\u0041" * 8, 48),
        (r"\u0041" * 7, 0),
        ("the quick brown fox", 0),
    ],
)
def test_encoded_runs(text, longest):
    assert code(text, "Go").signals["code.longest_encoded"] == longest
