"""What an object store is to the rest: objects that are found, read by ranges of one version, and put whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar

ATTEMPTS = 6
"""How often a range is asked for before the file counts as unreadable; the clients try again inside that as well."""
PAUSE = 0.5
"""Seconds before the second attempt; doubled with every further one."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Object:
    """An object: its path, its size in bytes, when it was put (seconds since 1970), and what tells this version from others."""

    path: str
    size: int
    changed: float
    version: str


class Store(Protocol):
    """What both stores can do. Everything raises OSError: FileNotFoundError, PermissionError, or itself."""

    def listed(self, prefix: str) -> Iterator[Object]:
        """All objects whose path begins so, page by page."""
        ...

    def about(self, path: str) -> Object | None:
        """The object of this path; None where there is none."""
        ...

    def piece(self, wanted: Object, start: int, stop: int) -> bytes:
        """The bytes from start to stop of this very version."""
        ...

    def put(self, path: str, data: IO[bytes], size: int) -> None:
        """Make an object of what a stream holds: visible when all of it has arrived, else not at all."""
        ...

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; one that is not there is no error."""
        ...


def again(path: str, do: Callable[[], _T], broken: tuple[type[BaseException], ...]) -> _T:
    """Do it, again after a pause where the connection breaks. Raises OSError after ATTEMPTS times."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return do()
        except broken as error:
            if attempt == ATTEMPTS:
                raise OSError(f"{path}: {type(error).__name__}: {error}, {ATTEMPTS} times") from error
            time.sleep(PAUSE * 2 ** (attempt - 1))
    raise AssertionError("a bounded number of attempts ends in one of the two ways above")


def divided(path: str) -> tuple[str, str]:
    """Bucket and name of an object."""
    bucket, _, name = path.partition("://")[2].partition("/")
    if not bucket:
        raise OSError(f"{path}: write a bucket and a name, for example {path.partition(':')[0]}://bucket/folder/name")
    return bucket, name


_LOG_IN = {
    "s3": "run `aws configure`, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_DEFAULT_REGION), or give the machine a role",
    "gs": "run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run where a service account is",
}
_NO_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "RefreshError",
    "InvalidOperation",
    "Unauthorized",
)


def explained(path: str, error: BaseException) -> OSError:
    """A client's error as an OSError that says what to do."""
    scheme = path.partition(":")[0]
    name = type(error).__name__
    status = getattr(error, "response", None)
    if isinstance(status, dict):  # of boto3
        name = status.get("Error", {}).get("Code", name)
        status = status.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # of Google
        status = getattr(error, "code", None)
    if type(error).__name__ in _NO_CREDENTIALS or status == 401:
        return PermissionError(f"{path}: no credentials for {scheme}:// were found: {_LOG_IN[scheme]}")
    if status == 403:
        return PermissionError(
            f"{path}: access denied ({name}): the credentials in use don't allow this; {_LOG_IN[scheme]}"
        )
    if status == 404:
        return FileNotFoundError(f"{path}: no such object or bucket ({name})")
    if status == 412:
        return OSError(f"{path} was replaced in the store while it was read; run the same command again")
    return OSError(f"{path}: {name}: {error}")
