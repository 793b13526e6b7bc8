"""How fast the loader is, how soon it begins and resumes, and what it holds in memory; beside other ways to read tokens.

    python benchmarks/loader.py [--peers]

Batches are 16 x 2,048 as int64, documents shuffled, four sources mixed by weight; one process, page cache warm. Tokens
per second are of CPU time of the whole process, background thread included. With ``--peers`` also mosaicml-streaming
and litdata, where they are installed; nanoGPT's random windows and a bare Arrow map with an exact permutation of
windows are always run. The 1,000 shards of 10 million tokens are one file under 1,000 names.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokenizer.shard import About, ShardDocument, write_shard
from training.data.corpus import Corpus
from training.data.loader import Loader
from training.data.stream import TokenStream

SOURCES = {"web": 0.67, "books": 0.15, "code": 0.10, "wikipedia": 0.08}
BATCH, LENGTH = 16, 2048
VOCABULARY = 50_257
TOKENS = 50_000_000
"""In all sources together, as in the measurements of peers that this is compared with."""


def shard_bytes(source: str, tokens: int, seed: int) -> tuple[bytes, int, int]:
    """A shard of random tokens with lognormal document lengths (mean about 900): its bytes, documents and tokens."""
    generator = np.random.default_rng(seed)
    lengths = np.maximum(2, generator.lognormal(6.3, 1.0, 2 * tokens // 900).astype(int))
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), tokens)) + 1]
    values = generator.integers(1, VOCABULARY, int(lengths.sum()), dtype=np.uint16)
    ends = np.cumsum(lengths)
    values[ends - 1] = 0
    rows = (
        ShardDocument(values[end - length : end], f"{source}-{seed}-{i}", i, f"https://example.org/{source}/{i}")
        for i, (length, end) in enumerate(zip(lengths.tolist(), ends.tolist(), strict=True))
    )
    stream = io.BytesIO()
    counts = write_shard(stream, rows, About("a" * 64, "b" * 64, source, "train", VOCABULARY, 0))
    return stream.getvalue(), counts.documents, counts.tokens


def make_run(folder: Path, shards: int, tokens_each: int, copies: bool = False) -> None:
    """A run's folder with so many shards in all; with ``copies`` they are all the same file under other names."""
    files = []
    each = max(1, shards // len(SOURCES))
    first: Path | None = None
    for source in SOURCES:
        for number in range(each):
            path = folder / f"shards/train/{source}/{number:05}-of-{each:05}.arrow"
            path.parent.mkdir(parents=True, exist_ok=True)
            if first is None or not copies:
                contents, documents, tokens = shard_bytes(source, tokens_each, number)
                path.write_bytes(contents)
                digest = hashlib.sha256(contents).hexdigest()
                first = path
            else:
                os.link(first, path)
            files.append(
                {"kind": "shard", "path": str(path.relative_to(folder)), "source": source, "split": "train",
                 "rows": documents, "tokens": tokens, "bytes": len(contents), "sha256": digest}
            )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"files": files}))


def speed(batches: Iterator[int]) -> tuple[float, float]:
    """Millions of tokens a CPU second, and the 99th percentile of milliseconds a batch."""
    for _ in range(20):
        next(batches)
    waits, tokens = [], 0
    begin = time.process_time()
    while tokens < 150_000_000:
        before = time.perf_counter()
        tokens += next(batches)
        waits.append(time.perf_counter() - before)
    return tokens / (time.process_time() - begin) / 1e6, statistics.quantiles(waits, n=100)[98] * 1000


def ours(folder: Path) -> Iterator[int]:
    """The loader."""
    with Loader(TokenStream(Corpus(folder), SOURCES), micro_batch=BATCH, sequence_length=LENGTH) as loader:
        for batch in loader:
            yield batch.inputs.size


def ours_in_sequence(folder: Path) -> Iterator[int]:
    """The stream without the background thread."""
    stream = TokenStream(Corpus(folder), SOURCES)
    flat = np.empty(BATCH * LENGTH + 1, np.int64)
    for position in itertools.count(0, BATCH * LENGTH):
        stream.read(position, position + len(flat), flat)
        yield BATCH * LENGTH


def all_tokens(folder: Path) -> list[np.ndarray]:
    """The values of all record batches, as views."""
    found = []
    for path in sorted(folder.rglob("*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        found += [reader.get_batch(i).column(0).values.to_numpy() for i in range(reader.num_record_batches)]
    return found


def bare_arrow(folder: Path) -> Iterator[int]:
    """Arrow maps with an exact permutation of windows: no documents, no mixture, no checks, no resume."""
    views = all_tokens(folder)
    windows = [(v, at) for v, values in enumerate(views) for at in range(0, len(values) - LENGTH, LENGTH)]
    while True:
        order = np.random.default_rng(0).permutation(len(windows))
        for at in range(0, len(order) - BATCH, BATCH):
            chosen = [windows[i] for i in order[at : at + BATCH]]
            yield np.stack([views[v][begin : begin + LENGTH] for v, begin in chosen]).astype(np.int64).size


def random_windows(folder: Path) -> Iterator[int]:
    """nanoGPT's way: random windows with replacement from a memory map opened anew, x and y apart."""
    path = folder / "tokens.bin"
    np.concatenate(all_tokens(folder)).tofile(path)
    generator = np.random.default_rng(0)
    while True:
        data = np.memmap(path, dtype=np.uint16, mode="r")
        begins = generator.integers(0, len(data) - LENGTH - 1, BATCH)
        x = np.stack([data[i : i + LENGTH].astype(np.int64) for i in begins])
        np.stack([data[i + 1 : i + 1 + LENGTH].astype(np.int64) for i in begins])
        yield x.size


def mosaic(folder: Path) -> Iterator[int]:
    """mosaicml-streaming: samples of 2,048 tokens, shuffled, batched here."""
    from streaming import MDSWriter, StreamingDataset

    place = folder / "mds"
    with MDSWriter(out=str(place), columns={"tokens": f"ndarray:uint16:{LENGTH}"}) as writer:
        for values in all_tokens(folder):
            for at in range(0, len(values) - LENGTH, LENGTH):
                writer.write({"tokens": values[at : at + LENGTH]})
    data = StreamingDataset(local=str(place), shuffle=True, batch_size=BATCH)
    while True:
        rows = iter(data)
        while len(chosen := [one["tokens"] for one in itertools.islice(rows, BATCH)]) == BATCH:
            yield np.stack(chosen).astype(np.int64).size


def litdata(folder: Path) -> Iterator[int]:
    """litdata's TokensLoader, shuffled, batched here."""
    from litdata import StreamingDataset, TokensLoader
    from litdata.streaming.writer import BinaryWriter

    place = folder / "litdata"
    place.mkdir(exist_ok=True)
    import torch

    writer = BinaryWriter(str(place), chunk_size=8_000_000, item_loader=TokensLoader(LENGTH))
    for number, values in enumerate(all_tokens(folder)):
        writer.add_item(number, torch.from_numpy(values.astype(np.int32)))
    writer.done()
    writer.merge()
    data = StreamingDataset(str(place), item_loader=TokensLoader(LENGTH), shuffle=True)
    while True:
        rows = iter(data)
        while len(chosen := list(itertools.islice(rows, BATCH))) == BATCH:
            yield torch.stack(chosen).long().numel()


def first_batch(folder: Path) -> float:
    """Milliseconds from nothing but imports to the first batch."""
    begin = time.perf_counter()
    with Loader(TokenStream(Corpus(folder), SOURCES), micro_batch=BATCH, sequence_length=LENGTH) as loader:
        next(loader)
    return (time.perf_counter() - begin) * 1000


def resume(folder: Path) -> list[float]:
    """Milliseconds from an opened corpus to the first batch at positions far apart."""
    corpus = Corpus(folder)
    positions = np.random.default_rng(1).integers(0, 9_000_000_000, 30).tolist()
    waits = []
    for position in positions:
        begin = time.perf_counter()
        TokenStream(corpus, SOURCES).read(position, position + BATCH * LENGTH, np.empty(BATCH * LENGTH, np.int64))
        waits.append((time.perf_counter() - begin) * 1000)
    return waits


def in_a_process(what: str, folder: Path) -> str:
    """The output of one of this file's measurements in a fresh process."""
    command = [sys.executable, __file__, "--alone", what, "--folder", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def alone(what: str, folder: Path) -> None:
    """One measurement, printed."""
    if what == "first":
        print(f"{first_batch(folder):.1f} ms")
    elif what == "resume":
        waits = resume(folder)
        print(f"median {statistics.median(waits):.1f} ms, largest {max(waits):.1f} ms of {len(waits)}")
    elif what == "memory":
        loader = Loader(TokenStream(Corpus(folder), SOURCES), micro_batch=BATCH, sequence_length=LENGTH)
        largest = 0
        with loader:
            while loader.position < 120_000_000:
                next(loader)
                if loader.position % (1 << 22) == 0:
                    pages = int(Path("/proc/self/statm").read_text().split()[1])
                    largest = max(largest, pages * resource.getpagesize())
        print(f"{largest / 1e6:.0f} MB")
    else:
        readers: dict[str, Callable[[Path], Iterator[int]]] = {one.__name__: one for one in READERS}
        print("{:.0f} {:.2f}".format(*speed(readers[what](folder))))


READERS = (ours, ours_in_sequence, bare_arrow, random_windows, litdata, mosaic)


def main() -> None:
    """Make the shards, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", action="store_true", help="also litdata and mosaicml-streaming, if installed")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary, "small"), Path(temporary, "large")
        make_run(small, 4, TOKENS // len(SOURCES))
        make_run(large, 1000, 10_000_000, copies=True)
        print(f"{TOKENS:,} tokens of {len(SOURCES)} sources, batches of {BATCH} x {LENGTH} as int64, best of 3")
        print(f"{'':20} {'M tokens/CPU s':>14} {'p99 ms':>8} {'ratio':>6}")
        floor = 0.0
        for reader in (bare_arrow, *READERS):
            if reader in (litdata, mosaic) and not arguments.peers:
                continue
            if reader is bare_arrow and floor:
                continue
            try:
                runs = [tuple(map(float, in_a_process(reader.__name__, small).split())) for _ in range(3)]
            except subprocess.CalledProcessError as error:
                print(f"{reader.__name__:20} not run: {error.stderr.strip().splitlines()[-1]}")
                continue
            rate = max(run[0] for run in runs)
            floor = floor or rate
            print(f"{reader.__name__:20} {rate:14.0f} {min(run[1] for run in runs):8.2f} {rate / floor:6.2f}")
        print("1,000 shards, 10 billion tokens:")
        print(f"  first batch      {in_a_process('first', large)}")
        print(f"  resume anywhere  {in_a_process('resume', large)}")
        print(f"  resident memory  {in_a_process('memory', large)}")


if __name__ == "__main__":
    main()
