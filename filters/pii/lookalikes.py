"""What looks like personal data and is not, told by what stands right before or after it in the text."""

from __future__ import annotations

import re
from typing import Final

from filters.pii.matches import Match

REACH: Final = 24
"""Characters that are looked at on either side."""

_RELEASE = re.compile(
    r"(?:\b(?:v|ver\.?|version|versions|release|releases|rev\.?|revision|firmware|build|kernel|patch|update|upgrade to|section"
    r"|chapter|driver|assemblyversion|assemblyfileversion)(?:\s*[:=>]?\s*[\"'(v]{0,2}|\s+)|[=<>~!]=\s?[\"']?|[~^]>?\s?|-|_|[0-9a-z]/)$",
    re.IGNORECASE,
)
_SERIAL = re.compile(
    r"(?:\b(?:isbn(?:-?1[03])?|issn|doi|pmid|pmcid|oclc|lccn|arxiv|asin|ean|upc|gtin|sku|rfc|patent|bug|issue|ticket|order|case"
    r"|article|docket|invoice|part|item|model|serial|catalog|ref|tracking|id|no|nr|pp|vol|standard|iso|cas|ncbi|gene|ensembl)"
    r"(?:\s*(?:number|no\.?|#|nr\.?))?[\s.:#=/(-]{0,3}|[$€£¥₹#%^~=]\s?|\bUSD\s|\bEUR\s|[a-z]/|\d/|/p/|0x)$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^\s/@:]{1,20}:$")  # https://user:password@host is a URL's credentials, no address
_BOOK = re.compile(r"\b(?:isbn|issn|doi|pmid|oclc|lccn|ean|gtin|arxiv)[^0-9]{0,8}$", re.IGNORECASE)
_FIGURES = re.compile(
    r"[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)[0-9]{2}(?![0-9])|(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}(?![0-9])"
    r"|[0-9]+(?:\.[0-9]+)?/[0-9]+(?:\.[0-9]+)?/[0-9]"  # 25/29.97/50, 600/800/1000
)
"""Dates with an hour behind them, and choices of sizes or rates."""
_QUANTITY = re.compile(
    r"\s?(?:%|€|\$|£|USD\b|EUR\b|元|km\b|kg\b|m²|bytes\b|million\b|billion\b|people\b|inhabitants\b)"
)


def is_lookalike(text: str, match: Match) -> bool:
    """Whether the finding is a release, a serial number or an amount rather than personal data.

    Only findings without a check of their own (a score under 1) are doubted.
    """
    before = text[max(match.start - REACH, 0) : match.start]
    if match.entity == "email":
        return _USER_INFO.search(before) is not None
    if match.score >= 1.0 and match.entity != "credit_card":
        return False
    if match.entity == "ip":
        return _RELEASE.search(before) is not None
    if match.entity == "phone" and (_BOOK.search(before) or _FIGURES.match(text, match.start, match.end)):
        return True
    if match.entity == "phone" and match.score < 0.5:
        after = text[match.end : match.end + REACH]
        return _SERIAL.search(before) is not None or _QUANTITY.match(after) is not None
    return match.entity == "credit_card" and _BOOK.search(before) is not None
