"""A paper's files: which of them is the paper, and its text with the others put where it asks for them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from pipeline.sources.latex.source_text import without_comments
from pipeline.sources.source import UnreadableRecord

_ROOT = re.compile(r"\\document(?:class|style)(?![A-Za-z])")
_BODY = re.compile(r"\\begin\s{0,3}\{document\}")
_PLAIN_END = re.compile(
    r"\\(?:bye|magnification|nopagenumbers|centerline)(?![A-Za-z])|\\end\s*$|\\input\s+(?:amstex|harvmac|lanlmac|phyzzx|jnl)"
)
_INPUT = re.compile(
    r"\\(?:input|include|subfile|subfileinclude)(?![A-Za-z])\s*(?:\{\s*\"?(?P<braced>[^{}\"\n]{1,200}?)\"?\s*\}|(?P<bare>[^\s\\{}%\"]{1,200}))"
    r"|\\(?:sub)?import\*?\s*\{(?P<folder>[^{}\n]{0,200})\}\s*\{(?P<imported>[^{}\n]{1,200})\}"
)
_DEEPEST = 16

Load = Callable[[str], str | None]
"""Gives a file's text by its path in the paper, decoded, or None where there is none."""


def is_root(text: str) -> bool:
    """Whether a file (without comments) is a whole LaTeX document or the beginning of one."""
    return _ROOT.search(text) is not None


def has_body(text: str) -> bool:
    r"""Whether the document's own ``\begin{document}`` is here."""
    return _BODY.search(text) is not None


def is_plain(text: str) -> bool:
    """Whether a file looks like a document in plain TeX."""
    return _PLAIN_END.search(text) is not None


def inputs(text: str, path: str) -> list[str]:
    """The paths of the files that a file asks for, without looking whether they exist."""
    return [candidate for match in _INPUT.finditer(text) for candidate in _candidates(match, path)]


def inlined(path: str, load: Load, lifted: list[str], max_chars: int) -> str:
    """The file's text without comments, every file that it asks for put in its place.

    Files that are not there leave nothing, a file does not include itself, and no path leads out of the paper.
    Raises UnreadableRecord where the whole has more than ``max_chars`` characters.
    """
    room = max_chars

    def whole(path: str, above: tuple[str, ...]) -> str | None:
        nonlocal room
        if path in above or len(above) > _DEEPEST:
            return ""
        written = load(path)
        if written is None:
            return None
        room -= len(written)
        if room < 0:
            raise UnreadableRecord(f"the paper has more than {max_chars} characters once its files are put together")
        text = without_comments(written, lifted)

        def put(match: re.Match[str]) -> str:
            for candidate in _candidates(match, path):
                if (found := whole(candidate, (*above, path))) is not None:
                    return f"\n{found}\n" if "include" in match[0][:9] else found
            return ""

        return _INPUT.sub(put, text)

    text = whole(path, ()) or ""
    labels = load(posixpath.splitext(path)[0] + ".bbl")  # the bibliography that BibTeX made names who is cited
    return text if labels is None or "thebibliography" in text else f"{text}\n{without_comments(labels, lifted)}"


def _candidates(match: re.Match[str], path: str) -> list[str]:
    """Where the file may be that a command names: below the paper's top folder or beside the file that asks."""
    name = match["braced"] or match["bare"] or posixpath.join(match["folder"] or "", match["imported"] or "")
    found: list[str] = []
    for folder in dict.fromkeys((posixpath.dirname(path), "")):
        for ending in ("", ".tex"):
            joined = posixpath.normpath(posixpath.join(folder, name.strip() + ending))
            if not joined.startswith(("/", "..")) and joined.lower().endswith(
                (".tex", ".ltx", ".latex", ".txt", ".inc")
            ):
                found.append(joined)
    return list(dict.fromkeys(found))
