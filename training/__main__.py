"""``torchrun -m training CONFIG``: what ``corpusmill train CONFIG`` does, on as many ranks as torchrun starts."""

from __future__ import annotations

import sys

from training.config import ConfigError, load


def main(arguments: list[str]) -> int:
    """Train as the config at the path given says; the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: torchrun --nproc-per-node N -m training CONFIG\n")
        return 2
    try:
        config = load(arguments[0])
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    from training.checkpoint.manager import SaveFailed
    from training.parallel import ranks
    from training.recovery import RecoveryFailed
    from training.run import run
    from training.watch.watcher import Watch

    try:
        with ranks() as here:
            run(config, here, [Watch()])
    except (RecoveryFailed, SaveFailed, ModuleNotFoundError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
