"""The floor: one straight loop over the native calls that no such program can avoid, on the same pages.

Gunzip, decode, HTML parse and extract, language, KenLM, one pass over the words with their repeated n-grams, MinHash, an
e-mail scan, BPE, Arrow. No published rule to the letter, no dedup decisions, no provenance, no runner: what a whole job
costs above this is what it adds. `whole.py` runs it beside the job; alone it prints CPU milliseconds a page by call.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numba import njit

from benchmarks import material

TIMES: dict[str, float] = defaultdict(float)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Add the CPU time of the block to a call's total."""
    start = time.process_time()
    yield
    TIMES[name] += time.process_time() - start


@njit(cache=True)
def statistics(data: Any, multipliers: Any, increments: Any) -> tuple[int, Any]:
    """Words between bytes up to 0x20, repeated n-grams of 2 to 10 of them, and a MinHash signature of their 5-grams."""
    hashes = np.empty(len(data) // 2 + 1, np.uint64)
    count = 0
    running = np.uint64(0)
    for byte in data:
        if byte > 32:
            running = (running ^ np.uint64(byte)) * np.uint64(0x9E3779B97F4A7C15)
        elif running:
            hashes[count] = running
            count += 1
            running = np.uint64(0)
    slots = 1
    while slots < 2 * count + 2:
        slots *= 2
    table = np.empty(slots, np.uint64)
    repeated = 0
    signature = np.full(len(multipliers), np.uint32(0xFFFFFFFF), np.uint32)
    grams = hashes[:count].copy()
    for n in range(2, 11):
        table[:] = 0
        for i in range(count - n + 1):
            grams[i] = (grams[i] ^ (hashes[i + n - 1] >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
            place = grams[i] >> np.uint64(20) & np.uint64(slots - 1)
            while table[place] and table[place] != grams[i]:
                place = (place + np.uint64(1)) & np.uint64(slots - 1)
            repeated += table[place] == grams[i]
            table[place] = grams[i]
            if n == 5:
                value = np.uint32(grams[i] >> np.uint64(32))
                for k in range(len(multipliers)):
                    signature[k] = min(signature[k], np.uint32(value * multipliers[k] + increments[k]))
    return repeated, signature


def main() -> None:
    """Run the loop over the pages and print what it cost, as JSON on the last line."""
    options = material.arguments(__doc__)
    if not (options.work / "model.arpa").exists():
        raise SystemExit("the models are missing: run benchmarks/whole.py first, which trains them")
    import kenlm
    import pyarrow as pa
    import re2
    import tiktoken
    from datasketch import MinHash
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    from resiliparse.parse.html import HTMLTree

    from filters import fasttext_models
    from tokenizer.encode import Encoder

    model = fasttext_models.load(fasttext_models.language_model_path())
    scorer = kenlm.Model(str(options.work / "model.arpa"))
    encoder = Encoder((options.work / "tokenizer.json").read_text())
    encoding = encoder._fast
    assert isinstance(encoding, tiktoken.Encoding)
    email = re2.compile(rb"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
    multipliers, increments = np.ascontiguousarray(MinHash(num_perm=112, seed=1).permutations, dtype=np.uint32)
    statistics(np.frombuffer(b"one two three four five six seven", np.uint8), multipliers, increments)

    rows = []
    pages = kept = 0
    for path in material.warcs(options.warc, options.work):
        with path.open("rb") as stream:
            archive = iter(ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True))
            while True:
                with timed("gunzip, WARC, HTTP"):
                    record = next(archive, None)
                    body = record.reader.read() if record is not None else b""
                if record is None:
                    break
                pages += 1
                with timed("decode"):
                    try:
                        html = body.decode()
                    except UnicodeDecodeError:
                        html = bytes_to_str(body, detect_encoding(body))
                with timed("parse and extract"):
                    tree = HTMLTree.parse(html)
                    text = extract_plain_text(tree, main_content=True, alt_texts=False, links=False)
                    del tree
                with timed("language"):
                    ((labels,), (scores,)) = model.predict([text[:2048].replace("\n", " ")], k=1)
                if labels[0] != "__label__en" or scores[0] < 0.65:
                    continue
                data = text.encode()
                with timed("words, n-grams, MinHash"):
                    repeated, signature = statistics(np.frombuffer(data, np.uint8), multipliers, increments)
                if repeated > len(data) / 12 or len(data) < 500:
                    continue
                kept += 1
                with timed("KenLM"):
                    for line in text.splitlines():
                        scorer.score(line)
                with timed("e-mail scan"):
                    email.findall(data)
                with timed("BPE"):
                    tokens = encoding.encode_to_numpy(text, disallowed_special=())
                rows.append((text, tokens, signature.tobytes()))
    with timed("Arrow"):
        table = pa.table(
            {
                "text": pa.array([row[0] for row in rows], pa.string()),
                "tokens": pa.array([row[1].astype(np.uint16) for row in rows], pa.list_(pa.uint16())),
                "signature": pa.array([row[2] for row in rows], pa.binary()),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
    for name, seconds in TIMES.items():
        print(f"{name:28}{1000 * seconds / pages:8.3f} ms a page")
    total = sum(TIMES.values())
    print(f"{'the floor':28}{1000 * total / pages:8.3f} ms a page; {pages} pages, {kept} kept")
    print(json.dumps({"pages": pages, "kept": kept, "cpu": total}))


if __name__ == "__main__":
    main()
