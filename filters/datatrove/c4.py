"""C4's cleaning as datatrove has it (``c4_filters.py``): after the paper's text, not after the code that made C4.

The steps are those of the filter `c4`; the differences:

* a line needs 3 words instead of 5, and a page 5 sentences instead of 3;
* the words of a line are counted before its citations are cut;
* ``'`` is an end mark too;
* lines are those of ``str.splitlines``, which also ends them at carriage returns, form feeds and Unicode's separators;
* full-width marks end no line, and words lie between white space in every script: a Chinese page loses all its lines.

FineWeb was made with ``terminal_punctuation: false``: lines need no end mark there, so that every page with a brace on a
line of three words or more goes.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from pydantic import Field

from filters.c4 import C4, signals_named
from filters.document import Document
from filters.filter import Signal, register

_OTHER_BREAKS: Final = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@register
class DatatroveC4(C4):
    """Cut lines that are no sentences; remove pages with filler text, code, or too few sentences, as datatrove does."""

    name: ClassVar[str] = "datatrove_c4"
    signals: ClassVar[tuple[Signal, ...]] = signals_named("datatrove_c4")
    wide: ClassVar[bool] = False
    apostrophes_end: ClassVar[bool] = True
    cited_words_count: ClassVar[bool] = True

    min_words_per_line: int = Field(3, ge=0)
    min_sentences: int | None = 5

    def clean(self, document: Document) -> None:
        """Cut lines; how many, and why, goes into the document's signals."""
        if _OTHER_BREAKS.search(document.text):
            document.replace_text("\n".join(document.text.splitlines()))
        super().clean(document)
