"""The rule of a split, as people write it in a manifest."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.splits.split_rule import (
    GivenSplit,
    Percentages,
    RandomSplit,
    SpatialSplit,
    SplitRule,
    read_split_rule,
)

RULE: TypeAdapter[RandomSplit | GivenSplit | SpatialSplit] = TypeAdapter(SplitRule)


def rule(document: Any) -> RandomSplit | GivenSplit | SpatialSplit:
    return RULE.validate_python(read_split_rule(document))


@pytest.mark.parametrize(
    ("document", "shares"),
    [
        ({}, (60, 20, 20)),
        ({"train": 0.7, "val": 0.3}, (70, 0, 30)),
        ({"training": "80 %", "testing": "20%"}, (80, 20, 0)),
        ("70/20/10", (70, 20, 10)),
        ([50, 25, 25], (50, 25, 25)),
    ],
)
def test_percentages_may_be_fractions_texts_or_a_list(document: Any, shares: tuple[float, ...]) -> None:
    percentages = Percentages.model_validate(document)
    assert (percentages.train, percentages.test, percentages.validation) == shares


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"train": 60, "test": 60}, "add up to 140 percent, not 100"),
        ({"train": 0, "test": 50, "validation": 50}, "train is 0 percent"),
        ({"train": 120, "test": -20}, "less than or equal to 100"),
        ({"train": "many"}, "valid number"),
    ],
)
def test_percentages_that_can_not_be_are_refused(document: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Percentages.model_validate(document)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ("random", RandomSplit),
        ({"train": 60, "test": 20, "val": 20}, RandomSplit),
        ({"train": ["a", "b"], "test": ["c"]}, GivenSplit),
        ("folders", GivenSplit),
        ("block", SpatialSplit),
        ("MGRS tile", SpatialSplit),
        ({"type": "Spatial", "block_size": 500}, SpatialSplit),
    ],
)
def test_the_method_follows_from_what_is_written(document: Any, kind: type) -> None:
    assert type(rule(document)) is kind


def test_shares_are_the_percentages_of_the_method() -> None:
    assert rule({"train": 50, "test": 50}).percentages == Percentages(train=50, test=50, validation=0)


def test_other_spellings_of_keys_are_known() -> None:
    spatial = rule({"method": "spatial", "unit": "overlaps", "buffer": 120})
    assert isinstance(spatial, SpatialSplit)
    assert (spatial.by.value, spatial.buffer_m) == ("overlap", 120)


def test_folders_are_those_of_each_split() -> None:
    given = rule("folders")
    assert isinstance(given, GivenSplit)
    assert given.folders["validation"] == ("val", "valid", "validation")
    single = rule({"method": "given", "train_folder": "a", "val_folder": "b"})
    assert isinstance(single, GivenSplit)
    assert single.folders == {"train": ("a",), "validation": ("b",)}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"method": "given", "test": ["a"]}, "train lists no image"),
        ({"method": "given", "train": ["a"], "train_file": "a.txt"}, "train is defined twice, by train and"),
        (
            {"method": "given", "train": ["a", "b"], "test": ["b"]},
            "b is in more than one split, or twice in one",
        ),
        ({"method": "random", "scene": "("}, "scene"),
        ({"method": "spatial", "block_m": 0}, "greater than 0"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(document: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(document)
