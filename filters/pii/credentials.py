"""Secrets: keys and tokens by the rules of detect-secrets, newer ones by their published prefixes, assigned passwords.

Whatever has a prefix of its own (``AKIA``, ``ghp_``, ``eyJ``, ``-----BEGIN … PRIVATE KEY-----``) is found wherever it
stands. What has none must be assigned to a name that says so (``db_password = "…"``) and look drawn at random: a mix of
kinds of characters, for keys an entropy of ``MIN_ENTROPY`` bits a character.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    github_token,
    gitlab_token,
    openai,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    telegram_token,
)

from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor

MIN_ENTROPY: Final = 3.0
LONGEST: Final = 400

# Prefixes, and detect-secrets' expressions for what begins with them (its rules that have no prefix are not used).
_DETECTORS: Final = (
    (("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), aws.AWSKeyDetector.denylist[:1]),
    (("AccountKey=",), azure_storage_key.AzureStorageKeyDetector.denylist),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), github_token.GitHubTokenDetector.denylist),
    (("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "glcbt-"), gitlab_token.GitLabTokenDetector.denylist),
    (("sk-",), openai.OpenAIDetector.denylist),
    (("pypi-Ag",), pypi_token.PypiTokenDetector.denylist),
    (("SG.",), sendgrid.SendGridDetector.denylist),
    (("xox", "hooks.slack.com/"), slack.SlackDetector.denylist),
    (("sq0csp-",), square_oauth.SquareOAuthDetector.denylist),
    (("sk_live_", "rk_live_"), stripe.StripeDetector.denylist),
    ((":AA",), telegram_token.TelegramBotTokenDetector.denylist),
)
# Formats that their makers publish, as gitleaks has them.
_PREFIXED: Final = {
    "sk-": r"sk-(?:proj-|svcacct-|ant-(?:api|admin)[0-9]{2}-|or-v1-)?(?:(?=[\w-]*[0-9])[A-Za-z0-9][A-Za-z0-9_-]{11,200}"
    r"|[A-Za-z0-9]{32,200})(?![\w-])",
    "eyJ": r"eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}(?:\.[A-Za-z0-9_-]{10,2000})?",
    "AIza": r"AIza[0-9A-Za-z_-]{35}",
    "hf_": r"hf_[A-Za-z0-9]{30,40}",
    "github_pat_": r"github_pat_[0-9A-Za-z_]{60,90}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "dop_v1_": r"dop_v1_[a-f0-9]{64}",
    "shpat_": r"shpat_[a-fA-F0-9]{32}",
    "ya29.": r"ya29\.[0-9A-Za-z_-]{20,400}",
    "GOCSPX-": r"GOCSPX-[0-9A-Za-z_-]{28}",
    "AGE-SECRET-KEY-1": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "xapp-": r"xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{6,20}-[a-z0-9]{20,80}",
    "whsec_": r"whsec_[A-Za-z0-9+/=]{24,64}",
    "sk_test_": r"[sr]k_test_[0-9A-Za-z]{24,99}",
    "key-": r"key-[0-9a-f]{32}(?![0-9A-Za-z])",
    "glpat-": r"glpat-[0-9A-Za-z_-]{20}",
}
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<body>[^-]{1,16000}(?:-[^-]{1,200}){0,4}?)(?=-----END|\Z)"
)
_KEY_LINE: Final = re.compile(r"[A-Za-z0-9+/=]{16,}")
_ESCAPE: Final = re.compile(r"(?:\\[nr])+")

ASSIGNED_KEYS: Final = (
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "auth_key",
    "authkey",
)
ASSIGNED_WORDS: Final = (
    *("password", "passwd", "passphrase", "passwort", "contraseña", "contrasena", "motdepasse", "mot de passe"),
    *(
        "_pass",
        "dbpass",
        "db-pass",
        "userpass",
        "identified by",
        "credential",
        "private_key",
        "client_key",
        "secret_key",
    ),
    *(
        "密码",
        "口令",
        "db_key",
        "service_key",
        "account_key",
        "access-key",
        "encryption_key",
        "signing_key",
        "pwd",
        "pass",
    ),
)
_ASSIGNED: Final = re.compile(
    r"[\w-]{0,24}[\"'\]]{0,2}[ \t]{0,8}(?:=>|:=|[=:：])[ \t]{0,8}(?:[a-zA-Z]{0,2}(?P<quote>[\"'`])(?P<quoted>[^\"'`\s]{6,200})(?P=quote)"
    r"|(?P<bare>[^\s\"'`,;<>(){}\[\]&]{8,200})(?![(\[]))"
)
_IDENTIFIED: Final = re.compile(r"\s{1,4}(?P<quote>[\"'])(?P<quoted>[^\"'\s]{6,200})(?P=quote)")
_NO_SECRET: Final = re.compile(
    r"[<{(*]|\$[{(]|\$\w+$|%[s(d]|%\w+%$|\.{2,}|x{3,}|\*{2,}|your|my[-_]|change|example|sample|dummy|redacted|placeholder|todo|none|null|true|false"
    r"|os\.|env\b|process\.|self\.|this\.|config\.|settings\.|https?:|file:|/|\./|\w+\(|\w+\[|[a-z]+(?:\.[A-Za-z_]+)+$",
    re.IGNORECASE,
)
_HOLE: Final = re.compile(r"\$\{|\{\{|\{[\w.]*\}|%[sd(]|#\{|<%|\\\(")


class SecretRecognizer(Anchored):
    """Keys, tokens, bodies of private keys, and passwords that are assigned or written behind their name."""

    def __init__(self) -> None:
        known = [prefix for prefixes, _ in _DETECTORS for prefix in prefixes]
        words = (*known, *_PREFIXED, *ASSIGNED_KEYS, *ASSIGNED_WORDS)
        super().__init__("secret", [*(Anchor(word, inside=True) for word in dict.fromkeys(words)), _BEGIN])
        self._rules: dict[str, list[re.Pattern[str]]] = {}
        for prefixes, expressions in _DETECTORS:
            for prefix in prefixes:
                self._rules.setdefault(prefix.lower(), []).extend(expressions)
        for prefix, expression in _PREFIXED.items():
            self._rules.setdefault(prefix.lower(), []).append(re.compile(expression))

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The secret that the anchor begins, or that is assigned to the name it is in."""
        anchor = text[start:end].lower()
        if anchor == _BEGIN.word.lower():
            yield from _private_key(text, start)
        elif anchor in self._rules:
            if (
                start == 0
                or not (text[start - 1].isalnum() or (text[start - 1] in "_-" and anchor != ":aa"))
                or anchor == ":aa"
            ):
                for rule in self._rules[anchor]:
                    place = max(start - 10, 0) if anchor == ":aa" else start
                    match = rule.search(text, place, start + 4096)
                    if match and match.start() <= start and not match[0].endswith(anchor):
                        yield Found(match.start(), match.end(), 0.9)
                        return
        else:
            yield from _assigned(
                text, end, key=anchor in ASSIGNED_KEYS, form=_IDENTIFIED if anchor == "identified by" else _ASSIGNED
            )


_BEGIN: Final = Anchor("-----BEGIN ", inside=True)


def _private_key(text: str, start: int) -> Iterator[Found]:
    """The lines of base64 between BEGIN and END, one by one: what is around them may be quotes and plus signs."""
    block = _PRIVATE_KEY.match(text, start)
    if block is None:
        return
    body_start, body_end = block.span("body")
    place = body_start
    while match := _KEY_LINE.search(text, place, body_end):
        # In a string "…\nMII…" the n of the line break is part of what looks like base64.
        first = match.start() + (match[0][0] in "nr" and text[match.start() - 1] == "\\")
        yield Found(first, match.end(), 1.0)
        place = match.end()


def _assigned(text: str, end: int, *, key: bool, form: re.Pattern[str]) -> Iterator[Found]:
    match = form.match(text, end)
    if match is None:
        return
    group = "quoted" if match["quoted"] else "bare"
    value = match[group]
    if group == "bare":
        value = value.rstrip(".,:!?")
    if _NO_SECRET.match(value) or _HOLE.search(value):
        return
    if looks_random(value, key=key, quoted=group == "quoted"):
        yield Found(match.start(group), match.start(group) + len(value), 0.7)


def looks_random(value: str, *, key: bool, quoted: bool) -> bool:
    """Whether a value that is assigned to a password (or ``key``) is one: the less sure the place, the more it asks."""
    if "=" in value[:-2]:  # a row of assignments; base64 has its equals signs at the end
        return False
    kinds = sum(any(test(one) for one in value) for test in (str.islower, str.isupper, str.isdigit, _is_mark))
    digit, mark = any(map(str.isdigit, value)), any(map(_is_mark, value))
    if not quoted and sum(map(str.isdigit, value)) < 2:  # an expression, most likely
        return False
    if key:
        return len(value) >= 12 and digit and kinds >= 2 and entropy(value) >= MIN_ENTROPY
    if quoted:
        return (kinds >= 2 and (digit or mark)) or (kinds == 2 and len(value) >= 8 and mixed(value))
    return len(value) >= 8 and digit and kinds >= 2 and entropy(value) >= 2.5


def mixed(value: str) -> bool:
    """Whether capitals stand in the midst of small letters otherwise than in CamelCase."""
    return _UNNATURAL.search(value) is not None


_UNNATURAL = re.compile(r"[a-z][A-Z](?![a-z])|[A-Z]{2,}[a-z].*[A-Z]|(?i:[bcdfghjklmnpqrstvwxz]{6})")


def _is_mark(character: str) -> bool:
    return not character.isalnum() and character not in "_-."


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits a character (as detect-secrets and gitleaks measure it)."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())
