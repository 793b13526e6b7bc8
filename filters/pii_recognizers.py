"""The recognizers of personal data: presidio's, with the few rules that we add, and two for China.

Importing this module imports presidio, and with it spaCy (no model): two seconds and sixty megabytes. So
``filters.pii`` imports it only when a redactor is prepared.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import phonenumbers
import tldextract
from phonenumbers.phonemetadata import PhoneMetadata
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
)

MIN_DIGITS: Final = 7
MIN_UNBROKEN_DIGITS: Final = 9
"""Shorter national numbers are rarely written in one piece; figures are."""
MAX_DIGITS: Final = 25
"""More than any number has: 17 as phonenumbers allows, a country code of 3, a prefix of 5 to dial abroad."""
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


class DomainEmailRecognizer(EmailRecognizer):
    """presidio's e-mail addresses, judged by their domain alone and without the network.

    As shipped, the whole address goes to ``tldextract`` as if it were a URL, so that a slash or question mark in the
    local part hides the domain (``?to=li@example.com`` is not found), and the list of top-level domains is fetched
    and kept in the home folder. Here it is the list in the ``tldextract`` package, whose version is thus part of the
    result.
    """

    def __init__(self) -> None:
        super().__init__()
        self._extract = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)
        self._extract("example.com")  # reads the list now

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the domain ends in a known top-level domain and is more than that."""
        return bool(self._extract(pattern_text.rpartition("@")[2]).fqdn)


class HostIpRecognizer(IpRecognizer):
    """presidio's IP addresses, without quads inside longer dotted numbers and, by default, without private addresses.

    ``1.3.6.1.4.1`` is an object identifier or the number of a section. Private, loopback, link-local, documentation,
    multicast and reserved addresses (and netmasks, which are among these) say nothing about anybody, and what is not in
    2000::/3, all of IPv6 that is given to hosts, is more often code (``a::b``). A bare ``::`` is never taken.
    """

    GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")

    def __init__(self, *, private: bool) -> None:
        patterns = [
            Pattern(p.name, rf"(?<!\d\.)(?:{p.regex})(?!\.\d)" if p.name.startswith("IPv4") else p.regex, p.score)
            for p in IpRecognizer.PATTERNS
            if p.name != "IPv6_unspecified"
        ]
        super().__init__(patterns=patterns)
        self._private = private

    def invalidate_result(self, pattern_text: str) -> bool:
        """Whether this is no address, or one that shall stay."""
        try:
            address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_interface(pattern_text).ip
        except ValueError:
            return True
        if self._private:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None and address not in self.GLOBAL_UNICAST:
                return True
            address = address.ipv4_mapped or address
        return not address.is_global or address.is_multicast


class CnIdRecognizer(PatternRecognizer):
    """Numbers of Chinese resident identity cards: 18 characters with a date of birth and a check digit (GB 11643)."""

    WEIGHTS: Final = tuple(pow(2, 17 - place, 11) for place in range(17))
    CHECK_DIGITS: Final = "10X98765432"

    def __init__(self) -> None:
        regex = r"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9X](?![0-9A-Za-z])"
        super().__init__("CN_ID", patterns=[Pattern("resident identity card", regex, 0.5)])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the date exists and the check digit (ISO 7064 MOD 11-2) is right."""
        try:
            datetime.date(int(pattern_text[6:10]), int(pattern_text[10:12]), int(pattern_text[12:14]))
        except ValueError:
            return False
        total = sum(int(digit) * weight for digit, weight in zip(pattern_text[:17], self.WEIGHTS, strict=True))
        return self.CHECK_DIGITS[total % 11] == pattern_text[17].upper()


class CnMobileRecognizer(PatternRecognizer):
    """Chinese mobile numbers: eleven digits that begin with 13 to 19, with or without country code and separators.

    They have no check digit. With the country code the score is 0.7, without it 0.5.
    """

    def __init__(self) -> None:
        number = r"1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?!\.?[0-9]|[A-Za-z])"
        alone = r"(?<![0-9A-Za-z+])(?<![0-9][-.])" + number
        with_code = r"(?<![0-9A-Za-z+])(?:\((?:\+|00)?86\)|(?:\+|00)?86)[- ]?" + number
        super().__init__("CN_MOBILE", patterns=[Pattern("with code", with_code, 0.7), Pattern("alone", alone, 0.5)])


class _Region:
    """One region's recognizer and what its national numbers look like."""

    def __init__(self, region: str) -> None:
        self._recognizer = PhoneRecognizer(supported_regions=(region,))
        own: Any = PhoneMetadata.metadata_for_region(region)
        # Regions that share a calling code share its numbers: a parser in one accepts those of the others.
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[own.country_code]
        shared: list[Any] = [PhoneMetadata.metadata_for_region(other) for other in regions]
        self._national: re.Pattern[str] | None = None
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
        self._regions = [_Region(region) for region in regions]

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


class Recognizer(Protocol):
    """What finds one entity in a text: presidio's interface, as far as it is used here."""

    def analyze(self, text: str, entities: list[str]) -> Sequence[RecognizerResult]:
        """What was found, with ``start``, ``end`` (characters) and ``score``."""


def load_recognizers(entities: Sequence[str], regions: Sequence[str], private_ips: bool) -> dict[str, Recognizer]:
    """The recognizers of these entities by name."""
    makers: dict[str, Callable[[], Recognizer]] = {
        "email": DomainEmailRecognizer,
        "phone": lambda: PlausiblePhoneRecognizer(regions),
        "ip": lambda: HostIpRecognizer(private=private_ips),
        "credit_card": CreditCardRecognizer,
        "iban": IbanRecognizer,
        "cn_id": CnIdRecognizer,
        "cn_mobile": CnMobileRecognizer,
    }
    return {entity: makers[entity]() for entity in entities}
