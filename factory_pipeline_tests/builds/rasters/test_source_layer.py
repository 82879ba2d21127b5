"""What is searched for a source, and when a label's steps are."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from factory_pipeline.builds.rasters.source_layer import (
    SourceLayer,
    label_layer_of,
    layers_of,
    searched_layers_of,
)
from factory_pipeline.cog.reader import Resampling
from factory_pipeline.config.dataset_recipe import DatasetRecipe

START, END = datetime(2021, 6, 1, tzinfo=UTC), datetime(2021, 6, 3, tzinfo=UTC)
MIDDLE = datetime(2021, 6, 2, tzinfo=UTC)
POINTS = {"kind": "points", "path": "a.csv", "time": {"column": "day"}}


def recipe(source: dict[str, Any], labels: dict[str, Any] | None = None) -> DatasetRecipe:
    document = {
        "name": "steps",
        "labels": labels or POINTS,
        "window": {"size": 8, "pixel_size": 10},
        "sources": {"s2": source},
    }
    return DatasetRecipe.parse(document, "of the test")


def layer(**source: Any) -> SourceLayer:
    asked = {"collection": "sentinel-2-l2a", "assets": ["B04", "B03"], **source}
    [found] = layers_of(recipe(asked))
    return found


def test_around_a_label_is_from_before_its_start_to_after_its_end() -> None:
    [step] = layer(time={"around": "10d"}).steps(START, END)
    days = timedelta(days=10)
    assert (step.start, step.end, step.centre) == (START - days, END + days, MIDDLE)


def test_a_span_is_the_same_for_all_labels_but_for_what_is_nearest() -> None:
    spanned = layer(time={"between": ["2021-01-01", "2021-12-31"]})
    [step], [other] = spanned.steps(START, END), spanned.steps(None, None)
    assert (step.start, step.end) == (other.start, other.end)
    assert step.start == datetime(2021, 1, 1, tzinfo=UTC)
    assert step.centre == MIDDLE
    assert other.start is not None
    assert other.centre is not None
    assert other.start < other.centre < step.end  # type: ignore[operator]


@pytest.mark.parametrize("start", ["-60d", "2021-04-02"])
def test_periods_follow_each_other_without_a_gap(start: str) -> None:
    steps = layer(time={"periods": 3, "length": "30d", "start": start}, composite="median").steps(START, END)
    assert len(steps) == 3
    assert steps[0].start == datetime(2021, 4, 2, tzinfo=UTC)
    for one, other in pairwise(steps):
        assert one.end is not None
        assert other.start == one.end + timedelta(microseconds=1)
    assert steps[1].centre == datetime(2021, 5, 17, tzinfo=UTC)


def test_items_without_a_time_are_of_any_time() -> None:
    [found] = layers_of(recipe({"collection": "cop-dem-glo-30", "assets": "data"}))
    [step] = found.steps(None, None)
    assert (step.start, step.end, step.centre) == (None, None, None)
    assert found.preference.any_time


@pytest.mark.parametrize(
    ("source", "select", "several", "clouds"),
    [
        ({}, "nearest", False, False),
        ({"composite": "median"}, "all", True, False),
        ({"composite": "median", "select": "least_cloudy"}, "least_cloudy", True, True),
        ({"max_cloud_cover": 20}, "nearest", False, True),
    ],
)
def test_which_scenes_come_first(source: dict[str, Any], select: str, several: bool, clouds: bool) -> None:
    found = layer(time={"around": "10d"}, **source)
    assert (found.preference.select, found.preference.several) == (select, several)
    assert found.needs_clouds is clouds


def test_the_asset_of_the_mask_is_asked_for_too_and_once() -> None:
    mask = {"asset": "SCL", "keep": [4, 5]}
    how = {"time": {"around": "10d"}, "mask": mask, "resampling": {"default": "bilinear"}}
    assert layer(**how).request.assets == ("B04", "B03", "SCL")
    both = layer(**how, assets=["SCL", "B04"])
    assert both.request.assets == ("SCL", "B04")
    assert both.resampling("SCL") is Resampling.NEAREST, "classes are never interpolated"
    assert both.resampling("B04") is Resampling.BILINEAR


def test_labels_of_a_collection_are_searched_first() -> None:
    labels = {
        "kind": "rasters",
        "source": {
            "collection": "io-lulc-annual-v02",
            "assets": "data",
            "time": {"between": ["2021-01-01", "2021-12-31"]},
        },
        "area": [11.2, 48.0, 11.3, 48.1],
    }
    document = recipe({"collection": "cop-dem-glo-30", "assets": "data"}, labels)
    assert [each.name for each in searched_layers_of(document)] == ["labels", "s2"]
    of_labels = label_layer_of(document)
    assert of_labels is not None
    assert of_labels.resampling("data") is Resampling.NEAREST
    assert label_layer_of(recipe({"collection": "cop-dem-glo-30", "assets": "data"})) is None
