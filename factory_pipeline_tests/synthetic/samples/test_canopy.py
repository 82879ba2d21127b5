"""The rasters of heights of the sample meet in the middle of two zones and show the same ground."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.stac.projection import to_degrees
from factory_pipeline.synthetic.samples import canopy
from factory_pipeline.synthetic.samples.places import SIERRA

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


def test_heights_are_those_of_the_ground_on_one_side_of_the_zones_edge(tmp_path: Path) -> None:
    folder = canopy.write_labels(tmp_path, 22)
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == ["heights_10n.tif", "heights_11n.tif"]
    for path, side in zip(files, (-1, 1), strict=True):
        with rasterio.open(path) as file:
            heights, valid = file.read(1), file.dataset_mask() > 0
            assert (file.dtypes[0], file.res) == ("float32", (canopy.LABEL_PIXEL_M,) * 2)
            rows, columns = np.nonzero(valid)
            x, y = file.transform @ (columns + 0.5, rows + 0.5)
            longitude, latitude = to_degrees(file.crs.to_epsg(), x, y)
        assert 0 < valid.mean() < 1
        assert (side * (longitude - SIERRA.longitude) >= -1e-9).all()
        np.testing.assert_allclose(heights[valid], canopy.height_at(longitude, latitude), atol=1e-3)


def test_heights_are_from_the_ground_to_the_tallest_tree() -> None:
    longitude, latitude = np.meshgrid(np.linspace(-120.1, -119.9, 200), np.linspace(37, 37.2, 200))
    heights = canopy.height_at(longitude, latitude)
    assert heights.min() >= 0
    assert heights.max() <= canopy.TALLEST_M
    assert heights.max() - heights.min() > canopy.TALLEST_M / 2


def test_its_recipe_finds_the_heights(tmp_path: Path) -> None:
    labels = canopy.write_labels(tmp_path, 22)
    (tmp_path / "canopy.yaml").write_text(canopy.RECIPE)
    recipe = DatasetRecipe.load(tmp_path / "canopy.yaml")
    assert recipe.labels.is_raster
    assert Path(recipe.labels.path) == labels  # type: ignore[union-attr, arg-type]
