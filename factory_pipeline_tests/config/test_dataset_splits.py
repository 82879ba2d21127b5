"""How a dataset is divided, as its recipe says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from factory_pipeline.config.dataset_splits import Splits


def problem(document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        Splits.model_validate(document)
    return raised.value.errors()[0]["msg"]


def test_without_shares_it_is_70_20_10_at_random() -> None:
    splits = Splits.model_validate({})
    assert splits.by == "random"
    assert splits.shares == {"train": 70, "test": 20, "validation": 10}


def test_a_share_that_is_left_out_is_none_at_all() -> None:
    assert Splits.model_validate({"by": "blocks", "train": 80, "test": 20}).shares == {
        "train": 80,
        "test": 20,
    }


def test_spans_of_time_may_be_pairs_of_days() -> None:
    splits = Splits.model_validate(
        {"by": "time", "train": ["2019-01-01", "2020-12-31"], "test": ["2021-01-01", "2021-12-31"]}
    )
    assert splits.parts["train"].start == datetime(2019, 1, 1, tzinfo=UTC)
    assert splits.parts["test"].end.date().isoformat() == "2021-12-31"


def test_a_single_value_of_a_column_is_a_list_of_one() -> None:
    splits = Splits.model_validate({"by": "column", "column": "region", "train": "north", "test": ["a", 2]})
    assert splits.parts == {"train": ("north",), "test": ("a", 2)}


def test_given_splits_are_recognised_by_their_usual_names() -> None:
    splits = Splits.model_validate({"by": "given", "column": "split"})
    assert splits.parts["validation"] == ("validation", "valid", "val")
    assert Splits.model_validate(splits.model_dump()) == splits


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"train": 60, "test": 20}, "the percentages add up to 80, not 100"),
        ({"by": "blocks", "train": ["a"], "test": 20}, "splits by blocks need percent"),
        ({"by": "column", "train": "a"}, "column goes with by: column and by: given"),
        ({"by": "random", "column": "region"}, "column goes with by: column and by: given"),
        ({"by": "given", "column": "split", "train": ["x"]}, "splits by given need a column alone"),
        ({"by": "time"}, r"splits by time need [first day, last day]"),
        (
            {"by": "time", "train": ["2019-01-01", "2020-06-01"], "test": ["2020-06-01", "2021-01-01"]},
            "train and test share a time",
        ),
    ],
)
def test_what_is_not_allowed_is_said(document: dict[str, Any], message: str) -> None:
    assert message in problem(document)
