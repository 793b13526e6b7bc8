"""Google Cloud Storage, and what speaks its protocol, through the client that Beam sets up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from apache_beam.io.gcp import gcsio
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.retry import DEFAULT_RETRY

from pipeline.stores.store import Object, again, divided, explained

_ERRORS = (exceptions.GoogleAPIError, GoogleAuthError)
_BROKEN = (ConnectionError, TimeoutError, exceptions.RetryError, exceptions.ServerError)
_RETRY = DEFAULT_RETRY
"""Also for writes: each puts the same bytes under the same name, so that all of them can be tried again."""


class Gcs:
    """Google Cloud Storage, and what speaks its protocol (``STORAGE_EMULATOR_HOST``)."""

    def __init__(self, options: Any) -> None:
        try:
            self._client = gcsio.create_storage_client(options)
        except GoogleAuthError as error:
            raise explained("gs://", error) from error

    def listed(self, prefix: str) -> Iterator[Object]:
        bucket, name = divided(prefix)
        try:
            for blob in self._client.list_blobs(bucket, prefix=name, retry=_RETRY):
                if not blob.name.endswith("/"):
                    yield self._found(f"gs://{bucket}/{blob.name}", blob)
        except _ERRORS as error:
            raise explained(prefix, error) from error

    def about(self, path: str) -> Object | None:
        bucket, name = divided(path)
        if not name:
            return None
        try:
            blob = self._client.bucket(bucket).get_blob(name, retry=_RETRY)
        except _ERRORS as error:
            raise explained(path, error) from error
        return self._found(path, blob) if blob else None

    def piece(self, wanted: Object, start: int, stop: int) -> bytes:
        bucket, name = divided(wanted.path)
        blob = self._client.bucket(bucket).blob(name)

        def read() -> bytes:  # raw: what is stored, also where the store would unpack gzip on the way
            return bytes(
                blob.download_as_bytes(
                    start=start, end=stop - 1, raw_download=True, checksum=None, retry=_RETRY,
                    if_generation_match=int(wanted.version),
                )
            )  # fmt: skip

        try:
            return again(wanted.path, read, _BROKEN)
        except _ERRORS as error:
            raise explained(wanted.path, error) from error

    def put(self, path: str, data: IO[bytes], size: int) -> None:
        bucket, name = divided(path)
        blob = self._client.bucket(bucket).blob(name)
        try:
            blob.upload_from_file(data, size=size, checksum="crc32c", retry=_RETRY)
        except (*_ERRORS, ConnectionError) as error:
            raise explained(path, error) from error

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            bucket, name = divided(path)
            try:
                self._client.bucket(bucket).blob(name).delete(retry=_RETRY)
            except _ERRORS as error:
                told_as = explained(path, error)
                if not isinstance(told_as, FileNotFoundError):
                    raise told_as from error

    def _found(self, path: str, blob: Any) -> Object:
        return Object(path, blob.size, blob.updated.timestamp(), str(blob.generation))
