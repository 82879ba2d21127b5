"""An object store that speaks S3, on loopback."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock
from urllib.request import Request, urlopen

import obstore
from moto.server import ThreadedMotoServer
from obstore.store import from_url

SECRET = "s3cr3t-key"
BUCKET = "uploads"


@contextmanager
def store() -> Iterator[str]:
    """A running store with an empty bucket, which the environment names; gives the bucket's address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    try:
        with mock.patch.dict(os.environ, settings):
            with urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")):
                pass
            with urlopen(Request(f"http://{host}:{port}/{BUCKET}", method="PUT")):
                pass
            yield f"s3://{BUCKET}"
    finally:
        server.stop()


def put(address: str, content: bytes) -> None:
    """Write an object."""
    folder, _, name = address.rpartition("/")
    obstore.put(from_url(folder, client_options={"allow_http": True}), name, content)
