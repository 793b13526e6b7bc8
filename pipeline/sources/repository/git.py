"""Reads the files of one commit of a git bundle or bare repository, by the ``git`` program on PATH, kept on a short leash.

A repository is hostile until shown otherwise: its configuration and hooks can make git run programs. So git never runs
*in* it. It runs in an empty repository of our own, without configuration of the machine, to which the stranger's objects
are lent as a folder of objects or unpacked from the bundle; references are read here, as text. Nothing is fetched,
checked out or written but the index of a bundle's pack. Git's memory is limited, blobs are asked for their size first.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.files import is_remote, open_read
from pipeline.sources.containers.archives import Member
from pipeline.sources.source import FilePart, UnreadableRecord

_MEMORY = 4 << 30
_MAX_REFS = 1 << 20
_MAX_FILES = 1 << 22
_MAX_REFS_BYTES = 64 << 20
_MAX_LINE = 8192
_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REGULAR = ("100644", "100755", "100664")
_BUNDLE = re.compile(rb"# v([23]) git bundle\n")


def is_bundle(path: str) -> bool:
    """Whether a file's name is that of a bundle."""
    return path.lower().endswith(".bundle")


def is_head_of_repository(part: FilePart) -> bool:
    """Whether a file is the HEAD of a bare repository: the file that stands for the whole of it."""
    if is_remote(part.path) or Path(part.path).name != "HEAD":
        return False
    folder = Path(part.path).parent
    return (folder / "objects").is_dir() and (folder / "refs").is_dir()


def is_in_repository(part: FilePart) -> bool:
    """Whether a file lies inside a bare repository, without being its HEAD."""
    if is_remote(part.path):
        return False
    levels = min(part.name.count("/") + 1, 12)
    folders = list(Path(part.path).parents)[:levels]
    return any(
        (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
        for folder in folders
    )


def members(
    part: FilePart, reference: str, max_bytes: int, wanted: Callable[[str], bool] = lambda path: True
) -> Iterator[Member]:
    """The regular files of the commit that ``reference`` names (``HEAD``, a branch, a tag, or a commit's number).

    ``Member.offset`` is the file's number in the tree. Links and submodules are passed over, as is the content of files
    that are not ``wanted``; one larger than ``max_bytes`` is a failure. Raises UnreadableRecord.
    """
    with _objects(part, reference) as (run, commit):
        yield from _files(run, commit, max_bytes, wanted)


@dataclass(frozen=True, slots=True)
class _Git:
    """How git is called: where it runs, and with which objects."""

    folder: str
    objects: str

    def start(self, *arguments: str, feed: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        program = shutil.which("git")
        if program is None:
            raise UnreadableRecord("the program git is not on PATH: install it to read bundles and bare repositories")
        environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "HOME": self.folder,
            "GIT_DIR": self.folder,
            "GIT_OBJECT_DIRECTORY": self.objects,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        settings = ("core.commitGraph=false", "core.multiPackIndex=false", "pack.threads=1")
        with Path(self.folder, "complaints").open("ab") as complaints:
            process = subprocess.Popen(
                [program, *(word for one in settings for word in ("-c", one)), *arguments],
                cwd=self.folder,
                env=environment,
                stdin=feed,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
        with suppress(ProcessLookupError):  # it may be done already
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        return process

    def complaint(self) -> str:
        """What git has complained of, as one line."""
        with Path(self.folder, "complaints").open("rb") as complaints:
            return " ".join(complaints.read(1000).decode("utf-8", "replace").split()) or "failed"


@contextmanager
def _objects(part: FilePart, reference: str) -> Iterator[tuple[_Git, str]]:
    """Git with the objects of a bundle or repository at hand, and the commit that is wanted."""
    with tempfile.TemporaryDirectory(prefix="corpusmill-git-") as folder:
        if is_bundle(part.path):
            with open_read(part.path) as raw:
                references, size = _bundle_references(raw)
                commit = _resolve(references, reference)
                git = _empty(folder, len(commit))
                raw.seek(size)
                _index_pack(git, raw)
        else:
            repository = Path(part.path).parent
            if (repository / "objects" / "info" / "alternates").exists():
                raise UnreadableRecord("the repository borrows objects from another one: repack it with git repack -a")
            commit = _resolve(_repository_references(repository), reference)
            git = _Git(_empty(folder, len(commit)).folder, str((repository / "objects").resolve()))
        yield git, commit


def _empty(folder: str, digits: int) -> _Git:
    """A repository of our own with nothing in it; objects have numbers of so many digits."""
    git = _Git(folder, str(Path(folder) / "objects"))
    Path(folder, "objects", "pack").mkdir(parents=True)
    Path(folder, "refs").mkdir()
    Path(folder, "HEAD").write_text("ref: refs/heads/none\n")
    sha256 = "[extensions]\n\tobjectFormat = sha256\n" if digits == 64 else ""
    version = 1 if sha256 else 0
    Path(folder, "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{sha256}")
    return git


def _index_pack(git: _Git, raw: IO[bytes]) -> None:
    """Index a bundle's pack, which git reads from its standard input."""
    process = git.start("index-pack", "--stdin", feed=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        shutil.copyfileobj(raw, process.stdin, 1 << 20)
        process.stdin.close()
    except BrokenPipeError:
        pass  # git has given up; what it says is read below
    process.stdout.read(_MAX_LINE)
    if process.wait():
        raise UnreadableRecord(f"the bundle's pack can't be read: {git.complaint()}")


def _bundle_references(raw: IO[bytes]) -> tuple[dict[str, str], int]:
    """The references of a bundle, and where its pack begins."""
    if not _BUNDLE.fullmatch(raw.readline(_MAX_LINE)):
        raise UnreadableRecord("not a git bundle of version 2 or 3")
    found: dict[str, str] = {}
    while (line := raw.readline(_MAX_LINE)) != b"\n":
        if line.startswith(b"-"):
            raise UnreadableRecord("the bundle holds changes to another repository only: make one of all its history")
        if not line.endswith(b"\n") or len(found) >= _MAX_REFS:
            raise UnreadableRecord("the bundle's list of references has no end")
        if not line.startswith(b"@"):
            number, _, name = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
            if _OBJECT.fullmatch(number):
                found[name] = number
    return found, raw.tell()


def _repository_references(folder: Path) -> dict[str, str]:
    """The references of a bare repository: those packed in one file, and those in files of their own."""
    found: dict[str, str] = {}
    packed = folder / "packed-refs"
    if packed.is_file():
        for line in packed.read_bytes()[:_MAX_REFS_BYTES].decode("utf-8", "replace").split("\n")[:_MAX_REFS]:
            number, _, name = line.partition(" ")
            if _OBJECT.fullmatch(number):
                found[name] = number
    for path in [folder / "HEAD", *sorted((folder / "refs").rglob("*"))[:_MAX_REFS]]:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                written = stream.read(_MAX_LINE).decode("utf-8", "replace").strip()
            found[path.relative_to(folder).as_posix()] = written
    return found


def _resolve(references: dict[str, str], wanted: str) -> str:
    """The number of the commit that a reference names. Raises UnreadableRecord."""
    if _OBJECT.fullmatch(wanted):
        return wanted
    names = [wanted, f"refs/heads/{wanted}", f"refs/tags/{wanted}", f"refs/{wanted}"]
    if wanted == "HEAD" and not references.get("HEAD"):  # bundles need not have one
        names += ["refs/heads/main", "refs/heads/master", *sorted(references)]
    for name in names:
        found = references.get(name, "")
        for _ in range(5):  # references to references; rings end here
            if not found.startswith("ref: "):
                break
            found = references.get(found[5:].strip(), "")
        if _OBJECT.fullmatch(found):
            return found
    raise UnreadableRecord(f"no reference {wanted!r}; there are {', '.join(sorted(references)[:20]) or 'none'}")


def _files(git: _Git, commit: str, max_bytes: int, wanted: Callable[[str], bool]) -> Iterator[Member]:
    blobs = git.start("cat-file", "--batch", feed=subprocess.PIPE)
    try:
        for number, (mode, object_, size, path) in enumerate(_tree(git, commit)):
            if mode not in _REGULAR:
                continue
            if not wanted(path):
                yield Member(path, number, size)
            elif size > max_bytes:
                failure = f"the file has {size} bytes; the largest record allowed is {max_bytes}"
                yield Member(path, number, size, failure=failure)
            else:
                yield Member(path, number, size, *_content(blobs, object_, size))
    finally:
        blobs.kill()
        blobs.communicate()


def _tree(git: _Git, commit: str) -> Iterator[tuple[str, str, int, str]]:
    """Mode, object, size and path of everything in the tree of a commit. Raises UnreadableRecord.

    A tree may hold the same tree many times over, and that the next: so its entries are counted, and not held.
    """
    listing = git.start("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    assert listing.stdout is not None
    try:
        count, rest = 0, b""
        while chunk := listing.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            *lines, rest = (rest + chunk).split(b"\0")
            for line in lines:
                head, _, name = line.partition(b"\t")
                mode, _, object_, size = head.decode("ascii", "replace").split()
                yield mode, object_, int(size) if size.isdecimal() else 0, name.decode("utf-8", "replace")
            count += len(lines)
            if count > _MAX_FILES or len(rest) > _MAX_REFS_BYTES:
                raise UnreadableRecord(f"the tree has more than {_MAX_FILES} files")
        if listing.wait():
            raise UnreadableRecord(f"the tree of {commit} can't be read: {git.complaint()}")
    finally:
        listing.kill()
        listing.communicate()


def _content(process: subprocess.Popen[bytes], object_: str, size: int) -> tuple[bytes | None, str]:
    """The bytes of a blob, or why there are none."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(object_.encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None, "git has stopped: an object before this one is damaged"
    told = process.stdout.readline(_MAX_LINE).split()
    if len(told) != 3 or told[1] != b"blob" or int(told[2]) != size:
        return None, f"the object {object_} is missing or damaged"
    data = process.stdout.read(size + 1)
    if len(data) != size + 1:
        return None, f"the object {object_} is cut off"
    return data[:-1], ""
