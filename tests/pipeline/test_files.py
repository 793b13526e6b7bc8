"""Files: found the same on a disk and in an object store, replaced as a whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import files

STORE: dict[str, bytes] = {}
"""What lies in the object store, by its full path."""


class _Upload(io.BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            STORE[self._path] = self.getvalue()
        super().close()


class MemoryStore(FileSystem):
    """An object store such as gs:// is, in memory: names without folders, objects that appear when they are closed."""

    @classmethod
    def scheme(cls) -> str:
        return "memory"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        folder, _, name = path.rpartition("/")
        return folder, name

    def mkdirs(self, path: str) -> None: ...

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        yield from (self.metadata(path) for path in list(STORE) if path.startswith(dir_or_prefix))

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> Any:
        return _Upload(path)

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> Any:
        if path not in STORE:
            raise BeamIOError(f"no object {path}")
        return io.BytesIO(STORE[path])

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        STORE.update(zip(destination_file_names, map(STORE.__getitem__, source_file_names), strict=True))

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        return path in STORE

    def size(self, path: str) -> int:
        return len(STORE[path])

    def last_updated(self, path: str) -> float:
        return 1.0

    def checksum(self, path: str) -> str:
        return hashlib.sha256(STORE[path]).hexdigest()

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(STORE[path]), 1.0)

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            for one in [one for one in STORE if one == path or one.startswith(path.rstrip("/") + "/")]:
                del STORE[one]


@pytest.fixture(params=["disk", "store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on the disk, and one in an object store."""
    STORE.clear()
    yield str(tmp_path / "root") if request.param == "disk" else "memory://bucket/root"
    STORE.clear()


def fill(root: str, names: list[str]) -> None:
    for name in names:
        files.write_text(f"{root}/{name}", name)


def names_below(root: str) -> list[str]:
    """Everything that lies there, hidden or not."""
    if files.is_remote(root):
        return sorted(path.removeprefix(root + "/") for path in STORE)
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


TREE = [
    "a.txt",
    "b.gz",
    "B.txt",
    "a10.txt",
    "a2.txt",
    "x/a.txt",
    "x/y/a.txt",
    "x/y/b.gz",
    "z/y/c.txt",
    ".hidden.txt",
    ".cache/a.txt",
    "x/.a.txt",
    "x/.a.txt.12ab.part",
    "数据/文件.txt",
    "数据/café.txt",
    "with space/a b.txt",
    "odd[1].txt",
    "odd1.txt",
    "q?.txt",
]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.txt", ["a.txt"]),
        ("*.gz", ["b.gz"]),
        ("*.txt", ["B.txt", "a.txt", "a10.txt", "a2.txt", "odd1.txt", "odd[1].txt", "q?.txt"]),
        ("a?.txt", ["a2.txt"]),
        ("a[0-9]*.txt", ["a10.txt", "a2.txt"]),
        ("[!a-z].txt", ["B.txt"]),
        ("*/a.txt", ["x/a.txt"]),
        ("*/y/*", ["x/y/a.txt", "x/y/b.gz", "z/y/c.txt"]),
        ("**/a.txt", ["a.txt", "x/a.txt", "x/y/a.txt"]),
        ("x/**/*.txt", ["x/a.txt", "x/y/a.txt"]),
        ("x/**", ["x/a.txt", "x/y/a.txt", "x/y/b.gz"]),
        ("**/y/**/*.txt", ["x/y/a.txt", "z/y/c.txt"]),
        ("**.gz", ["b.gz", "x/y/b.gz"]),
        ("x", ["x/a.txt", "x/y/a.txt", "x/y/b.gz"]),
        ("x/", ["x/a.txt", "x/y/a.txt", "x/y/b.gz"]),
        (".*.txt", [".hidden.txt"]),
        ("x/.a.*", ["x/.a.txt", "x/.a.txt.12ab.part"]),
        (".cache/*", [".cache/a.txt"]),
        (".hidden.txt", [".hidden.txt"]),
        ("数据/*", ["数据/café.txt", "数据/文件.txt"]),
        ("数?/[文-文]*.txt", ["数据/文件.txt"]),
        ("with space/a *", ["with space/a b.txt"]),
        ("odd[[]1].txt", ["odd[1].txt"]),
        ("odd[1]*.txt", ["odd1.txt"]),
        ("[z-a].txt", []),
        ("nothing/*", []),
        ("nothing", []),
        ("a.txt/*", []),
    ],
)
def test_find(root: str, pattern: str, expected: list[str]) -> None:
    fill(root, TREE)
    found = files.find(f"{root}/{pattern}")
    assert [one.path for one in found] == [f"{root}/{name}" for name in expected]
    assert [one.size for one in found] == [len(name.encode()) for name in expected]
    assert all(one.changed > 0 for one in found)


def test_a_path_that_exists_means_itself(tmp_path: Path) -> None:
    for name in ("odd[1].txt", "odd1.txt", "q?.txt", "qa.txt", "out[1]/*.txt", "out1/a.txt"):
        files.write_text(f"{tmp_path}/{name}", "")
    for name in ("odd[1].txt", "q?.txt"):
        assert [one.path for one in files.find(f"{tmp_path}/{name}")] == [f"{tmp_path}/{name}"]
    for pattern in ("out[1]", "out[1]/*.txt", "out[1]/*", "out[1]/**/?.txt"):
        assert [one.path for one in files.find(f"{tmp_path}/{pattern}")] == [f"{tmp_path}/out[1]/*.txt"]
    assert [one.path for one in files.find(f"{tmp_path}/out[0-9]/*")] == [f"{tmp_path}/out1/a.txt"]


def test_paths_are_written_in_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(str(tmp_path), ["a.txt", "x/b.txt"])
    monkeypatch.chdir(tmp_path)
    for pattern, expected in {
        "*.txt": ["a.txt"],
        "./*.txt": ["a.txt"],
        "a.txt": ["a.txt"],
        "./a.txt": ["a.txt"],
        "./x/*": ["x/b.txt"],
        ".//x/*": ["x/b.txt"],
        "**/*.txt": ["a.txt", "x/b.txt"],
        ".": ["a.txt", "x/b.txt"],
        "": [],
        f"../{tmp_path.name}/*/b.txt": [f"../{tmp_path.name}/x/b.txt"],
    }.items():
        assert [one.path for one in files.find(pattern)] == expected, pattern


def test_links_are_followed_but_not_round(tmp_path: Path) -> None:
    fill(str(tmp_path), ["disk/2024/a.txt", "crawl/b.txt"])
    (tmp_path / "crawl" / "2024").symlink_to(tmp_path / "disk" / "2024")
    (tmp_path / "disk" / "2024" / "up").symlink_to(tmp_path / "disk")
    (tmp_path / "crawl" / "me").symlink_to(tmp_path / "crawl")
    (tmp_path / "crawl" / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "crawl" / "alias.txt").symlink_to(tmp_path / "crawl" / "b.txt")
    for pattern in ("crawl/**/*.txt", "crawl"):
        found = [one.path.removeprefix(f"{tmp_path}/") for one in files.find(f"{tmp_path}/{pattern}")]
        assert [path for path in found if "up" not in path] == ["crawl/2024/a.txt", "crawl/alias.txt", "crawl/b.txt"]
        assert len(found) < 20
    assert len(files.find(f"{tmp_path}/crawl/*/a.txt")) == 1


def test_a_folder_that_cannot_be_listed_is_an_error() -> None:
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # pytest's own folders are closed to others, and so to the user of below
        fill(folder, ["a/b.txt"])
        os.chmod(folder, 0o755)
        assert files.find(folder)
        os.chmod(f"{folder}/a", 0)
        own = os.geteuid()
        try:
            if own == 0:  # root may list every folder
                os.seteuid(65534)
            with pytest.raises(PermissionError, match="/a'"):
                files.find(folder)
        finally:
            os.seteuid(own)
            os.chmod(f"{folder}/a", 0o700)


NAME = st.text("ab.é", min_size=1, max_size=3).filter(lambda name: set(name) != {"."})
PART = st.lists(st.sampled_from(["a", "b", "é", "*", "?", "[ab]", "[!a]", "a."]), min_size=1, max_size=3).map("".join)
PATTERN = st.tuples(
    st.lists(PART.filter(lambda part: "**" not in part) | st.just("**"), max_size=3),
    st.sampled_from(["*", "?b", "a*", "*é", "[!b]*", "?"]),
).map(lambda parts: "/".join([*parts[0], parts[1]]))


@settings(max_examples=100, deadline=None)
@given(st.sets(st.lists(NAME, min_size=1, max_size=3).map("/".join), max_size=8), PATTERN)
@example({"a/b", "b/a/b", "é/b", "b"}, "**/?")
@example({"a/.b/a", "a/b/a"}, "a/**/*")
def test_disk_and_store_agree_with_the_standard_library(names: set[str], pattern: str) -> None:
    names = {name for name in names if not any(other.startswith(name + "/") for other in names)}
    with tempfile.TemporaryDirectory() as disk:
        STORE.clear()
        for name in names:
            STORE[f"memory://tree/root/{name}"] = b""
            Path(disk, name).parent.mkdir(parents=True, exist_ok=True)
            Path(disk, name).touch()
        found = [one.path.removeprefix(f"{disk}/") for one in files.find(f"{disk}/{pattern}")]
        in_store = [one.path.removeprefix("memory://tree/root/") for one in files.find(f"memory://tree/root/{pattern}")]
        expected = {str(path.relative_to(disk)) for path in Path(disk).glob(pattern) if path.is_file()}
    assert found == in_store == sorted(name for name in expected if not re.search(r"(^|/)\.", name))


def test_base_of(root: str) -> None:
    fill(root, ["x/a.txt", "x/y/b.txt"])
    for pattern, base in {
        "x/a.txt": "/x",
        "x": "/x",
        "x/": "/x",
        "x/*.txt": "/x",
        "x*": "",
        "x/**/b.txt": "/x",
        "x/y/[b]*": "/x/y",
    }.items():
        assert files.base_of(f"{root}/{pattern}") == root + base, pattern


def test_base_of_relative_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(".", ["x/a.txt"])
    expected = {"*.txt": ".", "a.txt": ".", "./x/*": "x", "x//a.txt": "x", "x": "x", "/*": "/", "/nothing-here": "/"}
    assert {pattern: files.base_of(pattern) for pattern in expected} == expected


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("gs://bucket/a", True),
        ("s3://b/a", True),
        ("hdfs://host:1/a", True),
        ("/gs://a", False),
        ("a/b", False),
        ("c:/x", False),
        ("crawl 2024://x", False),
    ],
)
def test_is_remote(path: str, remote: bool) -> None:
    assert files.is_remote(path) is remote


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("a", "b"), "a/b"),
        (("a/", "b", "c"), "a/b/c"),
        (("/", "b"), "/b"),
        (("gs://", "b", "c"), "gs://b/c"),
        (("gs://b", "c"), "gs://b/c"),
        (("a", ""), "a/"),
    ],
)
def test_join(parts: tuple[str, ...], expected: str) -> None:
    assert files.join(*parts) == expected


def test_replacing_tells_size_and_digest(root: str) -> None:
    pieces = [b"one", b"", memoryview(b"two"), bytearray(b"\0" * 100_000)]
    with files.replacing(f"{root}/deep/er/file") as written:
        for piece in pieces:
            assert written.stream.write(piece) == len(piece)
        assert not files.exists(f"{root}/deep/er/file"), "it appears when it is whole"
    data = b"".join(pieces)
    assert (written.bytes, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert files.sha256_of(f"{root}/deep/er/file") == (len(data), written.sha256)
    assert files.size_of(f"{root}/deep/er/file") == len(data)
    assert names_below(root) == ["deep/er/file"]
    with files.open_read(f"{root}/deep/er/file", 3) as stream:
        assert stream.read(3) == b"two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(root: str, error: type[BaseException]) -> None:
    for before in ([], ["file"]):
        fill(root, before)

        def broken() -> None:
            with files.replacing(f"{root}/file") as written:
                written.stream.write(b"half of the n")
                raise error

        with pytest.raises(error):
            broken()
        assert names_below(root) == before
    with files.open_read(f"{root}/file") as stream:
        assert stream.read() == b"file"
    files.write_text(f"{root}/file", "new")
    assert names_below(root) == ["file"]
    with files.open_read(f"{root}/file") as stream:
        assert stream.read() == b"new"


def test_replacing_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_text("here.txt", "x")
    assert os.listdir() == ["here.txt"]


def test_a_temporary_name_is_hidden_and_recognised(tmp_path: Path) -> None:
    with files.replacing(f"{tmp_path}/file.parquet"):
        (name,) = os.listdir(tmp_path)
        assert name.startswith(".file.parquet.")
        assert name.endswith(files.UNFINISHED)
        assert files.find(str(tmp_path)) == []


def test_what_is_not_there(root: str) -> None:
    assert not files.exists(f"{root}/a")
    assert files.size_of(f"{root}/a") is None
    files.remove(f"{root}/a")
    with pytest.raises(OSError, match="a"):
        files.open_read(f"{root}/a").read()
    fill(root, ["a/b", "a/c/d", "ab"])
    assert files.size_of(f"{root}/ab") == 2
    files.remove(f"{root}/ab")
    assert names_below(root) == ["a/b", "a/c/d"]


def test_removing_a_folder_removes_what_it_holds(tmp_path: Path) -> None:
    fill(str(tmp_path), ["a/b", "a/c/d", "ab"])
    files.remove(f"{tmp_path}/a")
    assert names_below(str(tmp_path)) == ["ab"]


def test_json(root: str) -> None:
    value = {"b": ["é", "数", "\udcff", 1.5, None], "a": {"z": 1, "y": True}}
    first = files.write_json(f"{root}/one.json", value)
    second = files.write_json(f"{root}/two.json", {"a": {"y": True, "z": 1}, "b": value["b"]})
    assert first.sha256 == second.sha256
    assert files.read_json(f"{root}/one.json") == value
    files.write_text(f"{root}/cut.json", '{"a": ')
    with pytest.raises(json.JSONDecodeError):
        files.read_json(f"{root}/cut.json")
