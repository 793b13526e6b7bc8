"""One worker process of an engine: Beam's SDK harness, with the memory that it shares with the pool that started it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from pipeline import pulse

logging.basicConfig(level=logging.ERROR)  # before Beam is imported: it would set up logging of its own


def work(environment: Mapping[str, str], slots: Any, log: Path) -> None:
    """Run the harness as the environment says, until its engine closes the connection or the pool's process is gone."""
    os.setsid()  # Ctrl-C is the driver's to handle
    threading.Thread(target=end_with_parents, daemon=True).start()
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    pulse.share(slots)
    from apache_beam.runners.worker import sdk_worker_main, worker_id_interceptor

    # Beam reads this from the environment when it is imported, which was before this process was forked
    worker_id_interceptor.WorkerIdInterceptor._worker_id = environment["WORKER_ID"]
    sdk_worker_main.main([])


def end_with_parents() -> None:
    """Exit soon after the process that asked for this one is gone, or the one that it was forked from, also when killed.

    Where a server forks the workers, the server is their parent: it lives as long as they do, and they must not wait for it.
    """
    asked, forked_from = multiprocessing.parent_process(), os.getppid()
    assert asked
    while os.getppid() == forked_from and not wait([asked.sentinel], 0.5):
        pass
    os._exit(1)
