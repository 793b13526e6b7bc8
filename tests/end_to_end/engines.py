"""What the tests of engines share: the arguments that choose one, or the reason why it can't be had here."""

from __future__ import annotations

import functools
import shutil

import pytest

from pipeline.runners import jars, prism
from pipeline.runners.runner import EngineMissing

# Beam's job servers are also published in pieces, which Maven puts together: these are the newest that every Maven
# mirror was found to hold. Beam's protocol lets an older job server run the jobs of a newer SDK.
COORDINATES = {
    "flink": "org.apache.beam:beam-runners-flink-1.19:2.62.0",
    "spark": (
        "org.apache.beam:beam-runners-spark-3:2.62.0,org.apache.spark:spark-core_2.12:3.5.0,"
        "org.apache.spark:spark-streaming_2.12:3.5.0"
    ),
}


@functools.cache
def _missing(name: str) -> str:
    """Why an engine can't be had here; fetches it where that has not been done."""
    try:
        if name == "prism":
            prism.find(None)
        elif shutil.which("java") is None:
            return "there is no Java here"
        else:
            jars.classpath(COORDINATES[name], "")
    except EngineMissing as error:
        return str(error)
    return ""


def arguments(name: str) -> tuple[str, ...]:
    """The options of the command that choose this engine; skips the test where it can't be had."""
    if reason := _missing(name):
        pytest.skip(reason)
    return ("--runner", name, *(("--job-server-jar", COORDINATES[name]) if name in COORDINATES else ()))
