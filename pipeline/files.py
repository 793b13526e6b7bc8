"""Opening, finding and replacing files, local or in object stores, through Beam's FileSystems."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]+://")
_BLOCK = 1 << 20

UNFINISHED = ".part"
"""How the names of files end while they are being written."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a pattern matched: its path, its size in bytes, and when it was last changed (seconds, 0: unknown)."""

    path: str
    size: int
    changed: float


def is_remote(path: str) -> bool:
    """Whether the path names an object store or HDFS rather than a local file."""
    return _REMOTE.match(path) is not None


def _filesystems() -> Any:
    # Beam takes seconds to import; commands that touch local files only should not wait for it.
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def join(folder: str, *parts: str) -> str:
    """Join path parts with a slash, on any file system."""
    return "/".join([folder.rstrip("/"), *parts]) if folder != "/" else "/" + "/".join(parts)


def open_read(path: str, start: int = 0) -> IO[bytes]:
    """Open for reading bytes from ``start`` on, without decompression. Raises OSError."""
    if is_remote(path):
        from apache_beam.io.filesystem import CompressionTypes

        stream: IO[bytes] = _filesystems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        if start:
            stream.seek(start)
        return stream
    local = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    local.seek(start)
    return local


def find(pattern: str) -> list[Found]:
    """The files that a pattern matches, sorted by path; ``**`` spans folders. A folder stands for the files below it."""
    if is_remote(pattern):
        filesystems = _filesystems()
        (result,) = filesystems.match([pattern])
        return sorted(
            (Found(m.path, m.size_in_bytes, float(m.last_updated_in_seconds or 0)) for m in result.metadata_list),
            key=lambda found: found.path,
        )
    fixed = Path(base_of(pattern))
    rest = pattern[len(base_of(pattern)) :].strip("/") if pattern != str(fixed) else ""
    if rest:
        matches: Iterable[Path] = fixed.glob(rest)
    elif fixed.is_dir():
        matches = fixed.rglob("*")
    else:
        matches = [fixed]
    found = []
    for path in matches:
        if path.is_file():
            status = path.stat()
            found.append(Found(str(path), status.st_size, status.st_mtime))
    return sorted(found, key=lambda one: one.path)


def base_of(pattern: str) -> str:
    """The folder part of a pattern before its first wildcard (a plain path is its own base)."""
    wild = re.search(r"[*?\[]", pattern)
    if wild is None:
        return pattern
    return pattern[: wild.start()].rpartition("/")[0] or ("/" if pattern.startswith("/") else ".")


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name."""
    return bool(_filesystems().exists(path)) if is_remote(path) else Path(path).exists()


def size_of(path: str) -> int | None:
    """Size of a file in bytes, None when there is none."""
    if is_remote(path):
        found = find(path)
        return found[0].size if found else None
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Delete a file, or a folder and all it holds; nothing there is no error."""
    if is_remote(path):
        if exists(path):
            _filesystems().delete([path])
    elif Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


class _Counting(io.RawIOBase):
    """Counts and hashes what is written through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._stream.write(view)
        self.sha256.update(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._stream.flush()


@dataclass(slots=True)
class Written:
    """What was written: filled in when the ``with`` block of ``replacing`` ends."""

    path: str
    stream: Any
    bytes: int = 0
    sha256: str = ""


@contextmanager
def replacing(path: str) -> Iterator[Written]:
    """Write a file under a temporary name and move it into place when the block ends without an error.

    Whoever reads ``path`` sees the old file or the whole new one, never a part. ``Written.stream`` takes bytes; its size
    and digest are known afterwards.
    """
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
    if is_remote(path):
        sink: IO[bytes] = _filesystems().create(temporary, compression_type="uncompressed")
    else:
        Path(folder or ".").mkdir(parents=True, exist_ok=True)
        sink = Path(temporary).open("wb")  # noqa: SIM115 - closed below, before the rename
    counting = _Counting(sink)
    written = Written(path, counting)
    try:
        yield written
        if not is_remote(path):
            sink.flush()
            os.fsync(sink.fileno())
        sink.close()
    except BaseException:
        sink.close()
        if not is_remote(path):
            Path(temporary).unlink(missing_ok=True)
        raise
    if is_remote(path):
        _filesystems().rename([temporary], [path])
    else:
        Path(temporary).replace(path)
    written.bytes = counting.bytes
    written.sha256 = counting.sha256.hexdigest()


def write_text(path: str, text: str) -> Written:
    """Replace a file by this text (UTF-8)."""
    with replacing(path) as written:
        written.stream.write(text.encode())
    return written


def write_json(path: str, value: Any) -> Written:
    """Replace a file by this value as JSON, keys sorted, so that equal values are equal bytes."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str) -> Any:
    """The value in a JSON file. Raises OSError, ValueError."""
    with open_read(path) as stream:
        return json.load(stream)


def sha256_of(path: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file."""
    digest = hashlib.sha256()
    size = 0
    with open_read(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()
