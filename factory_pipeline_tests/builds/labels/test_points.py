"""Labels of every format: places, times in UTC, values; what can't be used is counted or refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import shapely

from factory_pipeline.builds.labels.label_table import LabelTable, RejectLedger
from factory_pipeline.builds.labels.points import read_points
from factory_pipeline.config.label_sources import PointLabels
from factory_pipeline.errors import RecipeError
from factory_pipeline_tests.builds.labels.collecting_ledger import CollectingLedger

CSV = """site,lon,lat,day,crop,confidence
a,15.0,47.0,2021-06-01,Maize,0.9
b,15.1,47.1,2021-06-02,Rye,0.9
c,15.2,,2021-06-03,Wheat,0.9
d,15.3,47.3,2021-06-04,Wheat,0.5
a,15.4,47.4,2021-06-05,Maize,0.9
e,15.5,47.5,,Maize,0.9
"""
CLASSES = {"column": "crop", "classes": {1: "Maize", 2: "Wheat"}}


def labels(path: Path, ledger: RejectLedger | None = None, **options: Any) -> LabelTable:
    described = PointLabels.model_validate({"kind": "points", "path": str(path), **options})
    return read_points(described, ledger or RejectLedger())


def test_each_label_that_is_left_out_has_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "fields.csv"
    path.write_text(CSV)
    ledger = CollectingLedger()
    found = labels(path, ledger, id="site", time={"column": "day"}, target=CLASSES, keep=["confidence > 0.8"])
    assert found.table["id"].to_list() == ["a"]
    assert found.table["value"].to_list() == [1.0]
    assert ledger.reasons == {
        "a": "id_twice",
        "b": "no_class",
        "c": "no_place",
        "d": "confidence > 0.8",
        "e": "no_time",
    }
    assert found.read == 6
    start, end = found.table.row(0, named=True)["start"], found.table.row(0, named=True)["end"]
    assert start == datetime(2021, 6, 1, tzinfo=UTC)
    assert end == datetime(2021, 6, 1, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb"])
def test_vector_files_are_read_in_their_own_crs(tmp_path: Path, suffix: str) -> None:
    import pyarrow as pa
    import pyogrio

    table = pa.table(
        {"value": [1.5], "geometry": shapely.to_wkb([shapely.Point(500_000, 5_200_000)]).tolist()}
    )
    path = tmp_path / f"sites{suffix}"
    driver = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".fgb": "FlatGeobuf"}[suffix]
    pyogrio.write_arrow(
        table, path, driver=driver, geometry_name="geometry", geometry_type="Point", crs="EPSG:32633"
    )
    found = labels(path, target={"column": "value"})
    assert found.table["longitude"][0] == pytest.approx(15.0, abs=1e-6)
    assert found.table["latitude"][0] == pytest.approx(46.9529, abs=1e-3)


def test_times_of_another_zone_are_converted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "sites.parquet"
    moment = pl.Series("at", [datetime(2021, 6, 1, 1, 30)]).dt.replace_time_zone("Europe/Berlin")
    pl.DataFrame({"lon": [15.0], "lat": [47.0], "at": moment, "bare": [datetime(2021, 6, 1)]}).write_parquet(
        path
    )
    found = labels(path, time={"column": "at"})
    assert found.table["start"][0] == datetime(2021, 5, 31, 23, 30, tzinfo=UTC)
    assert found.remarks == ("The times of the column at are converted from Europe/Berlin to UTC.",)
    assert "have no time zone and are read as UTC" in labels(path, time={"column": "bare"}).remarks[0]


def test_a_time_with_a_zone_in_text_is_utc(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_text("lon,lat,at\n15,47,2021-06-01T01:30:00+02:00\n")
    assert labels(path, time={"column": "at"}).table["start"][0] == datetime(2021, 5, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("lon,lat,at\n15,47,in June\n", {"time": {"column": "at"}}, "the column at has 'in June' in row 1"),
        ("lon,lat,at\n15,47,5\n", {"time": {"column": "at"}}, "at is Int64, such as '5'"),
        ("x,y\n500000,5200000\n", {"x": "x", "y": "y"}, r"labels\.crs: .*does not state"),
        ("a,b\n1,2\n", {}, "no column is named lon or longitude"),
        ("lon,lat\n15,north\n", {}, "the column lat has 'north' in row 1; allowed are numbers"),
        (
            "lon,lat,crop\n15,47,1\n",
            {"id": "crp"},
            r"labels\.id: there is no column 'crp' \(did you mean crop",
        ),
        ("lon,lat,crop\n15,47,rye\n", {"target": {"column": "crop"}}, "name the classes"),
        ("lon,lat\n15,47\n", {"keep": ["area > 3"]}, "names the unknown column area"),
        ("lon,lat,a,b\n15,47,2021-02-01,2021-01-01\n", {"time": {"start": "a", "end": "b"}}, "ends before"),
    ],
)
def test_what_can_not_be_read_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any], says: str
) -> None:
    path = tmp_path / "sites.csv"
    path.write_text(text)
    with pytest.raises(RecipeError, match=says):
        labels(path, **options)


def test_dates_as_text_are_read_in_a_format_that_has_times(tmp_path: Path) -> None:
    path = tmp_path / "sites.parquet"
    pl.DataFrame({"lon": [15.0], "lat": [47.0], "at": ["2021-06-01"]}).write_parquet(path)
    assert labels(path, time={"column": "at"}).table["start"][0] == datetime(2021, 6, 1, tzinfo=UTC)


def test_a_file_that_is_missing_or_no_table(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"labels\.path: .*does not exist"):
        labels(tmp_path / "none.csv")
    (tmp_path / "a.gpkg").write_text("no")
    with pytest.raises(RecipeError, match="can't be read as labels"):
        labels(tmp_path / "a.gpkg")
