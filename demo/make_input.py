"""Makes the input of the demo on this machine: a small web crawl, a wiki dump, three books and two archives of code.

Nothing is downloaded and nothing is left to chance: the same Python writes the same bytes every time.
"""

from __future__ import annotations

import gzip
import io
import sysconfig
import tarfile
from pathlib import Path

from demo import pydoc_pages, web, wiki
from demo.articles import HERE
from demo.warc import Capture, key, warc_file

_CRAWL_FILES = 3
_CODE = {
    "stdlib-network.tar.gz": ("asyncio", "email", "http", "json", "urllib", "wsgiref", "xml"),
    "stdlib-tools.tar.gz": (
        "collections",
        "concurrent",
        "ctypes",
        "curses",
        "importlib",
        "logging",
        "sqlite3",
        "unittest",
    ),
}
"""Packages of the standard library by archive; the modules outside packages are shared out between the two."""
_NOT_CODE_OF_OURS = ("_sysconfigdata", "_sysconfig_vars", "sitecustomize", "usercustomize")
"""Beginnings of files that a distribution or a machine adds to the library; they hold its paths."""


def make(out: Path) -> dict[str, int]:
    """Write the input below ``out``, which is made when missing; returns the size in bytes of each file by its name.

    The files are ``web/demo-*.warc.gz``, ``wikipedia/demowiki.xml.bz2``, ``books/*.txt``, ``code/*.tar.gz``. It takes
    some fifteen seconds. Raises OSError when ``out`` can't be written.
    """
    files = {
        **_web(),
        "wikipedia/demowiki.xml.bz2": wiki.dump(),
        **{f"books/{path.name}": path.read_bytes() for path in sorted((HERE / "books").glob("*.txt"))},
        **{f"code/{name}": _archive(name, packages) for name, packages in _CODE.items()},
    }
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: len(content) for name, content in files.items()}


def _web() -> dict[str, bytes]:
    """The crawl's files: captures are spread over them by URL, the two broken ones put where they teach most."""
    everything = web.captures(pydoc_pages.rendered())
    whole = [capture for capture in everything if not capture.damage]
    damaged = {capture.damage: capture for capture in everything if capture.damage}
    parts: list[list[Capture]] = [[] for _ in range(_CRAWL_FILES)]
    for capture in whole:
        parts[key("file " + capture.url) % _CRAWL_FILES].append(capture)
    parts[0].append(damaged["truncated"])
    parts[1].insert(len(parts[1]) // 2, damaged["corrupt"])
    names = [f"demo-{number:05d}.warc.gz" for number in range(_CRAWL_FILES)]
    return {f"web/{name}": warc_file(name, part) for name, part in zip(names, parts, strict=True)}


def _archive(name: str, packages: tuple[str, ...]) -> bytes:
    """Sources of the standard library as a repository's archive: sorted, without times and owners of this machine."""
    library = Path(sysconfig.get_path("stdlib"))
    share = sorted(_CODE).index(name)
    modules = [path for path in library.glob("*.py") if key(path.name) % len(_CODE) == share]
    inner = [path for package in packages for path in (library / package).rglob("*.py")]
    buffer = io.BytesIO()
    root = name.removesuffix(".tar.gz")
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted([*modules, *inner], key=lambda one: one.relative_to(library).as_posix()):
            if path.name.startswith(_NOT_CODE_OF_OURS) or "test" in path.relative_to(library).parts[:-1]:
                continue
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{root}/{path.relative_to(library).as_posix()}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0)
