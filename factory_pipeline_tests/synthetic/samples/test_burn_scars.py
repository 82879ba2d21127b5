"""The outlines of the sample's scars are polygons in degrees, the same for one seed."""

import json
from pathlib import Path

import shapely

from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.builds.labels.polygons import read_polygons
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.synthetic.samples import burn_scars


def test_outlines_are_valid_polygons_of_the_recipes_columns(tmp_path: Path) -> None:
    path = burn_scars.write_labels(tmp_path, 22)
    (tmp_path / "scars.yaml").write_text(burn_scars.RECIPE)
    labels = DatasetRecipe.load(tmp_path / "scars.yaml").labels
    assert Path(labels.path) == path  # type: ignore[union-attr, arg-type]
    found = read_polygons(labels, RejectLedger())  # type: ignore[arg-type]
    assert not found.dropped
    assert found.geometries is not None
    assert found.table.height == len(json.loads(path.read_text())["features"]) > 1
    assert shapely.is_valid(found.geometries).all()
    west, south, east, north = shapely.total_bounds(found.geometries)
    assert -180 < west < east < 180
    assert east - west < 0.5 > north - south


def test_the_seed_decides_the_outlines(tmp_path: Path) -> None:
    one, same, other = (
        burn_scars.write_labels(tmp_path / name, seed).read_text()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == same != other
