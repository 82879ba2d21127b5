"""Windows of a grid over an area or rasters, and the labels that rasters hold in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from factory_pipeline.builds.labels.areas import (
    content_digest,
    cut_labels,
    labels_in,
    raster_files,
    read_grid,
    read_rasters,
)
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.rasterio_reader import RasterioReader
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import GridLabels, RasterLabels
from factory_pipeline.config.raster_sources import Window
from factory_pipeline.errors import RecipeError
from factory_pipeline_tests.cog.factories import write_raster

WINDOW = Window(size=16, pixel_size=20)
CODES = np.random.default_rng(2).integers(0, 4, (64, 64)).astype(np.uint8)


def labels(path: Path | None = None, **options: Any) -> RasterLabels:
    return RasterLabels.model_validate({"kind": "rasters", "path": str(path) if path else None, **options})


def recipe(path: Path, **options: Any) -> DatasetRecipe:
    document = {
        "name": "cover",
        "labels": {"kind": "rasters", "path": str(path), **options},
        "window": {"size": 16, "pixel_size": 20},
        "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
    }
    return DatasetRecipe.parse(document, "of the test")


def test_the_windows_of_a_grid_lie_over_its_area_and_hold_at_its_time() -> None:
    area = (15.0, 47.0, 15.01, 47.01)
    found = read_grid(GridLabels(kind="grid", area=area, between=("2021-01-01", "2021-12-31")), WINDOW)  # type: ignore[arg-type]
    assert found.table.height > 4
    assert found.table["value"].null_count() == found.table.height
    box = shapely.box(*area).buffer(0.005)
    places = shapely.points(found.table.select("longitude", "latitude").to_numpy())
    assert shapely.contains(box, places).all()
    assert found.table["start"].dt.year().unique().to_list() == [2021]


def test_windows_lie_over_a_raster_that_crosses_the_antimeridian(tmp_path: Path) -> None:
    # At 10 degrees north, 180 degrees east is 828,925 m in zone 60.
    write_raster(tmp_path / "a.tif", CODES, left=828_300, top=1_107_500, crs="EPSG:32660")
    table = read_rasters(labels(tmp_path), WINDOW, RejectLedger()).table
    assert 16 <= table.height <= 40
    assert {text.partition("_")[0] for text in table["id"].to_list()} == {"32601", "32660"}
    assert table["longitude"].abs().min() > 179.9


def test_windows_cover_the_ground_of_all_rasters_or_the_part_in_an_area(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", CODES)
    write_raster(tmp_path / "b.TIF", CODES, left=600_000 + 5 * 64 * 20)
    whole = read_rasters(labels(tmp_path), WINDOW, RejectLedger()).table
    assert whole.height == pytest.approx(2 * 16, abs=20)
    west = whole["longitude"].min()
    part = read_rasters(
        labels(tmp_path, area=[west - 0.01, 45, west + 0.01, 46]), WINDOW, RejectLedger()
    ).table  # type: ignore[operator]
    assert 0 < part.height < whole.height
    assert set(part["id"]) <= set(whole["id"])


def test_rasters_are_taken_by_name_and_none_is_told(tmp_path: Path) -> None:
    write_raster(tmp_path / "b.tif", CODES)
    write_raster(tmp_path / "a.tiff", CODES)
    (tmp_path / "a.txt").write_text("no raster")
    assert [path.name for path in raster_files(labels(tmp_path))] == ["a.tiff", "b.tif"]
    with pytest.raises(RecipeError, match="is neither a GeoTIFF nor a folder of them"):
        raster_files(labels(tmp_path / "none.tif"))
    with pytest.raises(RecipeError, match=r"a\.txt can't be read as a raster"):
        read_rasters(labels(tmp_path / "a.txt"), WINDOW, RejectLedger())


def test_a_raster_without_a_crs_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", CODES, crs=None)
    with pytest.raises(RecipeError, match=r"a\.tif does not state its coordinate reference system"):
        read_rasters(labels(Path(path)), WINDOW, RejectLedger())


def test_labels_are_the_pixels_of_the_raster_and_what_is_no_class_is_none(tmp_path: Path) -> None:
    path = Path(write_raster(tmp_path / "a.tif", CODES))
    with rasterio.open(path) as file:
        whole = Grid.from_transform(32631, file.transform, 64, 64)
    grids = [whole.window(0, 0, 16, 16), whole.window(30, 41, 16, 16)]
    cut, missing = cut_labels(recipe(path, classes={1: "a", 3: "b"}), grids, RasterioReader())
    for labelled, share, (row, column) in zip(cut, missing, ((0, 0), (30, 41)), strict=True):
        part = CODES[row : row + 16, column : column + 16]
        expected = np.where(np.isin(part, (1, 3)), part, 0)
        np.testing.assert_array_equal(labelled[0], expected)
        assert share == pytest.approx((expected == 0).mean())


def test_numbers_without_data_become_nan(tmp_path: Path) -> None:
    values = np.array([[[1.5, 2.5]]])
    cut, missing = labels_in(recipe(tmp_path, unit="m"), values, np.array([[[True, False]]]))
    np.testing.assert_array_equal(cut, [[[[1.5, np.nan]]]])
    assert cut.dtype == np.float32
    assert missing.tolist() == [0.5]


def test_a_raster_that_can_not_be_read_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no raster")
    with pytest.raises(RecipeError, match=r"labels\.path: .*a\.tif"):
        cut_labels(recipe(tmp_path / "a.tif"), [Grid(32631, 0, 0, 20, 20, 16, 16)], RasterioReader())


def test_the_digest_is_of_the_bytes_in_their_order(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    assert content_digest([one, other]) != content_digest([other, one])
    copy = tmp_path / "c"
    copy.write_bytes(b"1")
    assert content_digest([one]) == content_digest([copy])
