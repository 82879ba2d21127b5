"""Rasters in object stores are read as those on disk, in public containers and in private ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.byte_ranges import RetryPolicy
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, random_values, write_raster
from factory_pipeline_tests.cog.object_stores import (
    PRIVATE,
    PUBLIC,
    Store,
    azure_store,
    gcs_store,
    requester_pays_store,
    s3_store,
)

pytestmark = pytest.mark.integration

HASTY = RetryPolicy(retries=2, pause=0.01, stall=5)


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that its blocks come by several requests."""
    path = tmp_path_factory.mktemp("rasters") / "some odd+name.tif"
    write_raster(path, random_values((1500, 1500), high=60000), 10, blockxsize=256, blockysize=256)
    return path


@pytest.fixture(scope="module", params=["s3", "az", "gs"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    stores = {"s3": s3_store, "az": lambda: azure_store(folder), "gs": lambda: gcs_store(folder)}
    with stores[request.param]() as running:
        yield running


def read(address: str) -> list[ReadWindow | ReadFailure]:
    places = [(0, 0), (250, 250), (700, 120), (1400, 1460)]
    grids = [Grid(UTM, LEFT + 10 * x, TOP - 10 * y, 10, 10, 32, 32) for x, y in places]
    return BlockReader(retry_policy=HASTY).read([WindowRead((address,), grid) for grid in grids])


def assert_as_on_disk(address: str, raster: Path) -> None:
    for answer, local in zip(read(address), read(str(raster)), strict=True):
        assert isinstance(answer, ReadWindow), answer
        assert isinstance(local, ReadWindow)
        np.testing.assert_array_equal(answer.values, local.values)


def test_public_raster_is_read_without_credentials(store: Store, raster: Path) -> None:
    address = store.put(PUBLIC, raster)
    with store.environment(with_credentials=False):
        assert_as_on_disk(address, raster)


def test_private_raster_is_read_with_the_credentials_of_the_environment(store: Store, raster: Path) -> None:
    address = store.put(PRIVATE, raster)
    with store.environment(with_credentials=True):
        assert_as_on_disk(address, raster)


def test_private_raster_without_credentials_is_told_as_such(store: Store, raster: Path) -> None:
    address = store.put(PRIVATE, raster)
    with store.environment(with_credentials=False):
        answers = read(address)
    reason = f"{address} can't be read: its server does not let us read it."
    assert answers == [ReadFailure(address, reason, transient=False, refused=True)] * 4


@pytest.mark.parametrize("store", ["az", "gs"], indirect=True)
def test_wrong_key_is_refused_and_not_shown(store: Store, raster: Path) -> None:
    address = store.put(PRIVATE, raster)
    assert store.wrong_credentials
    other = replace(store, credentials=store.wrong_credentials)
    with other.environment(with_credentials=True):
        answers = read(address)
    reason = f"{address} can't be read: its server does not let us read it."
    assert answers == [ReadFailure(address, reason, transient=False, refused=True)] * 4


def test_names_may_hold_what_means_something_in_other_addresses(
    store: Store, raster: Path, tmp_path: Path
) -> None:
    named = tmp_path / "tile #1 100% [ü].tif"
    named.write_bytes(raster.read_bytes())
    address = store.put(PRIVATE, named)
    with store.environment(with_credentials=True):
        assert_as_on_disk(address, raster)


def test_a_store_without_any_settings_says_what_is_missing(
    raster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's clients then ask the machine that they run on, here one that does not answer."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    with gcs_store(tmp_path) as store:
        address = store.put(PUBLIC, raster)
        with replace(store, anonymous={"GCE_METADATA_HOST": "127.0.0.1:9"}).environment(
            with_credentials=False
        ):
            [answer, *_] = read(address)
    assert isinstance(answer, ReadFailure)
    assert "the environment has none that are valid" in answer.reason


def test_a_bucket_whose_readers_pay_is_read_by_those_who_say_so(raster: Path) -> None:
    with requester_pays_store() as store:
        address = store.put(PRIVATE, raster)
        reads = [WindowRead((address,), Grid(UTM, LEFT, TOP, 10, 10, 32, 32))]
        endpoint = {
            "AWS_S3_ENDPOINT": urlsplit(store.endpoint["AWS_ENDPOINT_URL"]).netloc,
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "GDAL_HTTP_MAX_RETRY": 0,
        }
        with store.environment(with_credentials=True):
            for pays in (True, False):
                (by_engine,) = BlockReader(retry_policy=HASTY, requester_pays=pays).read(reads)
                (by_gdal,) = RasterioReader(options=endpoint, requester_pays=pays).read(reads)
                if pays:
                    (local,) = BlockReader().read([replace(reads[0], hrefs=(str(raster),))])
                    assert isinstance(local, ReadWindow)
                    for answer in (by_engine, by_gdal):
                        assert isinstance(answer, ReadWindow), answer
                        np.testing.assert_array_equal(answer.values, local.values)
                else:
                    assert isinstance(by_engine, ReadFailure)
                    assert by_engine.refused
                    assert isinstance(by_gdal, ReadFailure)
