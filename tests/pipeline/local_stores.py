"""Servers on the loopback interface that speak the protocols of S3 and of Google Cloud Storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from flaky_proxy import Flaky, in_front_of

from pipeline.stores import opening

BUCKET = "corpora"


@contextmanager
def s3() -> Iterator[Flaky]:
    """moto's S3, behind a proxy that can fail, with a bucket; the environment leads clients to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with in_front_of(server.get_host_and_port()[1]) as proxy:
            environment = {
                "AWS_ENDPOINT_URL_S3": proxy.url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            with _in(environment):
                boto3.client("s3").create_bucket(Bucket=BUCKET)
                yield proxy
    finally:
        server.stop()


@contextmanager
def gcs() -> Iterator[Flaky]:
    """An emulator of Google Cloud Storage, in memory, behind a proxy that can fail, with a bucket."""
    from gcp_storage_emulator.server import create_server
    from google.cloud import storage

    server = create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    try:
        with in_front_of(server._api._httpd.server_address[1]) as proxy, _in(_emulated(proxy.url)):
            storage.Client.create_anonymous_client().create_bucket(BUCKET)
            yield proxy
    finally:
        server.stop()


def _emulated(url: str) -> dict[str, str]:
    return {"STORAGE_EMULATOR_HOST": url, "NO_GCE_CHECK": "true", "GOOGLE_CLOUD_PROJECT": "test"}


@contextmanager
def _in(environment: dict[str, str]) -> Iterator[None]:
    """Clients are made anew from this environment, and afterwards from the old one."""
    with mock.patch.dict(os.environ, environment):
        opening._store.cache_clear()
        try:
            yield
        finally:
            opening._store.cache_clear()
