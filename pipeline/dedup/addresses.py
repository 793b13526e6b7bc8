"""When two addresses are the same page's, and which site an address belongs to."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

TRACKING: Final = re.compile(
    r"(?:utm_\w+|fbclid|gclid|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|mc_[ce]id|_ga|_gl|ref_src)(?:=|$)",
    re.IGNORECASE,
)
"""Query parameters that say where a visitor came from, not what the page is."""

_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalized(url: str) -> str:
    """The address without what does not change the page; empty where there is none.

    Scheme, user, default port, ``www.`` and fragment go (a ``#!`` stays: it names a page), the host is in lower case, so are
    escapes of characters that need none undone and the others in upper case (RFC 3986, 6.2.2), tracking parameters and
    slashes at the end of the path go. The order of parameters stays, it may matter.
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:  # brackets or a port that make no sense: the address means itself
        return url
    if port not in (None, 80, 443):
        host += f":{port}"
    query = "&".join(one for one in parts.query.split("&") if one and not TRACKING.match(one))
    path = _escapes(parts.path).rstrip("/")
    fragment = f"#{parts.fragment}" if parts.fragment.startswith("!") else ""
    return f"{host.removeprefix('www.')}{path}{'?' if query else ''}{_escapes(query)}{fragment}"


def site(url: str) -> str:
    """The site of an address: its host in lower case without ``www.``; empty where there is none."""
    try:
        host = urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""
    return host.rstrip(".").removeprefix("www.")


def _escapes(text: str) -> str:
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code in _UNRESERVED else match[0].upper()
