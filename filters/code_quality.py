"""Rules for source code: what is minified, generated, encoded data or a mere document is no code to learn from.

The Stack and StarCoder (Kocetkov et al. 2022, Li et al. 2023; ``preprocessing`` in bigcode-project/bigcode-dataset),
over lines as ``str.splitlines`` gives them:

* longest line and mean line length in characters; share of letters and digits in the text;
* an XML declaration in the first 100 characters: the file is XML whatever its name says. Not measured for XML and XSLT;
* the length of JSON and YAML files: long ones are data, short ones say nothing. Measured for these two alone.

The language is the document's metadata ``programming_language``, compared without case.
"""

# NeMo Curator measures the share of letters alone (0.25) where StarCoder counts digits too, and also wants 10 to 20,000
# lines. Both have rules on comments, on characters by token of one tokenizer, and on the visible text of HTML.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from filters import characters
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_XML_HEADER: Final = "<?xml version="
_HEADER_CHARACTERS: Final = 100
_XML_LANGUAGES: Final = frozenset({"xml", "xslt"})
_DATA_LANGUAGES: Final = frozenset({"json", "yaml"})


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
        Signal("code.data_characters", 0, math.inf, "characters of the text; for JSON and YAML only"),
    )

    min_lines: int | None = 1
    max_lines: int | None = 20_000
    max_longest_line: int | None = 1_000
    max_mean_line: float | None = 100.0
    min_alphanumeric: float | None = 0.25
    min_letters: float | None = None
    max_xml_header: float | None = 0
    min_data_characters: int | None = 100
    max_data_characters: int | None = 5_000

    def measure(self, document: Document) -> Mapping[str, float]:
        """Statistics of lines and characters."""
        text = document.text
        language = document.metadata.get("programming_language", "").lower()
        lengths = list(map(len, text.splitlines()))
        signals: dict[str, float] = {"code.lines": len(lengths)}
        if lengths:
            signals["code.longest_line"] = max(lengths)
            signals["code.mean_line"] = sum(lengths) / len(lengths)
            flags = characters.flags()[document.codepoints]
            signals["code.alphanumeric"] = np.count_nonzero(flags & characters.ALNUM) / len(text)
            signals["code.letters"] = np.count_nonzero(flags & characters.ALPHA) / len(text)
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
            *rule_when(self.min_alphanumeric, "code.alphanumeric", "<", "code.too_few_alphanumeric"),
            *rule_when(self.min_letters, "code.letters", "<", "code.too_few_letters"),
            *rule_when(self.max_xml_header, "code.xml_header", ">", "code.xml_header"),
            *rule_when(self.min_data_characters, "code.data_characters", "<", "code.small_data_file"),
            *rule_when(self.max_data_characters, "code.data_characters", ">", "code.large_data_file"),
        )
