"""``python -m demo OUTDIR``: make the demo's input."""

from __future__ import annotations

import argparse
from pathlib import Path

from demo.make_input import make


def main() -> None:
    """Read the command line, make the files, say what was made."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Make the input of the corpusmill demo.")
    parser.add_argument("out", type=Path, help="folder to write to; made when missing")
    out = parser.parse_args().out
    for name, size in make(out).items():
        print(f"{size:>10,}  {out / name}")


if __name__ == "__main__":
    main()
