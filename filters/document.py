"""What a document is: its text, where it was read from, and lazily cached views of its text."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from filters import han_words, line_cuts, segment, tokens
from filters.segment import Segments, Spans


@dataclass(frozen=True, slots=True)
class Origin:
    """The place a document was read from: enough to find the very record again.

    ``file`` is relative to the folder that the source's paths share, so that ids and outputs do not depend on where the
    data lies; ``offset`` and ``length`` are bytes in that file (of the compressed member where a format has them).
    """

    file: str
    offset: int
    length: int


@dataclass(slots=True)
class Document:
    """One document on its way through the filters.

    ``number`` is the position in the plan of the run (split number and record number packed in one integer); ``id`` is
    stable between runs. ``removed_by`` is the reason of the first rule that removed the document, empty while it is kept.
    The views (``words``, ``lines``, …) are made once, when first asked for; ``replace_text`` forgets them. ``dictionary_words`` says
    that runs of Han characters are cut into the words of a dictionary (the filter ``word_segmenter`` sets it).
    """

    id: str
    text: str
    source: str
    origin: Origin
    number: int = 0
    url: str = ""
    date: str = ""
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    signals: dict[str, float] = field(default_factory=dict)
    removed_by: str = ""
    dictionary_words: bool = False
    _codepoints: NDArray[np.uint32] | None = field(default=None, repr=False, compare=False)
    _words: Segments | None = field(default=None, repr=False, compare=False)
    _folded: Segments | None = field(default=None, repr=False, compare=False)
    _tokens: Segments | None = field(default=None, repr=False, compare=False)
    _lines: Segments | None = field(default=None, repr=False, compare=False)
    _paragraphs: Segments | None = field(default=None, repr=False, compare=False)
    _sentences: Spans | None = field(default=None, repr=False, compare=False)

    @property
    def codepoints(self) -> NDArray[np.uint32]:
        """The text as an array of Unicode code points; offsets in all views are indices into it (and into ``text``)."""
        if self._codepoints is None:
            self._codepoints = segment.codepoints(self.text)
        return self._codepoints

    @property
    def words(self) -> Segments:
        """Words by Unicode's word boundaries (UAX #29) that begin with a letter or digit.

        Every Han character is a word, unless the document has ``dictionary_words``.
        """
        if self._words is None:
            self._words = segment.words(self.codepoints)
            if self.dictionary_words:
                self._words = han_words.joined(self.text, self.codepoints, self._words)
        return self._words

    @property
    def folded_words(self) -> Segments:
        """Words with hashes that case, diacritics and the values of digits do not change; every Han character is one.

        Dedup compares these between sources, so a dictionary has no say in them.
        """
        if self._folded is None:
            if self._words is None or self.dictionary_words:
                self._folded = segment.folded_words(self.codepoints)
            else:
                hashes = segment.folded_hashes(self.codepoints, self._words)
                self._folded = Segments(self._words.starts, self._words.stops, hashes)
        return self._folded

    @property
    def tokens(self) -> Segments:
        """The words and the punctuation between them, as ``filters.tokens`` defines them."""
        if self._tokens is None:
            self._tokens = tokens.tokens(self.codepoints, self.words)
        return self._tokens

    @property
    def lines(self) -> Segments:
        """Lines between newlines, stripped of white space; empty ones are left out."""
        if self._lines is None:
            self._lines = segment.lines(self.codepoints)
        return self._lines

    @property
    def paragraphs(self) -> Segments:
        """Stretches between blank lines (two newlines), stripped of white space; empty ones are left out."""
        if self._paragraphs is None:
            self._paragraphs = segment.paragraphs(self.codepoints)
        return self._paragraphs

    @property
    def sentences(self) -> Spans:
        """Sentences as ``filters.segment.sentences`` defines them, for scripts with and without spaces."""
        if self._sentences is None:
            self._sentences = segment.sentences(self.codepoints)
        return self._sentences

    def replace_text(self, text: str) -> None:
        """Give the document another text and forget every view of the old one."""
        if text != self.text:
            self.text = text
            self.forget_views()

    def keep_lines(self, kept: NDArray[np.bool_]) -> None:
        """Give the document those of its ``lines`` for which ``kept`` is true, joined by newlines, as its text.

        ``codepoints``, ``lines`` and ``words`` are carried over and not made anew.
        """
        lines, words, points = self.lines, self.words, self.codepoints
        spans = zip(lines.starts[kept].tolist(), lines.stops[kept].tolist(), strict=True)
        text = "\n".join([self.text[start:stop] for start, stop in spans])
        if text != self.text:
            self.forget_views()
            self.text = text
            self._codepoints, self._lines, self._words = line_cuts.kept_lines(points, lines, words, kept)

    def forget_views(self) -> None:
        """Free the cached views (they take some ten times the memory of the text)."""
        self._codepoints = self._words = self._folded = self._tokens = None
        self._lines = self._paragraphs = self._sentences = None
