"""Small corpora of shards, written as a run writes them, for the tests of the trainer's room."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer import shard as shards
from tokenizer.ids import TokenIds
from tokenizer.shard import About, ShardDocument, write_shard

VOCABULARY = 1000
END = 0


def write_corpus(folder: Path, lengths: Mapping[str, Sequence[Sequence[int]]], vocabulary: int = VOCABULARY) -> Path:
    """A run's folder with a shard for every list of document lengths; the last token of a document is its end of text.

    The tokens count up through the whole corpus, so that no two documents look alike.
    """
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    counted = 0
    documents: dict[str, list[list[TokenIds]]] = {source: [] for source in lengths}
    for source, of_source in lengths.items():
        for of_shard in of_source:
            documents[source].append([])
            for length in of_shard:
                tokens = (np.arange(counted, counted + length) % (vocabulary - 1) + 1).astype(dtype)
                if length:
                    tokens[-1] = END
                counted += length
                documents[source][-1].append(tokens)
    return write_documents(folder, documents, vocabulary)


def write_texts(folder: Path, texts: Mapping[str, Sequence[str]], vocabulary: int) -> Path:
    """A run's folder with a shard of texts for every source, and a byte-level BPE tokenizer that was trained on them all."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((text for of_source in texts.values() for text in of_source), trainer)
    ids = {
        source: [[np.array([*one.ids, END], np.uint16) for one in tokenizer.encode_batch(list(of_source))]]
        for source, of_source in texts.items()
    }
    return write_documents(folder, ids, vocabulary)


def write_documents(
    folder: Path, documents: Mapping[str, Sequence[Sequence[TokenIds]]], vocabulary: int = VOCABULARY
) -> Path:
    """A run's folder with a shard for every list of documents."""
    files = []
    for source, of_source in documents.items():
        for number, of_shard in enumerate(of_source):
            rows = [ShardDocument(one, f"{source}-{number}-{row}", row, "") for row, one in enumerate(of_shard)]
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
