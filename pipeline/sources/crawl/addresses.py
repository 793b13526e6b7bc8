"""Normal forms of addresses and their hashes, by which pages and links are matched, and the files that links come from.

Two addresses are one when they differ only in what ``normalized`` takes away:

* scheme (http, https), user name, ``www.`` and the scheme's own port; the host's case, its last dot, its form in Unicode;
* the fragment; tracking parameters (``utm_*``, click ids); an empty query; a slash at the end of the path;
* escapes: of characters that need none they are undone, others are in capitals, and what needs one gets one.

Path and query keep their case and order, as they may mean different pages.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pipeline.sources.containers.lines import lines
from pipeline.sources.crawl.selection import Links
from pipeline.sources.source import FilePart

_TRACKING = re.compile(
    r"utm_[a-z0-9_]*|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|igshid|mc_cid|mc_eid|_hsenc|_hsmi"
    r"|mkt_tok|oly_anon_id|oly_enc_id|vero_id|wickedid|ncid|cmpid|ocid|ref_src|ref_url|spm|s_kwcid",
    re.IGNORECASE,
)
_UNRESERVED_AND_DELIMITERS = "!$&'()*+,;=:@/~"
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_MAX_ADDRESS = 8192
_MAX_LINE = 16 << 20
_DELETED = frozenset(("deleted", "[deleted]", "[removed]"))


def normalized(address: str) -> str:
    """The normal form, without a scheme: ``example.org/a?b=c``; "" for what is no web address.

    >>> normalized("HTTPS://www.Example.org:443/a%7eb/?utm_source=x#top")
    'example.org/a~b'
    """
    address = address.strip()
    if len(address) > _MAX_ADDRESS:
        return ""
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    host = _ascii(host.rstrip(".")).removeprefix("www.")
    if port not in (None, 80 if parts.scheme == "http" else 443):
        host += f":{port}"
    path = _escaped(parts.path).rstrip("/")
    query = "&".join(one for one in parts.query.split("&") if one and not _TRACKING.fullmatch(one.partition("=")[0]))
    return f"{host}{path}?{_escaped(query, '?')}" if query else host + path


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower() if not host.isascii() else host
    except UnicodeError:
        return host


def _escaped(written: str, also: str = "") -> str:
    """The text with exactly those characters escaped that need it (RFC 3986, section 6.2.2)."""
    safe = _UNRESERVED_AND_DELIMITERS + also
    made, start = [], 0
    for escape in _ESCAPE.finditer(written):
        made.append(quote(written[start : escape.start()], safe=safe + "%", errors="replace"))
        byte = unquote_to_bytes(escape[0])
        shown = chr(byte[0])
        made.append(shown if byte[0] < 128 and (shown.isalnum() or shown in "-._~") else escape[0].upper())
        start = escape.end()
    made.append(quote(written[start:], safe=safe + "%", errors="replace"))
    return "".join(made)


def hash_of(address: str) -> int | None:
    """64 bits of BLAKE2b of the normal form; None for what is no web address."""
    form = normalized(address)
    if not form:
        return None
    return int.from_bytes(hashlib.blake2b(form.encode("utf-8", "replace"), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Link:
    """What a line of a file of links says: the hash of an address, or why the line does not count."""

    hash: int | None
    reason: str = ""


def links_of(part: FilePart, settings: Links) -> Iterator[Link]:
    """What every line of a file of links says. Raises OSError."""
    excluded = frozenset(domain.lower().removeprefix("www.") for domain in settings.exclude_domains)
    for _, _, line, failure in lines(part, _MAX_LINE):
        line = line.strip()
        if failure:
            yield Link(None, "unreadable")
        elif line.startswith(b"{"):
            yield _submission(line, settings, excluded)
        elif line:
            yield _counted(line.decode("utf-8", "replace"), excluded)


def _submission(line: bytes, settings: Links, excluded: frozenset[str]) -> Link:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return Link(None, "unreadable")
    score, address = row.get("score"), row.get("url")
    if not isinstance(address, str) or isinstance(score, bool) or not isinstance(score, int | float):
        return Link(None, "unreadable")
    if row.get("is_self"):
        return Link(None, "self_post")
    if not score >= settings.min_score:  # NaN is no score either
        return Link(None, "low_score")
    if row.get("over_18") and not settings.adult:
        return Link(None, "adult")
    if is_removed(row) and not settings.removed:
        return Link(None, "removed")
    return _counted(html.unescape(address) if "&amp;" in address else address, excluded)


def is_removed(row: dict[str, object]) -> bool:
    """Whether a submission or comment was removed by moderators or deleted by who wrote it."""
    texts = [row.get("selftext"), row.get("body")]
    return bool(row.get("removed_by_category")) or any(one in _DELETED for one in texts if isinstance(one, str))


def _counted(address: str, excluded: frozenset[str]) -> Link:
    form = normalized(address)
    if not form:
        return Link(None, "no_address")
    labels = form.partition("/")[0].partition("?")[0].partition(":")[0].split(".")
    if any(".".join(labels[start:]) in excluded for start in range(min(len(labels), 127))):
        return Link(None, "excluded_domain")
    return Link(hash_of(address))
