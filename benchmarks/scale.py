"""What each stage costs as documents grow: CPU time, peak memory, and bytes written, for 10^4 to 10^6 made-up documents.

The documents are short (some 55 words) and made from a seed, with near-duplicates planted; the recipe reads, deduplicates at
all levels, removes personal data, trains a tokenizer and packs shards with one local worker. Every stage's line says what it
took alone: CPU seconds of worker and supervisor, the largest resident set of each during the stage, and the bytes and files
that it left on the disk. The marginal cost of a document is the difference to the run before, over the documents more.

    python benchmarks/scale.py --documents 10000 100000 1000000
    python benchmarks/scale.py --pages
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks import material
from benchmarks.planted import Corpus
from pipeline import recipe_file
from pipeline.run import run
from pipeline.runners.local import LocalRunner
from pipeline.runners.runner import Watcher
from pipeline.stage import Item, Stage
from pipeline.warm_up import warm_up

SHORTEST = 20
"""Words of the shortest document."""
MEMORY = 1 << 30
"""What the recipe allows the tables of dedup."""
RECIPE = """\
name: scale
sources: [{{name: made, kind: parquet, id: id, url: null, paths: ["{folder}/*.parquet"], filters: false}}]
tokenizer: {{vocab_size: 8000, sample: 8MB}}
limits: {{memory: {memory}, record_seconds: 3600}}
alarms: {{action: warn}}
"""


PAGES = """\
name: scale
sources: [{{name: web, kind: warc, paths: [{paths}], filters: web}}]
tokenizer: {{vocab_size: 8000, sample: 8MB}}
limits: {{memory: {memory}, record_seconds: 3600}}
alarms: {{action: warn}}
"""


@dataclass(frozen=True)
class Cost:
    """What one stage took: CPU seconds and peak resident sets in MB of worker and supervisor, MB and files left behind."""

    stage: str
    items: int
    worker_cpu: float
    supervisor_cpu: float
    worker_peak: float
    supervisor_peak: float
    written: float
    files: int


class Meter:
    """A display that shows nothing and measures every stage."""

    def __init__(self, out: Path) -> None:
        self.costs: list[Cost] = []
        self._out = out

    @contextlib.contextmanager
    def stage(self, stage: Stage, items: int, done: int) -> Iterator[Watcher]:
        """Measure the stage while the block runs."""
        if done:
            raise SystemExit(f"stage {stage.name}: {done} items were done before; begin with an empty folder")
        before, (size, count) = _used(), _on_disk(self._out)
        _forget_peaks()
        yield self
        after, (size_now, count_now) = _used(), _on_disk(self._out)
        peaks = _peaks()
        self.costs.append(
            Cost(
                stage.name,
                items,
                after[0] - before[0],
                after[1] - before[1],
                *peaks,
                (size_now - size) / 1e6,
                count_now - count,
            )
        )

    def done(self, item: Item) -> None:
        """Nothing to show."""

    def progress(self, counted: int, kept: int) -> None:
        """Nothing to show."""

    def note(self, message: str) -> None:
        """Alarms and workers that died: they would spoil the figures."""
        print(f"  note: {message}", flush=True)


def _workers() -> list[psutil.Process]:
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "spawn_main" in " ".join(one.cmdline())]


def _used() -> tuple[float, float]:
    """CPU seconds so far of the workers and of this process."""
    workers = sum(times.user + times.system for times in (one.cpu_times() for one in _workers()))
    return workers, time.process_time()


def _forget_peaks() -> None:
    """Have the kernel begin anew with the peaks of resident sets (Linux)."""
    for process in (os.getpid(), *(one.pid for one in _workers())):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _peaks() -> tuple[float, float]:
    """Largest resident set in MB of a worker and of this process since they were forgotten."""
    return max([_peak(one.pid) for one in _workers()], default=0.0), _peak(os.getpid())


def _peak(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def _on_disk(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def measured(
    name: str, recipe_text: str, work: Path, before: Mapping[str, Cost], fewer: int
) -> tuple[dict[str, Cost], int]:
    """Run a recipe and print what each stage took, and how much more a record that is than before. Returns costs and records."""
    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    recipe = recipe_file.loads(recipe_text)
    warm_up(recipe)
    runner, meter = LocalRunner(1, recipe.limits.record_seconds, recipe.limits.attempts), Meter(out)
    started = time.process_time()
    try:
        made = run(recipe, str(out), runner, meter)
    finally:
        runner.close()
    (fates,) = made["sources"].values()
    text = fates["facts"].get("text_bytes", 0) / 1e6
    print(
        f"\n{fates['read']:,} records, {fates['kept']:,} kept with {text:.1f} MB of text, manifest "
        f"{(out / 'manifest.json').stat().st_size:,} bytes, supervisor {time.process_time() - started:.1f} s of CPU in all"
    )
    names = ("items", "worker s", "super s", "µs more", "worker MB", "super MB", "MB", "files")
    print(f"{'stage':<22}" + "".join(f"{name:>11}" for name in names))
    for cost in meter.costs:
        last = before.get(cost.stage)
        more = 1e6 * (cost.worker_cpu - last.worker_cpu) / (fates["read"] - fewer) if last else float("nan")
        print(
            f"{cost.stage:<22}{cost.items:>11}{cost.worker_cpu:>11.1f}{cost.supervisor_cpu:>11.1f}{more:>11.1f}"
            f"{cost.worker_peak:>11.0f}{cost.supervisor_peak:>11.0f}{cost.written:>11.1f}{cost.files:>11}",
            flush=True,
        )
    shutil.rmtree(out)
    return {cost.stage: cost for cost in meter.costs}, fates["read"]


def inputs(documents: Sequence[int], pages: bool, work: Path) -> Iterator[tuple[str, str]]:
    """A name and a recipe for each run, the smaller input first: made-up documents, or pages of one WARC file and of all."""
    if pages:
        warcs = material.warcs(None, work)
        for name, some in (
            ("scale-few-pages", [min(warcs, key=lambda path: path.stat().st_size)]),
            ("scale-pages", warcs),
        ):
            paths = ", ".join(json.dumps(str(path)) for path in some)
            yield name, PAGES.format(paths=paths, memory=MEMORY)
        return
    for count in documents:
        folder = work / f"scale-{count}-input"
        shutil.rmtree(folder, ignore_errors=True)
        Corpus(count, shortest=SHORTEST).write(folder)
        yield f"scale-{count}", RECIPE.format(folder=folder, memory=MEMORY)
        shutil.rmtree(folder)


def main() -> None:
    """Run the sizes one after the other and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--pages", action="store_true", help="real web pages instead, or the demo's")
    parser.add_argument("--work", type=Path, default=material.ROOT / "build" / "benchmarks")
    options = parser.parse_args()
    costs: dict[str, Cost] = {}
    records = 0
    for name, recipe in inputs(options.documents, options.pages, options.work):
        costs, records = measured(name, recipe, options.work, costs, records)


if __name__ == "__main__":
    main()
