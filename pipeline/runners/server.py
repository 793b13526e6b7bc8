"""A job server of an engine as a process here: started once, listening on this machine only, ended with this process."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.runners import leash
from pipeline.runners.runner import EngineMissing

PATIENCE = 300
"""Seconds that a job server may take to listen; Java on a busy machine takes twenty, on an overloaded one minutes."""
LAST_LINES = 12
"""Lines of its log that a message quotes when it does not start."""


class JobServer:
    """A process that takes Beam jobs at ``endpoint``, a port of this machine. Its log is ``folder/log``."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"corpusmill-{name}-"))
        self.port = free_port()
        self.endpoint = f"localhost:{self.port}"
        self.log = self.folder / "log"
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run the command and wait until it listens. Raises EngineMissing when it ends or does not listen in time."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, leash.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
            )
        deadline = time.monotonic() + PATIENCE
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
                self.close()
                raise EngineMissing(f"the job server of {self._name} did not start: {' '.join(command)}\n{last}")
            time.sleep(0.1)

    @property
    def alive(self) -> bool:
        """Whether it has been started and still runs."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process. Its log stays where it is, for whoever wants to know."""
        if self._process is None:
            return
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process = None


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    for address in ("127.0.0.1", "::1"):
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return True
    return False
