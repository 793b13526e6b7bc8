"""What is written in place of personal data: placeholders, keyed pseudonyms, and in code what the code still runs with.

What is written depends on the value, the entity and the recipe alone: never on neighbours or on the order of things.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from filters.pii.matches import Match
from filters.pii.settings import PiiSettings

LETTERS: Final = "bcdfghjklmnpqrstvwxz"
"""Twenty consonants: pseudonyms spell no words, hold no digits, and are found by no recognizer."""
PSEUDONYM_LETTERS: Final = 12
"""log2(20) * 12 = 52 bits: a million values share one with a chance of one in ten thousand."""

LONGEST_LINE: Final = 2000
"""Characters of a line that are looked at; minified code has lines of a megabyte."""

_COMMENTS: Final = {
    "#": "Python Ruby Shell Perl R YAML TOML Makefile Dockerfile Julia Elixir CMake Nix PowerShell Tcl Awk Crystal Nim",
    "--": "SQL Lua Haskell Ada Elm VHDL AppleScript PLSQL PLpgSQL",
    "%": "TeX MATLAB Erlang Prolog PostScript",
    ";": "Lisp Clojure Scheme Racket Assembly INI Emacs",
}
_LINE_COMMENT: Final = {name: mark for mark, names in _COMMENTS.items() for name in names.split()}
_NUMBER = re.compile(r"[0-9][0-9_]*")


def replacement(text: str, match: Match, settings: PiiSettings, code: str) -> str:
    """What is written for a match; ``code`` is the programming language, empty for prose."""
    value = text[match.start : match.end]
    marker = ""
    if settings.actions.get(match.entity) == "pseudonym":
        marker = pseudonym(value, match.entity, settings.key)
    if code:
        if _NUMBER.fullmatch(value) and not in_string_or_comment(text, match.start, code):
            return "0"
        written = settings.placeholders[match.entity]
        if written == f"<{match.entity.upper()}>":  # <…> is a tag in markup and an operator outside strings
            written = f"REDACTED_{match.entity.upper()}"
        return f"{written}_{marker}" if marker else written
    written = settings.placeholders[match.entity]
    if not marker:
        return written
    return f"{written[:-1]}-{marker}>" if written.endswith(">") else f"{written}-{marker}"


def pseudonym(value: str, entity: str, key: str) -> str:
    """Letters that follow from the value and the key (BLAKE2b), the same whatever its case and spacing."""
    plain = (
        re.sub(r"[\s().-]+", "", value).casefold() if entity in ("phone", "iban", "credit_card") else value.casefold()
    )
    digest = hashlib.blake2b(
        f"{entity}\0{plain}".encode("utf-8", "surrogatepass"), key=hashlib.sha256(key.encode()).digest()
    )
    number = int.from_bytes(digest.digest()[:16])
    return "".join(LETTERS[number // 20**place % 20] for place in range(PSEUDONYM_LETTERS))


def in_string_or_comment(text: str, place: int, code: str) -> bool:
    """Whether a place in code is inside a string literal or a comment, judged by its line (and ``/* */`` before it)."""
    start = max(text.rfind("\n", 0, place) + 1, place - LONGEST_LINE)
    mark = _LINE_COMMENT.get(code, "//")
    quote, at = "", start
    while at < place:
        character = text[at]
        if character == "\\" and quote:
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif text.startswith(mark, at):
            return True
        at += 1
    far = max(place - 50 * LONGEST_LINE, 0)
    in_block = mark == "//" and text.rfind("/*", far, place) > text.rfind("*/", far, place)
    return bool(quote) or in_block
