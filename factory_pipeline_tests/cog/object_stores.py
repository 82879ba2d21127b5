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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import obstore
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.store import from_url
from werkzeug.serving import make_server
from werkzeug.wrappers import Request as WebRequest
from werkzeug.wrappers import Response

PUBLIC, PRIVATE = "public", "private"
SECRET = base64.b64encode(b"a key that nobody may see").decode()
WRONG_SECRET = base64.b64encode(b"a key that is not right").decode()
ACCOUNT = "testaccount"
SERVICE_ACCOUNT = "reader@test.iam.gserviceaccount.com"
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
    wrong_credentials: Mapping[str, str] | None = None
    """Environment with a key that is not the right one; None where the store doesn't look at it."""

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
def serving(application: Callable[..., Iterable[bytes]]) -> Iterator[str]:
    """The URL of a server on loopback for a WSGI application."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _s3_at(url: str) -> Store:
    return Store(
        "s3",
        {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"},
        {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET},
        {"AWS_NO_SIGN_REQUEST": "YES"},
    )


@contextmanager
def s3_store() -> Iterator[Store]:
    """moto's S3, which gives unsigned requests what a bucket's policy lets everybody read."""
    with serving(DomainDispatcherApplication(create_backend_app)) as url:
        for bucket in (PUBLIC, PRIVATE):
            urlopen(Request(f"{url}/{bucket}", method="PUT")).close()
        policy = Request(f"{url}/{PUBLIC}?policy", json.dumps(ALL_MAY_READ).encode(), method="PUT")
        policy.add_header("Content-Type", "application/json")
        urlopen(policy).close()
        yield _s3_at(url)


@contextmanager
def requester_pays_store() -> Iterator[Store]:
    """The same, but it refuses whoever does not say that they pay, as a requester-pays bucket does."""
    application = DomainDispatcherApplication(create_backend_app)

    def paid_for(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") and (
            environ.get("HTTP_X_AMZ_REQUEST_PAYER") != "requester" or "HTTP_AUTHORIZATION" not in environ
        ):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return application(environ, start_response)

    with serving(paid_for) as url:
        urlopen(Request(f"{url}/{PRIVATE}", method="PUT")).close()
        yield _s3_at(url)


@contextmanager
def azure_store(folder: Path) -> Iterator[Store]:
    """Microsoft's own emulator of its blob storage, which checks signatures; skip the test where it is not
    installed.
    """
    program = shutil.which("azurite-blob")
    if program is None:
        reason = "azurite is not installed: npm install --global azurite"
        if os.environ.get("FACTORY_REQUIRE_SYSTEM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command = [program, "--blobPort", "0", "--location", str(folder), *options]
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
                {"AZURE_STORAGE_ACCOUNT_KEY": WRONG_SECRET},
            )
        finally:
            azurite.terminate()
            azurite.communicate()  # it ends with a word, and would complain if nobody heard it


def _make_container(url: str, options: Mapping[str, str]) -> None:
    """Signed by the account's key, as "Authorize with Shared Key" of Azure Storage's REST API says."""
    headers = {**options, "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    text = "PUT" + 12 * "\n" + f"{named}/{ACCOUNT}{urlsplit(url).path}\nrestype:container"
    signature = hmac.digest(base64.b64decode(SECRET), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    urlopen(Request(f"{url}?restype=container", headers=headers, method="PUT")).close()


@contextmanager
def gcs_store(folder: Path) -> Iterator[Store]:
    """A stand-in for Google's storage; `folder` gets the key file of a service account that may read all."""
    key, wrong_key = (generate_private_key(65537, 2048) for _ in range(2))
    with serving(WebRequest.application(_GoogleStorage(key.public_key()).answer)) as url:
        yield Store(
            "gs",
            {"GOOGLE_BASE_URL": url},
            {"GOOGLE_APPLICATION_CREDENTIALS": _write_key(folder / "key.json", key)},
            {"GOOGLE_SKIP_SIGNATURE": "true"},
            {"GOOGLE_APPLICATION_CREDENTIALS": _write_key(folder / "wrong_key.json", wrong_key)},
        )


def _write_key(file: Path, key: RSAPrivateKey) -> str:
    """The path of a service account's key file."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": SERVICE_ACCOUNT}
    file.write_text(json.dumps({**account, "private_key": pem, "private_key_id": file.stem}))
    return str(file)


@dataclass(frozen=True)
class _GoogleStorage:
    """Whole objects of Google's XML API, as far as a client puts and gets them.

    Ours, since the emulator on PyPI (gcp-storage-emulator 2026.7) looks at no credentials, and sends neither
    ETag nor Last-Modified, without which obstore takes no answer. A request without a token may read what is
    public (else 403), and one whose token is not valid may not even do that (401).
    """

    account_key: RSAPublicKey
    objects: dict[str, bytes] = field(default_factory=dict)
    """By bucket and name."""

    def answer(self, request: WebRequest) -> Response:
        signed = request.authorization
        if signed and not (signed.type == "bearer" and self._is_valid(signed.token or "")):
            return Response(status=401)
        if not signed and not (request.method in ("GET", "HEAD") and request.path.startswith(f"/{PUBLIC}/")):
            return Response(status=403)
        if request.method == "PUT":
            self.objects[request.path] = request.get_data()
        content = self.objects.get(request.path)
        if content is None:
            return Response(status=404)
        found = Response(b"" if request.method == "PUT" else content)
        found.set_etag(hashlib.md5(content).hexdigest())
        found.last_modified = datetime(2026, 1, 1, tzinfo=UTC)
        return found.make_conditional(request, accept_ranges=True, complete_length=len(content))

    def _is_valid(self, token: str) -> bool:
        """Whether the account signed it, for storage and for now: a JSON Web Token, RFC 7519, by RS256."""
        message, _, signature = token.rpartition(".")
        try:
            self.account_key.verify(_decode(signature), message.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        claims = json.loads(_decode(message.split(".")[1]))
        return (
            claims["iss"] == SERVICE_ACCOUNT
            and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
            and claims["iat"] <= time.time() < claims["exp"]
        )


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")
