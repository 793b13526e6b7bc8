"""Which record this process is working on, where a supervisor can see it even after the process has died.

A worker writes the split and record it is about to touch into memory that it shares with its supervisor. When the worker
is killed by what it read, or hangs in it, the supervisor knows the guilty record. Where nobody supervises (a worker on
another machine) the numbers go into ordinary memory that nobody reads; what is counted goes to the job's metrics as well.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SPLIT, RECORD, RECORDS, KEPT = range(4)
SLOTS = 4
NOTHING = -1
NAMESPACE = "corpusmill"
"""Of the counters ``records`` and ``kept`` in the metrics of a job."""

_slots: Any = [NOTHING, NOTHING, 0, 0]


def share(slots: Any) -> None:
    """Write to these slots (an integer array of length SLOTS) from now on."""
    global _slots
    _slots = slots
    rest()


def at(split: int, record: int) -> None:
    """This process is about to work on that record."""
    _slots[RECORD] = record
    _slots[SPLIT] = split


def rest() -> None:
    """This process works on no record: what happens to it now is no record's fault."""
    _slots[SPLIT] = NOTHING


@contextmanager
def waiting() -> Iterator[None]:
    """This process waits for a network, which is no record's fault, and then goes on where it was."""
    split = _slots[SPLIT]
    rest()
    try:
        yield
    finally:
        _slots[SPLIT] = split


def count(records: int, kept: int) -> None:
    """Add to the progress shown while a stage runs."""
    _slots[RECORDS] += records
    _slots[KEPT] += kept
    _counter("records").inc(records)
    _counter("kept").inc(kept)


@functools.cache
def _counter(name: str) -> Any:
    from apache_beam.metrics import Metrics  # here: who only reads files needs no Beam

    return Metrics.counter(NAMESPACE, name)
