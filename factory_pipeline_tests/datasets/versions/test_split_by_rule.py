"""Time and properties of items say their splits."""

import json
from typing import Any

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.plan import plan_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, manifest_of, request

TIME = {"by": "time", "train": ["2024-01-01", "2024-01-03"], "test": ["2024-01-05", "2024-01-09"]}


@pytest.fixture
def fair(lake: MadeLake) -> MadeLake:
    """Eight images at places of their own, one a day from 1 January 2024."""
    images = {name: number for number, name in enumerate("abcdefgh")}
    properties = {
        "year": [2019, 2019, 2020, 2020, 2021, 2021, None, None],
        "tile": [*"xxyyzz", None, None],
        "cover": [0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0],
        "fold": ["Train", "training", " test", "val", "val", None, "other", "train"],
    }
    lake.annotate(lake.add("fair", images, properties), [box("a", "Balloon")])
    return lake


def said(lake: MadeLake, split_by: dict[str, Any]) -> dict[str, str]:
    asked = request(split_info={}, labels=(), split_by=split_by)
    with plan_version(lake.registry, lake.home, asked) as plan:
        return dict(plan.items.sort("id").select("id", "split").iter_rows())


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (TIME, {"a": "train", "b": "train", "c": "train", **dict.fromkeys("efgh", "test")}),
        (
            {"by": "column", "column": "metadata.year", "train": ["2019", 2020], "validation": 2021},
            {**dict.fromkeys("abcd", "train"), **dict.fromkeys("ef", "validation")},
        ),
        (
            {"by": "column", "column": "tile", "train": ["x"], "test": ["y"]},
            dict(zip("abcd", ["train"] * 2 + ["test"] * 2, strict=True)),
        ),
        (
            {"by": "column", "column": "cover", "train": [1], "test": ["0.5"]},
            dict(zip("abcd", ["test"] * 2 + ["train"] * 2, strict=True)),
        ),
        ({"by": "column", "column": "year", "train": [2024]}, dict.fromkeys("abcdefgh", "train")),
        (
            {"by": "given", "column": "fold"},
            {"a": "train", "b": "train", "c": "test", "d": "validation", "e": "validation", "h": "train"},
        ),
    ],
)
def test_items_are_in_the_split_that_is_said_for_them(
    fair: MadeLake, rule: dict[str, Any], expected: dict[str, str]
) -> None:
    assert said(fair, rule) == expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"by": "column", "column": "sensor", "train": ["S2"]},
            "split_by.column is 'sensor'; it must be 'collection'",
        ),
        (
            {"by": "column", "column": "tile", "train": ["x"], "test": ["w"]},
            "split_by.test is ['w']; no item has it; the values of tile of the items are x, y, z",
        ),
        (
            {**TIME, "validation": ["2025-01-01", "2025-02-01"]},
            "split_by.validation is ['2025-01-01', '2025-02-01']; no item has it; the times",
        ),
        ({"by": "given", "column": "tile"}, "its values must be names of splits; the values of tile"),
    ],
)
def test_what_no_item_has_is_refused_with_what_there_is(
    fair: MadeLake, rule: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError) as told:
        said(fair, rule)
    assert message in str(told.value)


@pytest.mark.integration
def test_a_version_has_the_others_alone_and_names_who_is_left_out(fair: MadeLake) -> None:
    divisions: list[Division] = []
    asked = request(split_info={}, split_by=TIME, buffer_m=150.0)
    version = create_version(fair.registry, fair.home, asked, on_divided=divisions.append)
    # The gap between neighbours is 20 m, that between c and e 120 m.
    assert {name: row["split"] for name, row in manifest_of(fair, version.id).items()} == {
        "a": "train",
        "b": "train",
        **dict.fromkeys("efgh", "test"),
    }
    record = json.loads(fair.home.version(version.id).splits.read_text())
    assert record["left_out_items"] == {"near_other_split": {"fair": ["c"]}, "no_split": {"fair": ["d"]}}
    assert (record["left_out"], record["promises_zero"]) == (2, True)
    assert divisions[0].left_out == 2
    assert "1 item is in no split: too near to one of another split." in divisions[0].notes
