"""Cuts a text into words, lines, paragraphs and sentences: compiled loops over its code points.

Offsets are code point indices, so ``text[start:stop]`` is the segment. Every function is defined for every script:

* **Words** follow Unicode's default word boundaries (UAX #29); a word counts when its first character is a letter or a
  digit. That is what DCLM counts (``uniseg`` words, punctuation dropped). Han characters are words of their own.
* **Lines** and **paragraphs** lie between one and two newlines, stripped of white space, empty ones left out (DCLM).
* **Sentences** end at sentence marks, full-width ones included, and at newlines; see ``sentences``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from filters import characters
from filters.characters import (
    ALNUM,
    CLASS_BITS,
    CLOSER,
    CR,
    DOUBLE_QUOTE,
    EXTEND,
    EXTEND_NUM_LET,
    FORMAT,
    FULL_STOP,
    HEBREW,
    KATAKANA,
    LETTER,
    LF,
    LOWER,
    MID_LETTER,
    MID_NUM,
    MID_NUM_LET,
    NEWLINE,
    NUMERIC,
    OPENER,
    OTHER,
    PICTOGRAPH,
    REGIONAL,
    SINGLE_QUOTE,
    SPACE,
    SPACE_SEGMENT,
    STOP,
    UPPER,
    ZWJ,
)

Array = NDArray[Any]

MIX: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd multiplier of the running hash: 2^64 over the golden ratio (Knuth's multiplicative hashing)."""
_SPREAD: Final = np.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier that spreads a sum over all bits (Rrmxmx, P. Evensen 2018)."""


class Spans(NamedTuple):
    """Segments as two arrays of code point offsets: starts and stops, uint32, ascending."""

    starts: Array
    stops: Array

    def __len__(self) -> int:  # the number of segments, not of fields
        return int(self.starts.shape[0])


class Segments(NamedTuple):
    """Words, lines or paragraphs: starts and stops (uint32) and a 64-bit hash of each as it is written (uint64)."""

    starts: Array
    stops: Array
    hashes: Array

    def __len__(self) -> int:
        return int(self.starts.shape[0])


class FlatWords(NamedTuple):
    """The words of several texts, one after the other: those of text i are ``offsets[i]`` to ``offsets[i + 1]``.

    Starts and stops (uint32) are code point offsets in their own text, hashes (uint64) are of the folded word.
    """

    starts: Array
    stops: Array
    hashes: Array
    offsets: Array


def codepoints(text: str) -> Array:
    """The text's code points: uint32, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def words(points: Array) -> Segments:
    """The words of a text given as code points."""
    return Segments(*_words(points, characters.flags(), None))


def lines(points: Array) -> Segments:
    """The non-empty stripped lines of a text given as code points."""
    return Segments(*_blocks(points, characters.flags(), 1))


def paragraphs(points: Array) -> Segments:
    """The non-empty stripped paragraphs (two newlines apart) of a text given as code points."""
    return Segments(*_blocks(points, characters.flags(), 2))


def sentences(points: Array) -> Spans:
    """The sentences of a text given as code points.

    A sentence ends at a newline; after ``。！？；`` and after the marks of other scripts that need no space behind them (danda,
    ``؟ ۔``, Ethiopic, Burmese, Khmer, Tibetan) with the quotes that close there; and after ``.``, ``!``, ``?``, ``…`` and the
    other marks that Unicode calls Sentence_Terminal with the closing quotes, where white space follows, unless the next
    letter is lower case or the mark is a full stop after a single capital (an initial) or a known abbreviation. Thai and Lao
    have no such mark: their sentences are lines.
    Sentences are stripped; a stretch without any letter or digit belongs to no sentence.
    """
    return Spans(*_sentences(points, characters.flags(), _abbreviations()))


def hashes(points: Array, starts: Array, stops: Array) -> Array:
    """A 64-bit hash of each segment as it is written: uint64, one a segment."""
    found: Array = _hashes(points, starts, stops)
    return found


def folded_hashes(points: Array, found: Segments) -> Array:
    """A 64-bit hash of each word after folding (case, diacritics, digits; ``characters.folds``): uint64, one a word."""
    return _folded(points, found.starts, found.stops, characters.folds())


def squeezed(points: Array) -> Array:
    """The text's code points with every run of white space as one space, and none at its ends: ``" ".join(text.split())``."""
    found: Array = _squeezed(points, characters.flags())
    return found


def folded_words(points: Array) -> Segments:
    """The words of a text with ``folded_hashes`` for hashes, in one pass: for those who need no other hashes."""
    return Segments(*_words(points, characters.flags(), characters.folds()))


def flat_codepoints(texts: Sequence[str]) -> tuple[Array, Array]:
    """The code points of several texts, one after the other, and where each begins: uint32, and int64 (len(texts) + 1,)."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return codepoints("".join(texts)), offsets


def flat_folded_words(points: Array, offsets: Array) -> FlatWords:
    """``folded_words`` of every text of ``flat_codepoints``, in one call: a call costs what thousand characters do."""
    return FlatWords(*_flat_folded_words(points, offsets, characters.flags(), characters.folds()))


def flat_squeezed(points: Array, offsets: Array) -> tuple[Array, Array]:
    """``squeezed`` of every text of ``flat_codepoints``, one after the other, and where each begins."""
    found: tuple[Array, Array] = _flat_squeezed(points, offsets, characters.flags())
    return found


def white_space_words(points: Array) -> tuple[int, int]:
    """How many words ``str.split()`` would give, and how many characters they have together."""
    count, letters = _split_words(points, characters.flags())
    return int(count), int(letters)


@njit(cache=True, inline="always")
def mix(running: np.uint64, value: np.uint64) -> np.uint64:
    """One step of the running 64-bit hash."""
    running = (running ^ value) * MIX
    return running ^ (running >> np.uint64(29))


@njit(cache=True)
def _hash(points: Array, start: int, stop: int) -> np.uint64:
    running = np.uint64(stop - start)
    for i in range(start + 1, stop, 2):  # two at a time: the steps wait for each other, so fewer are faster
        running = mix(running, np.uint64(points[i - 1]) | np.uint64(points[i]) << np.uint64(32))
    if (stop - start) % 2:
        running = mix(running, np.uint64(points[stop - 1]))
    return running


@njit(cache=True)
def _hashes(points: Array, starts: Array, stops: Array) -> Array:
    made = np.empty(len(starts), np.uint64)
    for k in range(len(starts)):
        made[k] = _hash(points, starts[k], stops[k])
    return made


@njit(cache=True, inline="always")
def _grown(running: np.uint64, folded: np.uint32) -> np.uint64:
    """The hash of a folded word grown by one character: a polynomial, whose steps wait for each other the least."""
    return running * MIX + np.uint64(folded) if folded != 0 else running


@njit(cache=True, inline="always")
def _finished(running: np.uint64) -> np.uint64:
    """The polynomial's sum, spread over all bits: what is made of several words uses the same multiplier."""
    running = (running ^ (running >> np.uint64(32))) * _SPREAD
    return running ^ (running >> np.uint64(29))


@njit(cache=True)
def _fold(points: Array, start: int, stop: int, folds: Array) -> np.uint64:
    running = np.uint64(0)
    for i in range(start, stop):
        running = _grown(running, folds[points[i]])
    return _finished(running)


@njit(cache=True)
def _breaks(points: Array, flags: Array, i: int, before: int, previous: int, regional: int) -> bool:
    """Whether a word boundary lies before character i.

    ``previous`` and ``before`` are the classes of the last two characters that WB4 does not ignore, ``regional`` the
    number of regional indicators in a row up to here. The rule numbers are those of UAX #29, Unicode 15.1.
    """
    flag = flags[points[i]]
    current = flag & CLASS_BITS
    last = flags[points[i - 1]] & CLASS_BITS
    if last == CR and current == LF:  # WB3
        return False
    if last in (NEWLINE, CR, LF) or current in (NEWLINE, CR, LF):  # WB3a, WB3b
        return True
    if last == ZWJ and flag & PICTOGRAPH:  # WB3c
        return False
    if last == SPACE_SEGMENT and current == SPACE_SEGMENT:  # WB3d
        return False
    if current in (EXTEND, FORMAT, ZWJ):  # WB4
        return False
    previous_letter = previous in (LETTER, HEBREW)
    current_letter = current in (LETTER, HEBREW)
    if previous_letter and current_letter:  # WB5
        return False
    mid_letter = current in (MID_LETTER, MID_NUM_LET, SINGLE_QUOTE)
    mid_number = current in (MID_NUM, MID_NUM_LET, SINGLE_QUOTE)
    if (previous_letter and (mid_letter or current == DOUBLE_QUOTE)) or (previous == NUMERIC and mid_number):
        follower = OTHER
        for j in range(i + 1, min(len(points), i + 256)):  # a longer run of ignored marks is not text
            follower = flags[points[j]] & CLASS_BITS
            if follower not in (EXTEND, FORMAT, ZWJ):
                break
        if previous_letter and mid_letter and follower in (LETTER, HEBREW):  # WB6
            return False
        if previous == HEBREW and current == SINGLE_QUOTE:  # WB7a
            return False
        if previous == HEBREW and current == DOUBLE_QUOTE and follower == HEBREW:  # WB7b
            return False
        if previous == NUMERIC and mid_number and follower == NUMERIC:  # WB12
            return False
    if current_letter:
        if before in (LETTER, HEBREW) and previous in (MID_LETTER, MID_NUM_LET, SINGLE_QUOTE):  # WB7
            return False
        if current == HEBREW and before == HEBREW and previous == DOUBLE_QUOTE:  # WB7c
            return False
        if previous == NUMERIC:  # WB10
            return False
    if current == NUMERIC:
        if previous == NUMERIC or previous_letter:  # WB8, WB9
            return False
        if before == NUMERIC and previous in (MID_NUM, MID_NUM_LET, SINGLE_QUOTE):  # WB11
            return False
    joins = previous_letter or previous in (NUMERIC, KATAKANA, EXTEND_NUM_LET)
    if current == KATAKANA and previous == KATAKANA:  # WB13
        return False
    if current == EXTEND_NUM_LET and joins:  # WB13a
        return False
    if previous == EXTEND_NUM_LET and (current_letter or current in (NUMERIC, KATAKANA)):  # WB13b
        return False
    return not (current == REGIONAL and regional % 2 == 1)  # WB15, WB16, WB999


@njit(cache=True)
def _words(points: Array, flags: Array, folds: Array | None) -> tuple[Array, Array, Array]:
    """Words with their hashes as written or, given ``folds``, folded."""
    size = len(points)
    starts = np.empty(size, np.uint32)
    stops = np.empty(size, np.uint32)
    hashes = np.empty(size, np.uint64)
    count = _fill_words(points, flags, folds, starts, stops, hashes)
    return starts[:count].copy(), stops[:count].copy(), hashes[:count].copy()


@njit(cache=True)
def _flat_folded_words(points: Array, offsets: Array, flags: Array, folds: Array) -> tuple[Array, Array, Array, Array]:
    size = len(points)
    starts = np.empty(size, np.uint32)
    stops = np.empty(size, np.uint32)
    hashes = np.empty(size, np.uint64)
    first = np.zeros(len(offsets), np.int64)
    for text in range(len(offsets) - 1):
        at = first[text]
        own = points[offsets[text] : offsets[text + 1]]
        first[text + 1] = at + _fill_words(own, flags, folds, starts[at:], stops[at:], hashes[at:])
    count = first[-1]
    return starts[:count].copy(), stops[:count].copy(), hashes[:count].copy(), first


@njit(cache=True)
def _fill_words(points: Array, flags: Array, folds: Array | None, starts: Array, stops: Array, hashes: Array) -> int:
    """Fill in the words of a text from the beginning of the arrays on; how many they are."""
    size = len(points)
    count = 0
    start = 0
    before = OTHER
    previous = OTHER
    regional = 0
    if size:
        previous = flags[points[0]] & CLASS_BITS
        regional = 1 if previous == REGIONAL else 0
    last = previous
    running = np.uint64(0) if folds is None or not size else _grown(np.uint64(0), folds[points[0]])
    for i in range(1, size + 1):
        current = flags[points[i]] & CLASS_BITS if i < size else OTHER
        if current == LETTER and previous == LETTER:  # nearly every step; WB5, and WB4 kept what lies between
            before = LETTER
            last = LETTER
            if folds is not None:
                running = _grown(running, folds[points[i]])
            continue
        if current in (OTHER, SPACE_SEGMENT, LF):
            plain = last in (LETTER, NUMERIC)
        else:
            plain = current in (LETTER, NUMERIC) and last in (OTHER, SPACE_SEGMENT, LF)
        last = current
        # A letter beside a space needs none of the rules; only the rest pays for the call.
        if i == size or plain or _breaks(points, flags, i, before, previous, regional):
            if flags[points[start]] & ALNUM:
                starts[count] = start
                stops[count] = i
                hashes[count] = _hash(points, start, i) if folds is None else _finished(running)
                count += 1
            start = i
            running = np.uint64(0)
        if folds is not None and i < size:
            running = _grown(running, folds[points[i]])
        ignored = current in (EXTEND, FORMAT, ZWJ)
        if ignored and (flags[points[i - 1]] & CLASS_BITS) not in (NEWLINE, CR, LF):
            continue
        before = previous
        previous = current
        regional = regional + 1 if current == REGIONAL else 0
    return count


@njit(cache=True)
def _blocks(points: Array, flags: Array, newlines: int) -> tuple[Array, Array, Array]:
    """Stripped non-empty stretches between runs of exactly ``newlines`` newlines, from the left (``str.split``)."""
    size = len(points)
    capacity = size // 2 + 1  # a segment has a character, and so has what divides two of them
    starts = np.empty(capacity, np.uint32)
    stops = np.empty(capacity, np.uint32)
    count = 0
    begin = 0
    i = 0
    while i <= size:
        at_end = i == size
        separator = not at_end and points[i] == 10
        if separator and newlines == 2:
            separator = i + 1 < size and points[i + 1] == 10
        if at_end or separator:
            first = begin
            last = i
            while first < last and flags[points[first]] & SPACE:
                first += 1
            while last > first and flags[points[last - 1]] & SPACE:
                last -= 1
            if last > first:
                starts[count] = first
                stops[count] = last
                count += 1
            i += 1 if at_end else newlines
            begin = i
        else:
            i += 1
    hashes = np.empty(count, np.uint64)
    for k in range(count):
        hashes[k] = _hash(points, starts[k], stops[k])
    return starts[:count].copy(), stops[:count].copy(), hashes


@njit(cache=True)
def _sentences(points: Array, flags: Array, abbreviations: Array) -> tuple[Array, Array]:
    size = len(points)
    capacity = size // 2 + 1  # a segment has a character, and so has what divides two of them
    starts = np.empty(capacity, np.uint32)
    stops = np.empty(capacity, np.uint32)
    count = 0
    begin = 0
    i = 0
    while i < size:
        flag = flags[points[i]]
        newline = points[i] == 10
        if not newline and not flag & STOP and not flag & FULL_STOP:
            i += 1
            if i < size:
                continue
        end = i
        ends = newline or i == size
        if not ends:
            ends = bool(flag & FULL_STOP)
            mark = i
            while end < size and flags[points[end]] & (STOP | FULL_STOP):
                ends = ends or bool(flags[points[end]] & FULL_STOP)
                end += 1
            single_full_stop = points[mark] == 46 and end == mark + 1
            # After a full-width mark no space need follow, so that a quote may well open the next sentence.
            while end < size and flags[points[end]] & CLOSER and not (ends and flags[points[end]] & OPENER):
                end += 1
            if not ends:
                ends = end == size or bool(flags[points[end]] & SPACE)
                if ends and _goes_on(points, flags, end):
                    ends = False
                if ends and single_full_stop and _abbreviated(points, flags, begin, mark, abbreviations):
                    ends = False
        if ends:
            first = begin
            last = end
            has_word = False
            while first < last and flags[points[first]] & SPACE:
                first += 1
            while last > first and flags[points[last - 1]] & SPACE:
                last -= 1
            for k in range(first, last):
                if flags[points[k]] & ALNUM:
                    has_word = True
                    break
            if has_word:
                starts[count] = first
                stops[count] = last
                count += 1
            begin = end
        i = max(end, i + 1) if newline or i < size else size
    return starts[:count].copy(), stops[:count].copy()


@njit(cache=True)
def _goes_on(points: Array, flags: Array, end: int) -> bool:
    """Whether the next letter on the line is lower case, so that the mark before it ended no sentence."""
    for k in range(end, min(len(points), end + 16)):
        flag = flags[points[k]]
        if points[k] == 10:
            return False
        if flag & ALNUM:
            return bool(flag & LOWER)
    return False


@njit(cache=True)
def _abbreviated(points: Array, flags: Array, begin: int, mark: int, abbreviations: Array) -> bool:
    """Whether the full stop at ``mark`` follows a single capital letter or one of the known abbreviations."""
    start = mark
    while start > begin and (flags[points[start - 1]] & ALNUM or points[start - 1] == 46):
        start -= 1
    length = mark - start
    if length == 1:
        return bool(flags[points[start]] & UPPER)
    if length == 0 or length > 8:
        return False
    wanted = _hash(points, start, mark)
    for known in abbreviations:  # noqa: SIM110 - numba compiles no generators
        if known == wanted:
            return True
    return False


@njit(cache=True)
def _folded(points: Array, starts: Array, stops: Array, folds: Array) -> Array:
    hashes = np.empty(len(starts), np.uint64)
    for k in range(len(starts)):
        hashes[k] = _fold(points, starts[k], stops[k], folds)
    return hashes


@njit(cache=True)
def _squeezed(points: Array, flags: Array) -> Array:
    made = np.empty(len(points), np.uint32)
    return made[: _fill_squeezed(points, flags, made)].copy()


@njit(cache=True)
def _flat_squeezed(points: Array, offsets: Array, flags: Array) -> tuple[Array, Array]:
    made = np.empty(len(points), np.uint32)
    first = np.zeros(len(offsets), np.int64)
    for text in range(len(offsets) - 1):
        at = first[text]
        first[text + 1] = at + _fill_squeezed(points[offsets[text] : offsets[text + 1]], flags, made[at:])
    return made[: first[-1]].copy(), first


@njit(cache=True)
def _fill_squeezed(points: Array, flags: Array, made: Array) -> int:
    size = 0
    after_space = 1
    for point in points:  # without a branch: the processor can't foresee where words end
        space = flags[point] // SPACE & 1
        made[size] = 32 if space else point
        size += 1 - (space & after_space)
        after_space = space
    return size - after_space if size else 0


@njit(cache=True)
def _split_words(points: Array, flags: Array) -> tuple[int, int]:
    count = 0
    letters = 0
    inside = False
    for point in points:
        space = flags[point] & SPACE
        if not space:
            letters += 1
            if not inside:
                count += 1
        inside = not space
    return count, letters


_ABBREVIATIONS: Final = (
    "Mr Mrs Ms Dr Prof Rev Hon St Sr Jr Gen Col Capt Lt Sgt Gov Sen Rep Pres vs etc e.g i.e cf al ca approx "
    "Fig fig No no Nr nr Vol vol pp p Art Inc Ltd Co Corp dept Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov "
    "Dec Mt Ave Blvd Rd a.m p.m U.S U.K z.B d.h u.a usw bzw Hr Fr Frl Str M Mme Mlle Sra Srta Dra Ud"
)
"""Words after which a full stop ends no sentence: titles, months, common English, German, French and Spanish ones."""


@functools.cache
def _abbreviations() -> Array:
    points = [codepoints(word) for word in _ABBREVIATIONS.split()]
    return np.array(sorted({int(_hash(word, 0, len(word))) for word in points}), np.uint64)
