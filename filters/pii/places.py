"""Where people live: postal addresses by street patterns (en, zh, de, fr, es), coordinates to street precision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import regex

from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor
from filters.pii.presidio import EntityRecognizer, RecognizerResult

_EN_SUFFIXES: Final = (
    *("street", "st", "avenue", "ave", "road", "rd", "boulevard", "blvd", "lane", "ln", "drive", "dr", "court", "ct"),
    *("circle", "cir", "terrace", "highway", "hwy", "parkway", "pkwy", "square", "crescent", "close", "mews", "way"),
    *("place", "pl", "trail", "row", "gardens", "grove", "walk", "alley", "loop"),
)
_EN_PLAIN: Final = ("street", "avenue", "road", "boulevard")
"""Suffixes that are also written with a small letter; ``close``, ``way`` or ``drive`` would be words."""
_DE_SUFFIXES: Final = ("straße", "strasse", "str.", "weg", "platz", "allee", "gasse", "damm", "ufer", "chaussee")
_FR_WORDS: Final = (
    "rue",
    "avenue",
    "boulevard",
    "bd",
    "place",
    "chemin",
    "impasse",
    "allée",
    "quai",
    "route",
    "cours",
    "square",
)
_ES_WORDS: Final = (
    "calle",
    "c/",
    "avenida",
    "avda.",
    "avda",
    "av.",
    "plaza",
    "paseo",
    "camino",
    "carrer",
    "carretera",
    "rua",
    "via",
)
_ZH_WORDS: Final = ("路", "街", "巷", "弄", "大道", "胡同", "里", "道")

_EN_BEFORE = regex.compile(
    r"(?<![\w.,$€£#/:-])\d{1,5}[A-Za-z]?(?:-\d{1,4})? (?:[NSEW]\.? |(?:North|South|East|West) )?"
    r"(?:\p{Lu}[\p{L}'’.-]{0,24} |\d{1,3}(?:st|nd|rd|th) ){0,4}$",
    regex.V1,
)
_EN_AFTER = regex.compile(
    r"\.?(?: (?:NE|NW|SE|SW|[NSEW])\b)?"
    r"(?:,? ?(?:(?i:apt|apartment|suite|ste|unit|floor|fl|room|rm|#)\.? ?#?\w{1,6}))?"
    r"(?:,?\s{1,2}(?:\p{Lu}[\p{L}'’.-]{1,20} ?){1,3},?\s{1,2}(?:[A-Z]{2}\s{1,2}\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d)(?!\w))?",
    regex.V1,
)
_STREET_NAME = regex.compile(r" (?:\p{Lu}[\p{L}'’.-]*|\d{1,3}(?:st|nd|rd|th)) $", regex.V1)
_PO_BOX = regex.compile(
    r" ?\d{1,6}(?: \d{2,3}){0,2}(?:,\s{1,2}(?:\p{Lu}[\p{L}'’.-]{1,20} ?){1,3},?\s{1,2}[A-Z]{2}\s{1,2}\d{5}(?:-\d{4})?)?(?!\w)",
    regex.V1,
)
_DE_BEFORE = regex.compile(r"(?<![\w-])(?:\p{Lu}[\p{L}.-]{0,30}[ -]){0,2}(?:\p{Lu}[\p{L}-]{0,30})?$", regex.V1)
_DE_AFTER = regex.compile(
    r"\.? {1,2}\d{1,3}(?:(?! [A-Z]\w) ?[a-zA-Z])?(?:[-–/]\d{1,3})?(?![\w%]|[.,]\d)(?:,?\s{1,2}(?:D-)?\d{4,5} \p{Lu}[\p{L}.-]{1,25}"
    r"(?: (?:am|an der|im|\p{Lu}\p{L}+)){0,2})?",
    regex.V1,
)
_FR_BEFORE = regex.compile(r"(?<![\w.,/-])\d{1,4}(?:[- ]\d{1,4})?(?: ?(?:bis|ter|quater))?,? $", regex.V1 | regex.I)
_FR_AFTER = regex.compile(
    r" (?:(?:de la|de l['’]|de|du|des|d['’]|la|le|les|aux?|à) ?){0,2}\p{Lu}[\p{L}'’.-]{0,24}"
    r"(?:[ -](?:(?:de la|de|du|des|d['’]|la|le|les|et)[ -]?){0,2}\p{Lu}[\p{L}'’-]{0,24}){0,4}"
    r"(?:,?\s{1,2}(?:F-)?\d{5} \p{Lu}[\p{L}'’-]{1,24}(?: \d{1,2})?)?",
    regex.V1,
)
_ES_AFTER = regex.compile(
    r" ?(?:(?:de la|de las|de los|de|del|la|el|los|las) ){0,2}\p{Lu}[\p{L}'’.]{0,24}"
    r"(?: (?:(?:de la|de|del|la|y|e|do|da) ){0,2}\p{Lu}[\p{L}'’.]{0,24}){0,4}"
    r",? (?:n[.º°o]{1,2} ?|núm\. ?|número )?\d{1,4}(?![\w%]|[.,]\d)(?:,? ?\d{1,2}[ºª°]?(?: ?[A-Z])?(?!\w))?"
    r"(?:,?\s{1,2}\d{5} \p{Lu}[\p{L}'’-]{1,24})?",
    regex.V1,
)
_ZH_BEFORE = re.compile(r"[\u4e00-\u9fff]{2,24}$")
_ZH_AFTER = re.compile(
    r"[0-9０-９一二三四五六七八九十]{1,6}[号號弄](?:[\u4e00-\u9fffA-Za-z0-9-]{0,20}?\d{1,5}(?:室|楼|层|单元|栋|幢|座|号))?"
)
_ZH_CITY = re.compile(
    r"(?:[\u4e00-\u9fff]{2,3}省)?(?:[\u4e00-\u9fff]{2,4}市)?(?:[\u4e00-\u9fff]{1,4}[区县镇乡])?[\u4e00-\u9fff]{1,8}$"
)

_ZH_VERB = re.compile("住在|住于|位于|地址|寄到|送到|前往|来到|设在|坐落于|[在于到是至由从]")


class AddressRecognizer(Anchored):
    """Streets with a house number, with what follows of flat, postal code and town."""

    def __init__(self) -> None:
        english = [Anchor(word, digit_before=60) for word in _EN_SUFFIXES]
        german = [Anchor(word, inside=True, digit_after=4) for word in _DE_SUFFIXES]
        french = [Anchor(word, digit_before=8) for word in _FR_WORDS]
        spanish = [Anchor(word, digit_after=60) for word in _ES_WORDS]
        chinese = [Anchor(word, digit_after=1) for word in _ZH_WORDS]
        boxes = [Anchor(word, digit_after=3) for word in ("p.o. box", "po box", "postfach", "apartado", "p.o.box")]
        super().__init__("address", [*english, *german, *french, *spanish, *chinese, *boxes])

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The address whose street, or word for it, the anchor is."""
        word = text[start:end].lower()
        if word in _EN_SUFFIXES and (text[start].isupper() or word in _EN_PLAIN):
            yield from _joined(text, start, end, _EN_BEFORE, _EN_AFTER, reach=70, inner=True)
        if word in _DE_SUFFIXES:
            yield from _joined(text, start, end, _DE_BEFORE, _DE_AFTER, reach=60)
        if word in _FR_WORDS:
            yield from _joined(text, start, end, _FR_BEFORE, _FR_AFTER, reach=16)
        if word in _ES_WORDS:
            after = _ES_AFTER.match(text, end, end + 140)
            if after and (text[start].isupper() or word in ("calle", "c/")):
                yield Found(start, after.end(), 0.5)
        if word in _ZH_WORDS:
            yield from _chinese(text, start, end)
        if word.replace(" ", "").replace(".", "") in ("pobox", "postfach", "apartado"):
            after = _PO_BOX.match(text, end, end + 100)
            if after:
                yield Found(start, after.end(), 0.5)


def _joined(
    text: str,
    start: int,
    end: int,
    before: regex.Pattern[str],
    after: regex.Pattern[str],
    reach: int,
    *,
    inner: bool = False,
) -> Iterator[Found]:
    """What matches right before and after ``[start, end)``; ``inner``: something but a number must stand before."""
    first = before.search(text, max(start - reach, 0), start)
    last = after.match(text, end, end + 140)
    if first is None or last is None:
        return
    if inner and not _STREET_NAME.search(text, first.start(), start):  # "3 Way" and "the 1920s Dr." name no street
        return
    if first.end() > first.start() or text[start].isupper():
        length = len(last[0].rstrip())
        yield Found(first.start(), end + (0 if last[0] == "." and end - start > 4 else length), 0.6)


def _chinese(text: str, start: int, end: int) -> Iterator[Found]:
    after = _ZH_AFTER.match(text, end)
    before = _ZH_BEFORE.search(text, max(start - 24, 0), start)
    if after is None or before is None:
        return
    first = before.start()
    for verb in _ZH_VERB.finditer(text, first, start):
        first = verb.end()
    street = _ZH_CITY.search(text, first, start)
    if street:
        yield Found(street.start(), after.end(), 0.6)


_DECIMALS = re.compile(
    r"(?<![\w.,/+-])(?P<lat>[+-]?[0-9]{1,2}\.[0-9]{4,15})\s?[,;/]\s?(?P<lon>[+-]?[0-9]{1,3}\.[0-9]{4,15})(?![\w.]|,[0-9])"
)
_SECONDS = r"[0-9]{1,2}['′’] ?[0-9]{1,2}(?:[.,][0-9]{1,6})?(?:[\"″”]|''|′′)? ?"
_DEGREES = re.compile(
    rf"(?<![\w.])(?:[0-9]{{1,2}}[°º] ?{_SECONDS}[NSns][,;/ ]{{1,3}}[0-9]{{1,3}}[°º] ?{_SECONDS}[EWOewo]"
    r"|[0-9]{1,2}\.[0-9]{4,12} ?[°º] ?[NSns][,;/ ]{1,3}[0-9]{1,3}\.[0-9]{4,12} ?[°º] ?[EWOewo])(?!\w)"
)


class CoordinatesRecognizer(EntityRecognizer):
    """Decimal pairs of latitude and longitude that tell one house from the next (four decimals are eleven metres).

    Both need four decimals, and a comma, semicolon or slash between them; small numbers (2 and less) are more often
    shares or sizes.
    """

    GATE: Final = re.compile(rb"[0-9]\.[0-9]{4,15}[^0-9]{1,4}[0-9]{1,3}\.[0-9]{4}")

    def __init__(self) -> None:
        super().__init__(supported_entities=["GPS"], name="CoordinatesRecognizer")

    def load(self) -> None:
        """Nothing to load; presidio asks for the method."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        """The pairs of coordinates in the text."""
        return [
            RecognizerResult("GPS", match.start(), match.end(), 0.5)
            for match in _DECIMALS.finditer(text)
            if 2 < abs(float(match["lat"])) <= 90 and 2 < abs(float(match["lon"])) <= 180
        ]


class DegreesRecognizer(Anchored):
    """Latitude and longitude in degrees, minutes and seconds (a second is thirty metres), or in decimal degrees."""

    def __init__(self) -> None:
        super().__init__("gps", [Anchor(word, inside=True, digit_before=2, digit_after=2) for word in "°º"])

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The pair whose first degree sign the anchor is."""
        match = _DEGREES.search(text, max(start - 18, 0), start + 60)
        if match and match.start() < start:
            yield Found(match.start(), match.end(), 0.8)
