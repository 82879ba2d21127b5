"""Volumes in object stores: public ones without credentials, private ones with the environment's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import obstore
import pytest
from obstore.store import from_url

from factory_pipeline.errors import VolumeError
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.volume import Retries, VolumeReader
from factory_pipeline_tests.archives.servers import host
from factory_pipeline_tests.cog.object_stores import PRIVATE, PUBLIC, Store, s3_store
from factory_pipeline_tests.volumes.factories import MIP0, texture, write_volume

pytestmark = pytest.mark.integration

IMAGE = texture((32, 32, 2))
QUICK = Retries(retries=1, pause_s=0.01, longest_wait_s=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volume")
    write_volume(folder / "image", {0: IMAGE})
    return folder


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[Store]:
    with s3_store() as store:
        for container in (PUBLIC, PRIVATE):
            with store.environment(with_credentials=True):
                bucket = from_url(f"s3://{container}", client_options={"allow_http": True})
                for file in folder.rglob("*"):
                    if file.is_file():
                        obstore.put(bucket, file.relative_to(folder).as_posix(), file)
        yield store


@pytest.mark.parametrize(("container", "signed"), [(PUBLIC, False), (PUBLIC, True), (PRIVATE, True)])
def test_s3(s3: Store, container: str, signed: bool) -> None:
    with s3.environment(with_credentials=signed):
        volume = VolumeReader(retries=QUICK).open(f"s3://{container}/image").at(0, MIP0)
        np.testing.assert_array_equal(volume.start_read(Box(1, 4, 8, 20, 10))()[0], IMAGE[8:28, 4:14, 1])


def test_s3_that_is_private_refuses_who_has_no_credentials(s3: Store) -> None:
    with (
        s3.environment(with_credentials=False),
        pytest.raises(VolumeError, match=r"s3://private/image can't be read"),
    ):
        VolumeReader(retries=QUICK).open(f"s3://{PRIVATE}/image")


READ = """
import sys
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.volume import Retries, VolumeReader
volume = VolumeReader(retries=Retries(1, 0.01, 30)).open("gs://bucket/image").at(0, (4, 4, 40))
print(volume.start_read(Box(1, 4, 8, 20, 10))()[0].astype(int).tolist())
"""


def test_google_without_credentials_and_with_those_of_the_environment(folder: Path) -> None:
    """In processes of their own, as tensorstore keeps the first credentials of a process."""
    seen: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("Authorization"))
        name = unquote(request.path.partition("?")[0].rpartition("/o/")[2])
        file = folder / name
        body = file.read_bytes() if file.is_file() else b""
        request.send_response(200 if body else 404)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("x-goog-generation", "1")
        request.end_headers()
        request.wfile.write(body)

    own = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "CLOUDSDK_"))}
    with host(answer) as url:
        google = {"TENSORSTORE_GCS_HTTP_URL": url, "GCE_METADATA_ROOT": url.removeprefix("http://")}
        for token in (None, "secret"):
            seen.clear()
            chosen = {"GOOGLE_AUTH_TOKEN_FOR_TESTING": token} if token else {"HOME": str(folder)}
            ended = subprocess.run(
                [sys.executable, "-c", READ],
                env={**own, **google, **chosen},
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            np.testing.assert_array_equal(json.loads(ended.stdout), IMAGE[8:28, 4:14, 1])
            assert seen[-1] == (f"Bearer {token}" if token else None)
