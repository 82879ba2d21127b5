"""What is recorded of the splits of an upload, and the refusal of one that lacks a class."""

import polars as pl
import pytest

from factory_pipeline.errors import OnboardingError
from factory_pipeline.splits.assign import split_by_rule
from factory_pipeline.splits.balance import Classes
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline.splits.rule_record import record_of_rule, require_labels
from factory_pipeline.splits.split_rule import RandomSplit, SpatialSplit, read_split_rule
from factory_pipeline_tests.onboarding.curated import items_frame


def record(rare: int, rule: RandomSplit) -> SplitRecord:
    items = items_frame([{"original_name": f"i{number}"} for number in range(20)])
    labels = [["common", "rare"] if number < rare else ["common"] for number in range(20)]
    classes = Classes.of(pl.DataFrame({"label": labels}))
    return record_of_rule(items, split_by_rule(items, rule, classes=classes), rule, classes=classes)


@pytest.mark.parametrize("rare", [1, 2])
def test_a_class_that_a_split_lacks_is_named_with_its_places_and_what_helps(rare: int) -> None:
    with pytest.raises(
        OnboardingError, match=f"no label rare, which occurs in {rare} separate place"
    ) as told:
        require_labels(record(rare, RandomSplit(require_all_labels=True)))
    assert told.value.code == "SPLIT_INVALID"
    assert "More images of it from other places" in str(told.value)


def test_a_class_of_as_many_places_as_splits_is_in_all_of_them() -> None:
    require_labels(record(3, RandomSplit(require_all_labels=True)))


def test_a_manifest_may_require_it_at_random_and_by_location() -> None:
    said = {"train": 70, "test": 20, "val": 10, "require_all_labels": True}
    assert RandomSplit.model_validate(read_split_rule(said)).require_all_labels
    assert SpatialSplit.model_validate(read_split_rule({**said, "by": "block"})).require_all_labels
