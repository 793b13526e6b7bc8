"""Git bundles and bare repositories as sources of code, hostile ones included."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from records import outcome

from pipeline.sources.repository.code import Code
from pipeline.sources.source import FilePart, Record

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

SOURCE = Code(name="c", paths=("x",))


def git(folder: Path, *arguments: str) -> None:
    identity = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    clean = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, env={**os.environ, **identity, **clean}
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two branches, a tag, a link, a large file and a licence."""
    folder = tmp_path_factory.mktemp("git") / "work"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src" / "a.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    (folder / "src" / "a.py").write_text("x = 2\n")
    (folder / "LICENSE").write_text(
        "Permission is hereby granted, free of charge, to any person obtaining a copy. "
        "The above copyright notice and this permission notice shall be included."
    )
    (folder / "big.py").write_text("# " + "x" * 5000 + "\n")
    (folder / "link.py").symlink_to("src/a.py")
    (folder / "yarn.lock").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    git(folder, "bundle", "create", "-q", "../all.bundle", "HEAD", "main", "v1")
    git(folder.parent, "clone", "-q", "--bare", "work", "bare.git")
    return folder.parent


def read(path: Path, name: str, source: Code = SOURCE, limit: int = 4000) -> list[Record]:
    size = path.stat().st_size
    return list(source.read(FilePart(str(path), name, 0, size, size), limit))


@pytest.mark.parametrize("place", ["all.bundle", "bare.git/HEAD"])
def test_files_of_a_commit(place: str, repository: Path) -> None:
    found = {record.metadata["path"]: record for record in read(repository / place, place)}
    assert {path: outcome(record) for path, record in found.items()} == {
        "LICENSE": outcome(found["LICENSE"]),
        "big.py": "failed",
        "src/a.py": "x = 2\n",
        "yarn.lock": "code.lock_file",
    }
    assert found["src/a.py"].metadata["licence"] == "MIT"
    assert found["src/a.py"].metadata["licence_file"] == "LICENSE"
    (old,) = read(repository / place, place, Code(name="c", paths=("x",), reference="v1"))
    assert outcome(old) == "x = 1\n"
    assert "licence" not in old.metadata
    (none,) = read(repository / place, place, Code(name="c", paths=("x",), reference="absent"))
    assert "refs/heads/main" in none.failure


def test_only_the_head_of_a_repository_is_read(repository: Path) -> None:
    inside = [path for path in (repository / "bare.git").rglob("*") if path.is_file() and path.name != "HEAD"]
    assert len(inside) > 5
    assert [record for path in inside for record in read(path, str(path.relative_to(repository)))] == []


def test_a_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """What its configuration and hooks name is not run, whatever git command reads them."""
    bare = tmp_path / "evil.git"
    shutil.copytree(repository / "bare.git", bare)
    run = tmp_path / "run.sh"
    run.write_text(f"#!/bin/sh\ntouch {tmp_path}/was_run\n")
    run.chmod(0o755)
    with (bare / "config").open("a") as config:
        config.write(
            f"[core]\n fsmonitor = {run}\n pager = {run}\n sshCommand = {run}\n alternateRefsCommand = {run}\n"
            f'[extensions]\n partialClone = origin\n[remote "origin"]\n promisor = true\n url = ext::{run}\n'
        )
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        shutil.copy(run, bare / "hooks" / hook)
    for path in sorted((bare / "objects").rglob("*")):
        if path.is_file() and path.suffix not in (".pack", ".idx", ".rev"):
            path.unlink()  # a missing object would be fetched
    found = read(bare / "HEAD", "evil.git/HEAD")
    assert found
    assert not (tmp_path / "was_run").exists()
    (bare / "objects" / "info").mkdir(exist_ok=True)
    (bare / "objects" / "info" / "alternates").write_text("/\n")
    (only,) = read(bare / "HEAD", "evil.git/HEAD")
    assert "borrows" in only.failure


def test_damaged_bundles_are_failures(repository: Path, tmp_path: Path) -> None:
    whole = (repository / "all.bundle").read_bytes()
    path = tmp_path / "a.bundle"
    for data in (b"", b"# v2 git bundle\n", b"# v9 git bundle\n\n", whole[:-30], whole[:200], b"x" * 9000):
        path.write_bytes(data)
        (only,) = read(path, "a.bundle")
        assert only.failure
    thin = whole.replace(b"# v2 git bundle\n", b"# v2 git bundle\n-" + b"0" * 40 + b" needed\n", 1)
    path.write_bytes(thin)
    (only,) = read(path, "a.bundle")
    assert "all of its history" in only.failure or "all its history" in only.failure
