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
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numba import njit
from pydantic import Field

from filters import characters, segment
from filters.characters import SPACE, UNSPACED_LETTER
from filters.document import Document
from filters.filter import Filter, Rule, Signal, register, rule_when
from filters.segment import Array

_KEPT, _LONG_WORD, _NO_END_MARK, _TOO_SHORT, _JAVASCRIPT, _POLICY, _CITED = range(7)
_CUTS: Final = ("", "lines_long_word", "lines_no_end_mark", "lines_too_short", "lines_javascript", "lines_policy")
"""What a line is cut for, by the number that the kernel gives it; ``_CITED`` is not judged yet, it has a bracket."""

FULL_STOP, QUESTION, EXCLAMATION, QUOTE, APOSTROPHE, BRACKET = (ord(character) for character in ".?!\"'[")
CITATION_STARTS = tuple(ord(character) for character in "0123456789]ec")
FULL_WIDTH_MARKS = tuple(ord(character) for character in "。！？｡")
CLOSERS = tuple(ord(character) for character in "”’\"'」』）】》")
_MOST_CLOSERS: Final = 7
"""Closing marks behind a full-width end mark; they do not pile up higher."""

_CITATION: Final = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_POLICIES: Final = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def signals_named(prefix: str) -> tuple[Signal, ...]:
    """What C4's cleaning measures, under names with this prefix."""
    return (
        Signal(f"{prefix}.lines_long_word", 0, math.inf, "lines cut for a word that is too long"),
        Signal(f"{prefix}.lines_no_end_mark", 0, math.inf, "lines cut that did not end as a sentence does"),
        Signal(f"{prefix}.lines_too_short", 0, math.inf, "lines cut with too few words"),
        Signal(f"{prefix}.lines_javascript", 0, math.inf, "lines cut that spoke of JavaScript"),
        Signal(f"{prefix}.lines_policy", 0, math.inf, "lines cut that spoke of cookies, privacy or terms of use"),
        Signal(f"{prefix}.lorem_ipsum", 0, math.inf, "occurrences of lorem ipsum in the lines kept"),
        Signal(f"{prefix}.curly_brackets", 0, math.inf, "opening curly brackets in the lines kept"),
        Signal(f"{prefix}.sentences", 0, math.inf, "sentences of the lines kept"),
    )


@register
class C4(Filter):
    """Cut lines that are no sentences; remove pages with filler text, code, or too few sentences."""

    name: ClassVar[str] = "c4"
    signals: ClassVar[tuple[Signal, ...]] = signals_named("c4")
    wide: ClassVar[bool] = True
    """Whether full-width marks end lines, and characters of scripts without spaces are words."""
    apostrophes_end: ClassVar[bool] = False
    """Whether ``'`` is an end mark."""
    cited_words_count: ClassVar[bool] = False
    """Whether the words of a line are counted before its citations are cut."""

    terminal_punctuation: bool = Field(True, description="whether lines need an end mark (step 3); FineWeb: false")
    min_words_per_line: int = Field(5, ge=0)
    max_word_length: int = Field(1_000, gt=0)
    max_lorem_ipsum: int | None = 0
    max_curly_brackets: int | None = 0
    min_sentences: int | None = 3

    def clean(self, document: Document) -> None:
        """Cut lines; how many, and why, goes into the document's signals."""
        text, lines = document.text, document.lines
        codes = self._codes(document.codepoints, lines.starts, lines.stops, self.max_word_length, "[" in text)
        page = text.encode(
            "utf-8", "surrogatepass"
        ).lower()  # of bytes: a third of the time, and ASCII is all that matters
        policies = [
            policy for policy in _POLICIES if policy.encode() in page
        ]  # on most pages none: no line is looked at
        by_line = bool(policies) or b"javascript" in page
        shortened: dict[int, str] = {}
        for k in np.flatnonzero((codes == _CITED) | ((codes == _KEPT) & by_line)).tolist():
            code, line = int(codes[k]), text[lines.starts[k] : lines.stops[k]]
            if code == _CITED:
                code, shortened[k] = self._without_citations(line)
                line = shortened[k]
            codes[k] = _speaks_of(line.lower(), policies) if code == _KEPT and by_line else code
        kept = codes == _KEPT
        if any(kept[k] for k in shortened):
            spans = zip(lines.starts.tolist(), lines.stops.tolist(), strict=True)
            left = [shortened.get(k, text[start:stop]) for k, (start, stop) in enumerate(spans) if kept[k]]
            document.replace_text("\n".join(left))
        else:
            document.keep_lines(kept)
        cut = np.bincount(codes, minlength=len(_CUTS)).tolist()
        for code in range(_LONG_WORD, len(_CUTS)):
            document.signals[f"{self.name}.{_CUTS[code]}"] = cut[code]

    def measure(self, document: Document) -> Mapping[str, float]:
        """What the lines kept contain."""
        return {
            f"{self.name}.lorem_ipsum": document.text.encode("utf-8", "surrogatepass").lower().count(b"lorem ipsum"),
            f"{self.name}.curly_brackets": document.text.count("{"),
            f"{self.name}.sentences": len(document.sentences),
        }

    def rules(self) -> tuple[Rule, ...]:
        """The rules for pages."""
        name = self.name
        return (
            *rule_when(self.max_lorem_ipsum, f"{name}.lorem_ipsum", ">", f"{name}.lorem_ipsum"),
            *rule_when(self.max_curly_brackets, f"{name}.curly_brackets", ">", f"{name}.curly_bracket"),
            *rule_when(self.min_sentences, f"{name}.sentences", "<", f"{name}.too_few_sentences"),
        )

    def _codes(self, points: Array, starts: Array, stops: Array, longest: int, brackets: bool) -> Array:
        ends = self.terminal_punctuation
        return _judge(
            points, characters.flags(), starts, stops, ends, self.apostrophes_end, self.wide,
            self.min_words_per_line, longest, brackets,
        )  # fmt: skip

    def _without_citations(self, line: str) -> tuple[int, str]:
        """The code of a line with a bracket, whose words are short enough, and the line without its citations."""
        cut = _CITATION.sub("", line)
        if self.cited_words_count and len(line.split(None, self.min_words_per_line)) < self.min_words_per_line:
            ended = cut.endswith((".", "?", "!", '"', "'")) and not cut.endswith("...")
            return (_TOO_SHORT if ended or not self.terminal_punctuation else _NO_END_MARK), cut
        whole = np.zeros(1, np.uint32), np.array([len(cut)], np.uint32)
        [code] = self._codes(segment.codepoints(cut), *whole, len(line), False).tolist()
        if self.cited_words_count and code == _TOO_SHORT:
            code = _KEPT
        return code, cut


def _speaks_of(lower: str, policies: list[str]) -> int:
    if "lorem ipsum" in lower:  # the page goes because of it, whatever else the line says
        return _KEPT
    if "javascript" in lower:
        return _JAVASCRIPT
    return _POLICY if "{" not in lower and any(policy in lower for policy in policies) else _KEPT


@njit(cache=True)
def _judge(
    points: Array,
    flags: Array,
    starts: Array,
    stops: Array,
    need_end: bool,
    apostrophes_end: bool,
    wide: bool,
    min_words: int,
    max_word: int,
    brackets: bool,
) -> Array:
    """The code of each line, by the first four steps."""
    codes = np.zeros(len(starts), np.uint8)
    for k in range(len(starts)):
        start: Any = np.int64(starts[k])
        stop: Any = np.int64(stops[k])
        cited = False
        words = length = 0
        for i in range(start, stop):
            flag = flags[points[i]]
            if brackets and points[i] == BRACKET:
                cited = True
            if flag & SPACE:
                length = 0
                continue
            length += 1
            if length == 1 or (wide and (flag & UNSPACED_LETTER or flags[points[i - 1]] & UNSPACED_LETTER)):
                words += 1
            if length > max_word:
                codes[k] = _LONG_WORD
                break
            if words >= min_words and not brackets and stop - i <= max_word - length:
                break  # no longer word can follow
        if codes[k] == _LONG_WORD:
            continue
        if cited and _has_citation(points, start, stop):
            codes[k] = _CITED
        elif need_end and not _ends(points, start, stop, apostrophes_end, wide):
            codes[k] = _NO_END_MARK
        elif words < min_words:
            codes[k] = _TOO_SHORT
    return codes


@njit(cache=True)
def _has_citation(points: Array, start: int, stop: int) -> bool:
    """Whether a line may hold a citation mark: a bracket before a digit, a closing bracket, or the letter e or c."""
    for i in range(start, stop - 1):  # noqa: SIM110 - numba compiles no generators
        if points[i] == BRACKET and (points[i + 1] in CITATION_STARTS or points[i + 1] >= 128):
            return True
    return False


@njit(cache=True)
def _ends(points: Array, start: int, stop: int, apostrophes_end: bool, wide: bool) -> bool:
    """Whether a line ends as a sentence does."""
    if stop == start:
        return False
    last = points[stop - 1]
    if last == FULL_STOP:
        return stop - start < 3 or points[stop - 2] != FULL_STOP or points[stop - 3] != FULL_STOP
    if last in (QUESTION, EXCLAMATION, QUOTE) or (apostrophes_end and last == APOSTROPHE):
        return True
    if wide:
        for i in range(stop - 1, max(start, stop - 1 - _MOST_CLOSERS) - 1, -1):
            if points[i] in FULL_WIDTH_MARKS:
                return True
            if points[i] not in CLOSERS:
                return False
    return False
