"""Makes the next value in a background thread while the last one is used: a double buffer, and no more memory than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Ahead(Iterator[Value], Generic[Value]):
    """The values of an iterator, each made while the one before it is in use. What the iterator raises is raised here."""

    def __init__(self, values: Iterator[Value]) -> None:
        """Begin to make the first value."""
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._made: SimpleQueue[Value | Exception] = SimpleQueue()
        self._thread = threading.Thread(target=self._make, args=(values,), daemon=True, name="read-ahead")
        self._wanted.put(True)
        self._thread.start()

    def __next__(self) -> Value:
        """The next value; waits for it."""
        made = self._made.get()
        if isinstance(made, Exception):
            self._made.put(made)  # whoever asks again is told again
            raise made
        self._wanted.put(True)
        return made

    def close(self) -> None:
        """End the thread, after the value that it is making."""
        self._wanted.put(False)
        self._thread.join()

    def _make(self, values: Iterator[Value]) -> None:
        while self._wanted.get():
            try:
                self._made.put(next(values))
            except Exception as error:  # noqa: BLE001 - raised where the value is asked for
                self._made.put(error)
                return
