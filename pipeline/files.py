"""Opening, finding and replacing files: local, in object stores through Beam's FileSystems, on web servers to be read."""

from __future__ import annotations

import getpass
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pipeline import http_files
from pipeline.stores import opening as object_stores

_REMOTE = re.compile(r"^[a-z][a-z0-9+.-]+://")
_WILD = re.compile(r"[*?\[]")
_BLOCK = 1 << 20
_WEB_HDFS = 9870
_IN_MEMORY = 8 << 20

UNFINISHED = ".part"
"""How the names of files end while they are being written."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a pattern matched: its path, its size in bytes, and when it was last changed (seconds, 0: unknown)."""

    path: str
    size: int
    changed: float


def is_remote(path: str) -> bool:
    """Whether the path names an object store, HDFS or a web server rather than a local file."""
    return _REMOTE.match(path) is not None


_LIBRARIES = {
    "hdfs": ("hdfs", "hadoop"),
    "azfs": ("azure.storage.blob", "azure"),
}
"""What Beam needs to be installed for a scheme, and the name of the extra that installs it."""


def _filesystems(path: str) -> Any:
    """Beam's FileSystems, set up for this path. Raises OSError where a library is missing."""
    scheme = path.partition(":")[0]
    needed, extra = _LIBRARIES.get(scheme, ("", ""))
    try:
        importlib.import_module(needed or "apache_beam")
    except ImportError as error:
        raise OSError(
            f"{path}: {scheme}:// needs a library that is not installed; pip install 'apache-beam[{extra}]'"
        ) from error
    # Beam takes seconds to import; commands that touch local files only should not wait for it.
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import HadoopFileSystemOptions, PipelineOptions

    # A pipeline sets options for all file systems; while a run is planned there is none, and without any hdfs:// refuses.
    options = FileSystems._pipeline_options or PipelineOptions(flags=[])
    if scheme == "hdfs" and not options.view_as(HadoopFileSystemOptions).hdfs_host:
        server = urlsplit(path)
        hadoop = options.view_as(HadoopFileSystemOptions)
        hadoop.hdfs_host, hadoop.hdfs_port, hadoop.hdfs_full_urls = server.hostname, server.port or _WEB_HDFS, True
        hadoop.hdfs_user = server.username or getpass.getuser()
    FileSystems.set_options(options)
    return FileSystems


def join(folder: str, *parts: str) -> str:
    """Join path parts with a slash, on any file system."""
    top = folder if folder.endswith("://") else folder.rstrip("/") + "/"
    return top + "/".join(parts)


def open_read(path: str, start: int = 0) -> IO[bytes]:
    """Open for reading bytes from ``start`` on, without decompression. Raises OSError."""
    if http_files.is_http(path):
        return http_files.open_read(path, start)
    if object_stores.is_object(path):
        return object_stores.open_read(path, start)
    if is_remote(path):
        from apache_beam.io.filesystem import CompressionTypes

        stream: IO[bytes] = _filesystems(path).open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        if start:
            stream.seek(start)
        return stream
    local = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    local.seek(start)
    return local


def find(pattern: str) -> list[Found]:
    """The files that a pattern matches, sorted by path: ``*``, ``?`` and ``[a-z]`` stay in a name, ``**`` spans folders.

    A path that exists means itself, whatever signs it holds, as do the folders that a pattern begins with. A folder stands
    for the files below it. Names that begin with a dot are found only where the pattern spells the dot out: they are
    half-copied files and other programs' notes.
    Files on a web server can't be listed: over https and http a pattern is the address of one file.
    Raises OSError for a folder that can't be listed.
    """
    if http_files.is_http(pattern):
        return _on_server(pattern)
    base, rest = _divide(pattern)
    if not rest:
        return _exactly(pattern.rstrip("/")) if is_remote(pattern) else _local([str(Path(pattern))])
    matches = _matcher(rest)
    if is_remote(pattern):
        beginning = pattern[: wild.start()] if (wild := _WILD.search(pattern)) else base + "/"
        return [one for one in _beginning(beginning) if matches(one.path.removeprefix(base).lstrip("/"))]
    inside = "" if base == "." else base.rstrip("/") + "/"
    return _local(inside + name for name in _names_below(base, rest) if matches(name))


def base_of(pattern: str) -> str:
    """The folder that a pattern's files lie in or below: the part before its first wildcard."""
    if http_files.is_http(pattern):
        return pattern.rpartition("/")[0]
    return _divide(pattern)[0]


def _divide(pattern: str) -> tuple[str, str]:
    """A folder, and what is to be matched against the names below it: nothing where the pattern is one file's path."""
    if is_remote(pattern):
        if wild := _WILD.search(pattern):
            base = pattern[: wild.start()].rpartition("/")[0]
            return base, pattern[len(base) + 1 :]
        plain = pattern.rstrip("/")
        return (plain.rpartition("/")[0], "") if _exactly(plain) else (plain, "**")
    path = Path(pattern)
    if pattern and path.is_dir():
        return str(path), "**"
    parts = path.parts
    unknown = [at for at, part in enumerate(parts) if _WILD.search(part) and not Path(*parts[: at + 1]).is_dir()]
    if not unknown or path.is_file():
        return str(path.parent), ""
    return str(Path(*parts[: unknown[0]])), "/".join(parts[unknown[0] :])


def _on_server(url: str) -> list[Found]:
    """The one file of this address, if it is there."""
    if "*" in url or url.endswith("/"):
        raise OSError(f"{url}: a web server can't be asked for a list of files; name each file by its own address")
    found = http_files.version(url)
    return [Found(url, found.size, found.changed)] if found else []


def _beginning(prefix: str) -> list[Found]:
    """All files of an object store whose path begins so, sorted by path."""
    if object_stores.is_object(prefix):
        found = [Found(one.path, one.size, one.changed) for one in object_stores.store_of(prefix).listed(prefix)]
        return sorted(found, key=lambda one: one.path)
    return _listed(prefix + "**")


def _exactly(path: str) -> list[Found]:
    """The file of this path in an object store, if it is there."""
    if object_stores.is_object(path):
        one = object_stores.store_of(path).about(path)
        return [Found(one.path, one.size, one.changed)] if one else []
    return _listed(path)


def _listed(pattern: str) -> list[Found]:
    """What Beam finds in an object store, sorted by path."""
    (result,) = _filesystems(pattern).match([pattern])
    found = [
        Found(one.path, one.size_in_bytes, float(one.last_updated_in_seconds or 0)) for one in result.metadata_list
    ]
    return sorted(found, key=lambda one: one.path)


def _local(paths: Iterable[str]) -> list[Found]:
    found = []
    for path in sorted(paths):
        if Path(path).is_file():
            status = Path(path).stat()
            found.append(Found(path, status.st_size, status.st_mtime))
    return found


def _names_below(folder: str, rest: str) -> Iterator[str]:
    """Names relative to the folder of what lies as deep as the pattern reaches. Links to folders are followed, but not round."""
    deepest = None if "**" in rest else rest.count("/")
    hidden = any(part.startswith(".") for part in rest.split("/"))
    if not Path(folder).is_dir():
        return
    for top, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        below = top[len(folder) :].strip("/")
        level = below.count("/") + 1 if below else 0
        if deepest is not None and level >= deepest:
            folders.clear()
        folders[:] = [name for name in folders if (hidden or name[0] != ".") and not _leads_back(top, name)]
        yield from (f"{below}/{name}" if below else name for name in names)


def _leads_back(folder: str, name: str) -> bool:
    """Whether a folder is a link to a folder that it lies in."""
    path = Path(folder, name)
    return path.is_symlink() and Path(folder).resolve().is_relative_to(path.resolve())


def _raise(error: OSError) -> None:
    raise error


def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Tells whether a name matches a pattern with wildcards."""
    made, begins = "", True  # begins: whether a file's or folder's name begins here
    for sign in re.findall(r"\*\*+/?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL):
        shown = r"(?!\.)" if begins else ""
        if sign.startswith("*"):
            folders = r"(?:(?!\.)[^/]+/)*" if begins and sign.startswith("**") else ""
            within = "" if folders and sign.endswith("/") else f"{shown}[^/]*" + "/" * sign.endswith("/")
            made += folders + within
        elif sign[0] == "?":
            made += f"{shown}[^/]"
        elif len(sign) > 1:
            made += shown + _character_class(sign)
        else:
            made += re.escape(sign)
        begins = sign.endswith("/")
    return re.compile(made, re.DOTALL).fullmatch


def _character_class(written: str) -> str:
    """``[a-z]`` or ``[!a-z]`` as a regular expression; ranges that run backwards match nothing."""
    negated = written.startswith("[!")
    inside = "".join(sign if sign == "-" else re.escape(sign) for sign in written[1 + negated : -1])
    try:
        return re.compile(f"[^/{inside}]" if negated else f"[{inside}]").pattern
    except re.error:
        return "(?!)"


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name."""
    if http_files.is_http(path):
        return http_files.version(path) is not None
    if object_stores.is_object(path):
        store = object_stores.store_of(path)
        return store.about(path) is not None or any(store.listed(path.rstrip("/") + "/"))
    return bool(_filesystems(path).exists(path)) if is_remote(path) else Path(path).exists()


def is_file(path: str) -> bool:
    """Whether the path is a local file (object stores have no folders that a file could stand in the way of)."""
    return not is_remote(path) and Path(path).is_file()


def size_of(path: str) -> int | None:
    """Size of a file in bytes, None when there is none."""
    if http_files.is_http(path):
        on_server = http_files.version(path)
        return on_server.size if on_server else None
    if is_remote(path):
        found = _exactly(path)
        return found[0].size if found else None
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Delete a file, or a folder and all it holds; nothing there is no error."""
    if object_stores.is_object(path):
        store = object_stores.store_of(path)
        store.delete([path, *(one.path for one in store.listed(path.rstrip("/") + "/"))])
    elif is_remote(path):
        if exists(path):
            _filesystems(path).delete([path])
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
    """Write a file aside and put it into its place when the block ends without an error.

    On a disk that is a temporary name and a rename, in an object store one upload. Whoever reads ``path`` sees
    the old file or the whole new one, never a part. ``Written.stream`` takes bytes; its size
    and digest are known afterwards.
    """
    if http_files.is_http(path):
        raise OSError(f"{path}: files are read over http, never written; write to a disk or an object store")
    sink, publish, give_up = _sink(path)
    counting = _Counting(sink)
    written = Written(path, counting)
    try:
        yield written
        publish()
    except BaseException:
        give_up()
        raise
    written.bytes = counting.bytes
    written.sha256 = counting.sha256.hexdigest()


def _sink(path: str) -> tuple[IO[bytes], Callable[[], None], Callable[[], None]]:
    """Where to write what shall become a file, how to make it the file, and how to leave nothing behind."""
    if object_stores.is_object(path):
        return _object_sink(path)
    folder, slash, name = path.rpartition("/")
    temporary = f"{folder}{slash}.{name}.{uuid.uuid4().hex[:8]}{UNFINISHED}"
    if is_remote(path):
        sink: IO[bytes] = _filesystems(path).create(temporary, compression_type="uncompressed")
    else:
        Path(folder or slash or ".").mkdir(parents=True, exist_ok=True)
        sink = Path(temporary).open("wb")  # noqa: SIM115 - closed below

    def publish() -> None:
        if is_remote(path):
            sink.close()
            _filesystems(path).rename([temporary], [path])
        else:
            sink.flush()
            os.fsync(sink.fileno())
            sink.close()
            Path(temporary).replace(path)

    def give_up() -> None:
        try:
            sink.close()
        finally:  # closing a full disk's file fails as well
            remove(temporary)

    return sink, publish, give_up


def _object_sink(path: str) -> tuple[IO[bytes], Callable[[], None], Callable[[], None]]:
    """Gathers an object, on the disk where it is large, and puts it whole under its own name."""
    store = object_stores.store_of(path)
    sink: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed below

    def publish() -> None:
        size = sink.tell()
        sink.seek(0)
        store.put(path, sink, size)
        sink.close()

    return sink, publish, sink.close


def write_text(path: str, text: str) -> Written:
    """Replace a file by this text (UTF-8; names of files that are none keep their bytes, as Python holds them)."""
    with replacing(path) as written:
        written.stream.write(text.encode("utf-8", "surrogatepass"))
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
