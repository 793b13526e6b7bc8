"""One worker process of an engine: Beam's SDK harness, with the memory that it shares with the pool that started it."""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
from pathlib import Path

from pipeline import pulse


def main() -> None:
    """Run the harness as the environment says, until its engine closes the connection or its pool is gone."""
    pool, slots = int(sys.argv[1]), Path(sys.argv[2])
    threading.Thread(target=end_with, args=(pool,), daemon=True).start()
    with slots.open("r+b") as file:
        pulse.share(memoryview(mmap.mmap(file.fileno(), 0)).cast("q"))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def end_with(supervisor: int) -> None:
    """Exit soon after the parent process is gone, also when it was killed."""
    while os.getppid() == supervisor:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
