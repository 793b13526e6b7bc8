"""Flink: Beam's job server with a Flink inside, or one that submits to a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from apache_beam.version import __version__ as beam_version

from pipeline.runners import jars, java
from pipeline.runners.portable import Kind
from pipeline.runners.server import JobServer

USUAL_JAR = f"{java.GROUP}:beam-runners-flink-1.20-job-server:{beam_version}"
"""Flink 1.20 is the last whose batch runtime Beam uses: from 2.0 on bounded jobs go through the streaming translator."""
LOCAL = "[local]"
RETRIES = 4
"""How often Flink starts a job again that lost a worker. Its own setting is never."""


@dataclass(frozen=True, kw_only=True)
class Flink(Kind):
    """A Flink of its own in this machine's job server, or the cluster whose job manager is ``master`` (host:port)."""

    jar: str | None
    master: str

    def command(self, server: JobServer) -> list[str]:
        """The command that starts the job server."""
        path = jars.classpath(self.jar, USUAL_JAR)
        main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        return java.command(server, path, main, (), ["--flink-master", self.master])


def flink(jar: str | None, master: str | None, workers: int | None) -> Flink:
    """Flink as the options of the command line say it; ``workers`` is how many tasks, and Python processes, run at once."""
    options = [f"--flink_master={master or LOCAL}", f"--number_of_execution_retries={RETRIES}"]
    if workers:
        options += [f"--parallelism={workers}", f"--sdk_worker_parallelism={workers}"]
    return Flink(name="flink", options=options, jar=jar, master=master or LOCAL)
