"""Makes text from a crawl harmless for a terminal, which would obey its control characters."""

from __future__ import annotations

import re

from rich.markup import escape

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tab and newline, and those that turn the direction of writing."""


def visible(text: str) -> str:
    """The text with its control characters spelled out."""
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown(text: str) -> str:
    """The text as it may stand inside rich's markup."""
    return escape(visible(text))
