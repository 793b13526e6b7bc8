"""Telephone numbers: presidio's (phonenumbers) without what is more likely another figure, and what is written as one.

phonenumbers knows the numbering plans, so it finds any number that exists, and none that does not. ``WrittenPhone`` and
``CalledPhone`` add what nobody would take for anything else: a plus and a country code, the shape of North American
numbers, and figures behind a word for telephone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor
from filters.pii.presidio import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from filters.pii.presidio import predefined_recognizers as presidio

MIN_DIGITS: Final = 7
MIN_UNBROKEN_DIGITS: Final = 9
"""Shorter national numbers are rarely written in one piece; figures are."""
MAX_DIGITS: Final = 25
"""More than any number has: 17 as phonenumbers allows, a country code of 3, a prefix of 5 to dial abroad."""
NO_REGION: Final = "ZZ"
"""phonenumbers' name for nowhere: only numbers with a plus are found."""
ABROAD: Final = ("00", "011")
"""How international numbers begin where they have no plus (in most countries, in North America)."""

_LEAD = re.compile(r"[(\[（［+＋]")
_EXTENSION = re.compile(r"[^\W\d_]|[#;,]")
_DIGITS = re.compile(r"\d+")
_PLUS = re.compile(r"[+＋]")
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:1[5-9]|20)\d\d"
_DATE = re.compile(
    rf"{_YEAR}(?P<a>[-./]){_MONTH}(?P=a){_DAY}"
    rf"|{_DAY}(?P<b>[-./]){_MONTH}(?P=b){_YEAR}"
    rf"|{_MONTH}(?P<c>[-./]){_DAY}(?P=c){_YEAR}"
    rf"|{_YEAR} ?[-/\u2010-\u2015] ?{_YEAR}"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|\d\d?)"
_DOTTED_QUAD = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_DECIMAL = re.compile(r"(?:0|[1-9]\d*)\.\d+")
_INTEGER_PART = re.compile(r"\d\.")


class CnMobileRecognizer(PatternRecognizer):
    """Chinese mobile numbers: eleven digits that begin with 13 to 19, with or without country code and separators.

    They have no check digit. With the country code the score is 0.7, without it 0.5.
    """

    def __init__(self) -> None:
        number = r"1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?!\.?[0-9]|[A-Za-z])"
        alone = r"(?<![0-9A-Za-z+/_=(])(?<![0-9][-.])" + number
        with_code = r"(?<![0-9A-Za-z+])(?:\((?:\+|00)?86\)|(?:\+|00)?86)[- ]?" + number
        super().__init__("CN_MOBILE", patterns=[Pattern("with code", with_code, 0.7), Pattern("alone", alone, 0.5)])


@functools.cache
def _region(region: str) -> _Region:
    return _Region(region)


class _Region:
    """One region's recognizer and what its national numbers look like."""

    def __init__(self, region: str) -> None:
        self._recognizer = presidio.PhoneRecognizer(supported_regions=(region,))
        self._national: re.Pattern[str] | None = None
        if region == NO_REGION:
            self._national = re.compile(r"(?!)")
            return
        own: Any = PhoneMetadata.metadata_for_region(region)
        # Regions that share a calling code share its numbers: a parser in one accepts those of the others.
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[own.country_code]
        shared: list[Any] = [PhoneMetadata.metadata_for_region(other) for other in regions]
        # A region may rewrite its numbers while parsing (Argentina's mobile prefix); then digits alone tell nothing.
        if all(metadata.national_prefix_transform_rule is None for metadata in shared):
            prefix = own.national_prefix_for_parsing or ""
            number = "|".join(metadata.general_desc.national_number_pattern for metadata in shared)
            abroad = own.international_prefix or "00"
            self._national = re.compile(rf"(?:{own.country_code})?(?:{prefix})?(?:{number})|(?:{abroad})\d+")

    def analyze(self, text: str) -> list[RecognizerResult]:
        results = self._recognizer.analyze(text, [])
        return [result for result in results if plausible_phone(text, result.start, result.end)]

    def may_match(self, numbers: set[str]) -> bool:
        """Whether one of these sequences of digits may be a number here."""
        return bool(numbers) if self._national is None else any(map(self._national.fullmatch, numbers))


def _possible_numbers(text: str, first: int, last: int) -> set[str]:
    """The digits of each stretch of groups in ``text[first:last]`` that would be plausible as a number."""
    groups = list(_DIGITS.finditer(text, first, last))
    numbers = set()
    for index, group in enumerate(groups):
        international = (index == 0 and _PLUS.search(text, 0, first)) or group[0].startswith(ABROAD)
        digits = ""
        for other in groups[index:]:
            digits += other[0]
            if len(digits) > MAX_DIGITS or (digits != group[0] and not international and _is_lone(other)):
                break
            if len(digits) >= (MIN_DIGITS if international or digits != group[0] else MIN_UNBROKEN_DIGITS):
                numbers.add(digits)
    return numbers if all(map(str.isascii, numbers)) else set(map(phonenumbers.normalize_digits_only, numbers))


class PlausiblePhoneRecognizer:
    """presidio's telephone numbers of several regions, without what ``plausible_phone`` takes for other figures.

    presidio tries every region on the whole text, and so does ``analyze``. ``analyze_cluster`` finds the same in a
    short text around one possible number, but tries only regions that can match: each takes a tenth of a millisecond.
    """

    def __init__(self, regions: Sequence[str]) -> None:
        self._regions = [_region(region) for region in regions]

    def analyze(self, text: str, entities: list[str]) -> list[RecognizerResult]:
        """The telephone numbers in the text; ``entities`` is there because presidio's recognizers have it."""
        found = [result for region in self._regions for result in region.analyze(text)]
        return EntityRecognizer.remove_duplicates(found)

    def analyze_cluster(self, text: str, first: int, last: int) -> tuple[list[RecognizerResult], int]:
        """The telephone numbers in a text that can have one only at ``[first, last)``, and the tries that were in vain.

        Tries are counted as regions without a number times groups of digits, which is what the time goes by.
        """
        if _DATE.fullmatch(text, first, last):
            return [], 0
        numbers = _possible_numbers(text, first, last)
        international = bool(numbers and _PLUS.search(text, 0, first))
        found: list[RecognizerResult] = []
        tries = 0
        for place, region in enumerate(self._regions):
            # A number with a plus is the same in every region, so the first one is enough.
            if not (international and place == 0) and not region.may_match(numbers):
                continue
            results = region.analyze(text)
            found += results
            # Where a number takes the whole cluster, other regions can only find it or parts of it: duplicates.
            if any(r.end >= last and r.start <= first and not _LEAD.search(text, 0, r.start) for r in results):
                break
            tries += len(_DIGITS.findall(text))
        return EntityRecognizer.remove_duplicates(found), tries


def plausible_phone(text: str, start: int, end: int) -> bool:
    """Whether what phonenumbers accepts as a number of some region is not more likely another figure.

    Not taken for telephone numbers: parts of a longer sequence of digits; fewer than seven digits (without
    extension); fewer than nine in one piece; decimal numbers and fractions; dates and ranges of years; dotted quads;
    a group of a single digit, unless it is the first group or in brackets (rows of tables read ``2194 1 0 10 17``).
    Numbers that begin with a plus or a prefix to dial abroad need seven digits whichever way they are grouped.
    """
    extension = _EXTENSION.search(text, start, end)
    end_of_number = extension.start() if extension else end
    groups = list(_DIGITS.finditer(text, start, end_of_number))
    if not groups or _splits_digits(text, start) or _splits_digits(text, end):
        return False
    if start > 1 and text[start].isdecimal() and _INTEGER_PART.match(text, start - 2):
        return False
    first, last = groups[0].start(), groups[-1].end()
    international = bool(_PLUS.search(text, start, first)) or groups[0][0].startswith(ABROAD)
    digits = sum(len(group[0]) for group in groups)
    if digits < (MIN_DIGITS if international or len(groups) > 1 else MIN_UNBROKEN_DIGITS):
        return False
    if any(figure.fullmatch(text, first, last) for figure in (_DATE, _DOTTED_QUAD, _DECIMAL)):
        return False
    return international or not any(map(_is_lone, groups[1:]))


def _splits_digits(text: str, place: int) -> bool:
    """Whether there is a digit on both sides of a place in the text."""
    return 0 < place < len(text) and text[place - 1].isdecimal() and text[place].isdecimal()


def _is_lone(group: re.Match[str]) -> bool:
    """Whether a group of digits is a single one and not in brackets, as the zero in ``+44 (0)20`` is."""
    start, end = group.span()
    return end - start == 1 and not (
        start and group.string[start - 1] in "(（" and group.string[end : end + 1] in ")）"
    )


_PLUS_NUMBER = re.compile(
    r"(?<![\w+)\]&=%.,/-])[(]?(?:\+|00(?=[1-9]))\(?(?P<number>[1-9][0-9]{0,3}\)?(?:[ .\-/()\xa0]{0,3}[0-9]+){1,6})"
    r"(?:(?: ?x| ?ext\.? ?)[0-9]{1,6})?(?![\w]|[.,][0-9])"
)
_AMERICAN_NUMBER = re.compile(
    r"(?<![\w.+/$€£#=&,-])(?<![0-9] )(?<![0-9]\) )(?:\+?1[ .-]?)?"
    r"(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-]|[2-9][0-9]{2}(?P<mark>[-.])[2-9][0-9]{2}(?P=mark))"
    r"[0-9]{4}(?:(?: ?x\.? ?| ?ext\.? ?)[0-9]{1,6})?(?![\w-]|[.,/][0-9]| [0-9]{4})"
)


class WrittenPhoneRecognizer(EntityRecognizer):
    """Numbers that are written as telephone numbers, whether their area code is in use today or not.

    A plus, a country code that exists and a length that is possible there (score 0.5); with ``american``, the North
    American ``(234) 567-8901`` and ``234-567-8901`` (0.45). An exchange or area code that begins with 0 or 1 is none.
    """

    def __init__(self, *, american: bool) -> None:
        super().__init__(supported_entities=["PHONE_NUMBER"], name="WrittenPhoneRecognizer")
        self._american = american

    def load(self) -> None:
        """Nothing to load; presidio asks for the method."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        """The numbers in the text."""
        found = [
            RecognizerResult("PHONE_NUMBER", match.start(), match.end(), 0.5)
            for match in _PLUS_NUMBER.finditer(text)
            if _possible("+" + re.sub(r"[^0-9]", "", match["number"].replace("(0)", "")))
        ]
        american = _AMERICAN_NUMBER.finditer(text) if self._american else ()
        return found + [RecognizerResult("PHONE_NUMBER", one.start(), one.end(), 0.45) for one in american]


def _possible(number: str) -> bool:
    """Whether an international number has a country code and a length that exist."""
    if not 8 <= len(number) - 1 <= 15 or len(set(number)) < 4:
        return False
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


SURE_WORDS: Final = (
    *("tel", "tel.", "telephone", "phone", "phone number", "mobile", "cell", "cellphone", "fax", "whatsapp", "hotline"),
    *("contact number", "contact no", "ph", "ph.", "mob", "mob.", "phone no", "telefon", "telefonnummer", "handy"),
    *("handynummer", "rufnummer", "mobil", "telefax", "tél", "tél.", "téléphone", "numéro de téléphone", "portable"),
    *("teléfono", "tlf", "tlf.", "tfno", "móvil", "celular", "telefone", "telemóvel", "telefono", "cellulare"),
    *("telefoon", "телефон", "тел", "тел.", "факс", "моб", "puhelin", "telefonnr", "telefon nr", "numer telefonu"),
    *("电话", "手机", "手机号", "手机号码", "联系电话", "电话号码", "传真", "热线", "座机", "電話", "電話番号", "携帯"),
    *("전화", "전화번호", "휴대폰", "連絡電話", "联系方式", "微信"),
)
LIKELY_WORDS: Final = (
    *("call", "call me at", "call us", "call us at", "dial", "text me at", "reach me at", "reach us at", "number is"),
    *(
        "contact me at",
        "my number",
        "ring",
        "phone me at",
        "me at",
        "us at",
        "anrufen",
        "appelez",
        "llame al",
        "llámenos",
    ),
    *("at", "number", "number:", "nummer", "numéro", "número"),
)
AFTER_WORDS: Final = ("office", "fax", "home", "mobile", "cell", "tel", "phone")
_LABELLED = re.compile(
    r"(?<![\w.+$€£-])(?P<number>\(?\+?\(?[0-9](?:[ ().\-/–‑\xa0]{0,3}[0-9]){6,14})(?P<extension>(?: ?x\.? ?| ?ext\.? ?)[0-9]{1,6})?"
    r" ?[-(–]? ?$"
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[ .][0-9]{3})+")
_CALLED = re.compile(
    r"(?P<gap>[^0-9\n+(]{0,24}?\n?[^0-9\n+(]{0,6})"
    r"(?P<number>\(?\+?\(?[0-9](?:[ ().\-/–‑\xa0]{0,3}[0-9]){5,14})(?P<extension>(?: ?x\.? ?| ?ext\.? ?)[0-9]{1,6})?(?!\w|[.,][0-9])"
)
_GAP_BROKEN = re.compile(r"[.!?;$€£%#]\s|[$€£%#<=]|\n.*\n")


class CalledPhoneRecognizer(Anchored):
    """Figures behind a word for telephone: 6 to 15 digits, in one piece or in groups.

    Words that may mean something else (``call``, ``number is``) want seven digits in groups.
    """

    def __init__(self) -> None:
        after = [Anchor(word, digit_before=4) for word in AFTER_WORDS]
        super().__init__("phone", [*(Anchor(word, digit_after=28) for word in (*SURE_WORDS, *LIKELY_WORDS)), *after])
        self._sure = frozenset(SURE_WORDS)

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The number that is announced, or that has the word behind it (``28-81-33-70 office``)."""
        match = _CALLED.match(text, end, end + 80)
        if match and not _GAP_BROKEN.search(match["gap"]):
            sure = text[start:end].lower() in self._sure
            strict = not sure and (any(map(str.isalpha, match["gap"])) or _THOUSANDS.fullmatch(match["number"]))
            if not strict and _telephonic(match["number"], grouped=not sure):
                yield Found(match.start("number"), match.end(), 0.5 if sure else 0.45)
        if text[start:end].lower() in AFTER_WORDS:
            match = _LABELLED.search(text, max(start - 40, 0), start)
            if match and _telephonic(match["number"], grouped=True) and not _THOUSANDS.fullmatch(match["number"]):
                yield Found(match.start("number"), max(match.end("number"), match.end("extension")), 0.45)


def _telephonic(number: str, *, grouped: bool) -> bool:
    """Whether figures may be a telephone number: enough of them, in groups as people dial them, no date or address."""
    groups = _DIGITS.findall(number)
    digits = "".join(groups)
    if len(digits) < (6 if len(groups) > 1 and not grouped else 7) or len(set(digits)) < 3:
        return False
    if (grouped and len(groups) < 2) or sum(len(one) == 1 for one in groups[1:]) > 1:
        return False
    return not any(figure.fullmatch(number) for figure in (_DATE, _DOTTED_QUAD, _DECIMAL))
