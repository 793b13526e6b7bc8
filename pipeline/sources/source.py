"""What a source is: the settings a recipe gives it, the files it reads, and the records it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from pipeline import files
from pipeline.files import Found


class NotADocument(Exception):  # noqa: N818 - not an error: an outcome
    """Raised while a record's text is made: the record was read well, but it is no document (a redirect, an image).

    ``reason`` becomes the fate of the record, for example ``http.status``; ``language`` and texts are not kept.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadableRecord(Exception):  # noqa: N818
    """Raised or yielded where a record can't be read; the message says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes ``start`` to ``stop`` of one file. ``stop`` equals ``size`` where the part reaches the end.

    A part owns the records that *begin* inside it. ``name`` is the path relative to the source's folder; it and not the
    path goes into ids and outputs.
    """

    path: str
    name: str
    start: int
    stop: int
    size: int

    @property
    def whole(self) -> bool:
        """Whether the part is the whole file."""
        return self.start == 0 and self.stop == self.size


@dataclass(slots=True)
class Record:
    """One thing read from a file, not yet a document.

    ``text`` makes the text when it is called (HTML extraction, wikitext parsing): the pipeline calls it inside its guards
    and counts what it raises: ``NotADocument`` removes the record with a reason, any other exception is a failure with its
    cause. A record that could not even be read carries its error in ``failure`` instead.
    ``offset`` and ``length`` are bytes in the file: of the compressed member where members are entered one by one, else of
    the unpacked stream.
    """

    offset: int
    length: int
    text: Callable[[], str] | None = None
    url: str = ""
    date: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    failure: str = ""


class Source(BaseModel):
    """The base of every kind of source. Fields are what a recipe may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="names the folder of its outputs")
    paths: tuple[str, ...] = Field(
        min_length=1, description="files or patterns (**, *, ?); local, gs://, s3://, hdfs://; single files by https://"
    )
    filters: str | None = Field(None, description="the filter chain its documents go through; null: none")

    reads: ClassVar[str]
    """One line for the docs: what files it takes."""
    default_chain: ClassVar[str] = "reference"
    """The filter chain of its documents where the recipe names none: web, reference or code."""
    prose: ClassVar[bool] = True
    """Whether its documents have sentences; from others no sentence spans are cut."""

    def find(self) -> list[Found]:
        """Its files, each once. Raises OSError where a folder can't be listed or a server doesn't answer."""
        return list({file.path: file for pattern in self.paths for file in files.find(pattern)}.values())

    def folder(self) -> str | None:
        """The folder that its files are named by, where that is not the deepest one that all its paths share."""
        return None

    def can_enter(self, path: str) -> bool:
        """Whether a file with this name can be entered at any byte, so that it may be cut into several parts."""
        return False

    def reads_besides(self) -> tuple[str, ...]:
        """Paths or patterns of further files that the output depends on: they are part of the run's input."""
        return ()

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        """The records that begin in this part, in file order, each exactly once whatever the parts are.

        Damage is yielded as a ``Record`` with ``failure`` set, and reading goes on at the next record that can be found. It
        never holds more than one record and ``max_record_bytes`` of unpacked data; a larger record is a failure too.
        It must neither raise for bad data nor loop for ever. Raises OSError when the file itself can't be opened.
        """
        raise NotImplementedError
