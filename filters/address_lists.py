"""Lists of blocked domains and addresses, millions of lines long, as sorted hashes: eight bytes an entry.

Lists are plain text, also gzipped, one entry a line: a domain (``example.org``), or an address without its scheme
(``example.org/folder/page``). A folder of lists as UT1 Toulouse publishes it has a folder for each category with the files ``domains``
and ``urls``; its ``expressions`` are regular expressions, which we don't run. Nothing in a list is more than text to compare with.

Compared are hosts and paths in one normal form: lower case; names in Punycode (``bücher.example`` is ``xn--bcher-kva.example``);
without scheme, user, port, ``www.``, a dot at the end, and without query and fragment.
"""

from __future__ import annotations

import functools
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

Array = NDArray[Any]

_CHUNK: Final = 1 << 22
_NOT_PLAIN: Final = (b"/", b":", b"@", b"#", b"*", b" ", b"\t")
"""What makes an entry more than a domain."""
_MAX_LINE: Final = 1 << 16
"""Bytes of a longer line are no address."""
_MAX_LABELS: Final = 127
"""A domain name has no more labels (RFC 1035)."""
_MAX_FOLDERS: Final = 32
"""Folders of a path that are looked up; lists have entries of two or three."""


def normal_host(host: str) -> str:
    """A host in the form in which hosts are compared; empty for what is none.

    >>> normal_host("WWW.Bücher.example."), normal_host("[::1]"), normal_host("a b")
    ('xn--bcher-kva.example', '[::1]', '')
    """
    host = host.strip().rstrip(".").lower().removeprefix("www.")
    if not host.isascii():
        host = _punycode(host)
    return "" if not host or any(character.isspace() for character in host) else host


def split(url: str) -> tuple[str, str]:
    """Host and path of an address in normal form, the path without the slash at its end; a port, a user, a query are left out.

    >>> split("https://user@www.Example.org:8080/A/b/?q=1#top")
    ('example.org', '/a/b')
    """
    rest = url.strip()
    scheme, separator, after = rest.partition("://")
    rest = after if separator and scheme.isascii() and scheme.replace("+", "").isalnum() else rest.removeprefix("//")
    for mark in "?#":
        rest = rest.partition(mark)[0]
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return normal_host(host), (slash + path).lower().rstrip("/")


def above(host: str) -> Iterator[str]:
    """The host and every domain that it lies in, the longest first.

    >>> list(above("a.b.example"))
    ['a.b.example', 'b.example', 'example']
    """
    for _ in range(_MAX_LABELS):
        yield host
        _, dot, host = host.partition(".")
        if not dot:
            return


def folders(path: str) -> Iterator[str]:
    """The path and every folder that it lies in, the root not included, the shortest first.

    >>> list(folders("/a/b"))
    ['/a', '/a/b']
    """
    end = 0
    for _ in range(_MAX_FOLDERS):
        end = path.find("/", end + 1)
        if end < 0:
            yield path
            return
        yield path[:end]


class AddressList:
    """Domains and addresses that are blocked, with all that lies below them."""

    def __init__(self, entries: Iterable[Array]) -> None:
        parts = [part for part in entries if len(part)]
        self._hashes = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._hashes)

    def holds(self, host: str, path: str = "") -> bool:
        """Whether the host, a domain above it, or (with the host or its ``www.``) a folder of the path is in the list."""
        if not host or not len(self._hashes):
            return False
        wanted = [_hash(domain.encode()) for domain in above(host)]
        if len(path) > 1:
            wanted += [_hash((host + folder).encode()) for folder in folders(path)]
        hashes = np.array(wanted, np.uint64)
        places = np.searchsorted(self._hashes, hashes)
        inside = places < len(self._hashes)
        return bool((self._hashes[places[inside]] == hashes[inside]).any())


def of_entries(entries: Sequence[str]) -> AddressList:
    """A list of the given entries."""
    return AddressList([_hashes("\n".join(entries).encode("utf-8", "replace"))])


@functools.cache
def read(paths: tuple[str, ...]) -> AddressList:
    """One list of all files. Raises FileNotFoundError, or ValueError where a file can't be unpacked or holds no entry."""
    return AddressList([part for path in paths for part in _of_file(path)])


@functools.cache
def read_category(folder: str, category: str) -> AddressList:
    """The list of a category in a folder as UT1 has it. Raises ValueError where there is none, and as ``read``."""
    if not Path(folder, category).is_dir():
        known = sorted(path.name for path in Path(folder).iterdir() if path.is_dir()) if Path(folder).is_dir() else []
        have = f"; it has {', '.join(known)}" if known else ""
        raise ValueError(f"no folder {Path(folder, category)}: no such category of a UT1 folder{have}")
    return read(category_files(folder, category))


def category_files(folder: str, category: str) -> tuple[str, ...]:
    """The lists of a category in a folder as UT1 has it; where it has none, the one that is expected."""
    names = ("domains", "domains.gz", "urls", "urls.gz")
    found = tuple(str(path) for path in (Path(folder, category, name) for name in names) if path.is_file())
    return found or (str(Path(folder, category, "domains")),)


def _of_file(path: str) -> list[Array]:
    """The hashes of a file's entries, chunk by chunk."""
    made = []
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else Path(path).open("rb") as file:
            left = b""
            while chunk := file.read(_CHUNK):
                whole, _, left = (left + chunk).rpartition(b"\n")
                made.append(_hashes(whole))
                left = left[-_MAX_LINE:]
            made.append(_hashes(left))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}") from error
    if not any(map(len, made)):
        raise ValueError(f"the list {path} holds no entry: expected one domain or address a line")
    return made


def _hashes(written: bytes) -> Array:
    """The hashes of a list's entries; lines that are blank, comments or no text are left out."""
    written = written.lower().replace(b"\r", b"")
    if written.isascii() and not any(mark in written for mark in _NOT_PLAIN):  # nothing but domains, as nearly always
        written = (b"\n" + written + b"\n").replace(b"\nwww.", b"\n").replace(b".\n", b"\n")
        entries: Iterable[bytes] = written.split(b"\n")
    else:
        entries = map(_entry, written.split(b"\n"))
    return np.fromiter(map(_hash, filter(None, entries)), np.uint64)


def _entry(line: bytes) -> bytes:
    """A line in the form in which addresses are compared."""
    line = line.strip()
    if line.startswith(b"#") or len(line) > _MAX_LINE:
        return b""
    host, path = split(line.decode("utf-8", "replace").removeprefix("*."))
    return (host + path).encode() if host else b""


def _hash(entry: bytes) -> int:
    return xxhash.xxh3_64_intdigest(entry)


def _punycode(host: str) -> str:
    """An international name in ASCII, each label by itself; what can't be written so stays as it is."""
    import idna

    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return host
