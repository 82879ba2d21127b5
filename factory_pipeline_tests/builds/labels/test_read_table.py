"""Rows of label files of any format: columns, and geometries in longitude and latitude."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import shapely
from pyproj import Transformer

from factory_pipeline.builds.labels.read_table import LabelRows, read_rows
from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.errors import RecipeError

PLACES = [(15.0, 47.0), (15.5, 47.25)]


def rows(path: Path, **options: Any) -> LabelRows:
    return read_rows(TableLabels.model_validate({"path": str(path), **options}))


def written(path: Path) -> Path:
    """The two places as a file of the format that its name ends with."""
    (x, y), (other_x, other_y) = PLACES
    match path.suffix:
        case ".csv" | ".tsv":
            lines = [("name", "Longitude", "LAT"), ("a", x, y), ("b", other_x, other_y)]
            separator = "," if path.suffix == ".csv" else "\t"
            path.write_text("\n".join(separator.join(map(str, line)) for line in lines))
        case ".parquet":
            pl.DataFrame({"name": ["a", "b"], "lon": [x, other_x], "lat": [y, other_y]}).write_parquet(path)
        case ".geojson":
            features = [
                {
                    "type": "Feature",
                    "properties": {"name": name},
                    "geometry": {"type": "Point", "coordinates": place},
                }
                for name, place in zip("ab", PLACES, strict=True)
            ]
            path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.geojson"])
def test_every_format_gives_the_same_places(name: str, tmp_path: Path) -> None:
    found = rows(written(tmp_path / name))
    assert found.columns["name"].to_list() == ["a", "b"]
    assert [(point.x, point.y) for point in found.geometries] == PLACES


def geoparquet(path: Path, about: Any, geometries: list[bytes]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"name": ["a"] * len(geometries), "where": geometries})
    geo = {"primary_column": "where", "columns": {"where": about}}
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    return path


def test_geoparquet_states_its_crs_and_longitude_and_latitude_where_it_states_none(tmp_path: Path) -> None:
    degrees = [shapely.to_wkb(shapely.Point(place)) for place in PLACES]
    plain = rows(geoparquet(tmp_path / "a.parquet", {"encoding": "WKB"}, degrees))
    assert [(point.x, point.y) for point in plain.geometries] == PLACES
    to_utm = Transformer.from_crs(4326, 32633, always_xy=True)
    metres = [shapely.to_wkb(shapely.Point(to_utm.transform(*place))) for place in PLACES]
    projected = rows(geoparquet(tmp_path / "b.parquet", {"encoding": "WKB", "crs": "EPSG:32633"}, metres))
    for point, place in zip(projected.geometries, PLACES, strict=True):
        assert (point.x, point.y) == pytest.approx(place, abs=1e-9)
    assert projected.columns.columns == ["name"]


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"encoding": "point"}, "are not WKB"),
        ({"encoding": "WKB", "crs": "EPSG:none"}, "can't be read as GeoParquet describes them"),
    ],
)
def test_geoparquet_that_is_not_read_is_refused(about: Any, says: str, tmp_path: Path) -> None:
    path = geoparquet(tmp_path / "a.parquet", about, [shapely.to_wkb(shapely.Point(1, 2))])
    with pytest.raises(RecipeError, match=says):
        rows(path)


def test_coordinates_of_named_columns_are_in_the_stated_crs(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("east,north\n500000,5200000\n,5200000\n")
    found = rows(path, x="east", y="north", crs=32633)
    assert found.geometries[0].x == pytest.approx(15.0, abs=1e-9)
    assert found.geometries[1] is None, "a row without a coordinate has no place"
    with pytest.raises(RecipeError, match=r"labels\.crs: .*does not state"):
        rows(path, x="east", y="north")
    with pytest.raises(RecipeError, match=r"labels\.crs: 999999 is not a known"):
        rows(path, x="east", y="north", crs=999_999)


def test_degrees_are_not_taken_for_metres_of_a_projection(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("east,north\n,\n15.25,-47\n")
    says = r"labels\.crs: the coordinates, such as 15\.25, -47, are degrees, and WGS 84 / UTM zone"
    with pytest.raises(RecipeError, match=says):
        rows(path, x="east", y="north", crs="EPSG:32633")
    assert rows(path, x="east", y="north", crs=4326).geometries[1].x == 15.25
    path.write_text("east,north\n15.25,-47\n500000,5200000\n")
    assert rows(path, x="east", y="north", crs=32633).geometries[1].x == pytest.approx(15.0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"x": "eats", "y": "north"}, r"labels\.x: there is no column 'eats' \(did you mean east"),
        ({"x": "east", "y": "north", "crs": 32633, "id": "nmae"}, r"labels\.id: there is no column 'nmae'"),
        ({}, r"labels\.x: no column is named lon or longitude"),
    ],
)
def test_columns_that_are_not_there_are_named_with_what_is(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("east,north,name\n1,2,a\n")
    with pytest.raises(RecipeError, match=says):
        rows(path, **options)


def test_with_one_bad_date_among_good_ones_dates_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("lon,lat,day,seen\n15,47,2021-06-01,2021-07-01\n15,47,2.6.2021,2021-07-02\n")
    found = rows(path).columns
    assert found["day"].to_list() == ["2021-06-01", "2.6.2021"]
    assert found["seen"].to_list() == ["2021-07-01", "2021-07-02"]
