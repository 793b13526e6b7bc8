"""The store of a path, with a client that this process keeps.

Beam's FileSystems makes a new client for every call (a tenth of a second for s3://), reads 16 MB for the first byte, can't
write an empty object, and publishes what was written so far when a writer is given up. So its clients are used here, kept for
the process, with the stores' own calls: an object appears when its upload is complete and not before, which is all the
commit that is needed; nothing is copied and renamed. Other schemes (hdfs://, azfs://) go through FileSystems.
"""

from __future__ import annotations

import functools
import importlib
import io
from typing import IO, Any

from pipeline.stores.reader import Reader
from pipeline.stores.store import Store

_NEEDS = {"s3": (("boto3",), "aws"), "gs": (("google.cloud.storage", "google_auth_httplib2"), "gcp")}
"""What must be installed for a scheme, and the name of our extra that installs it."""


def is_object(path: str) -> bool:
    """Whether the path lies in a store that this module knows."""
    return path.startswith(("s3://", "gs://"))


def store_of(path: str) -> Store:
    """The store of a path, with a client that this process keeps. Raises OSError where its library is missing."""
    scheme = path.partition(":")[0]
    libraries, extra = _NEEDS[scheme]
    try:
        for name in libraries:
            importlib.import_module(name)
    except ImportError as error:
        raise OSError(
            f"{path}: {scheme}:// needs a library that is not installed; pip install 'corpusmill[{extra}]'"
        ) from error
    from apache_beam.io.filesystems import FileSystems

    # A runner tells its workers the options of the job; while a run is planned, and locally, there are none.
    return _store(scheme, _Options(FileSystems._pipeline_options))


class _Options:
    """Pipeline options as a key: the same object means the same client."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __hash__(self) -> int:
        return id(self.given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options) and self.given is other.given

    def made(self) -> Any:
        """The options, or those that the environment alone gives."""
        from apache_beam.options.pipeline_options import PipelineOptions

        return self.given or PipelineOptions(flags=[])


@functools.lru_cache(maxsize=4)
def _store(scheme: str, options: _Options) -> Store:
    if scheme == "s3":
        from pipeline.stores.s3 import S3

        return S3(options.made())
    from pipeline.stores.gcs import Gcs

    return Gcs(options.made())


def open_read(path: str, start: int = 0) -> IO[bytes]:
    """Open an object for reading; it can be moved about in. Raises OSError, FileNotFoundError."""
    store = store_of(path)
    found = store.about(path)
    if found is None:
        raise FileNotFoundError(f"{path}: no such object")
    raw = Reader(store, found)
    raw.seek(start)
    return io.BufferedReader(raw, 1 << 16)
