"""Reads source code: one document a file, from folders, archives, git bundles and bare repositories.

Files that nobody wrote or that are copies of another project's are removed with a reason; what the path alone tells is
not even unpacked. The licence of a file is what a line in it says, else that of the nearest folder above it that has one.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pipeline import files, pulse
from pipeline.sources.containers import archives
from pipeline.sources.containers.archives import Member
from pipeline.sources.repository import git
from pipeline.sources.repository.code_files import decode, refused_by_content, refused_by_path
from pipeline.sources.repository.languages import LANGUAGES, language_of, language_of_name
from pipeline.sources.repository.licences import allows, is_licence_file, licence_of_line, licence_of_text
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

_MAX_LICENCE = 1 << 20


class Code(Source):
    """Source files by repository.

    Metadata: `path`, `programming_language` (by Linguist's names), `licence` (SPDX) and `licence_file`.
    """

    kind: Literal["code"] = "code"
    reads: ClassVar[str] = (
        "source files in folders, in .tar (also .gz, .bz2, .xz, .zst) and .zip archives, and of one commit of git bundles "
        "(.bundle) and bare repositories"
    )
    default_chain: ClassVar[str] = "code"
    prose: ClassVar[bool] = False

    languages: tuple[str, ...] | None = Field(
        None, description="languages to keep, by Linguist's names (Python, C++, JavaScript); null: all that are known"
    )
    licences: tuple[str, ...] | None = Field(
        None, description="SPDX identifiers of the licences to keep (MIT, Apache-2.0); null: all, known or not"
    )
    keep: tuple[Literal["vendored", "generated", "minified"], ...] = Field(
        (), description="files that are kept although nobody wrote them for the project"
    )
    reference: str = Field(
        "HEAD", description="what is read of a git repository: HEAD, a branch, a tag or a commit's number"
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
        """One record a file. Of a bare repository the file HEAD gives all records, its other files none.

        Archives and repositories are walked twice: the licence of a file may lie behind it.
        """
        if part.start > 0 or (not git.is_head_of_repository(part) and git.is_in_repository(part)):
            return
        try:
            walk, licences = self._opened(part, max_record_bytes)
            for member in walk(lambda path: not self._refused(path)):
                yield self._record(member, licences)
        except UnreadableRecord as error:
            yield Record(0, part.size, failure=str(error))

    def _opened(
        self, part: FilePart, limit: int
    ) -> tuple[Callable[[Callable[[str], bool]], Iterator[Member]], _Licences]:
        """What walks the files, and the licences of their folders."""
        if git.is_bundle(part.path) or git.is_head_of_repository(part):
            pulse.rest()  # a pack is indexed before the first file can be read
            walk = partial(git.members, part, self.reference, limit)
        elif archives.is_archive(part.name):
            walk = partial(archives.members, part, limit)
        else:
            return partial(archives.members, part, limit), _Beside(part)
        return walk, _Inside(walk(_is_licence_path))

    def _refused(self, path: str) -> str:
        """Why a file with this path is no document; "" where its content has to be seen."""
        reason = refused_by_path(path)
        if reason.removeprefix("code.") in self.keep:
            reason = ""
        name = path.rpartition("/")[2]
        if not reason and "." in name.lstrip(".") and not language_of_name(path):
            return "code.unknown_language"  # only files without a suffix are asked for their first line
        return reason

    def _record(self, member: Member, licences: _Licences) -> Record:
        record = Record(member.offset, member.length, failure=member.failure)
        record.metadata = {"path": member.path}
        if member.failure:
            return record
        if member.data is None:
            record.text = partial(_refuse, self._refused(member.path))
            return record
        text = decode(member.data)
        if text is None:
            record.text = partial(_refuse, "code.binary")
            return record
        if language := language_of(member.path, text):
            record.metadata["programming_language"] = language
        licence, licence_file = licence_of_line(text), ""
        if not licence:
            licence, licence_file = licences.of(member.path)
        if licence:
            record.metadata["licence"] = licence
        if licence_file:
            record.metadata["licence_file"] = licence_file
        reason = self._reason(text, language, licence)
        record.text = partial(_refuse, reason) if reason else partial(str, text)
        return record

    def _reason(self, text: str, language: str, licence: str) -> str:
        """Why a file is no document; "" where it is one."""
        if not text.strip():
            return "code.empty"
        if not language:
            return "code.unknown_language"
        if self.languages is not None and language not in self.languages:
            return "code.other_language"
        reason = refused_by_content(text, language)
        if reason and reason.removeprefix("code.") not in self.keep:
            return reason
        if self.licences is not None and not licence:
            return "code.no_licence"
        if self.licences is not None and not allows(licence, frozenset(self.licences)):
            return "code.other_licence"
        return ""


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def _is_licence_path(path: str) -> bool:
    return is_licence_file(path.rpartition("/")[2])


class _Licences:
    """The licences of folders."""

    def of(self, path: str) -> tuple[str, str]:
        """The licence that holds for a file, and the file that says so; "" twice where none does."""
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if found := self._in(folder):
                return found
        return "", ""

    def _in(self, folder: str) -> tuple[str, str] | None:
        raise NotImplementedError


class _Inside(_Licences):
    """Those in an archive or repository."""

    def __init__(self, members: Iterator[Member]) -> None:
        texts: dict[str, list[tuple[str, bytes]]] = {}
        for member in members:
            if member.data is not None:
                folder, _, name = member.path.rpartition("/")
                texts.setdefault(folder, []).append((name, member.data[:_MAX_LICENCE]))
        self._found = {folder: found for folder, one in texts.items() if (found := _named(folder, one))}

    def _in(self, folder: str) -> tuple[str, str] | None:
        return self._found.get(folder)


class _Beside(_Licences):
    """Those beside and above a loose file, up to the source's folder."""

    def __init__(self, part: FilePart) -> None:
        known = part.path.endswith(part.name)  # names with bytes that are no UTF-8 are spelled in another way
        self._top = part.path.removesuffix(part.name) if known else None

    def _in(self, folder: str) -> tuple[str, str] | None:
        if self._top is None:
            return None
        return _beside(f"{self._top}{folder}/" if folder else self._top, folder)


@functools.lru_cache(maxsize=4096)
def _beside(path: str, folder: str) -> tuple[str, str] | None:
    texts = []
    for one in files.find(f"{path}*"):
        name = one.path.rpartition("/")[2]
        if is_licence_file(name):
            with files.open_read(one.path) as stream:
                texts.append((name, stream.read(_MAX_LICENCE)))
    return _named(folder, texts)


def _named(folder: str, texts: list[tuple[str, bytes]]) -> tuple[str, str] | None:
    """The licence of a folder with these licence files; several mean that one may choose."""
    found: dict[str, str] = {}
    for name, data in sorted(texts):
        licence = licence_of_text(decode(data) or "")
        if licence:
            found.setdefault(licence, f"{folder}/{name}" if folder else name)
    if not found:
        return None
    return " OR ".join(sorted(found)), ", ".join(found[licence] for licence in sorted(found))
