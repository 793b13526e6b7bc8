"""The shards of a finished run as the trainer sees them: which there are, their digest, and the files, fetched when needed.

A run on a local disk is read in place. From object storage (any URL that fsspec opens) a shard is fetched whole into a
folder of bounded size, and checked against the manifest's SHA-256 before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizer.shard import DamagedShard, Shard, Split

_PIECE = 1 << 22
_TRIES = 5


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard by its row in the manifest; ``path`` is relative to the run's folder."""

    path: str
    source: str
    documents: int
    tokens: int
    bytes: int
    sha256: str


class Corpus:
    """The shards of one split of a run, by source. Opening it reads the manifest and no shard.

    ``sources`` holds the shards of every source that has tokens, in the manifest's order; ``digest`` identifies them all.
    """

    def __init__(
        self,
        folder: str | Path,
        split: Split = "train",
        cache: str | Path | None = None,
        cache_bytes: int = 8 << 30,
    ) -> None:
        """Open the run in ``folder``, a path or a URL (s3://, gs://, https:// …).

        ``cache`` is where shards from a URL are kept, up to ``cache_bytes`` of them; by default a folder of the system's
        temporary files that ends with the process. Raises OSError where there is no manifest, ValueError where it is none
        or lists no shards.
        """
        self.folder = str(folder).rstrip("/")
        manifest = _read_manifest(self.folder)
        self.tokenizer: dict[str, Any] = manifest.get("tokenizer") or {}
        self.mixture: dict[str, float] | str | None = manifest.get("mixture")
        """The weights that the run's recipe gives its sources, if it does."""
        self.sources: dict[str, tuple[ShardFile, ...]] = {}
        for row in manifest["files"]:
            if row["kind"] == "shard" and row["split"] == split and row["tokens"]:
                shard = ShardFile(
                    row["path"], row["source"], row["rows"], row["tokens"], row["bytes"], row["sha256"]
                )  # fmt: skip
                self.sources[shard.source] = (*self.sources.get(shard.source, ()), shard)
        if not self.sources:
            raise ValueError(f"{self.folder}: the manifest lists no {split} shards with tokens")
        listed = [[one.path, one.tokens, one.sha256] for shards in self.sources.values() for one in shards]
        self.digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        self._store: _Local | _Fetched
        self._store = _Fetched(self.folder, cache, cache_bytes) if "://" in self.folder else _Local(self.folder)

    @property
    def tokens(self) -> Mapping[str, int]:
        """Tokens of each source."""
        return {name: sum(one.tokens for one in shards) for name, shards in self.sources.items()}

    def tokenizer_bytes(self) -> bytes | None:
        """The run's tokenizer file; None where the run made or named none. Raises OSError, ValueError where it is not as written."""
        if not self.tokenizer.get("path"):
            return None
        place = f"{self.folder}/{self.tokenizer['path']}"
        found = _read(place)
        if hashlib.sha256(found).hexdigest() != self.tokenizer["sha256"]:
            raise ValueError(f"{place} is not the tokenizer that the manifest names: its SHA-256 is another")
        return found

    def open(self, shard: ShardFile) -> Shard:
        """Open a shard, after it was fetched if it lies elsewhere. Raises OSError, DamagedShard."""
        opened = self._store.open(shard)
        if (len(opened), opened.counts.tokens) != (shard.documents, shard.tokens):
            raise DamagedShard(
                f"{opened.path}: holds {opened.counts}, but the manifest says {shard.documents} documents and {shard.tokens} tokens"
            )
        return opened

    def prefetch(self, shard: ShardFile) -> None:
        """Begin to fetch a shard that is needed soon; returns at once."""
        self._store.prefetch(shard)


def _read_manifest(folder: str) -> dict[str, Any]:
    place = f"{folder}/manifest.json"
    try:
        manifest = json.loads(_read(place))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place} is not there: the run has not finished, or this is not its folder") from error
    except ValueError as error:
        raise ValueError(f"{place} is no manifest: {error}") from error
    if not isinstance(manifest, dict) or "files" not in manifest:
        raise ValueError(f"{place} is no manifest: it lists no files")
    return manifest


def _read(place: str) -> bytes:
    if "://" not in place:
        return Path(place).read_bytes()
    import fsspec

    with fsspec.open(place, "rb") as stream:
        return bytes(stream.read())


class _Local:
    """Shards that lie on a disk of this machine."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def open(self, shard: ShardFile) -> Shard:
        return Shard(f"{self._folder}/{shard.path}")

    def prefetch(self, shard: ShardFile) -> None:
        """They are there."""


class _Fetched:
    """Shards that are fetched, checked and kept until the folder holds more than it may; the oldest leave first.

    A file may be deleted while it is mapped: the mapping stays.
    """

    def __init__(self, folder: str, cache: str | Path | None, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._temporary = tempfile.TemporaryDirectory(prefix="corpusmill-shards-") if cache is None else None
        self._cache = Path(self._temporary.name if self._temporary else cache or "")
        self._cache.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetch-shards")
        self._coming: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def open(self, shard: ShardFile) -> Shard:
        for _ in range(_TRIES):
            coming = self._begin(shard)
            try:
                return Shard(coming.result())
            except FileNotFoundError:  # it had to leave again for others, of this process or another
                continue
            finally:
                with self._lock:
                    self._coming.pop(shard.sha256, None)
        raise OSError(f"{self._cache} is too small: {shard.path} was put out {_TRIES} times before it could be opened")

    def prefetch(self, shard: ShardFile) -> None:
        self._begin(shard)

    def _begin(self, shard: ShardFile) -> Future[str]:
        with self._lock:
            if shard.sha256 not in self._coming:
                self._coming[shard.sha256] = self._pool.submit(self._fetch, shard)
            return self._coming[shard.sha256]

    def _fetch(self, shard: ShardFile) -> str:
        """The path of the fetched shard. The name is its digest, so a file that has the name has the contents."""
        import fsspec

        goal = self._cache / f"{shard.sha256}.arrow"
        if goal.exists():
            goal.touch()
            return str(goal)
        self._make_room(shard.bytes)
        digest = hashlib.sha256()
        part = self._cache / f"{shard.sha256}.{os.getpid()}.part"
        try:
            with fsspec.open(f"{self._folder}/{shard.path}", "rb") as remote, part.open("wb") as local:
                while piece := remote.read(_PIECE):
                    digest.update(piece)
                    local.write(piece)
            if digest.hexdigest() != shard.sha256:
                raise DamagedShard(
                    f"{self._folder}/{shard.path}: SHA-256 {digest.hexdigest()}, but the manifest says {shard.sha256}"
                )
            part.replace(goal)
        finally:
            part.unlink(missing_ok=True)
        return str(goal)

    def _make_room(self, size: int) -> None:
        kept = sorted(self._cache.glob("*.arrow"), key=lambda path: path.stat().st_mtime_ns)
        sizes = {path: path.stat().st_size for path in kept}
        total = sum(sizes.values())
        for path in kept:
            if total + size <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= sizes[path]
