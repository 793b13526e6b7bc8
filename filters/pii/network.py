"""What belongs to machines and accounts on the net: e-mail, IP and MAC addresses, URLs with user names or tokens."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Final

import tldextract

from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor, anchors
from filters.pii.presidio import Pattern, RecognizerResult
from filters.pii.presidio import predefined_recognizers as presidio

EXAMPLE_DOMAIN: Final = re.compile(
    r"(?:^|.*\.)(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost|local)", re.IGNORECASE
)
"""Domains for documentation and tests that belong to no one (RFC 2606, RFC 6761)."""


_LEAD = re.compile(r".*(?:[=?&/|{}`#$%^*!~]|(?<![^\W_])')(?=[\w])", re.DOTALL)
"""What stands before an address in code and URLs; RFC 5322 allows all of it in a local part, people do not use it."""


class DomainEmailRecognizer(presidio.EmailRecognizer):
    """presidio's e-mail addresses, judged by their domain alone and without the network.

    As shipped, the whole address goes to ``tldextract`` as if it were a URL, so that a slash or question mark in the
    local part hides the domain (``?to=li@uni.de`` is not found), and the list of top-level domains is fetched
    and kept in the home folder. Here it is the list in the ``tldextract`` package, whose version is thus part of the
    result. The user of ``git@host`` is no person, and example domains are nobody's.
    """

    def __init__(self, *, examples: bool = False) -> None:
        super().__init__()
        self._examples = examples
        self._extract = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)
        self._extract("example.com")  # reads the list now

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: Any = None, regex_flags: Any = None
    ) -> list[RecognizerResult]:
        """The addresses, without what is no part of them though it might be: ``email='`` in ``email='li@uni.de'``."""
        results: list[RecognizerResult] = super().analyze(text, entities, None, regex_flags)
        for one in results:
            lead = _LEAD.match(text, one.start, text.rindex("@", one.start, one.end))
            if lead:
                one.start = lead.end()
        return results

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the domain ends in a known top-level domain, is more than that, and may be someone's."""
        local, _, domain = pattern_text.rpartition("@")
        if local == "git" or (not self._examples and EXAMPLE_DOMAIN.fullmatch(domain)):
            return False
        return bool(self._extract(domain).fqdn)


class HostIpRecognizer(presidio.IpRecognizer):
    """presidio's IP addresses, without quads inside longer dotted numbers and, by default, without private addresses.

    ``1.3.6.1.4.1`` is an object identifier or the number of a section.
    Private, loopback, link-local, documentation (RFC 5737, 3849), multicast and reserved addresses (and
    netmasks, which are among these) say nothing about anybody, nor do the resolvers that everybody knows and ``1.2.3.4``; and what is
    not in 2000::/3, all of IPv6 that is given to hosts, is more often code (``a::b``). A bare ``::`` is never taken.
    """

    GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
    WELL_KNOWN: Final = frozenset(
        ipaddress.ip_address(one)
        for one in (
            *("1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "114.114.114.114", "223.5.5.5", "208.67.222.222"),
            *(
                "208.67.220.220",
                "2001:4860:4860::8888",
                "2001:4860:4860::8844",
                "2606:4700:4700::1111",
                "2606:4700:4700::1001",
            ),
        )
    )

    def __init__(self, *, private: bool, examples: bool = False) -> None:
        patterns = [
            Pattern(
                p.name,
                rf"(?<!\d\.)(?:{p.regex})(?!\.\d)" if p.name.startswith("IPv4") else p.regex,
                p.score,
            )
            for p in presidio.IpRecognizer.PATTERNS
            if p.name != "IPv6_unspecified"
        ]
        super().__init__(patterns=patterns)
        self._private, self._examples = private, examples

    def invalidate_result(self, pattern_text: str) -> bool:
        """Whether this is no address, or one that shall stay."""
        try:
            address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_interface(pattern_text).ip
        except ValueError:
            return True
        if address in self.WELL_KNOWN and not self._examples:
            return True
        if self._private:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None and address not in self.GLOBAL_UNICAST:
                return True
            address = address.ipv4_mapped or address
        if not self._examples and (len(set(address.packed)) == 1 or address.packed == b"\1\2\3\4"):
            return True
        if isinstance(address, ipaddress.IPv4Address) and address.packed[3] == 0 and "/" not in pattern_text:
            return True  # a network, or a release such as 9.0.0.0
        return not address.is_global or address.is_multicast


class DeviceMacRecognizer(presidio.MacAddressRecognizer):
    """presidio's MAC addresses, not inside longer rows of bytes, and with a letter where digits alone may be a date."""

    def __init__(self) -> None:
        patterns = [
            Pattern(one.name, rf"(?<![0-9A-Za-z:.-])(?:{one.regex})(?![:-]?[0-9A-Za-z]|\.[0-9A-Za-z])", one.score)
            for one in presidio.MacAddressRecognizer.PATTERNS
        ]
        super().__init__(patterns=patterns)

    def invalidate_result(self, pattern_text: str) -> bool:
        """Whether this is no address of one device."""
        digits = re.sub(r"[:.-]", "", pattern_text).lower()
        if len(set(digits)) < 3 or (":" not in pattern_text and digits.isdecimal()):
            return True
        return bool(super().invalidate_result(pattern_text))


_USER_INFO = re.compile(r"[\w.~!$&*+%-]{1,80}(?::[^\s/?#@\"'<>\\]{0,200})?@(?=[\w\[])")
_PARAMETER = re.compile(r"[^\s&#\"'<>\\;,)\]}]{1,512}")
_PROFILE = re.compile(r"[\w.%-]{2,64}(?=/?(?:[\s\"'<>)\],;?#|]|[.!](?:\s|$)|$))")
_HANDLE = re.compile(r"[\w.%-]{2,64}")
_URL_END = re.compile(r"[\s\"'<>]")
LONGEST_URL: Final = 400
_PLACEHOLDER = re.compile(
    r"[<{\[$%*]|(?:your|my)[-_ ]?|x{3,}|user(?:name)?\b|example|foo\b|test\b|token\b", re.IGNORECASE
)

TOKEN_PARAMETERS: Final = (
    *(
        "access_token=",
        "auth_token=",
        "api_key=",
        "apikey=",
        "api-key=",
        "client_secret=",
        "auth=",
        "token=",
        "secret=",
    ),
    *("password=", "passwd=", "pwd=", "sig=", "signature=", "sessionid=", "session_id=", "session=", "sid=", "jwt="),
    *("phpsessid=", "jsessionid=", "x-amz-signature=", "x-amz-credential=", "key="),
)
USER_PARAMETERS: Final = (
    "username=",
    "user=",
    "login=",
    "user_name=",
    "userid=",
    "user_id=",
    "email=",
    "uid=",
    "screen_name=",
)
PROFILES: Final = (
    *("twitter.com/", "//x.com/", "facebook.com/", "instagram.com/", "linkedin.com/in/", "github.com/", "t.me/"),
    *("tiktok.com/@", "medium.com/@", "youtube.com/@", "youtube.com/user/", "reddit.com/user/", "reddit.com/u/"),
    *("pinterest.com/", "flickr.com/people/", "soundcloud.com/", "vk.com/", "weibo.com/u/", "zhihu.com/people/"),
    *("facebook.com/profile.php?id=", "keybase.io/", "gitlab.com/", "orcid.org/", "threads.net/@", "mastodon.social/@"),
    *("news.ycombinator.com/user?id=", "stackoverflow.com/users/", "quora.com/profile/", "wa.me/", "bitbucket.org/"),
)
_NO_PERSON: Final = frozenset(
    (
        *("about", "account", "accounts", "ads", "app", "apps", "article", "articles", "blog", "business"),
        *("careers", "company", "compose", "contact", "developer", "developers", "dialog", "docs", "download"),
        *("embed", "events", "explore", "faq", "features", "feed", "groups", "hashtag", "help", "home", "i"),
        *("imprint", "in", "index.html", "index.php", "intent", "jobs", "join", "legal", "login", "logout"),
        *("marketplace", "media", "messages", "notifications", "orgs", "p", "pages", "people", "photo", "photos"),
        *("pin", "plugins", "policies", "policy", "press", "pricing", "privacy", "products", "profile.php"),
        *("public", "reel", "reels", "search", "security", "settings", "share", "share.php", "sharer"),
        *("sharer.php", "shop", "signin", "signup", "site", "sites", "sponsors", "status", "store", "stories"),
        *("support", "team", "terms", "topics", "tos", "tr", "trending", "user", "users", "video", "videos"),
        *("watch", "widgets", "www"),
    )
)


def _in_url(text: str, place: int) -> bool:
    """Whether the place is inside a URL that began at most ``LONGEST_URL`` characters before."""
    first = max(place - LONGEST_URL, 0)
    start = max(text.rfind("://", first, place), text.rfind("www.", first, place))
    return start >= 0 and _URL_END.search(text, start, place) is None


class UrlCredentialRecognizer(Anchored):
    """The parts of URLs that open a door or tell who came through it; the rest of the URL stays.

    User information (``https://user:pw@host``), values of parameters for tokens (16 characters with a digit, or more)
    and for user names (``?token=…&user=…``).
    """

    def __init__(self) -> None:
        super().__init__("url", [Anchor("://", inside=True), *anchors(TOKEN_PARAMETERS), *anchors(USER_PARAMETERS)])

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The value of the parameter, or the user information behind ``://``."""
        anchor = text[start:end].lower()
        if anchor == "://":
            match = _USER_INFO.match(text, end)
            if match and start and text[start - 1].isalnum() and ":" in match[0] and not _PLACEHOLDER.match(match[0]):
                yield Found(end, match.end() - 1, 1.0)
            return
        if start == 0 or text[start - 1] not in "?&;" or not _in_url(text, start):
            return
        match = _PARAMETER.match(text, end)
        if match is None or _PLACEHOLDER.match(match[0]):
            return
        if anchor in USER_PARAMETERS or (len(match[0]) >= 16 and any(map(str.isdigit, match[0]))):
            yield Found(end, match.end(), 0.8)


class ProfileUrlRecognizer(Anchored):
    """User names in URLs: ``/~name``, and profile pages of well-known sites where the name is the last of the path.

    In code they stay: they name owners of repositories and authors, and imports contain them.
    """

    prose_only = True

    def __init__(self) -> None:
        super().__init__("url", [*anchors(PROFILES, inside=True), Anchor("/~")])

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The name."""
        if text[start:end] == "/~":
            match = _HANDLE.match(text, end)
            if match and _in_url(text, start):
                yield Found(end, match.end(), 0.5)
            return
        match = _PROFILE.match(text, end)
        if match and match[0].lower() not in _NO_PERSON and not _PLACEHOLDER.match(match[0]):
            yield Found(end, match.end() - (match[0][-1] == "."), 0.5)
