"""Polygons as labels: which windows show them, and which pixels they cover."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from rasterio.features import rasterize

from factory_pipeline.builds.labels.label_table import LabelTable, RejectLedger
from factory_pipeline.builds.labels.label_windows import grids_of, windows_around
from factory_pipeline.builds.labels.lattice import project
from factory_pipeline.builds.labels.polygons import (
    PolygonBurner,
    overlaps_of,
    read_polygons,
    save_polygons,
    windows_of_polygons,
)
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import PolygonLabels

GRID = Grid(32633, 500_000, 5_200_160, 10, 10, 16, 16)
"""At 15 degrees east, about 47 degrees north."""
DEGREES = Transformer.from_crs(32633, 4326, always_xy=True).transform


def recipe(**labels: Any) -> DatasetRecipe:
    document = {
        "name": "scars",
        "labels": {"kind": "polygons", "path": "a.geojson", **labels},
        "window": {"size": 16, "pixel_size": 10},
        "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
    }
    return DatasetRecipe.parse(document, "of the test")


def ground(left: float, top: float, right: float, bottom: float) -> shapely.Geometry:
    """A rectangle of pixels of the grid, in degrees."""
    edges = (500_000 + 10 * left, 5_200_160 - 10 * bottom, 500_000 + 10 * right, 5_200_160 - 10 * top)
    return shapely.transform(shapely.box(*edges), lambda points: np.stack(DEGREES(*points.T), axis=1))


def found(folder: Path, outlines: list[Any], **columns: list[Any]) -> LabelTable:
    """The polygons of a file."""
    features = [
        {
            "type": "Feature",
            "properties": {name: values[number] for name, values in columns.items()},
            "geometry": shapely.geometry.mapping(outline),
        }
        for number, outline in enumerate(outlines)
    ]
    path = folder / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    options: dict[str, Any] = {"target": {"column": "code"}} if "code" in columns else {}
    if "day" in columns:
        options["time"] = {"column": "day"}
    described = PolygonLabels.model_validate({"kind": "polygons", "path": str(path), **options})
    return read_polygons(described, RejectLedger())


def test_points_and_lines_are_no_polygons(tmp_path: Path) -> None:
    table = found(
        tmp_path, [ground(0, 0, 4, 4), shapely.Point(15, 47), shapely.LineString([(15, 47), (16, 47)])]
    )
    assert table.table.height == 1
    assert table.dropped == {"no_place": 2}


@pytest.mark.parametrize("all_touched", [False, True])
def test_pixels_are_burnt_as_gdal_burns_them_and_the_later_row_wins(
    all_touched: bool, tmp_path: Path
) -> None:
    outlines = [ground(2, 3, 9.6, 10.2), ground(7.3, 8, 14, 15), ground(100, 100, 110, 110)]
    table = found(tmp_path, outlines, code=[5, 9, 7])
    save_polygons(table, tmp_path / "polygons.parquet")
    burner = PolygonBurner.load(
        tmp_path / "polygons.parquet", recipe(all_touched=all_touched, target={"column": "code"})
    )
    burnt = burner.burn(table.table.head(1), [GRID])
    expected = rasterize(
        [(project(outline, 32633), code) for outline, code in zip(outlines, (5, 9, 7), strict=True)],
        GRID.shape,
        fill=0,
        transform=GRID.transform,
        all_touched=all_touched,
    )
    assert burnt.shape == (1, 1, 16, 16)
    np.testing.assert_array_equal(np.nan_to_num(burnt[0, 0]), expected)
    assert np.isnan(burnt[0, 0][expected == 0]).all(), "a pixel without a polygon has no number"


def test_a_polygon_across_the_antimeridian_is_burnt_in_the_window_around_its_middle(tmp_path: Path) -> None:
    parts = [shapely.box(179.9997, 10, 180, 10.0003), shapely.box(-180, 10, -179.9996, 10.0003)]
    table = found(tmp_path, [shapely.MultiPolygon(parts)])
    assert table.table["longitude"][0] == pytest.approx(-179.99995)
    save_polygons(table, tmp_path / "polygons.parquet")
    windows = windows_around(table.table, recipe().window)
    burner = PolygonBurner.load(tmp_path / "polygons.parquet", recipe())
    burnt = burner.burn(windows, grids_of(windows, 16, 10))
    # 77 m by 33 m.
    assert burnt.sum() == pytest.approx(7.7 * 3.3, abs=4)


def test_a_window_shows_what_holds_at_its_time(tmp_path: Path) -> None:
    table = found(tmp_path, [ground(0, 0, 5, 16), ground(8, 0, 16, 16)], day=["2021-06-01", "2021-07-01"])
    save_polygons(table, tmp_path / "polygons.parquet")
    burnt = PolygonBurner.load(tmp_path / "polygons.parquet", recipe()).burn(table.table, [GRID, GRID])
    np.testing.assert_array_equal(burnt[0, 0].any(axis=0).nonzero()[0], np.arange(5))
    np.testing.assert_array_equal(burnt[1, 0].any(axis=0).nonzero()[0], np.arange(8, 16))


def test_overlaps_are_counted_where_polygons_hold_at_the_same_time(tmp_path: Path) -> None:
    outlines = [ground(0, 0, 5, 5), ground(4, 4, 9, 9), ground(5.5, 0, 9, 3.5), ground(0, 0, 2, 2)]
    assert overlaps_of(found(tmp_path, outlines)) == (
        "2 pairs of labels overlap; where they do, the later row of the file counts.",
    )
    days = ["2021-06-01", "2021-06-02", "2021-06-01", "2021-06-03"]
    assert overlaps_of(found(tmp_path, outlines, day=days)) == ()


def test_windows_are_one_for_each_polygon_or_a_grid_that_covers_them(tmp_path: Path) -> None:
    table = found(tmp_path, [ground(0, 0, 40, 16), ground(100, 100, 104, 104)])
    window = recipe().window
    each, cover = (
        windows_of_polygons(table, PolygonLabels(kind="polygons", path="a", windows=windows), window)
        for windows in ("each", "cover")
    )
    assert each.height == 2
    assert cover.height >= 4
    assert cover["id"].is_unique().all()
    labels = PolygonLabels(kind="polygons", path="a", windows="cover", min_share=0.3)
    some = windows_of_polygons(table, labels, window)
    assert set(some["id"]) < set(cover["id"])


def test_polygons_of_other_times_have_windows_of_their_own(tmp_path: Path) -> None:
    table = found(tmp_path, [ground(0, 0, 5, 5), ground(0, 0, 5, 5)], day=["2021-06-01", "2021-07-01"])
    labels = PolygonLabels(kind="polygons", path="a", windows="cover")
    cover = windows_of_polygons(table, labels, recipe().window)
    counts = cover.group_by("start").len()["len"].to_list()
    assert len(counts) == 2
    assert counts[0] == counts[1]
    assert cover["id"].is_unique().all()
