"""C4's cleaning: keeps the lines that look like sentences, and the pages on which enough of them are left.

Raffel et al. 2020 as released in TensorFlow Datasets (``text/c4_utils.py``, ``clean_page``). Each line, in this order:

1. is stripped; it goes if a white-space word is longer than ``max_word_length`` (``c4.lines_long_word``);
2. loses its citation marks ``[1]``, ``[]``, ``[edit]``, ``[citation needed]``;
3. goes unless it ends with ``. ? ! "`` and not with ``...`` (``c4.lines_no_end_mark``);
4. goes if it has fewer than ``min_words_per_line`` white-space words (``c4.lines_too_short``);
5. "lorem ipsum" in it: the page goes;
6. goes if it contains "javascript" (``c4.lines_javascript``);
7. ``{`` in it: the page goes (a brace on a line that has gone before does no harm);
8. goes if it contains "privacy policy", "terms of use" or the like (``c4.lines_policy``).

What is left, joined by single newlines, is the text; with fewer than ``min_sentences`` sentences the page goes.

Made wider than the original, which drops every Chinese page: ``。！？`` with the quotes and brackets that close after
them are end marks too, and in the word count of a line each character of a script without spaces is a word. Other
deviations: sentences are ours and not Punkt's; blank lines vanish without being counted; a page with both "lorem
ipsum" and ``{`` is always removed for the former. Bad words are the filter ``keywords``, the limit of 190,000
characters is ``length``.
"""

# The paper says 3 words a line and 5 sentences a page and speaks of braces anywhere on a page; datatrove and Dolma
# follow the paper, DCLM the code. datatrove also counts the words before it cuts citations and takes "'" for an end
# mark. FineWeb runs this filter without the end mark rule, and therefore loses every page with a brace on any longer
# line.

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from filters.characters import UNSPACED
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when

_END_MARKS: Final = (".", "?", "!", '"')
_FULL_WIDTH_END: Final = re.compile("[。！？｡][”’\"'」』）】》]*$")
_CITATION: Final = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_POLICIES: Final = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


@register
class C4(Filter):
    """Cut lines that are no sentences; remove pages with filler text, code, or too few sentences."""

    name: ClassVar[str] = "c4"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("c4.lines_long_word", 0, math.inf, "lines cut for a word that is too long"),
        Signal("c4.lines_no_end_mark", 0, math.inf, "lines cut that did not end as a sentence does"),
        Signal("c4.lines_too_short", 0, math.inf, "lines cut with too few words"),
        Signal("c4.lines_javascript", 0, math.inf, "lines cut that spoke of JavaScript"),
        Signal("c4.lines_policy", 0, math.inf, "lines cut that spoke of cookies, privacy or terms of use"),
        Signal("c4.lorem_ipsum", 0, math.inf, "occurrences of lorem ipsum in the lines kept"),
        Signal("c4.curly_brackets", 0, math.inf, "opening curly brackets in the lines kept"),
        Signal("c4.sentences", 0, math.inf, "sentences of the lines kept"),
    )

    terminal_punctuation: bool = Field(True, description="whether lines need an end mark (step 3); FineWeb: false")
    min_words_per_line: int = Field(5, ge=0)
    max_word_length: int = Field(1_000, gt=0)
    max_lorem_ipsum: int | None = 0
    max_curly_brackets: int | None = 0
    min_sentences: int | None = 3

    def clean(self, document: Document) -> None:
        """Cut lines; how many, and why, goes into the document's signals."""
        cut: Counter[str] = Counter()
        page = document.text.lower()
        policies = [policy for policy in _POLICIES if policy in page]  # on most pages none: nothing to look for by line
        javascript = "javascript" in page
        kept = []
        for raw in document.text.split("\n"):
            line = raw.strip()
            if not line:
                continue
            reason, line = self._judge(line, policies, javascript)
            if reason:
                cut[reason] += 1
            else:
                kept.append(line)
        document.replace_text("\n".join(kept))
        for signal in self.signals[:5]:
            document.signals[signal.name] = cut[signal.name]

    def measure(self, document: Document) -> Mapping[str, float]:
        """What the lines kept contain."""
        return {
            "c4.lorem_ipsum": document.text.lower().count("lorem ipsum"),
            "c4.curly_brackets": document.text.count("{"),
            "c4.sentences": len(document.sentences),
        }

    def rules(self) -> tuple[Rule, ...]:
        """The rules for pages."""
        return (
            *rule_when(self.max_lorem_ipsum, "c4.lorem_ipsum", ">", "c4.lorem_ipsum"),
            *rule_when(self.max_curly_brackets, "c4.curly_brackets", ">", "c4.curly_bracket"),
            *rule_when(self.min_sentences, "c4.sentences", "<", "c4.too_few_sentences"),
        )

    def _judge(self, line: str, policies: list[str], javascript: bool) -> tuple[str, str]:
        """Why a stripped line is cut (empty: it stays), and the line without its citations."""
        if len(line) > self.max_word_length and max(map(len, line.split())) > self.max_word_length:
            return "c4.lines_long_word", line
        if "[" in line:
            line = _CITATION.sub("", line)
        if self.terminal_punctuation and not _ends(line):
            return "c4.lines_no_end_mark", line
        if not _has_words(line, self.min_words_per_line):
            return "c4.lines_too_short", line
        if policies or javascript:
            lower = line.lower()
            if "lorem ipsum" in lower:  # the page goes because of it, whatever else the line says
                return "", line
            if "javascript" in lower:
                return "c4.lines_javascript", line
            if "{" not in line and any(policy in lower for policy in policies):
                return "c4.lines_policy", line
        return "", line


def _ends(line: str) -> bool:
    if line.endswith(_END_MARKS):
        return not line.endswith("...")
    return not line.isascii() and _FULL_WIDTH_END.search(line[-8:]) is not None  # closing marks do not pile up higher


def _has_words(line: str, count: int) -> bool:
    """Whether a line has so many white-space words, each character of a script without spaces being one."""
    if len(line.split(None, count)) >= count:
        return True
    if line.isascii():
        return False
    return len(UNSPACED.findall(line)) + len(UNSPACED.sub(" ", line).split(None, count)) >= count
