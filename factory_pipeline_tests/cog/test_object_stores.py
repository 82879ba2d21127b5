"""Rasters in object stores are read as those on disk, in public containers and in private ones."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.cog.engine import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead
from factory_pipeline.cog.source import Patience
from factory_pipeline.sample.server import SampleServer
from factory_pipeline_tests.cog.made_rasters import LEFT, TOP, UTM, random_values, write_raster
from factory_pipeline_tests.cog.object_stores import (
    AZURITE,
    PRIVATE,
    PUBLIC,
    Store,
    azure_store,
    s3_store,
)

HASTY = Patience(retries=2, pause=0.01, stall=5)


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that its blocks come by several requests."""
    path = tmp_path_factory.mktemp("rasters") / "some odd+name.tif"
    write_raster(path, random_values((1500, 1500), high=60000), 10, blockxsize=256, blockysize=256)
    return path


@pytest.fixture(scope="module", params=["s3", "az"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "s3":
        with s3_store() as running:
            yield running
    elif AZURITE is None:
        pytest.skip("azurite is not installed: npm install -g azurite")
    else:
        with azure_store(tmp_path_factory.mktemp("azurite")) as running:
            yield running


def read(address: str) -> list[ReadWindow | ReadFailure]:
    places = [(0, 0), (250, 250), (700, 120), (1400, 1460)]
    grids = [Grid(UTM, LEFT + 10 * x, TOP - 10 * y, 10, 10, 32, 32) for x, y in places]
    return BlockReader(patience=HASTY).read([WindowRead((address,), grid) for grid in grids])


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
    assert answers == [ReadFailure(address, reason, passing=False)] * 4


@pytest.mark.parametrize("store", ["az"], indirect=True)
def test_wrong_key_is_refused_and_not_shown(store: Store, raster: Path) -> None:
    address = store.put(PRIVATE, raster)
    wrong = base64.b64encode(b"a key that is not right").decode()
    other = replace(store, credentials={"AZURE_STORAGE_ACCOUNT_KEY": wrong})
    with other.environment(with_credentials=True):
        answers = read(address)
    reason = f"{address} can't be read: its server does not let us read it."
    assert answers == [ReadFailure(address, reason, passing=False)] * 4


def test_public_bucket_of_google_is_read(raster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the sample server, as no emulator answers what the client asks; addresses and ranges count."""
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    with SampleServer(raster.parent.parent) as server:
        monkeypatch.setenv("GOOGLE_BASE_URL", server.url)
        assert_as_on_disk(f"gs://{raster.parent.name}/{raster.name}", raster)
