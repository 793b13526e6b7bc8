"""The span stage on very many keys: key files are made directly (random keys, one in ten of them twice), no text at all."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import recipe_file
from pipeline.dedup import inputs, key_table
from pipeline.dedup.find import FindRepeats
from pipeline.dedup.inputs import DOCUMENTS_PER_BLOCK, Inputs, KeyFile
from pipeline.dedup.keys import Keys, Lists, Signatures
from pipeline.layout import Layout
from pipeline.plan import RECORD_BITS
from pipeline.recipe import Recipe
from pipeline.runners.local import LocalRunner
from pipeline.runners.runner import Watcher

KEYS_A_DOCUMENT = 20
DOCUMENTS_A_FILE = 50_000


def recipe(memory: str) -> Recipe:
    """A recipe with the span level alone."""
    return recipe_file.loads(
        "sources: [{name: made, kind: jsonl, paths: [none.jsonl], filters: false}]\n"
        f"dedup: {{exact: false, near: false}}\ntokenizer: false\nlimits: {{memory: {memory}}}\n"
    )


def write(count: int, out: Path) -> int:
    """Key files with so many span keys, and the stage's inputs. Returns how many keys repeat an earlier one."""
    shutil.rmtree(out, ignore_errors=True)
    layout = Layout.of(str(out))
    draw = np.random.Generator(np.random.PCG64(1))
    found: list[KeyFile] = []
    repeated = 0
    earlier = np.empty(0, np.uint64)
    for number in range(-(-count // (KEYS_A_DOCUMENT * DOCUMENTS_A_FILE))):
        keys = draw.integers(1, 1 << 64, KEYS_A_DOCUMENT * DOCUMENTS_A_FILE, np.uint64)
        if len(earlier):
            size = len(keys) // 10
            keys[:size] = earlier[-size:]
            repeated += size
        earlier = keys
        first = number << RECORD_BITS
        table = _table(keys, first)
        name = f"made/{number:05d}-00.parquet"
        key_table.write(layout.path(f"keys/{name}"), table)
        last = first + DOCUMENTS_A_FILE - 1
        found.append(KeyFile(layout.out, name, 0, first, last, DOCUMENTS_A_FILE, 0, 0, len(keys), 0))
    in_a_block = DOCUMENTS_PER_BLOCK // DOCUMENTS_A_FILE
    edges = (*range(0, len(found), in_a_block), len(found))
    inputs.save(Inputs(tuple(found), edges, len(edges) - 1), layout)
    return repeated


def _table(keys: np.typing.NDArray[np.uint64], first: int) -> pa.Table:
    none = Lists(np.zeros(DOCUMENTS_A_FILE + 1, np.int64), np.empty(0, np.uint64))
    unsigned = Signatures(np.zeros(DOCUMENTS_A_FILE, bool), np.empty((0, 0), np.uint32))
    spans = Lists(np.arange(0, len(keys) + 1, KEYS_A_DOCUMENT), keys)
    digests = np.zeros((DOCUMENTS_A_FILE, 2), np.uint64)
    numbers = list(range(first, first + DOCUMENTS_A_FILE))
    return key_table.made(numbers, numbers, Keys(digests, digests, digests[:, 0], unsigned, spans, none))


def run(out: str, memory: str, workers: int, watcher: Watcher) -> None:
    """The measured process: the span stage over the key files in a folder."""
    layout = Layout.of(out)
    stage = FindRepeats(recipe(memory), layout, "spans")
    runner = LocalRunner(workers, 600, 2)
    runner.run(stage, stage.items(), layout, watcher)
    sys.stdout.flush()
