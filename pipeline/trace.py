"""Leads from a token in a shard back to its document: the text around it, the URL, the record it was read from, its duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import explain, files, manifest
from pipeline.explain import Explanation
from pipeline.layout import Layout
from tokenizer.encode import encoder_of
from tokenizer.shard import Shard

AROUND = 200
"""Characters shown before and after a token."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A document of a shard and, if one was asked for, a token of it with the text around it."""

    shard: str
    row: int
    tokens: int
    """Of the document, end-of-text included."""
    explanation: Explanation
    token: int | None = None
    token_id: int | None = None
    before: str = ""
    spelled: str = ""
    after: str = ""


def trace(path: str, row: int, token: int | None = None) -> Traced:
    """What the ``row``-th document of a shard is, and its ``token``-th token (negative: from the end).

    The shard lies in the folder of the run that wrote it. Raises FileNotFoundError where it does not, ValueError for a row or
    token that it does not have, DamagedShard, OSError.
    """
    out = _run_of(path)
    shard = Shard(path)
    if not 0 <= row < len(shard):
        raise ValueError(f"{path} has the rows 0 to {len(shard) - 1}, not {row}")
    ids = shard.tokens(row)
    number = shard.document(row)
    (explanation,) = explain.find(out, str(number))[:1] or (None,)
    if explanation is None:
        raise ValueError(f"{out} holds no document {number}: the shard is of another run")
    if token is None:
        return Traced(path, row, len(ids), explanation)
    if not -len(ids) <= token < len(ids):
        raise ValueError(f"row {row} of {path} has the tokens 0 to {len(ids) - 1}, not {token}")
    token %= len(ids)
    encoder = encoder_of(_tokenizer_of(out))
    begin, end = max(0, token - AROUND), min(len(ids), token + 1 + AROUND)
    return Traced(
        path,
        row,
        len(ids),
        explanation,
        token,
        int(ids[token]),
        encoder.decode(ids[begin:token])[-AROUND:],
        encoder.token_bytes()[ids[token]].decode("utf-8", "replace"),
        encoder.decode(ids[token + 1 : end])[:AROUND],
    )


def _run_of(path: str) -> str:
    """The output folder that a shard lies in."""
    for folder in Path(path).resolve().parents:
        if files.exists(Layout.of(str(folder)).manifest):
            return str(folder)
    raise FileNotFoundError(f"{path} lies in no finished run: none of the folders above it has a manifest.json")


def _tokenizer_of(out: str) -> bytes:
    layout = Layout.of(out)
    row = manifest.read(layout)["tokenizer"]
    with files.open_read(layout.path(row["path"])) as stream:
        return stream.read()
