"""A small sample of good documents, written for this purpose: what no rule should remove altogether.

Prose in several languages and source code in several programming languages, each in a file beside this module whose name says
what it is: ``de-1.txt`` is German, ``python.code`` Python. A recipe's rules are tried on them before a run.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from filters.document import Document, Origin

_FOLDER: Final = Path(__file__).parent
_PROGRAMMING_LANGUAGES: Final = {"python.code": "Python", "javascript.code": "JavaScript", "c.code": "C"}


def prose() -> list[Document]:
    """The documents of prose, new ones at every call."""
    return [_document(name, text, {}) for name, text in _texts() if name.endswith(".txt")]


def code() -> list[Document]:
    """The source files, with their programming language; new documents at every call."""
    return [
        _document(name, text, {"programming_language": _PROGRAMMING_LANGUAGES[name]})
        for name, text in _texts()
        if name in _PROGRAMMING_LANGUAGES
    ]


def long() -> Document:
    """All prose as one document: what a rule that asks for more than the others have should still let pass."""
    return _document("long", "\n\n".join(text for name, text in _texts() if name.endswith(".txt")), {})


@functools.cache
def _texts() -> tuple[tuple[str, str], ...]:
    """Name and text of every file, by name."""
    paths = sorted(path for path in _FOLDER.iterdir() if path.suffix in (".txt", ".code"))
    return tuple((path.name, path.read_text(encoding="utf-8").strip()) for path in paths)


def _document(name: str, text: str, metadata: dict[str, str]) -> Document:
    origin = Origin(name, 0, len(text))
    return Document(name, text, "sample", origin, url=f"https://example.org/{name}", metadata=dict(metadata))
