"""Finds the Java program that is an engine's job server: where the user says, in a cache folder, or fetched by Maven's coordinates.

A released Beam has one jar with everything in it for each engine (``…-job-server``). Other coordinates are fetched with all
they depend on, by Maven, which then must be installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from xml.sax.saxutils import escape

from pipeline.runners.runner import EngineMissing

_COORDINATES = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+(,[\w.-]+:[\w.-]+:[\w.-]+)*")
_SECONDS = 60
"""How long a server may be silent before a download is given up."""

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>corpusmill</groupId><artifactId>job-server</artifactId><version>1</version><dependencies>{}</dependencies></project>
"""


def cache() -> Path:
    """The folder that job servers are kept in: ``CORPUSMILL_CACHE``, or corpusmill's below the user's cache folder."""
    given = os.environ.get("CORPUSMILL_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "corpusmill")


def classpath(given: str | None, usual: str) -> str:
    """The Java class path of a job server.

    ``given`` is what the user says: a jar, a folder of jars, or Maven coordinates (``group:artifact:version``, several with
    commas between); ``usual`` are the coordinates of the one jar that is taken else. Raises EngineMissing.
    """
    if given and not _COORDINATES.fullmatch(given):
        path = Path(given).expanduser()
        if path.is_dir() and any(path.glob("*.jar")):
            return f"{path.resolve()}/*"
        if path.is_file():
            return str(path.resolve())
        raise EngineMissing(
            f"--job-server-jar {given}: neither a jar, nor a folder of jars, nor group:artifact:version"
        )
    coordinates = given or usual
    folder = cache() / "job-servers" / re.sub(r"[^\w.-]+", "_", coordinates)[:150]
    if not folder.is_dir():
        fetch(coordinates, folder)
    return f"{folder}/*"


def fetch(coordinates: str, folder: Path) -> None:
    """Fetch what the coordinates name into a folder, whole or not at all; digests are checked. Raises EngineMissing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        jars = Path(made, "jars")
        jars.mkdir()
        if shutil.which("mvn"):
            _by_maven(coordinates, Path(made), jars, folder)
        elif "," in coordinates:
            raise EngineMissing(_help(coordinates, folder, "Maven (mvn) is not installed"))
        else:
            _by_download(coordinates, jars, folder)
        if not any(jars.iterdir()):
            raise EngineMissing(_help(coordinates, folder, "nothing was fetched"))
        if not folder.is_dir():  # another run may have been faster
            jars.rename(folder)


def _by_maven(coordinates: str, work: Path, jars: Path, folder: Path) -> None:
    """Let Maven find the jars and all they need, with its settings, mirrors and checksums (``-C``: a wrong one is an error)."""
    names = ("groupId", "artifactId", "version")
    wanted = [zip(names, map(escape, one.split(":")), strict=True) for one in coordinates.split(",")]
    dependencies = ("".join(f"<{name}>{value}</{name}>" for name, value in one) for one in wanted)
    pom = work / "pom.xml"
    pom.write_text(_POM.format("".join(f"<dependency>{one}</dependency>" for one in dependencies)))
    command = ["mvn", "-B", "-q", "-ntp", "-C", "-f", str(pom), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise EngineMissing(_help(coordinates, folder, errors[0] if errors else done.stderr.strip()))


def _by_download(coordinates: str, jars: Path, folder: Path) -> None:
    """Fetch the one jar from the repository that Beam itself uses, and compare its digest with the one beside it."""
    from apache_beam.utils.subprocess_server import JavaJarServer

    group, artifact, version = coordinates.split(":")
    address = JavaJarServer.path_to_maven_jar(artifact, group, version)
    path = jars / address.rpartition("/")[2]
    digest = hashlib.sha512()
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as source, path.open("wb") as sink:  # noqa: S310 - https
            while block := source.read(1 << 20):
                digest.update(block)
                sink.write(block)
        with urllib.request.urlopen(f"{address}.sha512", timeout=_SECONDS) as source:  # noqa: S310 - https
            expected = source.read(1000).decode("ascii", "replace").split()[0]
    except (urllib.error.URLError, OSError, IndexError) as error:
        raise EngineMissing(_help(coordinates, folder, f"{address}: {error}")) from error
    if digest.hexdigest() != expected:
        raise EngineMissing(_help(coordinates, folder, f"{address}: its SHA-512 is not the one published beside it"))


def _help(coordinates: str, folder: Path, cause: str) -> str:
    return (
        f"the job server {coordinates} could not be fetched: {cause}\n"
        f"Download it from Maven Central on a machine that reaches it (mvn dependency:get -Dtransitive=false "
        f"-Dartifact={coordinates.split(',')[0]}) and put the jar into {folder}/, or name it with --job-server-jar."
    )
