"""Whether a worker has been too long at one record, measured so that a busy machine condemns no innocent record.

What counts is the CPU time that the worker has spent at the record: on a machine with more to do than it has processors, the
clock runs on while nothing is done. One that spends none is waiting, and may do so ten times as long.
"""

from __future__ import annotations

import time
from typing import Final

import psutil

from pipeline import pulse

WAITING: Final = 10
"""How many times as long a record may take by the clock as in CPU time."""

Place = tuple[int, int]
"""Split and record, as the pulse has them."""


class Patience:
    """With one worker process; ``seconds`` is what a record may take."""

    def __init__(self, pid: int, seconds: float) -> None:
        self._seconds = seconds
        self._process = psutil.Process(pid)
        self.begin()

    def begin(self) -> None:
        """The worker starts on something new."""
        self._seen: Place = (pulse.NOTHING, pulse.NOTHING)
        self._since = time.monotonic()
        self._spent = self._cpu()

    def is_over(self, here: Place) -> bool:
        """Whether the worker, which is at this record now, has been there for too long. To be asked every so often."""
        if here[0] == pulse.NOTHING or here != self._seen:
            self.begin()
            self._seen = here
            return False
        waited = time.monotonic() - self._since
        if waited <= self._seconds:
            return False
        return waited > WAITING * self._seconds or self._cpu() - self._spent > self._seconds

    def _cpu(self) -> float:
        try:
            times = self._process.cpu_times()
        except psutil.Error:  # it has just ended, which others will notice
            return 0.0
        return float(times.user + times.system)
