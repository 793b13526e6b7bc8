"""Amazon's S3, and what speaks its protocol, through the client that Beam sets up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from apache_beam.io.aws.clients.s3 import boto3_client
from boto3.s3.transfer import TransferConfig
from botocore import exceptions

from pipeline.stores.store import Object, again, divided, explained

_DELETED_AT_ONCE = 1000
_ERRORS = (exceptions.BotoCoreError, exceptions.ClientError)
_BROKEN = (exceptions.HTTPClientError, exceptions.IncompleteReadError)
"""Of these the client itself tries nothing again once an answer has begun."""


class S3:
    """Amazon's S3 and what speaks its protocol (``AWS_ENDPOINT_URL`` or ``--s3_endpoint_url``)."""

    def __init__(self, options: Any) -> None:
        self._transfer = TransferConfig(use_threads=False)
        try:
            self._client = boto3_client.Client(options).client
        except exceptions.BotoCoreError as error:
            raise explained("s3://", error) from error

    def listed(self, prefix: str) -> Iterator[Object]:
        bucket, name = divided(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=name)
        try:
            for page in pages:
                for one in page.get("Contents", ()):
                    if not one["Key"].endswith("/"):  # what consoles show as an empty folder
                        path = f"s3://{bucket}/{one['Key']}"
                        yield Object(path, one["Size"], one["LastModified"].timestamp(), one["ETag"])
        except _ERRORS as error:
            raise explained(prefix, error) from error

    def about(self, path: str) -> Object | None:
        bucket, name = divided(path)
        if not name:
            return None
        try:
            told = self._client.head_object(Bucket=bucket, Key=name)
        except _ERRORS as error:
            told_as = explained(path, error)
            if isinstance(told_as, FileNotFoundError):
                return None
            raise told_as from error
        return Object(path, told["ContentLength"], told["LastModified"].timestamp(), told["ETag"])

    def piece(self, wanted: Object, start: int, stop: int) -> bytes:
        bucket, name = divided(wanted.path)
        range_ = f"bytes={start}-{stop - 1}"

        def read() -> bytes:
            body = self._client.get_object(Bucket=bucket, Key=name, Range=range_, IfMatch=wanted.version)["Body"]
            return bytes(body.read())

        try:
            return again(wanted.path, read, _BROKEN)
        except _ERRORS as error:
            raise explained(wanted.path, error) from error

    def put(self, path: str, data: IO[bytes], size: int) -> None:
        bucket, name = divided(path)
        del size  # the client looks for itself, and sends much of it in parts, which it takes back if it can't go on
        try:
            self._client.upload_fileobj(data, bucket, name, Config=self._transfer)
        except Exception as error:  # boto3 wraps some errors and not others
            raise explained(path, error) from error

    def delete(self, paths: Sequence[str]) -> None:
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            some = paths[start : start + _DELETED_AT_ONCE]
            bucket, _ = divided(some[0])
            objects = [{"Key": divided(path)[1]} for path in some]
            try:
                answer = self._client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            except _ERRORS as error:
                raise explained(some[0], error) from error
            if failed := answer.get("Errors"):
                raise OSError(f"s3://{bucket}/{failed[0]['Key']}: not deleted: {failed[0].get('Message')}")
