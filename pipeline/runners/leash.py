"""Runs a command that ends when whoever started it does, however that ends: `python leash.py COMMAND…`, its input held open.

A job server started by a command that is killed would otherwise stay. The starter keeps the write end of this process's
standard input; the system closes it when the starter is gone.
"""

from __future__ import annotations

import subprocess
import sys
import threading


def main() -> int:
    """Run the command in the arguments; kill it when standard input ends. Returns its exit code."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def watch() -> None:
        sys.stdin.read()
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
