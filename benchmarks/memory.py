"""Peak memory of a local worker for few and for many input files: it must depend on the split, not on the corpus.

Runs the demo's chain with two workers over the same WARC files once and many times over (as links under other names), and
prints the largest resident set of any process of the run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks import material

TIMES_OVER = (1, 8)
RECIPE = """\
sources: [{{name: web, kind: warc, paths: ["{folder}/*.warc.gz"], filters: web}}]
filters: {{web: [{{language: {{keep: []}}}}, gopher_repetition, gopher_quality, fineweb]}}
dedup: {{exact: false, near: {{}}}}
tokenizer: {{vocab_size: 8000, sample: 8MB}}
alarms: {{action: warn}}
"""


def peaks(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Largest resident set, in MB, of the supervisor and of any worker while the process runs."""
    found = {"supervisor": 0.0, "worker": 0.0}
    try:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            found["supervisor"] = max(found["supervisor"], root.memory_info().rss / 1e6)
            for child in root.children():
                if "spawn_main" in " ".join(child.cmdline()):
                    found["worker"] = max(found["worker"], child.memory_info().rss / 1e6)
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        pass  # over between two looks
    return found


def main() -> None:
    """Run the recipe for each number of files and print the peaks."""
    options = material.arguments(__doc__)
    warcs = material.warcs(options.warc, options.work)
    for times in TIMES_OVER:
        folder = options.work / f"times-{times}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for copy in range(times):
            for path in warcs:
                (folder / f"{copy:02d}-{path.name}").symlink_to(path.resolve())
        recipe = options.work / f"times-{times}.yaml"
        recipe.write_text(RECIPE.format(folder=folder))
        command = [
            sys.executable,
            "-m",
            "pipeline.command",
            "run",
            recipe,
            "--output",
            folder / "out",
            "--workers",
            "2",
        ]
        process = subprocess.Popen(list(map(str, command)), cwd=material.ROOT, stdout=subprocess.DEVNULL)
        found: dict[str, float] = {}
        watcher = threading.Thread(target=lambda found=found, process=process: found.update(peaks(process)))
        watcher.start()
        if process.wait() != 0:
            raise SystemExit(f"the run of {times} times the input failed")
        watcher.join()
        size = times * sum(path.stat().st_size for path in warcs) / 1e6
        print(
            f"{times * len(warcs):4} files, {size:7.1f} MB: worker {found['worker']:5.0f} MB, supervisor {found['supervisor']:5.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
