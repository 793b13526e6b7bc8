"""Other tools on the same made corpus: each a script in its own environment that prints which documents it would remove.

All cut words at white space, take five of them for a shingle, and 112 permutations in 14 bands of 8 rows. What a script prints
is a list of [removed, kept] places, kept being -1 where the tool does not say. A peer whose environment is missing is passed over.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.planted import Corpus

_READ: Final = """
import json, sys
from pathlib import Path
import pyarrow.parquet as pq
def texts():
    for path in sorted(Path(sys.argv[1]).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(1000, columns=["text"]):
            yield from batch.column(0).to_pylist()
def shingles(text):
    words = text.lower().split()
    return {" ".join(words[i : i + 5]) for i in range(len(words) - 4)}
removed = []
"""

SCRIPTS: Final = {
    "datasketch": _READ
    + """
from datasketch import MinHash, MinHashLSH
empty = MinHash(num_perm=112)
index = MinHashLSH(num_perm=112, params=(14, 8))
for place, text in enumerate(texts()):
    made = empty.copy()
    made.update_batch([one.encode() for one in shingles(text)])
    like = index.query(made)
    if like:
        removed.append([place, min(like)])
    else:
        index.insert(place, made)
print(json.dumps(removed))
""",
    "datatrove": _READ
    + """
import glob, tempfile
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger
logger.remove()
def read(data, rank=0, world_size=1):
    for place, text in enumerate(texts()):
        yield Document(text=text, id=str(place), metadata={})
work = tempfile.mkdtemp()
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, seed=1)
writer = JsonlWriter(work + "/removed", compression=None)
for tasks, pipeline in (
    (1, [read, MinhashDedupSignature(work + "/signatures", config=config)]),
    (14, [MinhashDedupBuckets(work + "/signatures", work + "/buckets", config=config)]),
    (1, [MinhashDedupCluster(work + "/buckets", work + "/clusters", config=config)]),
    (1, [read, MinhashDedupFilter(work + "/clusters", exclusion_writer=writer)]),
):
    logs = tempfile.mkdtemp()
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs).run()
for path in glob.glob(work + "/removed/*.jsonl"):
    with open(path) as lines:
        removed += [[int(json.loads(line)["id"]), -1] for line in lines]
print(json.dumps(removed))
""",
    "text-dedup": _READ
    + """
import contextlib, os, tempfile
os.environ["HF_HOME"] = work = tempfile.mkdtemp()
os.environ["HF_HUB_OFFLINE"] = "1"
from datasets import load_from_disk
from text_dedup.minhash import main
with contextlib.redirect_stdout(sys.stderr):
    main([
        "--path", "parquet", "--data_files", sys.argv[1] + "/*.parquet", "--split", "train", "--cache_dir", work + "/cache",
        "--output", work + "/out", "--column", "text", "--batch_size", "10000", "--ngram", "5", "--min_length", "0",
        "--num_perm", "112", "--b", "14", "--r", "8", "--num_proc", "1",
    ], standalone_mode=False)
kept = set(map(int, load_from_disk(work + "/out")["id"]))
count = sum(pq.ParquetFile(path).metadata.num_rows for path in Path(sys.argv[1]).glob("*.parquet"))
print(json.dumps([[place, -1] for place in range(count) if place not in kept]))
""",
    "rensa": _READ
    + """
from rensa import RMinHash, RMinHashLSH
index = RMinHashLSH(threshold=0.72, num_perm=112, num_bands=14)
for place, text in enumerate(texts()):
    made = RMinHash(num_perm=112, seed=1)
    made.update(list(shingles(text)))
    like = index.query(made)
    if like:
        removed.append([place, min(like)])
    else:
        index.insert(place, made)
print(json.dumps(removed))
""",
}


def compare(
    environments: Path,
    folder: Path,
    corpus: Corpus,
    quality: Callable[[Corpus, dict[int, int]], tuple[float, float, float]],
) -> None:
    """Run every peer that has an environment over a folder of Parquet files and print what it took and found."""
    for name, script in SCRIPTS.items():
        python = environments / name / "bin" / "python"
        if not python.exists():
            print(f"  {name:13} no {python}", flush=True)
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".py") as written:
            written.write(script)
            written.flush()
            process = subprocess.Popen(
                [python, written.name, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert process.stdout
            printed = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            print(f"  {name:13} failed with wait status {status}", flush=True)
            continue
        removed = dict(json.loads(printed.splitlines()[-1]))
        recall, _, precision = quality(corpus, removed)
        sure = f"{precision:.4f}" if min(removed.values(), default=-1) >= 0 else "not said"
        print(
            f"  {name:13} {usage.ru_utime + usage.ru_stime:8.1f} CPU s   recall {recall:.4f}   precision {sure}   removed {len(removed):,}   "
            f"peak RSS {usage.ru_maxrss / 1e3:.0f} MB",
            flush=True,
        )
