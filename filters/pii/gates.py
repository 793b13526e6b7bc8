"""Where in a text personal data could stand: cheap scans that spare the recognizers all the rest.

The recognizers together read about a megabyte a second, the gates a hundred. Each gate proposes windows of the text
such that no match of its recognizer can cross a window's edge, with the characters around it that the recognizer's
conditions look at. So running the recognizer over the windows alone finds what running it over the whole text finds.

Gates work on the text's *image*: one byte for each character, which is the character itself where that is ASCII and
stands for its class where it is not. Everything here takes time linear in the text, whatever the text is.
"""

from __future__ import annotations

import functools
import re
import string
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import re2
import regex
from numpy.typing import NDArray

from filters.characters import ASSIGNED
from filters.segment import codepoints

UNSPACED_SCRIPTS: Final = ("Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar")
"""Scripts whose words follow each other, and figures and addresses, without a space."""
LONG_VOWEL: Final = 0x30FC
"""The mark of Japanese long vowels: a letter after kana, a dash between digits. It is read as a hyphen."""

# Image bytes of characters outside ASCII: the marks that telephone numbers are written with, those of them that may
# also announce an extension, other letters, all else.
PHONE_MARK, EXTENSION_MARK, OTHER_LETTER, OTHER_MARK = 0x83, 0x84, ord("z"), 0
NEWLINE, HYPHEN, ZERO, DOT, COLON, A = (ord(character) for character in "\n-0.:A")
# What phonenumbers allows between the digits of a number and before the first of them.
_PHONE_MARKS: Final = (
    r"\u2010-\u2015\u2053\u2212\u223c\uff0d"  # dashes and tildes
    r"\xa0\xad\u200b\u2060\u3000\uff0e\uff0f\uff08\uff09\uff3b\uff3d"  # spaces, full-width stop, slash and brackets
)
# The letters of its words for an extension (ext, extn, extension, int, anexo, доб), by the byte that stands for them.
_EXTENSION_LETTERS: Final = {
    "a": "a", "b": "б", "d": "д", "e": "eｅ", "i": "iｉ", "n": "nｎ", "o": "oóо", "s": "s", "t": "tｔ", "x": "xｘ",
}  # fmt: skip

MIN_PHONE_DIGITS: Final = 7
MIN_RUN_DIGITS: Final = 6
"""The fewest digits of any number that is found by its shape (British national insurance has six)."""
SHORTEST_IBAN: Final = 15  # Norway's
SHORTEST_WALLET: Final = 26
MAX_STEP: Final = 5
"""Digits of one number are at most four other characters apart (the matcher of phonenumbers allows no more)."""

PHONE_CONTEXT_BEFORE: Final = 11  # two opening marks with four others after each, and the character before them
PHONE_CONTEXT_AFTER: Final = 4  # the "#" of an extension, and the ":00" that makes a time of "2012-01-02 08"
RUN_CONTEXT: Final = 8  # what stands before the first digit of a number and after the last, and a character more

CREDIT_CARD: Final = re.compile(rb"[1-6][0-9]{3}[- ]?[0-9]{3,4}[- ]?[0-9]{3,4}[- ]?[0-9]{3,5}")
CN_MOBILE: Final = re.compile(rb"1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}")

_LOCAL: Final = string.ascii_letters.encode() + string.digits.encode() + b"!#$%&'*+-/=?^_`{|}~."
_DOMAIN = re.compile(rb"@\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+")
_ALNUM: Final = np.isin(np.arange(256), np.frombuffer((string.ascii_letters + string.digits).encode(), np.uint8))
_MAC_RUN_BYTES: Final = (string.ascii_letters + string.digits + ":.-").encode()
_MAC_RUN = re.compile(rb"[0-9A-Za-z:.-]*")
_MAC = re.compile(
    rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
)
_IBAN_RUN_BYTES: Final = string.ascii_uppercase.encode() + string.digits.encode() + b" -"
_IBAN_RUN = re.compile(rb"[A-Z0-9 -]*")
_IBAN = re.compile(rb"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2}")
_IP_RUN_BYTES: Final = string.ascii_letters.encode() + string.digits.encode() + b":.%/"
_IP_RUN = re.compile(rb"[0-9A-Za-z:.%/]*")
_IP = re.compile(
    rb"(?<![0-9])(?<![0-9]\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.[0-9])"  # a dotted quad, alone or at the end of IPv6
    rb"|(?<![0-9A-Za-z_:])(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?::"  # shortened IPv6
    rb"|(?<![0-9A-Za-z_:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]"  # full IPv6
)
_PHONE_CLUSTER = re.compile(
    rb"[0-9]+(?:(?:[-x() .\[\]/~\x83\x84]{1,4}"  # marks between the digits of a number
    rb"|;ext=|[ \t,\x83]*+(?:e?xt(?:ensi[oz]{1,2})?n?|dob|anexo|int|[x#~\x84])[:.]?+[ \t,\x83-]*+"  # an extension
    rb"|[- ]++(?=[0-9]{1,6}#)"
    rb")[0-9]+){0,99}",
    re.IGNORECASE,
)


class Window(NamedTuple):
    """A stretch of the text to be read by a recognizer, in characters: ``[start, end)``."""

    start: int
    end: int


class Cluster(NamedTuple):
    """Digits that one telephone number may hold, ``[first, last)``, within the window that the recognizer reads."""

    first: int
    last: int
    window: Window


@dataclass(frozen=True, slots=True)
class Readable:
    """A text as the recognizers read it, with its image; all three have one item for each character.

    Letters of scripts without spaces are read as newlines: presidio's patterns want a word boundary around a match and
    take such letters for a part of the word, so that they would miss ``邮箱li@example.com或8.8.8.8``.
    """

    text: str
    points: NDArray[np.uint32] | None
    image: bytes

    def slice(self, window: Window) -> str:
        """The characters of a window, as the recognizers read them."""
        if self.points is None:
            return self.text[window.start : window.end]
        return _as_read(self.points[window.start : window.end])


def readable(text: str) -> Readable:
    """The text with its image."""
    if text.isascii():
        return Readable(text, None, text.encode("ascii"))
    points = codepoints(text)
    return Readable(text, points, _image_of_character()[points].tobytes())


def read_whole(text: str) -> str:
    """The whole text as the recognizers read it: what they would be given if there were no gates."""
    return text if text.isascii() else _as_read(codepoints(text))


def _as_read(points: NDArray[np.uint32]) -> str:
    read = np.where(_image_of_character()[points] == NEWLINE, np.uint32(NEWLINE), points)
    read[read == LONG_VOWEL] = HYPHEN
    return read.tobytes().decode("utf-32-le", "surrogatepass")


@functools.cache
def _image_of_character() -> NDArray[np.uint8]:
    """The image byte of every code point: uint8, shape (0x110000,)."""
    image = np.full(sys.maxunicode + 1, OTHER_MARK, np.uint8)
    stretches = [(stretch.start, "".join(map(chr, stretch))) for stretch in ASSIGNED]

    def mark(pattern: re.Pattern[str] | regex.Pattern[str], byte: int) -> None:
        for first, characters in stretches:
            for match in pattern.finditer(characters):
                image[first + match.start() : first + match.end()] = byte

    mark(regex.compile(r"\w+"), OTHER_LETTER)
    mark(re.compile(f"[{_PHONE_MARKS}]"), PHONE_MARK)
    mark(re.compile("[＃～]"), EXTENSION_MARK)
    mark(regex.compile("[" + "".join(rf"\p{{{script}}}" for script in UNSPACED_SCRIPTS) + "]+"), NEWLINE)
    for letter, written in _EXTENSION_LETTERS.items():
        mark(re.compile(f"[{written}]", re.IGNORECASE), ord(letter))
    mark(re.compile(r"\d+"), ZERO)
    image[LONG_VOWEL] = HYPHEN
    image[:128] = np.arange(128, dtype=np.uint8)
    return image


def digit_positions(image: bytes) -> NDArray[np.int64]:
    """Where the digits are (of any script): int64, ascending."""
    return np.flatnonzero((np.frombuffer(image, np.uint8) - np.uint8(ZERO)) < 10)


def digit_runs(positions: NDArray[np.int64], least: int) -> list[Window]:
    """Stretches with at least ``least`` digits, each at most ``MAX_STEP`` characters from the next."""
    if len(positions) < least:
        return []
    breaks = np.flatnonzero(np.diff(positions) > MAX_STEP)
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(positions) - 1]))
    dense = lasts - firsts >= least - 1
    starts, ends = positions[firsts[dense]], positions[lasts[dense]] + 1
    return [Window(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


class NumberGate:
    """Expressions over image bytes, one a recognizer, that match whatever it does; and all of them as one."""

    def __init__(self, triggers: Sequence[re.Pattern[bytes]]) -> None:
        self.triggers = tuple(triggers)
        joined = b"|".join(b"(?:" + one.pattern + b")" for one in triggers)
        self.any = re2.compile(joined, _latin1()) if triggers else None


def _latin1() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return options


def number_windows(image: bytes, runs: list[Window], gate: NumberGate) -> Iterator[tuple[Window, list[int]]]:
    """The runs of digits with some characters around them, and whose expressions (by index) match there, if any do."""
    if gate.any is None:
        return
    for start, end in runs:
        window = Window(max(start - RUN_CONTEXT, 0), min(end + RUN_CONTEXT, len(image)))
        part = image[window.start : window.end]
        if gate.any.search(part):
            yield window, [index for index, one in enumerate(gate.triggers) if one.search(part)]


def email_windows(image: bytes) -> Iterator[Window]:
    """Windows around each ``@`` that has a local part's last character before it and a dotted name after it.

    A window begins where the local part does. Addresses that touch share a window, since where the second
    one begins depends on where the first one ends.
    """
    window: Window | None = None
    at = -1  # the last @ in the window
    for match in _DOMAIN.finditer(image):
        before = match.start() - 1
        if before < 0 or image[before] not in _LOCAL or image[before] == DOT:
            continue
        previous = image.rfind(b"@", 0, match.start())
        local = previous + 1 + len(image[previous + 1 : match.start()].rstrip(_LOCAL))
        if window is not None and previous == at and local < window.end:
            window = Window(window.start, match.end() + 1)
        else:
            if window is not None:
                yield window
            window = Window(max(local - 1, 0), match.end() + 1)
        at = match.start()
    if window is not None:
        yield window


def ip_windows(image: bytes, digits: NDArray[np.int64]) -> Iterator[Window]:
    """Windows around dotted quads, ``::`` and seven colons in close order: the whole words that hold them."""
    found = []
    bytes_ = np.frombuffer(image, np.uint8)
    if image.count(b".") >= 3 and len(digits) >= 4:
        joints = digits[:-1][(np.diff(digits) == 2) & (bytes_[digits[:-1] + 1] == DOT)]
        found.append(joints[:-2][joints[2:] - joints[:-2] <= 8])  # three dots with at most three digits between them
    if image.count(b":") >= 2:
        colons = np.flatnonzero(bytes_ == COLON)
        found.append(colons[:-1][np.diff(colons) == 1])
        found.append(colons[:-6][colons[6:] - colons[:-6] <= 30])  # seven with at most four digits between them
    if found:
        hits = np.sort(np.concatenate(found)).tolist()
        yield from _words_around(image, hits, _IP_RUN_BYTES, _IP_RUN, _IP)


def iban_windows(image: bytes, digits: NDArray[np.int64]) -> Iterator[Window]:
    """Windows around two capitals and two digits: the capitals, digits, spaces and hyphens that surround them."""
    if len(digits) < 2:
        return
    bytes_ = np.frombuffer(image, np.uint8)
    inner = digits[:-1][np.diff(digits) == 1]
    inner = inner[inner >= 2]
    capital = (bytes_[inner - 1] - np.uint8(A) < 26) & (bytes_[inner - 2] - np.uint8(A) < 26)
    yield from _words_around(image, inner[capital].tolist(), _IBAN_RUN_BYTES, _IBAN_RUN, _IBAN)


def lower_iban_windows(image: bytes, words: list[Window]) -> Iterator[Window]:
    """Those of the long words that begin as an IBAN in lower case does."""
    for start, end in words:
        if image[start + 2 : start + 4].isdigit() and image[start : start + 2].islower():
            yield Window(max(start - 1, 0), min(end + 1, len(image)))


def wallet_windows(image: bytes, words: list[Window]) -> Iterator[Window]:
    """Those of the long words that begin as a wallet's address does."""
    for start, end in words:
        if end - start >= SHORTEST_WALLET and image[start] in b"013b":
            yield Window(max(start - 1, 0), min(end + 1, len(image)))


def long_words(image: bytes, least: int) -> list[Window]:
    """Unbroken stretches of ASCII letters and digits, ``least`` long or longer."""
    if not _long(least).search(image):
        return []
    marks = np.flatnonzero(~_ALNUM[np.frombuffer(image, np.uint8)])
    edges = np.concatenate(([-1], marks, [len(image)]))
    long = np.flatnonzero(np.diff(edges) > least)
    return [Window(start + 1, end) for start, end in zip(edges[long].tolist(), edges[long + 1].tolist(), strict=True)]


@functools.cache
def _long(least: int) -> Any:
    return re2.compile(b"[0-9A-Za-z]{%d}" % least, _latin1())


def mac_windows(image: bytes) -> Iterator[Window]:
    """Windows around hexadecimal digits with five colons or hyphens in step, or two stops: the words that hold them."""
    bytes_ = np.frombuffer(image, np.uint8)
    found = []
    for mark, step, times in ((b":", 3, 5), (b"-", 3, 5), (b".", 5, 2)):
        if image.count(mark) >= times:
            places = np.flatnonzero(bytes_ == mark[0])
            close = np.diff(places) == step
            for _ in range(times - 2):
                close = close[:-1] & close[1:]
            found.append(places[: len(close)][close])
    if found:
        yield from _words_around(image, np.sort(np.concatenate(found)).tolist(), _MAC_RUN_BYTES, _MAC_RUN, _MAC)


def _words_around(
    image: bytes, hits: list[int], alphabet: bytes, run: re.Pattern[bytes], trigger: re.Pattern[bytes]
) -> Iterator[Window]:
    """The stretches of the alphabet around the hits (ascending) that hold the trigger, and a character on each side."""
    done = 0
    for hit in hits:
        if hit < done:
            continue
        start = done + len(image[done:hit].rstrip(alphabet))
        match = run.match(image, hit)
        assert match is not None
        done = match.end()
        window = Window(max(start - 1, 0), min(done + 1, len(image)))
        if trigger.search(image, *window):
            yield window


def phone_clusters(image: bytes) -> Iterator[Cluster]:
    """Digits that one telephone number may hold, extension included, with the marks that may lead it.

    Call it for a text that has a run of ``MIN_PHONE_DIGITS``. A row of more than a hundred groups of digits is cut
    after the hundredth, to bound what it may cost; there is no telephone number in such a row but by chance.
    """
    previous = 0
    for match in _PHONE_CLUSTER.finditer(image):
        first, last = match.span()
        if last - first >= MIN_PHONE_DIGITS:
            before, after = max(first - PHONE_CONTEXT_BEFORE, previous), min(last + PHONE_CONTEXT_AFTER, len(image))
            yield Cluster(first, last, Window(before, after))
        previous = last
