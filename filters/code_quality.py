"""Rules for source code: what is minified, generated, encoded data or a mere document is no code to learn from.

The Stack and StarCoder (Kocetkov et al. 2022, Li et al. 2023; ``preprocessing`` in bigcode-project/bigcode-dataset) and
StarCoder2 (Lozhkov et al. 2024, appendix A.2), over lines as ``str.splitlines`` gives them:

* longest line and mean line length in characters. Of HTML, JSON, Markdown, Roff, SMT, TeX, Text and XML, whose lines are
  paragraphs, only the longest line is judged, by a limit of its own (StarCoder2);
* share of letters and digits, or of letters, in the text;
* share of characters in comments. Measured for all languages with known comments, judged for ``comment_languages``:
  SantaCoder (Ben Allal et al. 2023) kept 0.01 to 0.8 of Python, Java and JavaScript. Here ``min_comments`` is off until
  it is set: it takes every tenth file of well-kept repositories, and StarCoder did without it;
* an XML declaration in the first 100 characters: the file is XML whatever its name says. Not measured for XML and XSLT;
* the length of JSON and YAML files: long ones are data, short ones say nothing. Measured for these two alone;
* visible text of HTML: its characters, and their share in the page. Measured for HTML alone;
* encoded data: runs that look like base64 (64 characters or more), hexadecimal bytes or Unicode escapes (8 or more): the
  longest, and their share in the text (StarCoder2).

The language is the document's metadata ``programming_language``, compared without case.
"""

# NeMo Curator measures the share of letters alone (0.25) where StarCoder counts digits too, allows comments up to 0.85,
# and wants 10 to 20,000 lines. Characters by token depend on one tokenizer and are not measured. StarCoder2 also keeps
# Text, JSON and YAML files of 512 lines at most, and of Text only files that are called readme or the like.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from filters import characters
from filters.code_comments import comment_characters
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_XML_HEADER: Final = "<?xml version="
_HEADER_CHARACTERS: Final = 100
_XML_LANGUAGES: Final = frozenset({"xml", "xslt"})
_DATA_LANGUAGES: Final = frozenset({"json", "yaml"})
_TEXT_LANGUAGES: Final = frozenset(
    {"html", "json", "markdown", "roff", "roff manpage", "smt", "tex", "text", "xml", "restructuredtext"}
)

# The third begins with an escape where StarCoder2's has a word boundary, which \\x never follows.
_ENCODED: Final = (
    r"[a-zA-Z0-9+/\n=]{64,}",
    r"(?:(?:\b0x|\\x|\b)[0-9a-fA-F]{2}(?:,[ \t\n]*|[ \t\n]+|\b)){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)


@register
class CodeQuality(Filter):
    """Remove a source file that is not written by hand, or not code."""

    name: ClassVar[str] = "code_quality"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("code.lines", 0, math.inf, "lines, blank ones included"),
        Signal("code.longest_line", 0, math.inf, "characters of the longest line"),
        Signal("code.mean_line", 0, math.inf, "mean length of the lines in characters"),
        Signal("code.alphanumeric", 0, 1, "share of letters and digits in the text"),
        Signal("code.letters", 0, 1, "share of letters in the text"),
        Signal("code.xml_header", 0, 1, "1 if the text begins with an XML declaration; not for XML and XSLT"),
        Signal("code.longest_text_line", 0, math.inf, "characters of the longest line; for languages of prose only"),
        Signal("code.comments", 0, 1, "share of characters in comments; for languages with known comments"),
        Signal("code.judged_comments", 0, 1, "the same; for languages that are judged by it"),
        Signal("code.encoded", 0, 1, "share of characters in runs of encoded data"),
        Signal("code.longest_encoded", 0, math.inf, "characters of the longest run of encoded data"),
        Signal("code.visible_characters", 0, math.inf, "characters of the visible text; for HTML only"),
        Signal("code.visible", 0, 1, "share of the visible text in the page; for HTML only"),
        Signal("code.data_characters", 0, math.inf, "characters of the text; for JSON and YAML only"),
    )

    min_lines: int | None = 1
    max_lines: int | None = 20_000
    max_longest_line: int | None = 1_000
    max_mean_line: float | None = 100.0
    max_longest_text_line: int | None = 100_000
    min_alphanumeric: float | None = 0.25
    min_letters: float | None = None
    min_comments: float | None = None
    max_comments: float | None = 0.8
    comment_languages: tuple[str, ...] = Field(
        ("python", "java", "javascript"), description="languages judged by their comments, in lower case"
    )
    max_encoded: float | None = 0.5
    max_longest_encoded: int | None = 1_024
    max_xml_header: float | None = 0
    min_visible: float | None = 0.2
    min_visible_characters: int | None = 100
    min_data_characters: int | None = 100
    max_data_characters: int | None = 5_000

    def measure(self, document: Document) -> Mapping[str, float]:
        """Statistics of lines and characters."""
        text = document.text
        language = document.metadata.get("programming_language", "").lower()
        lengths = list(map(len, text.splitlines()))
        signals: dict[str, float] = {"code.lines": len(lengths)}
        if lengths:
            if language in _TEXT_LANGUAGES:
                signals["code.longest_text_line"] = max(lengths)
            else:
                signals["code.longest_line"] = max(lengths)
                signals["code.mean_line"] = sum(lengths) / len(lengths)
            flags = characters.flags()[document.codepoints]
            signals["code.alphanumeric"] = np.count_nonzero(flags & characters.ALNUM) / len(text)
            signals["code.letters"] = np.count_nonzero(flags & characters.ALPHA) / len(text)
            signals |= _encoded(text)
            comments = comment_characters(text, language)
            if comments is not None:
                signals["code.comments"] = comments / len(text)
            if comments is not None and language in self.comment_languages:
                signals["code.judged_comments"] = comments / len(text)
            if language == "html":
                visible = len(_visible(text))
                signals["code.visible_characters"] = visible
                signals["code.visible"] = min(1.0, visible / len(text))
        if language not in _XML_LANGUAGES:
            signals["code.xml_header"] = float(_XML_HEADER in text[:_HEADER_CHARACTERS])
        if language in _DATA_LANGUAGES:
            signals["code.data_characters"] = len(text)
        return signals

    def rules(self) -> tuple[Rule, ...]:
        """Size, lines, characters, kind of file."""
        return (
            *rule_when(self.min_lines, "code.lines", "<", "code.too_few_lines"),
            *rule_when(self.max_lines, "code.lines", ">", "code.too_many_lines"),
            *rule_when(self.max_longest_line, "code.longest_line", ">", "code.long_line"),
            *rule_when(self.max_mean_line, "code.mean_line", ">", "code.long_lines"),
            *rule_when(self.max_longest_text_line, "code.longest_text_line", ">", "code.long_text_line"),
            *rule_when(self.min_alphanumeric, "code.alphanumeric", "<", "code.too_few_alphanumeric"),
            *rule_when(self.min_letters, "code.letters", "<", "code.too_few_letters"),
            *rule_when(self.min_comments, "code.judged_comments", "<", "code.too_few_comments"),
            *rule_when(self.max_comments, "code.judged_comments", ">", "code.too_many_comments"),
            *rule_when(self.max_encoded, "code.encoded", ">", "code.encoded_data"),
            *rule_when(self.max_longest_encoded, "code.longest_encoded", ">", "code.long_encoded_data"),
            *rule_when(self.min_visible_characters, "code.visible_characters", "<", "code.little_visible_text"),
            *rule_when(self.min_visible, "code.visible", "<", "code.mostly_markup"),
            *rule_when(self.max_xml_header, "code.xml_header", ">", "code.xml_header"),
            *rule_when(self.min_data_characters, "code.data_characters", "<", "code.small_data_file"),
            *rule_when(self.max_data_characters, "code.data_characters", ">", "code.large_data_file"),
        )


@functools.cache
def _encodings() -> tuple[Any, ...]:
    import re2

    return tuple(re2.compile(pattern) for pattern in _ENCODED)


def _encoded(text: str) -> dict[str, float]:
    """Share and longest run of what looks like encoded data; a character in two kinds of runs counts once a kind."""
    lengths = [found.end() - found.start() for pattern in _encodings() for found in pattern.finditer(text)]
    return {"code.encoded": min(1.0, sum(lengths) / len(text)), "code.longest_encoded": max(lengths, default=0)}


def _visible(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=False, alt_texts=False, preserve_formatting=False))
