"""Other tools on the same made corpus: each a script in its own environment that prints which documents it would remove.

All cut words at white space, take five of them for a shingle, and 112 permutations in 14 bands of 8 rows. What a script prints
is a list of [removed, kept] places. A peer whose environment is missing is passed over.
"""

from __future__ import annotations

import json
import resource
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
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run([python, written.name, folder], check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        removed = dict(json.loads(done.stdout))
        recall, _, precision = quality(corpus, removed)
        print(
            f"  {name:13} {cpu:8.1f} CPU s   recall {recall:.4f}   precision {precision:.4f}   removed {len(removed):,}",
            flush=True,
        )
