"""Assets that are missing, broken or refused fail the windows that need them, and those alone."""

import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead
from factory_pipeline_tests.cog.rasters import PRODUCT, band, read_one, write


def test_an_asset_that_cannot_be_read_fails_its_own_windows(product, tmp_path):
    good = product[10][0]
    garbage = tmp_path / "text.tif"
    garbage.write_text("not a raster")
    nowhere = write(tmp_path / "nowhere.tif", band(20)[0], band(20)[1], crs=None)
    rotated = tmp_path / "rotated.tif"
    with rasterio.open(good) as file:
        profile = file.profile | {"transform": Affine.rotation(30), "nbits": 15}
        with rasterio.open(rotated, "w", **profile) as copy:
            copy.write(file.read(1), 1)
    bad = {
        str(tmp_path / "missing.tif"): "does not exist",
        str(garbage): "is not a raster",
        nowhere: "no coordinate reference system",
        str(rotated): "north-up",
    }
    window = PRODUCT.window(0, 0, 32, 32)
    reads = [WindowRead((href,), window) for href in (*bad, good)]
    *failures, last = RasterioReader().read([*reads, WindowRead((good, *bad), window)])[:-1]
    for failure, (href, reason) in zip(failures, bad.items(), strict=True):
        assert isinstance(failure, ReadFailure)
        assert failure.href == href
        assert reason in failure.reason
        assert not failure.transient
    assert isinstance(last, ReadWindow)


def test_a_window_of_several_assets_fails_with_the_one_that_is_missing(product, tmp_path):
    missing = str(tmp_path / "missing.tif")
    (answer,) = RasterioReader().read([WindowRead((product[10][0], missing), PRODUCT.window(0, 0, 32, 32))])
    assert isinstance(answer, ReadFailure)
    assert answer.href == missing


def test_a_broken_block_fails_only_the_windows_on_it(tmp_path):
    values, grid = band(10)
    path = Path(write(tmp_path / "broken.tif", values, grid))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    reads = [WindowRead((str(path),), PRODUCT.window(row, 0, 32, 32)) for row in (440, 0)]
    below, above = RasterioReader().read(reads)
    assert isinstance(below, ReadFailure)
    assert not below.transient
    assert isinstance(above, ReadWindow)
    np.testing.assert_array_equal(above.values, values[:32, :32])


class Archive(http.server.ThreadingHTTPServer):
    """Serves one raster with range requests; a path says which status it answers, how often, and when."""

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), ArchiveHandler)
        self.data = data
        self.requests: list[str] = []
        self.unavailable: dict[str, int] = {}
        """Path -> requests that are answered with 503 before it works."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class ArchiveHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Archive

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        name = self.path.partition("?")[0].removeprefix("/").removesuffix(".tif")
        status = int(name) if name.isdigit() else 206
        if self.server.unavailable.get(name, 0) > 0:
            self.server.unavailable[name] -= 1
            status = 503
        data, start, end = self.server.data, 0, len(self.server.data)
        if asked := self.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(data))
            if name == "broken-off" and start:
                status = 503
        body = data[start:end] if status == 206 else b""
        self.send_response(status if asked or status != 206 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Tests print nothing."""


@pytest.fixture(scope="module")
def archive(product) -> Iterator[Archive]:
    server = Archive(Path(product[10][0]).read_bytes())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def hasty(**options: Any) -> RasterioReader:
    """A reader that signs every address and soon gives up."""
    quick = {"GDAL_HTTP_MAX_RETRY": 1, "GDAL_HTTP_RETRY_DELAY": 0.05}
    return RasterioReader(sign=lambda href: f"{href}?sig=SECRET", options=quick | options)


@pytest.mark.integration
def test_a_remote_asset_is_signed_and_read(archive, product):
    got = read_one(hasty(), archive.url("ok.tif"), PRODUCT.window(440, 440, 32, 32), Resampling.NEAREST)
    np.testing.assert_array_equal(got.values, product[10][1][440:472, 440:472])
    asked = [path for path in archive.requests if path.startswith("/ok")]
    assert set(asked) == {"/ok.tif?sig=SECRET"}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "transient"),
    [("404", False), ("403", False), ("410", False), ("429", True), ("503", True), ("broken-off", True)],
)
def test_a_status_says_whether_a_later_try_may_succeed(archive, name, transient, caplog):
    href = archive.url(f"{name}.tif")
    window = PRODUCT.window(440, 440, 32, 32)
    with caplog.at_level(logging.DEBUG):
        (answer,) = hasty().read([WindowRead((href,), window)])
    assert isinstance(answer, ReadFailure)
    assert answer.transient == transient
    assert answer.href == href
    assert href in answer.reason
    assert name == "broken-off" or name in answer.reason
    assert "SECRET" not in answer.reason
    assert "SECRET" not in caplog.text


def test_a_server_that_is_not_there_may_come_back():
    (answer,) = hasty().read([WindowRead(("http://127.0.0.1:1/x.tif",), PRODUCT.window(0, 0, 32, 32))])
    assert answer == ReadFailure(
        "http://127.0.0.1:1/x.tif", "http://127.0.0.1:1/x.tif did not respond.", transient=True
    )


@pytest.mark.integration
def test_a_server_that_was_away_is_asked_again_by_a_later_read(archive):
    archive.unavailable["later"] = 20
    read = WindowRead((archive.url("later.tif"),), PRODUCT.window(0, 0, 32, 32))
    (first,) = hasty().read([read])
    assert isinstance(first, ReadFailure)
    assert first.transient
    archive.unavailable["later"] = 1
    (second,) = hasty(GDAL_HTTP_MAX_RETRY=3).read([read])
    assert isinstance(second, ReadWindow)
