"""CommonCrawl by name: the files of a dump, found in its list of paths, read from its web server or from a copy."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from pipeline import files, http_files
from pipeline.files import Found
from pipeline.sources.containers.unpacked import open_unpacked
from pipeline.sources.crawl.warc import Warc, Wet
from pipeline.sources.source import FilePart, Record, UnreadableRecord

_SELECTION = re.compile(r"(\d{1,9})(?:-(\d{1,9})?)?")
_PATH = re.compile(r"crawl-data/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+[A-Za-z0-9_-][A-Za-z0-9._-]*")
_MAX_LIST = 256 << 20
"""Unpacked bytes of a list of paths; a dump of 90,000 files has 12 MB."""


def _written(value: Any) -> Any:
    """A selection of files as a list of its parts, from ``3``, ``0-9``, ``0-9, 17`` or a list of these."""
    parts = value if isinstance(value, list | tuple) else [value]
    return tuple(one.strip() for part in parts for one in (part.split(",") if isinstance(part, str) else [_text(part)]))


def _text(part: Any) -> str:
    return str(part) if isinstance(part, int) and not isinstance(part, bool) else f"{part!r}"


class CommonCrawl(Warc):
    """Files of a CommonCrawl dump by their numbers in its list of paths.

    The list is ``crawl-data/DUMP/warc.paths.gz`` (or ``wet.paths.gz``) below ``base``; its first file has number 0. A
    document is named after the file's path in the list, so that it has the same id from whatever copy it is read.
    """

    kind: Literal["commoncrawl"] = "commoncrawl"  # type: ignore[assignment]
    paths: tuple[str, ...] = Field((), max_length=0, description="none: `dump` and `files` say what is read")
    dump: str = Field(
        pattern=r"^CC-[A-Z]+(-[0-9]+)*(/[0-9]+)*$", description="for example `CC-MAIN-2025-05` or `CC-NEWS/2025/01`"
    )
    files: Annotated[tuple[str, ...], BeforeValidator(_written)] = Field(
        min_length=1, description="numbers of files in the dump's list: `7`, `0-9`, `0-9, 17`, or `0-` for all"
    )
    what: Literal["warc", "wet"] = Field(
        "warc", description="`warc`: pages; `wet`: the text that CommonCrawl extracted"
    )
    base: str = Field(
        "https://data.commoncrawl.org/",
        description="where the dumps lie: `https://data.commoncrawl.org/`, `s3://commoncrawl/`, or the folder of a copy",
    )

    reads: ClassVar[str] = "files of a CommonCrawl dump, over https, from s3:// or from a copy"

    @field_validator("files")
    @classmethod
    def _are_numbers(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        for one in written:
            found = _SELECTION.fullmatch(one)
            if found is None or (found[2] and int(found[2]) < int(found[1])):
                raise ValueError(f"{one!r:.40} selects no files; write for example 0-9, or 0-9, 17")
        return written

    def find(self) -> list[Found]:
        """The selected files, each asked for its size. Raises OSError where the list or a file is not there."""
        urls = [files.join(self.folder(), path) for path in self._selected()]
        with ThreadPoolExecutor(http_files.AT_ONCE) as pool:  # a dump has many files, and an answer takes its time
            return list(pool.map(_file, urls))

    def folder(self) -> str:
        """The folder that the paths in the list start from."""
        return self.base.rstrip("/") or "/"

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """The records as a ``warc`` or a ``wet`` source has them."""
        if self.what == "wet":
            return Wet(name=self.name, paths=(part.path,), filters=None).read(part, max_record_bytes)
        return super().read(part, max_record_bytes)

    def _selected(self) -> Sequence[str]:
        """The paths of the selected files, in the order of the list, each once. Raises OSError."""
        url = files.join(self.folder(), "crawl-data", self.dump, f"{self.what}.paths.gz")
        listed = _list(url)
        numbers: set[int] = set()
        for one in self.files:
            first, dash, last = one.partition("-")
            stop = int(last) + 1 if last else len(listed) if dash else int(first) + 1
            if int(first) >= len(listed) or stop > len(listed):
                raise OSError(f"{url} lists {len(listed)} files, 0 to {len(listed) - 1}; there is no {one}")
            numbers.update(range(int(first), stop))
        return [listed[number] for number in sorted(numbers)]


@functools.lru_cache(maxsize=8)
def _list(url: str) -> tuple[str, ...]:
    """The paths in a dump's list. Raises OSError, also for what is no such list."""
    try:
        with open_unpacked(url) as stream:
            written = bytearray()
            while len(written) <= _MAX_LIST and (piece := stream.read(1 << 20)):
                written += piece
    except FileNotFoundError as error:
        raise OSError(
            f"{url} is not there: no such dump, or none with these files (https://commoncrawl.org/get-started)"
        ) from error
    except UnreadableRecord as error:
        raise OSError(f"{url}: {error}") from error
    paths = tuple(written.decode("utf-8", "replace").split())
    wrong = next((path for path in paths if not _PATH.fullmatch(path)), None)
    if wrong is not None or not paths or len(written) > _MAX_LIST:
        raise OSError(f"{url} is no list of a dump's files: it holds {wrong or 'none'!r:.100}")
    return paths


@functools.lru_cache(maxsize=1 << 17)
def _file(path: str) -> Found:
    """Size and time of a file that a list names. Raises OSError."""
    found = files.find(path)
    if not found:
        raise OSError(f"{path}: the dump's list names this file, but it is not there")
    return found[0]
