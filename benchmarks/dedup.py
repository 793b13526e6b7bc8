"""What near-duplicate detection costs and finds, on made corpora with known duplicates, through the real stages.

    python benchmarks/dedup.py                                 # 100,000 and 200,000 documents
    python benchmarks/dedup.py --documents 100000 2000000 --memory 4GiB   # is the cost per document flat, and the memory bounded?
    python benchmarks/dedup.py --spans 100000000               # the span stage on keys that are made directly
    python benchmarks/dedup.py --peers /path/to/environments   # beside datatrove, text-dedup, datasketch and rensa

Each corpus is read from Parquet, keyed (14 bands of 8 rows), deduplicated and written by one local worker. Printed are the
CPU seconds of the whole process tree by stage, also of the same recipe without dedup, so that what dedup adds is the
difference; the largest PSS of the tree; and what was found: recall of the pairs at Jaccard 0.8 and more beside the exact
curve of the bands, and the share of the removals whose document is similar (0.7, the curve's threshold) to the one kept.

The peers' environments are folders with a ``bin/python`` each, made once:

    for peer in datasketch rensa "datatrove[io,processing]" text-dedup==0.4.0; do
        python -m venv ENVS/${peer%%[[=]*}; ENVS/${peer%%[[=]*}/bin/pip install "$peer" pyarrow
    done
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks import material, peers, span_keys
from benchmarks.planted import DOCUMENTS_A_FILE, Corpus
from pipeline.dedup import bands
from pipeline.stage import Item, Stage

SIMILAR = 0.7
ALIKE = 0.8
RECIPE = """\
sources: [{{name: made, kind: parquet, paths: ["{folder}/*.parquet"], filters: false}}]
dedup: {dedup}
pii: false
tokenizer: false
alarms: {{action: warn}}
limits: {{memory: {memory}}}
"""


@dataclass
class Cost:
    """CPU seconds of a run by stage, in all, and the largest PSS of its processes together, in MB."""

    stages: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    peak: float = 0.0

    def of(self, *beginnings: str) -> float:
        """CPU seconds of the stages whose names begin so."""
        return sum(cpu for name, cpu in self.stages.items() if name.startswith(beginnings))


def tree(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that it has started."""
    return [root, *root.children(recursive=True)]


def cpu_of(processes: list[psutil.Process]) -> float:
    """CPU seconds, user and system, of processes that are alive."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def watched(command: list[str]) -> Cost:
    """Run a command that prints a line of JSON last (CPU seconds by stage); watch the memory of its process tree."""
    process = subprocess.Popen(command, cwd=material.ROOT, stdout=subprocess.PIPE, text=True)
    cost = Cost()

    def watch() -> None:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            size = 0
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in tree(root):
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        size += one.memory_full_info().pss
            cost.peak = max(cost.peak, size / 1e6)
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    printed, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    cost.stages = json.loads(printed.splitlines()[-1])
    cost.cpu = cost.stages.pop("all")
    return cost


class Meter:
    """A display that shows nothing and measures every stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._root = psutil.Process()

    @contextlib.contextmanager
    def stage(self, stage: Stage, items: int, done: int) -> Iterator[Meter]:
        """Measure a stage; the workers of the local runner live as long as the run."""
        before = cpu_of(tree(self._root))
        yield self
        self.stages[stage.name] = cpu_of(tree(self._root)) - before

    def done(self, item: Item) -> None:
        """Nothing to show."""

    def progress(self, counted: int, kept: int) -> None:
        """Nothing to show."""

    def note(self, message: str) -> None:
        """Nothing to show."""


def one_run(recipe: str, out: str, workers: int) -> None:
    """The measured process: run a recipe with the local runner and print the CPU seconds of its stages."""
    from pipeline import recipe_file
    from pipeline.run import run
    from pipeline.runners.local import LocalRunner

    loaded = recipe_file.loads(Path(recipe).read_text())
    meter, runner = Meter(), LocalRunner(workers, loaded.limits.record_seconds, loaded.limits.attempts)
    run(loaded, out, runner, meter)
    everything = cpu_of(tree(psutil.Process()))
    runner.close()
    print(json.dumps(meter.stages | {"all": everything}))


def span_stage(out: str, memory: str, workers: int) -> None:
    """The measured process: the span stage over key files that are there, and the CPU seconds it took."""
    meter = Meter()
    before = cpu_of(tree(psutil.Process()))
    span_keys.run(out, memory, workers, meter)
    everything = cpu_of(tree(psutil.Process()))
    print(json.dumps({"spans": everything - before, "all": everything}))


def measure_spans(count: int, options: argparse.Namespace) -> None:
    """The span stage on keys without texts."""
    out = options.work / "spans"
    repeated = span_keys.write(count, out)
    cost = watched(
        [
            sys.executable,
            __file__,
            "--run-spans",
            str(out),
            "--memory",
            options.memory,
            "--workers",
            str(options.workers),
        ]
    )
    found = sum(np.load(path, mmap_mode="r").shape[0] for path in out.glob("**/spans/*/*.npy"))
    print(
        f"{count:,} span keys: {cost.cpu:.1f} CPU s ({1e6 * cost.cpu / count:.2f} us a key), peak PSS {cost.peak:.0f} MB, "
        f"{found:,} of {repeated:,} repeats found"
    )


def through_the_stages(folder: Path, work: Path, dedup: str, workers: int, memory: str) -> tuple[Cost, Path]:
    """Run the recipe over a folder of Parquet files. Returns what it took and where its output lies."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    recipe = work / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder, dedup=dedup, memory=memory))
    command = [sys.executable, __file__, "--run", str(recipe), str(out), "--workers", str(workers)]
    return watched(command), out


def median(costs: list[Cost]) -> Cost:
    """The medians of each number, of several runs of one recipe."""
    return Cost(
        {name: statistics.median(one.stages[name] for one in costs) for name in costs[0].stages},
        statistics.median(one.cpu for one in costs),
        statistics.median(one.peak for one in costs),
    )


def found_by(out: Path) -> dict[int, int]:
    """What a run removed: place in the corpus of every removed document, and of the one kept for it."""
    from pipeline.plan import RECORD_BITS

    plan = json.loads(next(out.rglob("plan.json")).read_text())
    starts = {split["index"]: DOCUMENTS_A_FILE * int(Path(split["parts"][0]["path"]).stem) for split in plan["splits"]}
    removed = {}
    for path in out.glob("duplicates/**/*.parquet"):
        table = pq.read_table(path, columns=["number", "kept_number"])
        for number, kept in zip(*(column.to_pylist() for column in table.columns), strict=True):
            places = [starts[one >> RECORD_BITS] + (one & ((1 << RECORD_BITS) - 1)) for one in (number, kept)]
            removed[places[0]] = places[1]
    return removed


def quality(corpus: Corpus, removed: dict[int, int]) -> tuple[float, float, float]:
    """Recall at Jaccard 0.8 and more, what the exact curve of 14 x 8 promises there, and precision of the removals.

    A pair is recalled when one of its documents was removed: its other document, or one like it, stays.
    """
    left, right, similarity = corpus.truth()
    gone = np.zeros(corpus.count, bool)
    gone[list(removed)] = True
    alike = similarity >= ALIKE
    recall = float((gone[left] | gone[right])[alike].mean())
    curve = float(np.mean([bands.candidate_probability(one, 14, 8) for one in similarity[alike]]))
    known = dict(zip(zip(left.tolist(), right.tolist(), strict=True), similarity.tolist(), strict=True))
    right_ones = [known.get((min(pair), max(pair)), 0.0) >= SIMILAR for pair in removed.items()]
    return recall, curve, float(np.mean(right_ones))


def measure(count: int, options: argparse.Namespace) -> None:
    """One corpus through the stages, with and without dedup, then the peers."""
    corpus = Corpus(count)
    folder = options.work / f"made-{count}"
    if not (folder / "done").exists():
        corpus.write(folder)
        (folder / "done").touch()
    with_dedup, without = [], []
    for _ in range(options.repeat):  # by turns, so that a busy minute of the machine does not fall on one of them alone
        without.append(through_the_stages(folder, options.work, "false", options.workers, options.memory)[0])
        cost, out = through_the_stages(folder, options.work, "{sentence: false}", options.workers, options.memory)
        with_dedup.append(cost)
    recall, curve, precision = quality(corpus, found_by(out))
    with_dedup, without = median(with_dedup), median(without)
    keys = with_dedup.stages["prepare"] - without.stages["prepare"]
    microseconds = 1e6 / count
    print(f"{count:,} documents, {options.workers} worker(s)", flush=True)
    print(
        f"  whole run     {with_dedup.cpu:8.1f} CPU s  {with_dedup.cpu * microseconds:7.1f} us a document   "
        f"peak PSS {with_dedup.peak:6.0f} MB"
    )
    for name, cpu in with_dedup.stages.items():
        print(f"    {name:22} {cpu:8.2f} CPU s  {cpu * microseconds:7.1f} us a document")
    print(
        f"  dedup adds    {keys + with_dedup.of('dedup'):8.1f} CPU s: shingling and hashing {keys:.1f}, "
        f"shuffle and search {with_dedup.of('dedup-exact', 'dedup-near'):.1f}, "
        f"verification {with_dedup.of('dedup-verify'):.1f}, clustering {with_dedup.of('dedup-decide'):.1f}"
    )
    print(f"  recall at {ALIKE} and more {recall:.4f} (the curve: {curve:.4f})   precision {precision:.4f}", flush=True)
    if options.peers:
        peers.compare(options.peers, folder, corpus, quality)


def main() -> None:
    """Parse the options and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="*", default=[100_000, 200_000])
    parser.add_argument("--spans", type=int, default=0, help="keys for the span stage")
    parser.add_argument("--peers", type=Path, help="folder with the peers' environments")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1, help="runs, of which the medians are printed")
    parser.add_argument("--memory", default="512MiB", help="limits.memory of the recipe")
    parser.add_argument("--work", type=Path, default=material.ROOT / "build" / "benchmarks" / "dedup")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--run-spans", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run_spans:
        span_stage(options.run_spans, options.memory, options.workers)
        return
    if options.run:
        one_run(*options.run, options.workers)
        return
    options.work.mkdir(parents=True, exist_ok=True)
    for count in options.documents:
        measure(count, options)
    if options.spans:
        measure_spans(options.spans, options)


if __name__ == "__main__":
    main()
