"""Windows read by the rasterio reader are what GDAL's warp of the whole asset gives."""

import http.server
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.windows import Window

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, Resampling, WindowRead
from factory_pipeline_tests.cog.oracle import exact_vrt, warped
from factory_pipeline_tests.examples import up_to

UTM = 32640
PRODUCT = Grid(UTM, 600000, 4000020, 10, 10, 480, 480)
SECOND = 1 / 3600


def write(path: Path, values: NDArray[Any], grid: Grid, **options: Any) -> str:
    profile = {"driver": "GTiff", "count": 1, "tiled": True, "blockxsize": 64, "blockysize": 64}
    profile |= {"compress": "deflate", "dtype": values.dtype, "crs": f"EPSG:{grid.epsg}"}
    with rasterio.open(
        path, "w", height=grid.height, width=grid.width, transform=grid.transform, **profile | options
    ) as file:
        file.write(values, 1)
    return str(path)


def band(metres: int, seed: int = 0, low: int = 1, high: int = 32767) -> tuple[NDArray[np.uint16], Grid]:
    """Random counts on the grid of a band of this pixel size over the whole product."""
    pixels = PRODUCT.width * 10 // metres
    values = np.random.default_rng(seed).integers(low, high, (pixels, pixels)).astype(np.uint16)
    return values, Grid(UTM, PRODUCT.left, PRODUCT.top, metres, metres, pixels, pixels)


def read_one(
    reader: RasterioReader, hrefs: str | tuple[str, ...], grid: Grid, resampling: Resampling
) -> ReadWindow:
    hrefs = (hrefs,) if isinstance(hrefs, str) else hrefs
    (answer,) = reader.read([WindowRead(hrefs, grid, resampling)])
    assert isinstance(answer, ReadWindow), answer
    return answer


def assert_equal_counts(got: NDArray[Any], expected: NDArray[Any], resampling: Resampling) -> None:
    """Equal; a bilinear value that lies just between two counts may be rounded to either."""
    difference = np.abs(got.astype(int) - expected.astype(int))
    assert difference.max() <= (1 if resampling is Resampling.BILINEAR else 0)
    assert (difference != 0).mean() < 0.01


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, NDArray[np.uint16], Grid]]:
    """A band of each pixel size; those of 10 and 20 m with 15 bits, as Planetary Computer keeps them."""
    folder = tmp_path_factory.mktemp("product")
    bands = {}
    for metres, options in {10: {"nbits": 15}, 20: {"nbits": 15}, 60: {}}.items():
        values, grid = band(metres, seed=metres)
        bands[metres] = write(folder / f"{metres}.tif", values, grid, **options), values, grid
    return bands


@pytest.mark.integration
@settings(max_examples=up_to(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, 448),
    column=st.integers(0, 448),
    metres=st.sampled_from([10, 20, 60]),
    resampling=st.sampled_from(Resampling),
)
def test_a_window_anywhere_on_the_product_equals_gdal(product, row, column, metres, resampling):
    href, values, grid = product[metres]
    window = PRODUCT.window(row, column, 32, 32)
    got = read_one(RasterioReader(threads=1), href, window, resampling)
    assert_equal_counts(got.values, warped(values, grid, window, resampling).values, resampling)
    assert got.valid.all()
    assert got.values.dtype == np.uint16


def test_coinciding_pixels_are_copied(product):
    href, values, _ = product[10]
    for row, column in [(0, 0), (448, 448), (0, 448), (17, 231)]:
        got = read_one(RasterioReader(), href, PRODUCT.window(row, column, 32, 32), Resampling.BILINEAR)
        np.testing.assert_array_equal(got.values, values[row : row + 32, column : column + 32])


def test_a_window_at_an_odd_offset_halves_the_right_pixels(product):
    """The 20 m pixel that holds each 10 m pixel, also where the window starts in the middle of one."""
    href, values, _ = product[20]
    got = read_one(RasterioReader(), href, PRODUCT.window(101, 33, 32, 32), Resampling.NEAREST)
    rows, columns = (101 + np.arange(32)) // 2, (33 + np.arange(32)) // 2
    np.testing.assert_array_equal(got.values, values[np.ix_(rows, columns)])


@pytest.mark.parametrize("metres", [10, 20])
def test_what_lies_outside_is_zero_and_not_valid(product, metres):
    href, values, grid = product[metres]
    window = PRODUCT.window(-10, 460, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    inside = np.zeros((32, 32), bool)
    inside[10:, :20] = True
    np.testing.assert_array_equal(got.valid, inside)
    expected = warped(values, grid, window, Resampling.BILINEAR)
    assert_equal_counts(got.values, expected.values, Resampling.BILINEAR)
    assert not got.values[~inside].any()


def test_a_window_far_outside_holds_nothing(product):
    got = read_one(RasterioReader(), product[20][0], PRODUCT.window(9000, 0, 32, 32), Resampling.BILINEAR)
    assert not got.valid.any()
    assert not got.values.any()
    assert got.values.shape == (32, 32)


def test_counts_above_32767_do_not_wrap(tmp_path):
    values, grid = band(20, low=32000, high=65535)
    href = write(tmp_path / "bright.tif", values, grid, predictor=2)
    window = PRODUCT.window(3, 5, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    assert got.values.max() > 32767
    assert got.values.min() >= 32000
    expected = warped(values, grid, window, Resampling.BILINEAR)
    assert_equal_counts(got.values, expected.values, Resampling.BILINEAR)


@pytest.mark.parametrize("resampling", Resampling)
def test_the_nodata_value_of_an_asset_is_left_out(tmp_path, resampling):
    values, grid = band(20)
    values[40:60, 30:47] = 0
    values[::7, ::5] = 0
    href = write(tmp_path / "holes.tif", values, grid, nodata=0)
    window = PRODUCT.window(75, 51, 32, 32)
    got = read_one(RasterioReader(), href, window, resampling)
    expected = warped(values, grid, window, resampling, missing=values == 0)
    assert_equal_counts(got.values, expected.values, resampling)
    np.testing.assert_array_equal(got.valid, expected.valid)
    assert 0 < got.valid.sum() < 32 * 32


def test_a_nan_is_left_out_where_it_is_the_nodata_value(tmp_path):
    values = np.random.default_rng(1).normal(500, 100, (240, 240)).astype(np.float32)
    values[50:60, 50:60] = np.nan
    grid = band(20)[1]
    href = write(tmp_path / "nan.tif", values, grid, nodata=np.nan)
    window = PRODUCT.window(90, 90, 40, 40)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    expected = warped(values, grid, window, Resampling.BILINEAR, missing=np.isnan(values))
    np.testing.assert_array_equal(got.valid, expected.valid)
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-6)


def test_a_window_coarser_than_the_asset_uses_gdals_wider_kernel(product):
    href, values, grid = product[10]
    window = Grid(UTM, PRODUCT.left + 1003, PRODUCT.top - 907, 45, 45, 32, 32)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    expected = warped(values, grid, window, Resampling.BILINEAR).values
    np.testing.assert_allclose(got.values.astype(int), expected.astype(int), atol=1)


@pytest.fixture(scope="module")
def dem(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], NDArray[np.float32], Grid]:
    """Four tiles that meet in a corner at 51 E 36 N, as CopDEM writes them, and all of them in one array.

    Their edges lie half a pixel off the degree, and their headers round it differently.
    """
    folder = tmp_path_factory.mktemp("dem")
    whole = Grid(4326, 51 - 120.5 * SECOND, 36 + 120.5 * SECOND, SECOND, SECOND, 240, 240)
    rows, columns = np.mgrid[:240, :240]
    rng = np.random.default_rng(3)
    values = (1000 + 5 * rows - 3 * columns + rng.normal(0, 20, (240, 240))).astype(np.float32)
    hrefs = {}
    for name, row, column in [("nw", 0, 0), ("ne", 0, 120), ("sw", 120, 0), ("se", 120, 120)]:
        tile = whole.window(row, column, 120, 120)
        rounded = Grid(4326, round(tile.left, 10), round(tile.top, 11), SECOND, SECOND, 120, 120)
        part = np.ascontiguousarray(values[row : row + 120, column : column + 120])
        hrefs[name] = write(folder / f"{name}.tif", part, rounded, predictor=3)
    return hrefs, values, whole


def utm_window(longitude: float, latitude: float, epsg: int, size: int = 34) -> Grid:
    """A window around a place, its corner on whole tens of metres."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return Grid(epsg, x // 10 * 10 - size * 5, y // 10 * 10 + size * 5, 10, 10, size, size)


@pytest.mark.parametrize(
    ("names", "longitude", "latitude"),
    [
        (("nw",), 50.99, 36.02),
        (("nw", "ne"), 51 - SECOND / 2, 36.015),
        (("ne", "se"), 51.012, 36),
        (("nw", "ne", "sw", "se"), 51, 36),
    ],
)
@pytest.mark.parametrize("resampling", Resampling)
def test_tiles_of_one_grid_are_mosaicked_before_the_warp(dem, names, longitude, latitude, resampling):
    hrefs, values, whole = dem
    window = utm_window(longitude, latitude, 32639)
    got = read_one(RasterioReader(), tuple(hrefs[name] for name in names), window, resampling)
    assert got.valid.all()
    assert got.values.dtype == np.float32
    np.testing.assert_allclose(got.values, warped(values, whole, window, resampling).values, rtol=1e-6)


def test_a_tile_that_is_not_there_leaves_a_hole_in_a_raster_without_nodata(dem):
    """Tiles wholly at sea do not exist; their neighbours are used up to the edge."""
    hrefs, values, whole = dem
    window = utm_window(51, 36, 32639)
    three = tuple(hrefs[name] for name in ("nw", "ne", "sw"))
    got = read_one(RasterioReader(), three, window, Resampling.BILINEAR)
    at_sea = np.zeros(values.shape, bool)
    at_sea[120:, 120:] = True
    expected = warped(values, whole, window, Resampling.BILINEAR, missing=at_sea)
    np.testing.assert_array_equal(got.valid, expected.valid)
    assert 0 < (~got.valid).sum() < got.valid.size / 2
    np.testing.assert_allclose(got.values, expected.values, rtol=1e-6)


@pytest.mark.parametrize(("size", "pixel"), [(2, 10), (5, 20), (34, 10), (300, 20)])
def test_every_pixel_lies_where_proj_puts_it(tmp_path, size, pixel):
    """On a plane a bilinear value tells its own position."""
    source = Grid(4326, 51, 36, SECOND, SECOND, 300, 300)
    columns = np.broadcast_to(np.arange(300) + 0.5, (300, 300))
    href = write(tmp_path / "columns.tif", columns.astype(np.float64), source)
    corner = utm_window(51.01, 35.99, 32639, 2)
    window = Grid(corner.epsg, corner.left, corner.top, pixel, pixel, size, size)
    x, y = np.meshgrid(*(np.arange(size) + 0.5,) * 2)
    to_degrees = Transformer.from_crs(32639, 4326, always_xy=True)
    longitude, _ = to_degrees.transform(window.left + pixel * x, window.top - pixel * y)
    got = read_one(RasterioReader(), href, window, Resampling.BILINEAR)
    np.testing.assert_allclose(got.values[got.valid], ((longitude - 51) / SECOND)[got.valid], atol=1e-8)
    assert got.valid[: size // 2, : size // 2].all()


def test_tiles_of_different_widths_are_joined_at_the_seam_and_warped_one_by_one_elsewhere(tmp_path):
    """CopDEM's pixels get wider at 50 degrees north; what a plane over the seam becomes says `test_join`."""
    rng = np.random.default_rng(5)
    south_grid = Grid(4326, 8, 50, SECOND, SECOND, 120, 60)
    north_grid = Grid(4326, 8, 50 + 60 * SECOND, 1.5 * SECOND, SECOND, 80, 60)
    tiles = {}
    for name, grid in {"south": south_grid, "north": north_grid}.items():
        values = rng.normal(300, 50, grid.shape).astype(np.float32)
        tiles[name] = write(tmp_path / f"{name}.tif", values, grid), values, grid
    window = utm_window(8 + 60 * SECOND, 50, 32632)
    got = read_one(RasterioReader(), (tiles["south"][0], tiles["north"][0]), window, Resampling.BILINEAR)
    south, north = (warped(*tiles[name][1:], window, Resampling.BILINEAR) for name in ("south", "north"))
    assert got.valid.all()
    assert not south.valid.all()
    expected = np.where(south.valid, south.values, north.values)
    # A kernel of 3 pixels of 10 m reaches over the seam, which runs between south and north.
    seam = np.flatnonzero(south.valid.any(axis=1))[0]
    apart = np.abs(np.arange(len(expected)) - seam) > 4
    assert apart.sum() > 20
    np.testing.assert_allclose(got.values[apart], expected[apart], rtol=1e-6)
    near = np.abs(got.values[~apart] - expected[~apart])
    assert 1 < near.max() < 100


@pytest.mark.parametrize("order", [("east", "west"), ("west", "east")])
@pytest.mark.parametrize("epsg", [32701, 32760])
def test_a_window_across_the_180th_meridian_is_whole(tmp_path, order, epsg):
    rng = np.random.default_rng(6)
    values = rng.normal(300, 50, (120, 240)).astype(np.float32)
    whole = Grid(4326, 180 - 120.5 * SECOND, -17, SECOND, SECOND, 240, 120)
    west = Grid(4326, whole.left, whole.top, SECOND, SECOND, 120, 120)
    east = Grid(4326, -180 - SECOND / 2, whole.top, SECOND, SECOND, 120, 120)
    hrefs = {
        "west": write(tmp_path / "w.tif", np.ascontiguousarray(values[:, :120]), west),
        "east": write(tmp_path / "e.tif", np.ascontiguousarray(values[:, 120:]), east),
    }
    window = utm_window(180, -17 - 60 * SECOND, epsg)
    got = read_one(RasterioReader(), tuple(hrefs[name] for name in order), window, Resampling.BILINEAR)
    assert got.valid.all()
    # PROJ's longitudes end at 180 degrees and go on at -180.
    again = Grid(4326, whole.left - 360, whole.top, SECOND, SECOND, 240, 120)
    west_of_it, east_of_it = (warped(values, grid, window, Resampling.BILINEAR) for grid in (whole, again))
    expected = np.where(west_of_it.valid, west_of_it.values, east_of_it.values)
    np.testing.assert_allclose(got.values, expected, rtol=1e-6)


@pytest.mark.integration
def test_many_windows_come_back_in_their_order_and_each_file_is_opened_once(product, monkeypatch):
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda path: opened.append(path) or real(path))
    rng = np.random.default_rng(9)
    places = rng.integers(0, 448, (60, 2)).tolist()
    reads = [
        WindowRead((product[metres][0],), PRODUCT.window(row, column, 32, 32), Resampling.NEAREST)
        for row, column in places
        for metres in (10, 20)
    ]
    answers = RasterioReader(threads=3).read(reads)
    for read, answer in zip(reads, answers, strict=True):
        (metres,) = (metres for metres in (10, 20) if product[metres][0] == read.hrefs[0])
        _, values, grid = product[metres]
        expected = warped(values, grid, read.grid, read.resampling)
        np.testing.assert_array_equal(answer.values, expected.values)
    assert sorted(opened) == sorted({read.hrefs[0] for read in reads})


def test_no_reads_no_answers():
    assert RasterioReader().read([]) == []


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


@pytest.fixture(scope="module")
def realdata() -> Path:
    if not os.environ.get("FACTORY_REALDATA"):
        pytest.skip("FACTORY_REALDATA names no folder with real sample data")
    return Path(os.environ["FACTORY_REALDATA"])


@pytest.mark.parametrize(
    ("path", "resampling"),
    [
        ("dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif", Resampling.BILINEAR),
        ("worldcover/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif", Resampling.NEAREST),
        ("worldcover/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif", Resampling.NEAREST),
    ],
)
def test_a_window_on_sao_tome_equals_gdals_warp_of_the_whole_tile(realdata, path, resampling):
    href = str(realdata / path)
    window = utm_window(6.735, 0.34, 32632)
    got = read_one(RasterioReader(), href, window, resampling)
    # GDAL's warp of the file: it chooses by itself what it reads.
    with rasterio.open(href) as file, exact_vrt(file, window, resampling) as warper:
        expected = warper.read(1)
    assert got.valid.all()
    assert len(np.unique(got.values)) > 1
    np.testing.assert_allclose(got.values, expected, rtol=1e-6)


def test_the_real_dem_is_copied_where_the_window_lies_on_its_own_grid(realdata):
    href = str(realdata / "dem/Copernicus_DSM_COG_10_N00_00_E006_00_DEM.tif")
    with rasterio.open(href) as file:
        grid = Grid.from_transform(4326, file.transform, file.width, file.height)
        values = file.read(1, window=Window(2011, 2633, 50, 40))
    got = read_one(RasterioReader(), href, grid.window(2633, 2011, 40, 50), Resampling.BILINEAR)
    np.testing.assert_array_equal(got.values, values)
    assert values.max() > 0
