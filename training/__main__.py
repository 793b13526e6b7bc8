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
    from training.loop import build, train
    from training.parallel import ranks

    with ranks() as here:
        train(build(config, here))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
