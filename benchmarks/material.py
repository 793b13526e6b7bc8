"""What the benchmarks share: the pages they run on, a small language model, a tokenizer, and measured child processes."""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
"""Real pages with many sites, where they are at hand; else the demo's own input."""


def arguments(description: str | None) -> argparse.Namespace:
    """The options every benchmark takes: which WARC files to read, and where to keep what it makes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--warc", nargs="*", type=Path, help="WARC files (default: real pages beside the checkout, else the demo's)"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "benchmarks", help="folder for models and outputs"
    )
    return parser.parse_args()


def warcs(given: Sequence[Path] | None, work: Path) -> list[Path]:
    """The WARC files to measure on. Makes the demo's input where there is nothing else."""
    if given:
        return sorted(given)
    real = sorted((SHARED / "html-gold").glob("*.warc.gz"))
    if real:
        return real
    demo = work / "demo-input"
    if not demo.exists():
        subprocess.run([sys.executable, "-m", "demo", str(demo)], cwd=ROOT, check=True)
    return sorted((demo / "web").glob("*.warc.gz"))


@dataclass(frozen=True)
class Used:
    """What a command took: CPU seconds (user and system) of it and all its children, and the largest resident set in MB."""

    cpu: float
    peak: float


def measured(command: Sequence[str | Path]) -> Used:
    """Run a command to its end and say what it took. Raises CalledProcessError."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        list(map(str, command)),
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Used(cpu, after.ru_maxrss / 1024)


def write_language_model(texts: Iterable[str], path: Path, order: int = 3) -> None:
    """A small back-off model in ARPA format: maximum likelihood with a fixed discount, enough to time lookups with."""
    grams: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order)]
    for text in texts:
        for line in text.splitlines():
            words = ["<s>", *line.lower().split(), "</s>"]
            for size in range(1, order + 1):
                grams[size - 1].update(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
    kept = [grams[0]] + [Counter({gram: count for gram, count in level.items() if count > 1}) for level in grams[1:]]
    for level in range(order - 1, 0, -1):  # every context of a kept n-gram must be kept as well
        for gram in list(kept[level]):
            kept[level - 1].setdefault(gram[:-1], grams[level - 1][gram[:-1]])
            kept[level - 1].setdefault(gram[1:], grams[level - 1][gram[1:]])
    total = grams[0].total()
    with path.open("w") as out:
        out.write(
            "\\data\\\n" + "".join(f"ngram {size + 1}={len(level) + (size == 0)}\n" for size, level in enumerate(kept))
        )
        for size, level in enumerate(kept):
            out.write(f"\n\\{size + 1}-grams:\n" + ("-7.0\t<unk>\t0\n" if size == 0 else ""))
            for gram, count in sorted(level.items()):
                of = total if size == 0 else grams[size - 1][gram[:-1]]
                back_off = "\t-0.4" if size + 1 < order else ""
                out.write(f"{math.log10(0.9 * count / of):.5f}\t{' '.join(gram)}{back_off}\n")
        out.write("\n\\end\\\n")
