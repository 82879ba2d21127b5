"""Object stores on loopback that speak as the public ones do, each with a public and a private container."""

import base64
import hashlib
import hmac
import json
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import obstore
from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.store import from_url
from werkzeug.serving import make_server

PUBLIC, PRIVATE = "public", "private"
SECRET = base64.b64encode(b"a key that nobody may see").decode()
AZURITE = shutil.which("azurite-blob")
ACCOUNT = "testaccount"
ALL_MAY_READ = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{PUBLIC}/*",
        }
    ],
}


@dataclass(frozen=True)
class Store:
    """A running store."""

    scheme: str
    endpoint: Mapping[str, str]
    """Environment that leads a client to it instead of the public one."""
    credentials: Mapping[str, str]
    """Environment with which it opens the private container."""
    anonymous: Mapping[str, str]
    """Environment with which a client signs nothing."""

    @contextmanager
    def environment(self, *, with_credentials: bool) -> Iterator[None]:
        """The environment of a user of this store, and nothing else that speaks to object stores."""
        prefixes = ("AWS_", "AZURE_", "AZURITE_", "GOOGLE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        chosen = self.credentials if with_credentials else self.anonymous
        with mock.patch.dict(os.environ, {**kept, **self.endpoint, **chosen}, clear=True):
            yield

    def put(self, container: str, file: Path) -> str:
        """Store a file; gives its address."""
        with self.environment(with_credentials=True):
            address = f"{self.scheme}://{container}"
            obstore.put(from_url(address, client_options={"allow_http": True}), file.name, file)
        return f"{address}/{file.name}"


@contextmanager
def s3_store() -> Iterator[Store]:
    """moto's S3, which gives unsigned requests what a bucket's policy lets everybody read."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        for bucket in (PUBLIC, PRIVATE):
            urlopen(Request(f"{url}/{bucket}", method="PUT")).close()
        policy = Request(f"{url}/{PUBLIC}?policy", json.dumps(ALL_MAY_READ).encode(), method="PUT")
        policy.add_header("Content-Type", "application/json")
        urlopen(policy).close()
        yield Store(
            "s3",
            {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"},
            {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET},
            {"AWS_NO_SIGN_REQUEST": "YES"},
        )
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def azure_store(folder: Path) -> Iterator[Store]:
    """Microsoft's own emulator of its blob storage (`npm install -g azurite`), which checks signatures."""
    assert AZURITE
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command = [AZURITE, "--blobPort", "0", "--location", str(folder), *options]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{SECRET}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as azurite:
        try:
            assert azurite.stdout
            line = next(line for line in azurite.stdout if "successfully listens on" in line)
            url = f"{line.split()[-1]}/{ACCOUNT}"
            _make_container(f"{url}/{PUBLIC}", {"x-ms-blob-public-access": "blob"})
            _make_container(f"{url}/{PRIVATE}", {})
            yield Store(
                "az",
                {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ENDPOINT": url},
                {"AZURE_STORAGE_ACCOUNT_KEY": SECRET},
                {"AZURE_SKIP_SIGNATURE": "true"},
            )
        finally:
            azurite.terminate()


def _make_container(url: str, options: Mapping[str, str]) -> None:
    """Signed by the account's key, as "Authorize with Shared Key" of Azure Storage's REST API says."""
    headers = {**options, "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    text = "PUT" + 12 * "\n" + f"{named}/{ACCOUNT}{urlsplit(url).path}\nrestype:container"
    signature = hmac.digest(base64.b64decode(SECRET), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    urlopen(Request(f"{url}?restype=container", headers=headers, method="PUT")).close()
