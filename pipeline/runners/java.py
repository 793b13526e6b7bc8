"""What the job servers in Java share: the Java program itself, and how one is started."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from pipeline.runners.runner import EngineMissing
from pipeline.runners.server import JobServer

GROUP = "org.apache.beam"

_FLAGS = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""An engine here moves keys, never text, and its Java code is soon warm; JAVA_TOOL_OPTIONS can say otherwise."""


def command(server: JobServer, path: str, main: str, flags: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The command of a job server from its class path and main class. Raises EngineMissing without Java."""
    java = shutil.which("java")
    if java is None:
        raise EngineMissing("Flink and Spark need Java 11 or 17: install it (apt-get install openjdk-17-jre-headless)")
    own = ["--job-port", str(server.port), "--artifact-port", "0", "--expansion-port", "-1"]
    return [java, *_FLAGS, *flags, "-cp", path, main, *own, "--artifacts-dir", str(server.folder), *arguments]
