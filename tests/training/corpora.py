"""Small corpora of shards, written as a run writes them, for the tests of the trainer's room."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tokenizer import shard as shards
from tokenizer.shard import About, ShardDocument, write_shard

VOCABULARY = 1000
END = 0


def write_corpus(folder: Path, lengths: Mapping[str, Sequence[Sequence[int]]], vocabulary: int = VOCABULARY) -> Path:
    """A run's folder with a shard for every list of document lengths; the last token of a document is its end of text.

    The tokens count up through the whole corpus, so that no two documents look alike.
    """
    files = []
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    counted = 0
    for source, of_source in lengths.items():
        for number, of_shard in enumerate(of_source):
            rows = []
            for row, length in enumerate(of_shard):
                tokens = (np.arange(counted, counted + length) % (vocabulary - 1) + 1).astype(dtype)
                if length:
                    tokens[-1] = END
                counted += length
                rows.append(ShardDocument(tokens, f"{source}-{number}-{row}", len(rows), ""))
            stream = io.BytesIO()
            counts = write_shard(stream, rows, About("a" * 64, "b" * 64, source, "train", vocabulary, END))
            path = folder / f"shards/train/{source}/{number:05}-of-{len(of_source):05}.arrow"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stream.getvalue())
            files.append(
                {
                    "kind": "shard",
                    "path": str(path.relative_to(folder)),
                    "source": source,
                    "split": "train",
                    "rows": counts.documents,
                    "tokens": counts.tokens,
                    "bytes": len(stream.getvalue()),
                    "sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
                }
            )
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
    return folder


def small_batches(monkeypatch, tokens: int = 40) -> None:
    """Make record batches so small that a few documents fill several."""
    monkeypatch.setattr(shards, "BATCH_TOKENS", tokens)
