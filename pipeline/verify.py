"""Recounts and re-hashes everything that a run wrote, against its manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from pipeline import files, manifest
from pipeline.layout import Layout
from tokenizer.shard import DamagedShard, Shard

FOLDERS = (
    "filtered",
    "removed",
    "failed",
    "keys",
    "duplicates",
    "documents",
    "models",
    "tokenizer",
    "shards",
    "report",
)


def differences(out: str) -> Iterator[str]:
    """Everything in the output folder that is not as the manifest says: one line each, none when all is well.

    Raises FileNotFoundError when there is no manifest.
    """
    layout = Layout.of(out)
    made = manifest.read(layout)
    known = set()
    rows: Counter[tuple[str, str]] = Counter()
    for one in made["files"]:
        known.add(one["path"])
        yield from _file(layout, one)
        rows[one.get("source", ""), one["kind"]] += one.get("rows", 0)
    for folder in FOLDERS:
        for found in files.find(layout.path(folder)) if files.exists(layout.path(folder)) else ():
            relative = found.path.removeprefix(layout.out + "/")
            if relative not in known:
                yield f"{relative}: not in the manifest"
    yield from _sums(made, rows)


def _file(layout: Layout, one: dict[str, Any]) -> Iterator[str]:
    path = layout.path(one["path"])
    if not files.exists(path):
        yield f"{one['path']}: missing"
        return
    size, digest = files.sha256_of(path)
    if size != one["bytes"]:
        yield f"{one['path']}: {size} bytes, the manifest says {one['bytes']}"
    elif digest != one["sha256"]:
        yield f"{one['path']}: sha256 {digest}, the manifest says {one['sha256']}"
    elif one["path"].endswith(".parquet"):
        with files.open_read(path) as stream:
            rows = pq.ParquetFile(stream).metadata.num_rows
        if rows != one["rows"]:
            yield f"{one['path']}: {rows} rows, the manifest says {one['rows']}"
    elif one["kind"] == "shard" and not files.is_remote(path):
        try:
            Shard(path).verify()
        except DamagedShard as error:
            yield f"{one['path']}: {error}"


def _sums(made: dict[str, Any], rows: Counter[tuple[str, str]]) -> Iterator[str]:
    """Records read = kept + removed + failed, per split and per source, and the rows on disk say the same."""
    for name, fates in made["splits"].items():
        if fates["read"] != fates["kept"] + fates["removed"] + fates["failed"]:
            yield f"split {name}: {fates['read']} read, but {fates['kept']} + {fates['removed']} + {fates['failed']}"
    for name, fates in made["sources"].items():
        removed, failed = sum(fates["removed"].values()), sum(fates["failed"].values())
        if fates["read"] != fates["kept"] + removed + failed:
            yield f"source {name}: {fates['read']} read, but {fates['kept']} kept + {removed} removed + {failed} failed"
        by_dedup = sum(count for reason, count in fates["removed"].items() if reason.startswith("dedup."))
        unencoded = fates["failed"].get("encode", 0)
        counted = {"documents": fates["kept"] + unencoded, "removed": removed - by_dedup, "failed": failed}
        for kind, count in counted.items():
            if rows[name, kind] != count:
                yield f"source {name}: {rows[name, kind]} rows in {kind}/, the manifest counts {count}"
        if rows[name, "shard"] and rows[name, "shard"] != fates["kept"]:
            yield f"source {name}: {rows[name, 'shard']} documents in shards/, the manifest counts {fates['kept']}"
