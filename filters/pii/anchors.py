"""Finds all key words of all recognizers in one pass: an Aho-Corasick automaton over code points, compiled by numba.

A recognizer that is *anchored* reads only the surroundings of its key words (``passport``, ``Dear``, ``://``), so where
none of them stands there is nothing for it to find. The automaton reads some hundred megabytes a second, however many
words it knows, and drops hits inside longer words and hits that lack a digit where one must be.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
import regex
from numpy.typing import NDArray

from filters.characters import ASSIGNED
from filters.pii.gates import UNSPACED_SCRIPTS

SPACES: Final = " \t\n\xa0"
"""What the space in a key word stands for."""
_EQUAL: Final = {"k": "\u212a", "s": "\u017f", "å": "\u212b", "ß": "\u1e9e"}
_SPACED_LETTER: Final = r"[[^\W\d_]--[" + "".join(rf"\p{{{script}}}" for script in UNSPACED_SCRIPTS) + "]]"
_LETTER: Final = 0x8000
_DIGIT: Final = 0x4000
_CLASS: Final = 0x3FFF


@dataclass(frozen=True, slots=True)
class Anchor:
    """A key word; letters match in either case, a space matches one character of white space.

    ``line_start``: only at the beginning of a line. ``inside``: also within a longer word. ``digit_before`` and
    ``digit_after``: a digit (ASCII or full width) must stand so many characters before or after it at most; 0 asks for
    none.
    """

    word: str
    line_start: bool = False
    inside: bool = False
    digit_before: int = 0
    digit_after: int = 0

    @property
    def pattern(self) -> str:
        """The same as a regular expression (``regex``, version 1)."""
        body = "".join(_class(character) for character in self.word)
        if self.line_start:
            body = r"(?:^|(?<=\n))" + body
        if not self.inside and _is_letter(self.word[0]):
            body = f"(?<!{_SPACED_LETTER})" + body
        if not self.inside and _is_letter(self.word[-1]):
            body += f"(?!{_SPACED_LETTER})"
        if self.digit_before:
            body = rf"(?<=[0-9０-９](?s:.){{0,{self.digit_before - 1}}})" + body
        if self.digit_after:
            body += rf"(?=(?s:.){{0,{self.digit_after - 1}}}[0-9０-９])"
        return body

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where it stands in the text: what ``Anchors.find`` finds of it, one word at a time."""
        return [match.span() for match in _compiled(self.pattern).finditer(text, overlapped=True)]


def anchors(words: Iterable[str], **options: int) -> tuple[Anchor, ...]:
    """The words as anchors, all with the same options."""
    return tuple(Anchor(word, **options) for word in words)  # type: ignore[arg-type]


@functools.cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.V1)


def _variants(character: str) -> str:
    """The characters that one character of a key word matches."""
    if character == " ":
        return SPACES
    lower = character.lower()
    found = {character, lower, *_EQUAL.get(lower, "")}
    if lower.upper().lower() == lower:  # not so for the Turkish dotless i, whose capital is that of i
        found.add(lower.upper())
    return "".join(sorted(one for one in found if len(one) == 1))


def _class(character: str) -> str:
    return "[" + regex.escape(_variants(character)) + "]"


_spaced_letter = regex.compile(_SPACED_LETTER, regex.V1)


def _is_letter(character: str) -> bool:
    return _spaced_letter.match(character) is not None


class Anchors:
    """The automaton for the anchors of several owners (numbers from 0)."""

    def __init__(self, owners: Sequence[Sequence[Anchor]]) -> None:
        self._all = [(owner, anchor) for owner, own in enumerate(owners) for anchor in own]
        words = [("\n" if anchor.line_start else "") + anchor.word for _, anchor in self._all]
        classes: dict[str, int] = {"\n": 1}
        self._table = _character_table().copy()
        for character in sorted({character for word in words for character in word} - {"\n"}):
            key = _variants(character)
            if key not in classes:
                classes[key] = len(classes) + 1
                for one in key:
                    if one != "\n":
                        assert not self._table[ord(one)] & _CLASS, f"{one!r} is a variant of two characters"
                        self._table[ord(one)] |= classes[key]
        self._table[ord("\n")] |= 1
        # A newline is a white space in a word and the beginning of a line: words with a space are entered twice.
        spellings: list[tuple[list[int], int]] = []
        for number, word in enumerate(words):
            codes = [1 if one == "\n" else classes[_variants(one)] for one in word]
            spellings.append((codes, number))
            for place, one in enumerate(word):
                if one == " ":
                    spellings += [([*kept[:place], 1, *kept[place + 1 :]], n) for kept, n in spellings if n == number]
        self._width = len(classes) + 1
        self._delta, self._first, self._words = _automaton(spellings, self._width)
        self._rules = np.array(
            [
                (
                    len(word) - anchor.line_start,
                    owner,
                    not anchor.inside and _is_letter(anchor.word[0]),
                    not anchor.inside and _is_letter(anchor.word[-1]),
                    anchor.digit_before,
                    anchor.digit_after,
                )
                for word, (owner, anchor) in zip(words, self._all, strict=True)
            ],
            np.int32,
        ).reshape(-1, 6)
        self._most = max(np.diff(self._first).max(initial=1), 1)

    def find(self, points: NDArray[np.uint8] | NDArray[np.uint32]) -> dict[int, list[tuple[int, int]]]:
        """The spans of key words by owner, in order; a text is given as its code points."""
        if not len(self._rules) or not len(points):
            return {}
        hits = np.empty((len(points) * int(self._most), 3), np.int32)
        count = _scan(points, self._table, self._delta, self._width, self._first, self._words, self._rules, hits)
        found: dict[int, list[tuple[int, int]]] = {}
        for owner, start, end in hits[:count].tolist():
            found.setdefault(owner, []).append((start, end))
        return {owner: sorted(set(spans)) for owner, spans in found.items()}


@functools.cache
def _character_table() -> NDArray[np.uint16]:
    """For every code point whether it is a letter of a spaced script, or a digit."""
    table = np.zeros(0x110000, np.uint16)
    for stretch in ASSIGNED:
        for match in regex.finditer(f"{_SPACED_LETTER}+", "".join(map(chr, stretch)), regex.V1):
            table[stretch.start + match.start() : stretch.start + match.end()] = _LETTER
    for zero in (0x30, 0xFF10):
        table[zero : zero + 10] |= _DIGIT
    return table


def _automaton(
    spellings: Sequence[tuple[list[int], int]], width: int
) -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.int32]]:
    """Transitions (states times classes), and for each state the words that end there (first index, word numbers)."""
    goto: list[dict[int, int]] = [{}]
    ends: list[list[int]] = [[]]
    for codes, number in spellings:
        state = 0
        for code in codes:
            if code not in goto[state]:
                goto[state][code] = len(goto)
                goto.append({})
                ends.append([])
            state = goto[state][code]
        ends[state].append(number)
    if len(goto) >= 1 << 16:
        raise ValueError(f"too many key words: {len(goto)} states; shorten the deny list")
    delta = np.zeros((len(goto), width), np.uint16)
    fail = [0] * len(goto)
    queue: deque[int] = deque()
    for code, state in goto[0].items():
        delta[0, code] = state
        queue.append(state)
    while queue:
        state = queue.popleft()
        delta[state] = delta[fail[state]]
        for code, following in goto[state].items():
            fail[following] = int(delta[fail[state], code])
            ends[following] = ends[following] + ends[fail[following]]
            delta[state, code] = following
            queue.append(following)
    first = np.concatenate(([0], np.cumsum([len(one) for one in ends]))).astype(np.int32)
    return delta.ravel(), first, np.array([word for one in ends for word in one], np.int32)


@numba.njit(cache=True)
def _scan(points, table, delta, width, first, words, rules, hits):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Write (owner, start, end) of every hit into ``hits`` and return how many there are."""
    size = len(points)
    count = 0
    last_digit = -(1 << 30)
    state = int(delta[1])  # as after a newline
    digit_before_word = np.full(256, -(1 << 30), np.int64)  # ring: the last digit before each of the latest places
    for place in range(size):
        digit_before_word[place & 255] = last_digit
        entry = table[points[place]]
        if entry & _DIGIT:
            last_digit = place
        state = int(delta[state * width + (entry & _CLASS)])
        for index in range(first[state], first[state + 1]):
            word = words[index]
            start = place + 1 - rules[word, 0]
            if rules[word, 2] and start > 0 and table[points[start - 1]] & _LETTER:
                continue
            if rules[word, 3] and place + 1 < size and table[points[place + 1]] & _LETTER:
                continue
            if rules[word, 4] and start - digit_before_word[start & 255] > rules[word, 4]:
                continue
            if rules[word, 5]:
                found = False
                for ahead in range(place + 1, min(place + 1 + rules[word, 5], size)):
                    if table[points[ahead]] & _DIGIT:
                        found = True
                        break
                if not found:
                    continue
            hits[count, 0], hits[count, 1], hits[count, 2] = rules[word, 1], start, place + 1
            count += 1
    return count
