"""Finding and fetching job servers, what is refused before a job is submitted, and how items travel."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.layout import Layout
from pipeline.plan import Split
from pipeline.recipe import Limits
from pipeline.runners import engines, jars, job, leash, prism
from pipeline.runners.runner import EngineMissing
from pipeline.sources.source import FilePart
from pipeline.stage import Item


def test_a_jar_is_where_the_user_says(tmp_path: Path) -> None:
    jar = tmp_path / "server.jar"
    jar.write_bytes(b"")
    assert jars.classpath(str(jar), "") == str(jar)
    assert jars.classpath(str(tmp_path), "") == f"{tmp_path}/*"
    with pytest.raises(EngineMissing, match="neither a jar, nor a folder"):
        jars.classpath(str(tmp_path / "other.jar"), "")


def test_a_jar_in_the_cache_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")  # no Maven that could fetch it
    folder = tmp_path / "job-servers" / "a.group_an-artifact_1.0"
    folder.mkdir(parents=True)
    assert jars.classpath(None, "a.group:an-artifact:1.0") == f"{folder}/*"


def test_what_to_download_is_said_when_it_can_not_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineMissing, match="is not installed") as refused:
        jars.classpath("a.group:one:1.0,a.group:two:1.0", "")
    assert "-Dartifact=a.group:one:1.0" in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert list(tmp_path.rglob("*.jar")) == []


def test_a_download_is_compared_with_its_published_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    from apache_beam.utils.subprocess_server import JavaJarServer

    repository = tmp_path / "repository"
    place = repository / "a" / "group" / "server" / "1.0"
    place.mkdir(parents=True)
    (place / "server-1.0.jar").write_bytes(b"a jar")
    digest = place / "server-1.0.jar.sha512"
    digest.write_text(hashlib.sha512(b"a jar").hexdigest())
    monkeypatch.setattr(JavaJarServer, "MAVEN_CENTRAL_REPOSITORY", repository.as_uri())
    address = JavaJarServer.path_to_maven_jar
    monkeypatch.setattr(
        JavaJarServer,
        "path_to_maven_jar",
        staticmethod(lambda artifact, group, version: address(artifact, group, version, repository.as_uri())),
    )
    monkeypatch.setenv("PATH", "")
    jars.fetch("a.group:server:1.0", tmp_path / "fetched")
    assert (tmp_path / "fetched" / "server-1.0.jar").read_bytes() == b"a jar"
    digest.write_text(hashlib.sha512(b"another").hexdigest())
    with pytest.raises(EngineMissing, match="SHA-512"):
        jars.fetch("a.group:server:1.0", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_prism_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "prism"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(EngineMissing, match="no program"):
        prism.find(str(program))
    program.chmod(0o755)
    assert prism.find(str(program)) == str(program)
    monkeypatch.setenv("CORPUSMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineMissing, match="go install"):
        prism.find(None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert prism.find(None) == str(program)


@pytest.mark.parametrize("master", ["cluster:8081", "spark://cluster:7077", "10.0.0.1:8081"])
def test_a_cluster_needs_workers_that_it_can_reach(master: str) -> None:
    with pytest.raises(EngineMissing, match="--environment_type"):
        engines.job_runner("flink", Limits(), [], master=master)
    engines.job_runner("flink", Limits(), ["--environment_type=DOCKER"], master=master)


@pytest.mark.parametrize("master", ["localhost:8081", "spark://127.0.0.1:7077"])
def test_a_cluster_here_can_reach_workers_here(master: str) -> None:
    engines.job_runner("spark", Limits(), [], master=master)


def test_items_travel_as_they_are(tmp_path: Path) -> None:
    part = FilePart("/input/a b.warc.gz", "a b.warc.gz", 3, 5, 9)
    split = Split("web", 2, 7, (part, replace(part, start=5)))
    items = [
        Item(f"web/{number:05d}", number % 7, (split,), (number, 3), ((4, "worker killed by SIGSEGV"),))
        for number in range(job.ITEMS_IN_A_FILE + 5)
    ]
    pattern, count = job.write_items(Layout.of(str(tmp_path)), "prepare", items)
    assert count == 2
    found = [item for number in range(count) for item in job._read_items(number, pattern)]
    assert sorted(found, key=lambda item: item.name) == items
    assert [item.weight for item in found] == sorted((item.weight for item in items), reverse=True)


def test_a_server_on_a_leash_ends_with_its_starter() -> None:
    starter = subprocess.Popen([sys.executable, "-c", LEASHED, leash.__file__], stdout=subprocess.PIPE)
    assert starter.stdout
    starter.stdout.readline()
    family = psutil.Process(starter.pid).children(recursive=True)
    while len(family) < 2:
        family = psutil.Process(starter.pid).children(recursive=True)
        time.sleep(0.01)
    starter.kill()
    starter.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


LEASHED = """\
import subprocess, sys, time
subprocess.Popen([sys.executable, sys.argv[1], sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.PIPE)
print("started", flush=True)
time.sleep(600)
"""
