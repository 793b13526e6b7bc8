"""Reads word lists: one entry a line, UTF-8, blank lines and lines that begin with # left out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_BUILT_IN: Final = Path(__file__).parent / "words"


def read(path: str | Path) -> list[str]:
    """The entries of a list in lower case. Raises FileNotFoundError, or ValueError for a file that is not UTF-8."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the word list {path} is not UTF-8 text: {error}") from error
    entries = (line.strip().lower() for line in text.splitlines())
    return [entry for entry in entries if entry and not entry.startswith("#")]


def built_in(languages: Iterable[str]) -> list[str]:
    """The entries of the lists that come with the filters, for the given languages."""
    return [entry for language in languages for entry in read(_BUILT_IN / f"{language}.txt")]
