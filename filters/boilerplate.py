"""What a page leaves behind that is no text of its own: links, markup, unfilled templates, phrases about the page itself.

* ``links``: share of the characters, white space left out, that lie in addresses (``http://…``, ``www.…``). NeMo Curator: at most 0.2.
* ``markup``: remains of HTML (tags, comments, ``&nbsp;`` and other character references, ``style=``) in a thousand characters.
* ``templates``: placeholders that nobody filled: ``{{…}}``, ``{%…%}``, ``<%…%>``, ``${…}``, ``[[…]]``, ``%s`` alone, "lorem ipsum",
  ``undefined`` or ``[object Object]`` standing alone on a line; in a thousand characters.
* ``phrase_lines``: share of the lines that hold one of the phrases of the built-in lists (en, zh, de, fr, es) or your own: consent,
  copyright, "Your browser does not support". The lists are those of all languages, whatever the document's: such phrases
  travel. NeMo Curator removes above 0.4.

The thresholds are for text that an extractor has left; of the gold texts of five extraction benchmarks they remove hardly one in two
hundred. Code is full of what is a remain elsewhere: don't put this filter into its chain.
"""

# NeMo Curator counts paragraphs with a boilerplate string, and scores "lorem ipsum" 1.0; RedPajama has signals for braces and
# "lorem ipsum" by characters; C4 cuts lines about cookies and pages with braces (our `c4`), DCLM cuts substrings of short lines.

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from filters import word_lists
from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when

_LINK: Final = r"(?i:https?://|www\.)[^\s<>\"'，。；、）】》]+"
_MARKUP: Final = (
    r"</?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[^<>\n]{0,300})?/?>|<!--|-->|&(?:[a-z]{2,8}|#[0-9]{1,6}|#x[0-9a-fA-F]{1,5});"
    r"|\bstyle=[\"']"
)
_TEMPLATE: Final = (
    r"\{\{[^{}\n]{0,200}\}\}|\{%[^\n%]{0,200}%\}|<%[^\n%]{0,200}%>|\$\{[^{}\n]{0,200}\}|\[\[[^\[\]\n]{0,200}\]\]"
    r"|(?i:lorem ipsum)|(?m:^\s*(?:undefined|null|NaN|%s|\[object Object\])\s*$)"
)
Languages = Literal["en", "zh", "de", "fr", "es"]


@register
class Boilerplate(Filter):
    """Remove a document that is links, markup, placeholders or phrases about the page."""

    name: ClassVar[str] = "boilerplate"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("boilerplate.links", 0, 1, "share of the characters in addresses of pages"),
        Signal("boilerplate.markup", 0, 1000, "remains of HTML in a thousand characters"),
        Signal("boilerplate.templates", 0, 1000, "unfilled placeholders in a thousand characters"),
        Signal("boilerplate.phrase_lines", 0, 1, "share of the lines with a phrase about the page"),
        Signal("boilerplate.phrases", 0, math.inf, "occurrences of such phrases"),
    )

    phrases: tuple[Languages, ...] = Field(("en", "zh", "de", "fr", "es"), description="built-in lists of phrases")
    phrase_lists: tuple[str, ...] = Field((), description="paths of lists of further phrases, one a line")
    max_links: float | None = Field(0.2, description="NeMo Curator: 0.2")
    max_markup: float | None = 5.0
    max_templates: float | None = 2.0
    max_phrase_lines: float | None = Field(0.4, description="NeMo Curator: 0.4 (of paragraphs)")

    def prepare(self) -> None:
        """Reads the lists and compiles what is looked for."""
        _compiled(_LINK), _compiled(_MARKUP), _compiled(_TEMPLATE)
        _phrases(self.phrases, self.phrase_lists)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Each kind of remains, by characters or lines; nothing for a blank text."""
        text = document.text
        size = len("".join(text.split()))
        if not size:
            return {}
        links = sum(found.end() - found.start() for found in _compiled(_LINK).finditer(text)) if "." in text else 0
        markup = sum(1 for _ in _compiled(_MARKUP).finditer(text))
        templates = sum(1 for _ in _compiled(_TEMPLATE).finditer(text))
        phrases, lines = self._phrases(text)
        return {
            "boilerplate.links": min(links / size, 1.0),
            "boilerplate.markup": 1000 * markup / len(text),
            "boilerplate.templates": 1000 * templates / len(text),
            "boilerplate.phrase_lines": min(ratio(lines, len(document.lines)), 1.0),
            "boilerplate.phrases": phrases,
        }

    def rules(self) -> tuple[Rule, ...]:
        """One rule a kind."""
        return (
            *rule_when(self.max_links, "boilerplate.links", ">", "boilerplate.too_many_links"),
            *rule_when(self.max_markup, "boilerplate.markup", ">", "boilerplate.markup"),
            *rule_when(self.max_templates, "boilerplate.templates", ">", "boilerplate.templates"),
            *rule_when(self.max_phrase_lines, "boilerplate.phrase_lines", ">", "boilerplate.too_many_phrases"),
        )

    def files(self) -> tuple[str, ...]:
        """The lists given by path."""
        return self.phrase_lists

    def _phrases(self, text: str) -> tuple[int, int]:
        """Occurrences of the phrases, and how many lines have one."""
        wanted = _phrases(self.phrases, self.phrase_lists)
        if wanted is None:
            return 0, 0
        count = 0
        lines = set()
        for found in wanted.finditer(text):
            count += 1
            lines.add(text.rfind("\n", 0, found.end()))
        return count, len(lines)


@functools.cache
def _compiled(pattern: str) -> Any:
    """The pattern as an automaton that reads every text once, however it is made."""
    import re2

    return re2.compile(pattern)


@functools.cache
def _phrases(languages: tuple[str, ...], paths: tuple[str, ...]) -> Any:
    """One automaton for all phrases, in any case; None if there are none."""
    import re2

    entries = [entry for language in languages for entry in word_lists.built_in([f"boilerplate-{language}"])]
    entries += [entry for path in paths for entry in word_lists.read(path)]
    if not entries:
        return None
    options = re2.Options()
    options.case_sensitive = False
    return re2.compile("|".join(re2.escape(entry) for entry in sorted(set(entries))), options)
