"""Labels that contradict themselves are refused in one sentence."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from factory_pipeline.config.label_sources import (
    GridLabels,
    LabelTime,
    PointLabels,
    PolygonLabels,
    RasterLabels,
    Target,
)

AREA = [11, 48, 12, 49]
SPAN = ["2021-01-01", "2021-12-31"]
SOURCE = {"collection": "io-lulc-annual-v02", "assets": "data"}


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (LabelTime, {}, "give one of column, start and end"),
        (LabelTime, {"column": "a", "between": SPAN}, "give one of column, start and end"),
        (LabelTime, {"column": "a", "start": "b"}, "give one of column, start and end"),
        (LabelTime, {"start": "a"}, "give one of column, start and end"),
        (Target, {"column": "a", "classes": {1: "Rye", 2: "Rye"}}, "two classes have the same name"),
        (PolygonLabels, {"path": "a", "min_share": 0.2}, "min_share goes with windows: cover"),
        (PolygonLabels, {"path": "a", "extra": "b", "windows": "cover"}, "extra goes with windows: each"),
        (GridLabels, {}, "give either area, .* or path"),
        (GridLabels, {"area": AREA, "path": "a"}, "give either area, .* or path"),
        (GridLabels, {"area": AREA, "extra": "b"}, "extra goes with points and polygons"),
        (RasterLabels, {}, "give either path, .* or source"),
        (RasterLabels, {"path": "a", "source": SOURCE}, "give either path, .* or source"),
        (RasterLabels, {"source": SOURCE}, "labels of a source need area"),
        (RasterLabels, {"source": SOURCE, "area": AREA, "band": 2}, "band and nodata go with path"),
        (RasterLabels, {"source": SOURCE, "area": AREA, "nodata": 0}, "band and nodata go with path"),
        (RasterLabels, {"source": SOURCE | {"assets": ["a", "b"]}, "area": AREA}, "has one asset"),
        (RasterLabels, {"source": SOURCE | {"pixel_size": 5}, "area": AREA}, "no pixel_size of its own"),
        (RasterLabels, {"path": "a", "points": {"path": "b"}, "area": AREA}, "points go without area"),
        (
            RasterLabels,
            {"path": "a", "points": {"path": "b", "target": {"column": "c"}}},
            "points of rasters have no target",
        ),
        (
            RasterLabels,
            {
                "source": SOURCE | {"time": {"periods": 2, "length": "30d", "start": "2021-01-01"}},
                "area": AREA,
            },
            "has one date",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(kind: type[BaseModel], values: dict[str, Any], says: str) -> None:
    kinds = {PolygonLabels: "polygons", GridLabels: "grid", RasterLabels: "rasters"}
    given = values | ({"kind": kinds[kind]} if kind in kinds else {})  # type: ignore[index]
    with pytest.raises(ValidationError, match=says):
        kind.model_validate(given)


def test_the_columns_of_times_are_those_that_are_named() -> None:
    assert LabelTime(column="day").columns == ("day",)
    assert LabelTime(start="a", end="b").columns == ("a", "b")
    assert LabelTime.model_validate({"between": SPAN}).columns == ()


def test_a_rule_may_be_its_own_name() -> None:
    labels = PointLabels.model_validate(
        {"kind": "points", "path": "a", "keep": ["a > 3", {"name": "clear", "keep": "b < 1"}]}
    )
    assert [(rule.name, rule.keep) for rule in labels.keep] == [("a > 3", "a > 3"), ("clear", "b < 1")]


def test_what_a_sample_carries_and_learns_is_that_of_its_labels() -> None:
    rasters = RasterLabels.model_validate(
        {
            "kind": "rasters",
            "path": "a",
            "unit": "m",
            "points": {"path": "b", "extra": ["c"], "time": {"column": "d"}},
        }
    )
    assert (rasters.carried, rasters.target.unit, rasters.target.column) == (("c",), "m", "label")
    assert rasters.time == LabelTime(column="d")
    grid = GridLabels.model_validate({"kind": "grid", "area": AREA, "between": SPAN})
    assert grid.time is not None
    assert grid.time.between == grid.between
    assert grid.target is None
