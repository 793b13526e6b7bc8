"""One worker process of an engine: Beam's SDK harness, with the memory that it shares with the pool that started it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import pulse

logging.basicConfig(level=logging.ERROR)  # before Beam is imported: it would set up logging of its own


def work(environment: Mapping[str, str], slots: Any, log: Path) -> None:
    """Run the harness as the environment says, until its engine closes the connection or the pool's process is gone."""
    os.setsid()  # Ctrl-C is the driver's to handle
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update(environment)
    pulse.share(slots)
    from apache_beam.runners.worker import sdk_worker_main, worker_id_interceptor

    # Beam reads this from the environment when it is imported, which was before this process was forked
    worker_id_interceptor.WorkerIdInterceptor._worker_id = environment["WORKER_ID"]
    sdk_worker_main.main([])


def end_with(parent: int) -> None:
    """Exit soon after the parent process is gone, also when it was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
