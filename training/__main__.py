"""``torchrun --nproc-per-node N -m training CONFIG``: what ``corpusmill train CONFIG`` does, on N ranks."""

from __future__ import annotations

import os
import sys

from training.run import Failed, run


def main(arguments: list[str]) -> int:
    """Train as the config at the path given says; the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: torchrun --nproc-per-node N -m training CONFIG\n")
        return 2
    try:
        run(arguments[0])
    except Failed as error:
        if os.environ.get("RANK", "0") == "0":
            sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
