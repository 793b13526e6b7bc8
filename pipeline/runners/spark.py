"""Spark: Beam's job server with a Spark inside, or one that submits to a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from apache_beam.version import __version__ as beam_version

from pipeline.runners import jars, java
from pipeline.runners.portable import Kind
from pipeline.runners.server import JobServer

USUAL_JAR = f"{java.GROUP}:beam-runners-spark-3-job-server:{beam_version}"
FAILURES = 4
"""How often a task may fail before its job does: Spark's own setting on a cluster, which a local one lacks."""

_OPENED = (
    "java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action",
    "sun.util.calendar",
)  # fmt: skip
"""Packages that Spark reaches into, which Java 17 must be told; the list is that of Spark's own start script."""


@dataclass(frozen=True, kw_only=True)
class Spark(Kind):
    """A Spark of its own in this machine's job server, or the cluster of ``master`` (spark://host:port)."""

    jar: str | None
    master: str

    def command(self, server: JobServer) -> list[str]:
        """The command that starts the job server."""
        path = jars.classpath(self.jar, USUAL_JAR)
        flags = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED]
        flags += ["-Dspark.ui.enabled=false", f"-Dspark.local.dir={server.folder}"]
        main = "org.apache.beam.runners.spark.SparkJobServerDriver"
        return java.command(server, path, main, flags, ["--spark-master-url", self.master])


def spark(jar: str | None, master: str | None, workers: int | None) -> Spark:
    """Spark as the options of the command line say it; ``workers`` is how many tasks, and Python processes, run at once."""
    options = [f"--sdk_worker_parallelism={workers}"] if workers else []
    environment = {}
    if master is None:
        master = f"local[{workers or '*'},{FAILURES}]"
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"
    elif "://" not in master:
        master = f"spark://{master}"
    return Spark(name="spark", options=options, environment=environment, jar=jar, master=master)
