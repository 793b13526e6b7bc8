"""The recognizers of personal data: presidio's, with the few rules that we add, and two for China.

Importing this module imports presidio, and with it spaCy (no model): seconds and some hundred megabytes. So ``filters.pii``
imports it only when a redactor is prepared.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

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

from filters.pii_gates import MIN_PHONE_DIGITS

MIN_UNBROKEN_DIGITS: Final = 9
"""The shortest national numbers that people write in one piece have nine digits (Spain); shorter ones are mostly figures."""

MAX_GROUPS_JOINED: Final = 12
"""Digits in more groups than this go to every region: looking for the numbers that they may form would take longer."""

_LEAD = re.compile(r"[(\[（［+＋]")
_EXTENSION = re.compile(r"[^\W\d_]|[#;,]")
_DIGITS = re.compile(r"\d+")
_LONE_DIGIT = re.compile(r"(?<![\d(（])\d(?![\d)）])")
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:1[5-9]|20)\d\d"
_DATE = re.compile(
    rf"{_YEAR}(?P<a>[-./]){_MONTH}(?P=a){_DAY}"
    rf"|{_DAY}(?P<b>[-./]){_MONTH}(?P=b){_YEAR}"
    rf"|{_MONTH}(?P<c>[-./]){_DAY}(?P=c){_YEAR}"
    rf"|{_YEAR} ?[-/\u2010-\u2015] ?{_YEAR}"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|\d\d?)"
_DOTTED_QUAD = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


class DomainEmailRecognizer(EmailRecognizer):
    """presidio's e-mail addresses, judged by their domain alone and without the network.

    As shipped the whole address goes to ``tldextract`` as if it were a URL, so that a slash or question mark in the local
    part hides the domain (``?to=li@example.com`` is not found), and the list of top-level domains is fetched and kept in
    the home folder. Here it is the list in the ``tldextract`` package, whose version is thus part of the result.
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
    """Numbers of Chinese resident identity cards: eighteen characters with a date of birth and a check digit (GB 11643)."""

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
        own = PhoneMetadata.metadata_for_region(region)
        # Regions that share a calling code share its numbers: a parser in one accepts those of the others.
        shared = [
            PhoneMetadata.metadata_for_region(r) for r in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[own.country_code]
        ]
        self._national: re.Pattern[str] | None = None
        # A region may rewrite its numbers while parsing (Argentina's mobile prefix); then digits alone tell nothing.
        if all(metadata.national_prefix_transform_rule is None for metadata in shared):
            prefix = own.national_prefix_for_parsing or ""
            number = "|".join(metadata.general_desc.national_number_pattern for metadata in shared)
            abroad = own.international_prefix or "00"
            self._national = re.compile(rf"(?:{own.country_code})?(?:{prefix})?(?:{number})|(?:{abroad})\d+")

    def analyze(self, text: str) -> list[RecognizerResult]:
        results = self._recognizer.analyze(text, [])
        return [result for result in results if plausible_phone(text[result.start : result.end])]

    def may_match(self, numbers: list[str] | None) -> bool:
        """Whether one of these digit sequences may be a number here; None stands for too many to tell."""
        return numbers is None or self._national is None or any(map(self._national.fullmatch, numbers))


def _possible_numbers(groups: list[str]) -> list[str] | None:
    """The digits of every stretch of neighbouring groups that is long enough; None where there are too many groups."""
    if len(groups) > MAX_GROUPS_JOINED:
        return None
    joined = ("".join(groups[start:end]) for start in range(len(groups)) for end in range(start + 1, len(groups) + 1))
    numbers = [digits for digits in joined if len(digits) >= MIN_PHONE_DIGITS]
    if all(map(str.isascii, numbers)):
        return numbers
    return [phonenumbers.normalize_digits_only(digits) for digits in numbers]


class PlausiblePhoneRecognizer:
    """presidio's telephone numbers of several regions, without what ``plausible_phone`` takes for other figures.

    presidio tries every region on every text; each try costs a tenth of a millisecond. ``analyze`` does so too, and
    ``analyze_cluster`` gives the same for a short text around one possible number but tries only regions that can match.
    """

    def __init__(self, regions: Sequence[str]) -> None:
        self._regions = [_Region(region) for region in regions]

    def analyze(self, text: str, entities: list[str]) -> list[RecognizerResult]:
        """The telephone numbers in the text; ``entities`` is there because presidio's recognizers have it."""
        found = [result for region in self._regions for result in region.analyze(text)]
        return EntityRecognizer.remove_duplicates(found)  # type: ignore[no-any-return]

    def analyze_cluster(self, text: str, first: int, last: int) -> tuple[list[RecognizerResult], int]:
        """The telephone numbers in a text whose digits at ``[first, last)`` are the only ones that may be one; the tries.

        Tries are the regions tried and found wanting times the groups of digits: what the time goes by.
        """
        written = text[first:last]
        groups = _DIGITS.findall(written)
        if sum(map(len, groups)) < MIN_PHONE_DIGITS or _DATE.fullmatch(written):
            return [], 0
        numbers = _possible_numbers(groups)
        international = "+" in text[:first] or "＋" in text[:first]
        found: list[RecognizerResult] = []
        tries = 0
        for place, region in enumerate(self._regions):
            # A number with a plus is the same in every region, so the first one is enough.
            if not (international and place == 0) and not region.may_match(numbers):
                continue
            results = region.analyze(text)
            found += results
            # Where a number takes the whole cluster, other regions can only find parts of it, which count as duplicates.
            if any(r.end >= last and r.start <= first and not _LEAD.search(text, 0, r.start) for r in results):
                break
            tries += len(groups)
        return EntityRecognizer.remove_duplicates(found), tries


def plausible_phone(written: str) -> bool:
    """Whether what phonenumbers accepts as a number of some region is not more likely another figure.

    Not taken for telephone numbers: fewer than seven digits (without the extension); fewer than nine in one piece; dates
    and ranges of years; dotted quads; groups of a single digit, except as the first group, in brackets, or in a number
    with international prefix (a row of a table reads ``2194 1 0 10 17``).
    """
    extension = _EXTENSION.search(written)
    number = written[: extension.start()] if extension else written
    groups = _DIGITS.findall(number)
    digits = sum(map(len, groups))
    international = number.lstrip("([（［").startswith(("+", "＋", "00", "011"))
    if digits < MIN_PHONE_DIGITS or (len(groups) == 1 and digits < MIN_UNBROKEN_DIGITS and not international):
        return False
    bare = number.strip()
    if _DATE.fullmatch(bare) or _DOTTED_QUAD.fullmatch(bare):
        return False
    return international or not any(match.start() > bare.find(groups[0]) for match in _LONE_DIGIT.finditer(bare))


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
