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
_CONFIGURATION = """\
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 4
restart-strategy.fixed-delay.delay: 1 s
"""
"""Flink's own setting for a job that loses a worker is to give it up."""


@dataclass(frozen=True, kw_only=True)
class Flink(Kind):
    """A Flink of its own in this machine's job server, or the cluster whose job manager is ``master`` (host:port)."""

    jar: str | None
    master: str

    def command(self, server: JobServer) -> list[str]:
        """The command that starts the job server."""
        path = jars.classpath(self.jar, USUAL_JAR)
        main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        configuration = server.folder / "flink-conf.yaml"
        configuration.write_text(_CONFIGURATION)
        arguments = ["--flink-master", self.master, "--flink-conf-dir", str(server.folder)]
        return java.command(server, path, main, (), arguments)


def flink(jar: str | None, master: str | None, workers: int | None) -> Flink:
    """Flink as the options of the command line say it; ``workers`` is how many tasks, and Python processes, run at once."""
    options = [f"--flink_master={master or LOCAL}"]
    if workers:
        options += [f"--parallelism={workers}", f"--sdk_worker_parallelism={workers}"]
    return Flink(name="flink", options=options, jar=jar, master=master or LOCAL)
