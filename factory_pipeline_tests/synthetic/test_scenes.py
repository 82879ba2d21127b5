"""Scenes are stored as the collection's are: types, no data, clouds, and items that point to them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.synthetic.scenes import ScenePlan, write_scene

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

GRID = Grid(32633, 500_000, 5_200_000, 20, 20, 64, 48)
TIME = datetime(2021, 6, 1, 10, tzinfo=UTC)


def written(folder: Path, collection: str = "sentinel-2-l2a", **more: Any) -> dict[str, Any]:
    plan = ScenePlan(known_collections()[collection], "scene", GRID, TIME, **more)
    return write_scene(folder, plan)


def pixels(folder: Path, item: dict[str, Any], asset: str) -> tuple[Any, Any]:
    path = (folder / "stac" / "items" / item["assets"][asset]["href"]).resolve()
    with rasterio.open(path) as file:
        assert list(file.shape) == item["assets"][asset]["proj:shape"]
        assert list(file.transform)[:6] == item["assets"][asset]["proj:transform"]
        return file.read(1), file.nodata


def test_assets_have_the_types_and_pixel_sizes_of_the_collection(tmp_path: Path) -> None:
    item = written(tmp_path, only=("B04", "B11", "SCL"), cloud_cover=30.0, platform="Sentinel-2A")
    assert sorted(item["assets"]) == ["B04", "B11", "SCL"]
    red, nodata = pixels(tmp_path, item, "B04")
    assert (red.dtype, red.shape, nodata) == (np.uint16, (96, 128), None)
    scene, _ = pixels(tmp_path, item, "SCL")
    assert (scene.dtype, scene.shape) == (np.uint8, (48, 64))
    described = known_collections()["sentinel-2-l2a"].asset("SCL", "test")
    assert set(np.unique(scene).tolist()) <= set(described.classes or {})
    assert item["properties"]["eo:cloud_cover"] == 30.0
    assert item["properties"]["platform"] == "Sentinel-2A"
    assert item["properties"]["datetime"].startswith("2021-06-01T10:00:00")


def test_a_gap_has_no_data_and_the_files_may_say_so(tmp_path: Path) -> None:
    item = written(tmp_path, "hls2-s30", only=("B04",), gap=0.25, nodata_tag=True)
    values, nodata = pixels(tmp_path, item, "B04")
    assert nodata == -9999
    edge = round(values.shape[1] * 0.75)
    assert (values[:, edge:] == nodata).all()
    assert not (values[:, :edge] == nodata).any()


def test_the_ground_is_that_of_the_plan_and_the_same_in_every_grid(tmp_path: Path) -> None:
    def ground(asset: str, longitude: Any, latitude: Any) -> Any:
        assert (asset, longitude.shape) == ("B04", latitude.shape)
        return np.clip((longitude - 15.0) * 60, 0, 1)

    item = written(tmp_path, only=("B04",), ground=ground)
    values, _ = pixels(tmp_path, item, "B04")
    assert np.corrcoef(values.mean(axis=0), np.arange(values.shape[1]))[0, 1] > 0.95


def test_what_is_stated_is_in_the_item_and_the_shift_in_the_pixels(tmp_path: Path) -> None:
    plain = written(tmp_path / "a", only=("B04",))
    shifted = written(tmp_path / "b", only=("B04",), shift=1000.0, stated={"offset": -0.1})
    one, other = (
        pixels(tmp_path / name, item, "B04")[0].astype(int) for name, item in (("a", plain), ("b", shifted))
    )
    assert set(np.unique(other - one)) == {1000}
    assert shifted["assets"]["B04"]["raster:bands"] == [{"offset": -0.1}]
    assert "raster:bands" not in plain["assets"]["B04"]


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_plan_gives_the_same_bytes(seed: int, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        written(tmp_path / name, only=("B04",), seed=seed)
        files.append(next((tmp_path / name).rglob("B04.tif")).read_bytes())
    assert files[0] == files[1]
