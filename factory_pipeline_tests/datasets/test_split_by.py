"""What may decide the splits of a version in place of percentages."""

from typing import Any

import pytest

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.split_by import read_split_by, split_by_as_json
from factory_pipeline.errors import ArgumentError

YEARS = {"by": "column", "column": "year", "train": [2019, 2020], "test": [2021]}
SHARES = {"train": 60, "test": 40, "validation": 0}


def asked(**more: Any) -> DatasetRequest:
    return DatasetRequest.of(**{"dataset_name": "d", "split_info": {}, "labels": [], **more})


@pytest.mark.parametrize(
    "said",
    [
        YEARS,
        {"by": "time", "train": ["2019-01-01", "2020-12-31"], "test": ["2021-01-01", "2021-06-30"]},
        {"by": "given", "column": "fold"},
    ],
)
def test_a_rule_goes_through_the_configuration_of_a_run(said: dict[str, Any]) -> None:
    request = asked(split_by=said)
    assert DatasetRequest.from_json(request.model_dump(mode="json")) == request
    assert read_split_by(split_by_as_json(read_split_by(said))) == read_split_by(said)
    assert request.split_rule == read_split_by(said)


def test_days_are_whole() -> None:
    rule = read_split_by({"by": "time", "train": ["2020-01-01", "2020-01-02"]})
    assert f"{rule.parts['train'].end}".startswith("2020-01-02 23:59:59")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("year", "split_by is 'year'; it must be a mapping in which by is time, column or given"),
        ({"by": "random", "train": 60}, "it must be a mapping in which by is time, column or given"),
        ({**YEARS, "block_m": 500}, "split_by.block_m is 500; the only keys are by, column, train, test"),
        ({**YEARS, "column": None}, "column goes with by: column"),
        ({"by": "time", "train": ["2020-02-01", "2020-01-01"]}, "is before the start"),
        (
            {"by": "time", "train": ["2020-01-01", "2020-02-01"], "test": ["2020-02-01", "2020-03-01"]},
            "share",
        ),
        ({"by": "time", "train": ["spring", "summer"]}, "a time is written as"),
        ({"by": "column", "column": "year"}, "need values of the column"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(said: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as told:
        asked(split_by=said)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"balance": ["year"]}, "balance is"),
        ({"split_info": SHARES}, "leave the percentages empty"),
        ({"split_info": {}, "block_m": 500}, "train and test must have percentages"),
        ({"split_info": {**SHARES, "test": 20, "validation": 20}, "block_m": 500}, "and no others"),
    ],
)
def test_percentages_are_for_blocks_alone(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as told:
        asked(split_by=YEARS, **more)
    assert message in str(told.value)
    assert asked(split_by=YEARS, split_info=SHARES, block_m=500).block_m == 500
