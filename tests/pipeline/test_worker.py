"""A worker does not outlive the process that asked for it, however the worker was started and that process ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import multiprocessing
from pipeline.runners.worker import end_with_parents
worker = multiprocessing.get_context("{}").Process(target=end_with_parents)
worker.start()
print(worker.pid, flush=True)
worker.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_ends_when_who_asked_for_it_is_killed(method: str) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(method)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout
    worker = psutil.Process(int(asking.stdout.readline()))
    assert worker.is_running()
    asking.kill()
    asking.wait()
    _, alive = psutil.wait_procs([worker], timeout=30)
    assert alive == []
