"""Prism: Beam's own runner for one machine, a single program in Go."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from apache_beam.version import __version__ as beam_version

from pipeline.runners import jars
from pipeline.runners.portable import Kind
from pipeline.runners.runner import EngineMissing
from pipeline.runners.server import JobServer

MODULE = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam_version}"


@dataclass(frozen=True, kw_only=True)
class Prism(Kind):
    """The program at ``location``; else on PATH, in the cache folder, or built by Go into that."""

    location: str | None

    def command(self, server: JobServer) -> list[str]:
        """The command that starts the job server."""
        return [find(self.location), "-job_port", str(server.port), "-serve_http=false", "-log_level", "warn"]


def prism(location: str | None) -> Prism:
    """Prism as the options of the command line say it."""
    return Prism(name="prism", options=(), location=location)


def find(location: str | None) -> str:
    """The path of the program. Raises EngineMissing."""
    if location:
        if not os.access(location, os.X_OK) or Path(location).is_dir():
            raise EngineMissing(f"--prism-location {location}: no program that can be run")
        return str(Path(location).resolve())
    kept = jars.cache() / "prism" / beam_version / "prism"
    return shutil.which("prism") or (str(kept) if kept.exists() else _built(kept))


def _built(path: Path) -> str:
    """Build it with Go, as Beam's release does; minutes, once. Raises EngineMissing."""
    advice = f"go install {MODULE} (Go 1.26 or later), then put the program on PATH or name it with --prism-location"
    if shutil.which("go") is None:
        raise EngineMissing(f"--runner prism needs the program prism, and Go to build it is not here either: {advice}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        command = ["go", "install", "-ldflags=-s -w", MODULE]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "GOBIN": made})
        if done.returncode:
            raise EngineMissing(f"prism could not be built: {done.stderr.strip()[-600:]}\nElsewhere: {advice}")
        Path(made, "prism").replace(path)
    return str(path)
