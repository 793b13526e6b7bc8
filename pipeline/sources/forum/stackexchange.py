"""Reads the dumps of Stack Exchange: one document a question with its answers, the best first.

A dump is a folder or a .7z archive a site; only its Posts.xml is read. The document reads ``Q:``, title and question,
then ``A:`` and an answer as often as there are answers (The Pile's form; EleutherAI/stackexchange-dataset).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, ClassVar, Literal

from pydantic import Field

from pipeline import pulse
from pipeline.files import open_read
from pipeline.sources.containers import sevenzip
from pipeline.sources.containers.unpacked import Unpacked, without_compression
from pipeline.sources.forum.post_html import post_text
from pipeline.sources.forum.posts import Row, Thread, threads
from pipeline.sources.source import FilePart, NotADocument, Record, Source, UnreadableRecord

_POSTS = re.compile(r"(?:^|[/_.-])posts\.xml$", re.IGNORECASE)
_SITE = re.compile(r"(?:^|/)((?:[a-z0-9-]{1,63}\.){1,4}(?:com|net|org|ru))(?=[/_.-]|$)", re.IGNORECASE)
_RATIO = 8
"""How many times its size a compressed table unpacks to, about."""
_BOMB = 200
"""A compressed table that unpacks to more than this many times its size is a bomb."""
_SMALL = 1 << 28

_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_TAG = re.compile(r"[^<>|]+")


class StackExchange(Source):
    """Questions with their answers. Metadata: `site`, `tags`, `score`, `answers`, `accepted` (yes or no), `licence`."""

    kind: Literal["stackexchange"] = "stackexchange"
    reads: ClassVar[str] = (
        "Posts.xml of a Stack Exchange dump, plain, as .gz, .bz2, .xz or .zst, or in the site's .7z or .zip archive"
    )

    site: str | None = Field(None, description="the site's host name; null: as the folder or archive is called")
    min_score: int | None = Field(None, description="a question with a lower score is removed (The Pile: 3)")
    min_answers: int = Field(1, ge=0, description="a question with fewer answers left is removed")
    min_answer_score: int | None = Field(None, description="an answer with a lower score is left out (The Pile: 3)")
    max_answers: int | None = Field(None, ge=0, description="answers kept of a question (The Pile: 3)")
    accepted_first: bool = Field(True, description="whether the accepted answer comes before those with a higher score")

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """One record a question, and one for every row that is no question and belongs to none.

        Offsets and lengths are those of the question's row in the unpacked Posts.xml; where an archive holds several,
        of all of them one behind the other. A part that does not begin the file yields nothing: the answers to a
        question may lie anywhere in it. Tables other than the posts are one record each, removed.
        """
        if part.start > 0:
            return
        pulse.rest()  # the answers are gathered before the first document is made, which takes as long as the file is
        with open_read(part.path) as raw:
            try:
                yield from self._file(raw, part, max_record_bytes)
            except (UnreadableRecord, zipfile.BadZipFile) as error:
                yield Record(0, part.size, failure=str(error))

    def _file(self, raw: IO[bytes], part: FilePart, limit: int) -> Iterator[Record]:
        base = 0
        for number, (name, size, stream) in enumerate(_tables(raw, part)):
            path = f"{part.name}/{name}" if name else without_compression(part.name)
            if not _POSTS.search(path):
                yield Record(base + number, 0, partial(_refuse, "stackexchange.other_table"), metadata={"table": path})
                continue
            site = self.site or _site_of(path)
            counted = _Counted(stream, max(_SMALL, _BOMB * part.size))
            for thread in threads(counted.read, size, limit):
                yield self._record(thread, site, base, limit)
            if not counted.passed:
                yield Record(base, 0, failure="the table is empty")
            base += counted.passed

    def _record(self, thread: Thread, site: str, base: int, limit: int) -> Record:
        row = thread.question
        record = Record(base + row.offset, row.length, failure=row.failure)
        if row.failure:
            return record
        question = _values(row)
        record.date = question.get("CreationDate", "")
        number = question["Id"]
        if thread.reason:
            record.metadata = {"post": number, "post_type": question.get("PostTypeId", "")}
            record.text = partial(_refuse, thread.reason)
        elif row.length + sum(answer.length for answer in thread.answers) > limit:
            record.failure = (
                f"question {number} with its answers has more than {limit} bytes, the largest record allowed"
            )
        else:
            record.text = partial(self._text, question, thread.answers, record)
        if site:
            record.metadata["site"] = site
            record.url = f"https://{site}/questions/{number}"
        return record

    def _text(self, question: dict[str, str], rows: list[Row], record: Record) -> str:
        score = _integer(question.get("Score", ""))
        tags = _TAG.findall(question.get("Tags", ""))
        record.metadata |= {"question": question["Id"], "score": str(score), "tags": ", ".join(tags)}
        if question.get("DeletionDate"):
            raise NotADocument("stackexchange.deleted")
        if self.min_score is not None and score < self.min_score:
            raise NotADocument("stackexchange.low_score")
        accepted = question.get("AcceptedAnswerId", "")
        answers = self._best([_values(row) for row in rows], accepted)
        posts = [question, *answers]
        record.metadata |= {
            "answers": str(len(answers)),
            "accepted": "yes" if any(answer["Id"] == accepted for answer in answers) else "no",
            "licence": ", ".join(sorted({_licence(post) for post in posts})),
        }
        if len(answers) < self.min_answers:
            raise NotADocument("stackexchange.no_answers" if not rows else "stackexchange.too_few_answers")
        title = " ".join(question.get("Title", "").split())
        parts = ["\n\n".join(one for one in ("Q:", title, post_text(question.get("Body", ""))) if one)]
        parts += [f"A:\n\n{post_text(answer.get('Body', ''))}" for answer in answers]
        return "\n\n".join(parts)

    def _best(self, answers: list[dict[str, str]], accepted: str) -> list[dict[str, str]]:
        """The answers that are kept, by score, the older before the younger where it is equal."""
        lowest = self.min_answer_score
        kept = [
            answer
            for answer in answers
            if not answer.get("DeletionDate") and (lowest is None or _integer(answer.get("Score", "")) >= lowest)
        ]
        kept.sort(
            key=lambda answer: (
                not (self.accepted_first and answer["Id"] == accepted),
                -_integer(answer.get("Score", "")),
                int(answer["Id"]),
            )
        )
        return kept[: self.max_answers]


def _tables(raw: IO[bytes], part: FilePart) -> Iterator[tuple[str, int, Any]]:
    """The files in a dump: the name inside an archive, about how many bytes there are, the stream of them.

    Raises UnreadableRecord, BadZipFile.
    """
    head = raw.read(6)
    raw.seek(0)
    if head == sevenzip.SIGNATURE:
        for entry in sevenzip.entries(raw):
            yield entry.name, entry.size, entry.stream
    elif head.startswith(b"PK"):
        with zipfile.ZipFile(raw) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as stream:
                        yield info.filename, info.file_size, stream
    else:
        unpacked = Unpacked(raw)
        yield "", part.size * (_RATIO if unpacked.compressed else 1), unpacked


class _Counted:
    """A stream that counts what is read of it. Raises UnreadableRecord for damage, and beyond ``limit`` bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.passed = 0

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise UnreadableRecord(f"damaged after {self.passed} unpacked bytes: {error}") from error
        self.passed += len(data)
        if self.passed > self._limit:
            raise UnreadableRecord(f"unpacks to more than {self._limit} bytes")
        return data


def _refuse(reason: str) -> str:
    raise NotADocument(reason)


def _site_of(path: str) -> str:
    """The host name in the path of a dump: ``coffee.stackexchange.com.7z``, ``stackoverflow.com-Posts.7z``."""
    found = _SITE.findall(path)
    return found[-1].lower() if found else ""


def _values(row: Row) -> dict[str, str]:
    """The attributes of a row, character references undone."""
    return {
        name.decode("utf-8", "replace"): _REFERENCE.sub(_character, value.decode("utf-8", "replace"))
        for name, value in row.attributes().items()
    }


def _character(reference: re.Match[str]) -> str:
    if reference[3]:
        return _NAMED[reference[3]]
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _integer(written: str) -> int:
    """A score; 0 where there is none."""
    digits = written.removeprefix("-")
    if not digits.isdecimal() or len(digits) > 18:
        return 0
    return -int(digits) if written.startswith("-") else int(digits)


def _licence(post: dict[str, str]) -> str:
    """The licence of a post as the dump says it; older dumps don't, there the date tells (stackoverflow.com/help/licensing)."""
    if post.get("ContentLicense"):
        return post["ContentLicense"]
    date = post.get("CreationDate", "")
    return "CC BY-SA " + ("2.5" if date < "2011-04-08" else "3.0" if date < "2018-05-02" else "4.0")
