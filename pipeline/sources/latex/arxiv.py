"""Reads the TeX sources of papers, as arXiv publishes them in bulk or loose: one document a paper, as prose.

A paper is a nested archive (``2101/2101.00001.gz`` in a bulk tar: a .tar.gz of its files, or its one file), or the files
of one folder of a plain archive, or one loose .tex file with its neighbours.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal

from pipeline.files import open_read
from pipeline.http_files import Unreachable
from pipeline.sources.containers.archives import Member, members, packed_members
from pipeline.sources.latex import project
from pipeline.sources.latex.prose import to_paper
from pipeline.sources.latex.source_text import decode, without_comments
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

_TEX = re.compile(r"\.(tex|ltx|latex|txt|inc|bbl)$", re.IGNORECASE)
_NESTED = re.compile(r"\.(gz|tgz)$", re.IGNORECASE)
_NO_SOURCE = re.compile(r"\.(pdf|ps|eps|html?|docx)$", re.IGNORECASE)
_IDENTIFIER = re.compile(
    r"(?:^|/)(?:(?P<new>\d{4}\.\d{4,5})|(?P<archive>[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?)/?(?P<old>\d{7}))(?P<version>v\d{1,2})?(?=[./]|$)"
)
_ONE_FILE = "paper.tex"
"""What the file of a paper is called that came as one file without a name."""


@dataclass(slots=True)
class _Files:
    """The TeX files of one paper or one plain archive, by path, and where each is."""

    room: int
    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Take a file. Raises UnreadableRecord when all of them together are too large."""
        if member.data is None:
            return
        self.room -= len(member.data)
        if self.room < 0:
            raise UnreadableRecord("its TeX files together are larger than the largest record allowed")
        path = posixpath.normpath(member.path)
        self.texts[path] = decode(member.data)
        self.places[path] = member.offset, member.length

    def load(self, path: str) -> str | None:
        return self.texts.get(path)


class Arxiv(Source):
    """Papers in TeX. PDFs without source, files that no paper asks for and drafts beside it are removed with a reason."""

    kind: Literal["arxiv"] = "arxiv"
    reads: ClassVar[str] = (
        "TeX sources of papers: arXiv's bulk .tar files, a paper's .tar.gz, .gz or .zip, or loose .tex files"
    )

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a paper; files that belong to none are records too."""
        files = _Files(max_record_bytes)
        loose = False
        try:
            for member in members(part, max_record_bytes, _is_wanted):
                if member.failure:
                    yield Record(member.offset, member.length, metadata=_named(member, part), failure=member.failure)
                elif member.data is None:
                    if _NO_SOURCE.search(member.path):
                        yield _removed(member, part, "arxiv.no_source")
                elif nested := _nested(member):
                    yield _nested_paper(member, nested, part, max_record_bytes)
                else:
                    files.add(member)
                    loose = member.path == part.name
        except UnreadableRecord as error:
            yield Record(0, part.size, metadata={"path": part.name}, failure=str(error))
            return
        yield from _loose_paper(files, part, max_record_bytes) if loose else _papers(files, part, max_record_bytes)


def _is_wanted(path: str) -> bool:
    # The name of a loose .gz comes without its ending: then the paper's number is all that is left of it.
    return bool(_TEX.search(path) or _NESTED.search(path) or _IDENTIFIER.search(posixpath.basename(path))) and not (
        _NO_SOURCE.search(path)
    )


def _nested(member: Member) -> bytes | None:
    """The bytes of a paper that is packed inside the archive, or alone in a compressed file; None for a plain file."""
    packed = _NESTED.search(member.path) is not None or not _TEX.search(member.path)
    return member.data if packed else None


def _named(member: Member, part: FilePart) -> dict[str, str]:
    metadata = {"path": member.path or part.name}
    if found := _IDENTIFIER.search(member.path) or _IDENTIFIER.search(part.name):
        number = found["new"] or f"{found['archive']}/{found['old']}"
        metadata["arxiv_id"] = number + (found["version"] or "")
    return metadata


def _removed(member: Member, part: FilePart, reason: str) -> Record:
    return Record(member.offset, member.length, partial(_refuse, reason), metadata=_named(member, part))


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def _nested_paper(member: Member, data: bytes, part: FilePart, limit: int) -> Record:
    """The record of a paper that is one member of an archive."""
    record = Record(member.offset, member.length, metadata=_named(member, part))
    files = _Files(limit)
    only_other = False
    try:
        for inner in packed_members(data, _ONE_FILE, limit, lambda path: _TEX.search(path) is not None):
            if inner.failure:
                raise UnreadableRecord(inner.failure)
            if inner.path == _ONE_FILE and inner.data is not None and inner.data.startswith((b"%PDF", b"%!PS", b"<")):
                only_other = True
            else:
                files.add(inner)
    except UnreadableRecord as error:
        record.failure = str(error)
        return record
    main = max(_mains(files, limit).values(), default=None)
    if only_other or main is None:
        record.text = partial(_refuse, "arxiv.no_source" if only_other else "arxiv.no_document")
    else:
        _fill(record, main[1], files, limit)
    return record


def _papers(files: _Files, part: FilePart, limit: int) -> Iterator[Record]:
    """The papers of a plain archive: the largest document of each folder. Its other documents are drafts of it."""
    mains = _mains(files, limit)
    chosen = {path for _, path in mains.values()}
    included = {
        asked for path, text in files.texts.items() for asked in project.inputs(without_comments(text, []), path)
    }
    for path in sorted(files.texts, key=files.places.__getitem__):
        member = Member(path, *files.places[path])
        if path in chosen:
            record = Record(member.offset, member.length, metadata=_named(member, part))
            _fill(record, path, files, limit)
            yield record
        elif path not in included and not path.endswith(".bbl"):
            root = project.is_root(without_comments(files.texts[path], []))
            yield _removed(member, part, "arxiv.not_main" if root else "arxiv.not_included")


def _mains(files: _Files, limit: int) -> dict[str, tuple[int, str]]:
    """The size and path of the largest document of each folder that has one; plain TeX counts where there is no LaTeX."""
    bare = {path: without_comments(text, []) for path, text in files.texts.items()}
    asked = {inner for path, text in bare.items() for inner in project.inputs(text, path) if inner != path}
    roots = [path for path, text in bare.items() if project.is_root(text)]
    if not roots:
        roots = [path for path, text in bare.items() if project.is_plain(text) and path not in asked]
    if not roots and len(bare) == 1:
        roots = list(bare)
    found: dict[str, tuple[int, str]] = {}
    for path in sorted(roots):
        try:
            size = len(project.inlined(path, files.load, [], limit))
        except UnreadableRecord:
            size = limit + 1
        folder = posixpath.dirname(path)
        if size > found.get(folder, (0, ""))[0]:
            found[folder] = size, path
    return found


def _loose_paper(files: _Files, part: FilePart, limit: int) -> Iterator[Record]:
    """The paper of one loose file, with those of its neighbours that it asks for."""
    (path,) = files.texts
    record = Record(0, part.size, metadata=_named(Member(part.name, 0, part.size), part))
    bare = without_comments(files.texts[path], [])
    if not (project.is_root(bare) or project.is_plain(bare)):
        record.text = partial(_refuse, "arxiv.not_included")
        yield record
        return
    here = posixpath.dirname(part.path)
    top = posixpath.dirname(path)

    def load(asked: str) -> str | None:
        if asked == path:
            return files.texts[path]
        inside = posixpath.relpath(asked, top) if top else asked
        if inside.startswith(".."):
            return None
        try:
            with open_read(posixpath.join(here, inside)) as stream:
                return decode(stream.read(limit))
        except Unreachable:
            raise
        except OSError:
            return None

    _fill(record, path, files, limit, load)
    yield record


def _fill(record: Record, path: str, files: _Files, limit: int, load: project.Load | None = None) -> None:
    """Give the record its text, title and authors."""
    lifted: list[str] = []
    try:
        source = project.inlined(path, load or files.load, lifted, limit)
    except UnreadableRecord as error:
        record.failure = str(error)
        return
    if number := record.metadata.get("arxiv_id"):
        record.url = f"https://arxiv.org/abs/{number}"
    record.text = partial(_text, source, lifted, limit, record.metadata)


def _text(source: str, lifted: list[str], limit: int, metadata: dict[str, str]) -> str:
    """The paper's prose; its title and authors go into ``metadata``. Raises NotADocument for a paper without text."""
    paper = to_paper(source, lifted, limit)
    if not paper.text:
        raise NotADocument("arxiv.empty")
    metadata.update({name: value for name, value in (("title", paper.title), ("authors", paper.authors)) if value})
    return paper.text
