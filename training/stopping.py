"""SIGTERM and SIGINT as a wish: the step is ended, a checkpoint saved, and the training ends well."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self


class StopSignals:
    """While this context lasts, the first SIGTERM or SIGINT sets ``received``; the second does what it always did."""

    def __init__(self) -> None:
        self.received: str | None = None
        """Name of the signal that came."""
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]
