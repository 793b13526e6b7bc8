"""Reads source code: files in folders or in tar and zip archives of repositories, one document a file.

Files that nobody wrote or that are copies of another project's are removed with a reason: lock files, vendored and
built folders, minified and generated files. What the path alone tells is not even unpacked.
"""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pipeline.sources.archives import members
from pipeline.sources.languages import LANGUAGES, language_of, language_of_name
from pipeline.sources.source import FilePart, NotADocument, Record, Source


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_VENDORED_FOLDERS = _names(
    "node_modules bower_components jspm_packages vendor vendors vendored _vendor third_party third-party thirdparty "
    "3rdparty 3rd_party extern external externals site-packages dist-packages pods carthage godeps bundled "
    "dist build builds _build __pycache__ .venv venv .tox .eggs .git .svn .hg .gradle .idea .next .nuxt .yarn"
)
"""Folders of other projects' code and of build products; ``deps``, ``lib`` and ``target`` often hold sources."""

_LOCK_FILES = _names(
    "package-lock.json npm-shrinkwrap.json pnpm-lock.yaml go.sum gradle.lockfile package.resolved cartfile.resolved "
    "packages.lock.json project.assets.json bun.lockb"
)

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]")
_MAX_CONTROL_SHARE = 0.01

_MINIFIED_NAME = re.compile(r"[.-]min\.(js|mjs|cjs|css|html)$")
_MINIFIED_LANGUAGES = frozenset({"JavaScript", "CSS", "TypeScript"})
_MINIFIED_MEAN_LINE = 110
"""Mean characters a line above which Linguist holds scripts and style sheets to be minified (generated.rb)."""

_HEAD_LINES = 40
_COMMENT_LINE = re.compile(r"\s*(?://|/\*|\*|#|--|;|%|<!--|\(\*|\"\"\"|'''|\"|'|!|rem\b|@rem\b)", re.IGNORECASE)
_GENERATED = re.compile(
    r"""@generated\b
      | \bdo\ not\ (?:edit|modify)\b (?!\ this\ (?:line|block))
      | \b(?:auto(?:matically)?|machine)[ -]?generated\b
      | \bgenerated\ (?:by|from|with|using)\b
        (?=.{0,60}(?:[\w-]{1,40}\.\w|\d|tool|compiler|generator|protoc|swig|bison|lex|yacc|cython|thrift|antlr|openapi))""",
    re.IGNORECASE | re.VERBOSE,
)


class Code(Source):
    """Source files by repository. The language goes to the document's metadata as ``programming_language``."""

    kind: Literal["code"] = "code"
    reads: ClassVar[str] = "source files in folders, or in .tar (also .gz, .bz2, .xz, .zst) and .zip archives"
    default_chain: ClassVar[str] = "code"
    prose: ClassVar[bool] = False

    languages: tuple[str, ...] | None = Field(
        None, description="languages to keep, by Linguist's names (Python, C++, JavaScript); null: all that are known"
    )

    @field_validator("languages")
    @classmethod
    def _known(cls, languages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for language in languages or ():
            if language not in LANGUAGES:
                by_lower = {known.lower(): known for known in LANGUAGES}
                near = difflib.get_close_matches(language.lower(), sorted(by_lower), n=1)
                hint = f"; did you mean {by_lower[near[0]]!r}?" if near else ""
                raise ValueError(f"no language is called {language!r}{hint}")
        return languages

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a file."""
        for member in members(part, max_record_bytes, lambda path: not self._refused_by_path(path)):
            record = Record(member.offset, member.length, failure=member.failure)
            record.metadata = {"path": member.path}
            if member.data is not None:
                self._fill(record, member.path, member.data)
            elif not member.failure:
                record.text = partial(_refuse, self._refused_by_path(member.path))
            yield record

    def _refused_by_path(self, path: str) -> str:
        """Why a file with this path is no document; "" where its content has to be seen."""
        *folders, name = path.lower().split("/")
        if not _VENDORED_FOLDERS.isdisjoint(folders):
            return "code.vendored"
        if name in _LOCK_FILES or name.endswith(".lock"):
            return "code.lock_file"
        if _MINIFIED_NAME.search(name):
            return "code.minified"
        if "." in name.lstrip(".") and not language_of_name(path):
            return "code.unknown_language"  # only files without a suffix are asked for their first line
        return ""

    def _fill(self, record: Record, path: str, data: bytes) -> None:
        text = decode(data)
        if text is None:
            record.text = partial(_refuse, "code.binary")
            return
        language = language_of(path, text)
        if language:
            record.metadata["programming_language"] = language
        if not text.strip():
            reason = "code.empty"
        elif not language:
            reason = "code.unknown_language"
        elif self.languages is not None and language not in self.languages:
            reason = "code.other_language"
        elif language in _MINIFIED_LANGUAGES and _mean_line(text) > _MINIFIED_MEAN_LINE:
            reason = "code.minified"
        elif is_generated(text):
            reason = "code.generated"
        else:
            record.text = partial(str, text)
            return
        record.text = partial(_refuse, reason)


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def decode(data: bytes) -> str | None:
    r"""A source file's characters with line ends as ``\n``; None for a binary file.

    Tried in turn: a byte order mark, UTF-8, and the encoding that is detected. Any NUL byte outside UTF-16 is binary.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data:
        return None
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        from resiliparse.parse.encoding import detect_encoding

        detected = detect_encoding(data) if encoding == "utf-8-sig" else None
        try:
            text = data.decode(detected) if detected else ""
        except (LookupError, ValueError):
            return None
        if not text or _control_share(text) > _MAX_CONTROL_SHARE:
            return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _control_share(text: str) -> float:
    return len(_CONTROL.findall(text)) / len(text)


def _mean_line(text: str) -> float:
    return len(text) / (text.count("\n") + 1)


def is_generated(text: str) -> bool:
    """Whether a comment in the first 40 lines says that a program wrote the file (``@generated``, DO NOT EDIT, …)."""
    lines = text[:8000].split("\n")[:_HEAD_LINES]
    return any(_COMMENT_LINE.match(line) and _GENERATED.search(line) for line in lines)
