"""How fast texts become token ids: Encoder against ``encode_batch`` of tokenizers, same tokenizer, same texts.

    python benchmarks/encode.py [folder or .jsonl[.gz|.zst] or .parquet file] [--megabytes 20] [--vocabulary 32000]

Trains a tokenizer on the texts, encodes them with both, in turn, three times each, and compares the ids. Rates are
megabytes of UTF-8 for each second of CPU (all threads counted), best of three. Without a path it reads the sources of
Python's standard library.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tokenizer import bpe, words
from tokenizer.encode import Encoder
from tokenizer.splits import Pretokenizer


def read(path: Path) -> Iterator[str]:
    """The texts of a file, or of every file below a folder: ``text`` of JSON lines and Parquet, else the whole file."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield from read(file)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(path).iter_batches(columns=["text"]):
            yield from batch.column("text").to_pylist()
    elif ".jsonl" in path.suffixes:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            import zstandard

            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        for line in data.splitlines():
            yield json.loads(line).get("text") or ""
    elif path.suffix in (".py", ".txt", ".md"):
        yield path.read_text(encoding="utf-8", errors="replace")


def limited(texts: Iterator[str], size: int) -> list[str]:
    """The first texts that make up ``size`` bytes."""
    taken = []
    for text in texts:
        taken.append(bpe.well_formed(text))
        size -= len(taken[-1].encode())
        if size <= 0:
            break
    return taken


def cpu_seconds(encode: Callable[[], list[list[int]] | list[np.ndarray]]) -> tuple[float, list]:
    started = time.process_time()
    ids = encode()
    return time.process_time() - started, ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=Path(os.__file__).parent)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--pretokenizer", choices=get_args(Pretokenizer), default="gpt4")
    options = parser.parse_args()

    texts = limited(read(options.path), int(options.megabytes * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    if not texts:
        parser.error(f"no texts in {options.path}")
    settings = bpe.TokenizerSettings(vocab_size=options.vocabulary, pretokenizer=options.pretokenizer)
    started = time.process_time()
    tokenizer = bpe.train(words.table(words.count_words(texts, settings.pattern), settings.distinct), settings)
    print(f"{len(texts)} texts, {megabytes:.1f} MB; trained in {time.process_time() - started:.1f} s of CPU")
    started = time.process_time()
    encoder = Encoder(bpe.to_text(tokenizer))
    print(f"encoder: {encoder.engine} {encoder.reason}, ready in {time.process_time() - started:.2f} s of CPU")
    tokenizer.encode_special_tokens = True

    ours, theirs = [], []
    for _ in range(3):
        seconds, our_ids = cpu_seconds(lambda: encoder.encode(texts))
        ours.append(megabytes / seconds)
        seconds, encodings = cpu_seconds(lambda: tokenizer.encode_batch(texts, add_special_tokens=False))
        theirs.append(megabytes / seconds)
    different = sum(ids.tolist() != other.ids for ids, other in zip(our_ids, encodings, strict=True))
    tokens = sum(map(len, our_ids))
    print(f"corpusmill  {max(ours):6.2f} MB/s  ({', '.join(f'{rate:.2f}' for rate in ours)})")
    print(f"tokenizers  {max(theirs):6.2f} MB/s  ({', '.join(f'{rate:.2f}' for rate in theirs)})")
    print(
        f"ids differ in {different} of {len(texts)} texts; {tokens} tokens, {megabytes * 1e6 / tokens:.2f} bytes each"
    )
    print(f"ratio {max(ours) / max(theirs):.1f}")


if __name__ == "__main__":
    main()
