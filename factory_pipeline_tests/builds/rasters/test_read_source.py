"""Tiles of one collection that call different values no data are one picture."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from factory_pipeline.builds.rasters.read_source import read_source
from factory_pipeline.builds.rasters.source_layer import layers_of
from factory_pipeline.cog.block_reader import BlockReader
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.cog.reader import WindowReader
from factory_pipeline.cog.recycled import Recycler
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.stac.scenes import PixelMeaning, Scene, SceneAsset
from factory_pipeline.stac.select_scenes import Acquisition, Choice
from factory_pipeline_tests.cog.factories import LEFT, TOP, UTM, write_raster

RECIPE = {
    "name": "tiles",
    "labels": {"kind": "points", "path": "a.csv"},
    "window": {"size": 32, "pixel_size": 10},
    "sources": {
        "s2": {
            "collection": "sentinel-2-l2a",
            "assets": ["B04"],
            "time": {"between": ["2021-01-01", "2021-12-31"]},
        }
    },
}
TIME = datetime(2021, 6, 1, tzinfo=UTC)


def scene_of(path: str, nodata: float | None, default: float | None = None) -> Scene:
    asset = SceneAsset(path, 1, PixelMeaning(nodata, 0.0001, 0.0, default))
    outline = shapely.box(0, 0, 1, 1)
    return Scene(Path(path).stem, TIME, TIME, TIME, None, outline, {"B04": asset}, (0, 0, 1, 1), {})


def test_each_tile_has_its_own_value_without_data(tmp_path: Path) -> None:
    """The western tile has no data at 0; the eastern one at 65535, and 0 is the darkest ground there."""
    west, east = np.full((64, 64), 500, np.uint16), np.full((64, 64), 900, np.uint16)
    west[10:20], east[15:25], east[30:35] = 0, 65535, 0
    paths = [
        write_raster(tmp_path / "west.tif", west, 10),
        write_raster(tmp_path / "east.tif", east, 10, left=LEFT + 640),
    ]
    scenes = tuple(scene_of(path, nodata) for path, nodata in zip(paths, (0, 65535), strict=True))
    (layer,) = layers_of(DatasetRecipe.parse(RECIPE, "test"))
    window = Grid(UTM, LEFT + 480, TOP - 80, 10, 10, 32, 32)
    choice = Choice(((Acquisition(scenes, covers=True),),), ())
    stack = read_source(layer, [window], [choice], BlockReader())
    valid = np.ones((32, 32), np.bool_)
    valid[2:12, :16], valid[7:17, 16:] = False, False
    np.testing.assert_array_equal(stack.valid[0, 0], valid)
    values = np.where(np.arange(32) < 16, 500, 900) * valid
    values[22:27, 16:] = 1
    np.testing.assert_array_equal(stack.values[0, 0, 0], values)


def test_memory_of_an_earlier_batch_shows_in_no_later_one(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(1, 900, (256, 256), np.uint16)
    scene = scene_of(write_raster(tmp_path / "a.tif", values, 10), None)
    document = {**RECIPE, "window": {"size": 192, "pixel_size": 10}}
    (layer,) = layers_of(DatasetRecipe.parse(document, "test"))
    seen, nothing = Choice(((Acquisition((scene,), covers=True),),), ()), Choice(((),), ())
    inside, outside = (Grid(UTM, LEFT + 80 + x, TOP - 80, 10, 10, 192, 192) for x in (0, 100_000))
    recycler = Recycler(kept=2**20)
    addresses = set()
    for grid, choice in (inside, seen), (inside, nothing), (outside, seen), (inside, seen):
        stack = read_source(layer, [grid], [choice], BlockReader(), recycler)
        expected = values[8:200, 8:200] if (grid, choice) == (inside, seen) else np.zeros((192, 192))
        np.testing.assert_array_equal(stack.values[0, 0, 0], expected)
        np.testing.assert_array_equal(stack.valid[0, 0], expected > 0)
        addresses.add(stack.values.__array_interface__["data"][0])
        del stack
    assert len(addresses) == 1


@pytest.mark.parametrize("reader", [BlockReader, RasterioReader])
@pytest.mark.parametrize(
    ("stated", "tag", "without"),
    [(None, 65535, 65535), (None, None, 0), (7, 65535, 7), (None, 0, 0)],
    ids=["the file's", "the collection's", "the item's", "both agree"],
)
def test_the_items_value_without_data_goes_first_then_the_files_then_the_collections(
    tmp_path: Path, stated: float | None, tag: float | None, without: float, reader: type[WindowReader]
) -> None:
    values = np.random.default_rng(4).choice(np.array([0, 7, 500, 65535], np.uint16), (64, 64))
    path = write_raster(tmp_path / "a.tif", values, 10, nodata=tag)
    (layer,) = layers_of(DatasetRecipe.parse(RECIPE, "test"))
    choice = Choice(((Acquisition((scene_of(path, stated, layer.nodata[0]),), covers=True),),), ())
    window = Grid(UTM, LEFT + 160, TOP - 160, 10, 10, 32, 32)
    stack = read_source(layer, [window], [choice], reader())
    part = values[16:48, 16:48]
    np.testing.assert_array_equal(stack.valid[0, 0], part != without)
    if stated is None and tag is not None:
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(stack.valid[0, 0], file.dataset_mask()[16:48, 16:48] > 0)
    # In the sample 0 is no data: where it is data, the value beside it stands for it.
    expected = np.where(part == without, 0, np.maximum(part, 1))
    np.testing.assert_array_equal(stack.values[0, 0, 0], expected)
