"""What may be asked for, and how a mistake is told."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datasets.augment.config import Augmentation, Property, parse_augmentations
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.augment.requests import EXAMPLE, RANGES, SWITCHES

VALUES = "augmentation_list.IMAGE_LEVEL[0].properties[0].values"


def entry(operation: str, name: str, values: Any) -> dict[str, Any]:
    return {"id": operation, "properties": [{"id": name, "values": values}]}


def parsed(*entries: Any) -> tuple[Augmentation, ...]:
    return parse_augmentations({"IMAGE_LEVEL": list(entries)})


def test_the_example_of_the_documentation_gives_what_is_on() -> None:
    assert parse_augmentations(EXAMPLE) == (
        Augmentation("FLIP_IMAGE", (Property("FLIP_VERTICAL", (True,)),)),
        Augmentation("IMAGE_ROTATION", (Property("PERCENTAGE_SCALE", (-10.0, 30.0)),)),
        Augmentation("GRAYSCALE", (Property("GRAYSCALE_PERCENTAGE", (5.0, 10.0)),)),
    )


@pytest.mark.parametrize(("operation", "name"), SWITCHES)
def test_a_switch_is_true_or_false_and_nothing_else(operation: str, name: str) -> None:
    [augmentation] = parsed(entry(operation, name, [True]))
    assert augmentation == Augmentation(operation, (Property(name, (True,)),))
    assert parsed(entry(operation, name, [False])) == ()
    for values in ([1], [0], ["True"], [None], [], [True, True], True, None):
        with pytest.raises(ArgumentError) as told:
            parsed(entry(operation, name, values))
        message = f"{VALUES} is {values!r}; it must be a list with only True or False, such as [True]."
        assert str(told.value) == message


@pytest.mark.parametrize(("operation", "name", "low", "high"), RANGES)
def test_a_range_is_two_numbers_within_its_limits(operation: str, name: str, low: int, high: int) -> None:
    for values in ([low, high], [high, low], (float(low), high)):
        [augmentation] = parsed(entry(operation, name, values))
        assert augmentation == Augmentation(operation, (Property(name, (low, high)),))
    wrong = ([low - 0.001, high], [low, high + 1], [low, math.nan], [low, math.inf], [low, True], [low, "1"],
             [low, None], [low], [low, low, high], [], low, "12", None)  # fmt: skip
    for values in wrong:
        with pytest.raises(ArgumentError) as told:
            parsed(entry(operation, name, values))
        message = f"{VALUES} is {values!r}; it must be a list of two numbers from {low} to {high}."
        assert str(told.value) == message


def test_both_shears_are_one_augmentation_and_one_may_be_missing() -> None:
    both = {
        "id": "SHEAR",
        "properties": [
            {"id": "SHEAR_VERTICAL", "values": [1, 2]},
            {"id": "SHEAR_HORIZONTAL", "values": [3, 4]},
        ],
    }
    [augmentation] = parsed(both)
    assert [each.id for each in augmentation.properties] == ["SHEAR_HORIZONTAL", "SHEAR_VERTICAL"]
    [augmentation] = parsed(entry("SHEAR", "SHEAR_VERTICAL", [1, 2]))
    assert [each.id for each in augmentation.properties] == ["SHEAR_VERTICAL"]


def test_an_entry_that_is_not_selected_is_left_out_whatever_it_says() -> None:
    assert (
        parsed(
            {"id": "BLURR", "isSelected": False},
            {**entry("CROP", "CROP_PERCENTAGE", [1, 2]), "isSelected": False},
        )
        == ()
    )
    assert len(parsed({"id": "CROP", "isSelected": False}, entry("CROP", "CROP_PERCENTAGE", [1, 2]))) == 1


def test_nothing_gives_no_augmentations() -> None:
    for nothing in (None, {}, [], {"IMAGE_LEVEL": []}):
        assert parse_augmentations(nothing) == ()


def test_a_list_alone_is_that_of_the_only_category() -> None:
    assert parse_augmentations(EXAMPLE["IMAGE_LEVEL"]) == parse_augmentations(EXAMPLE)
    with pytest.raises(ArgumentError, match=r"^augmentation_list\[0\]\.id is 'ZOOM'; "):
        parse_augmentations([{"id": "ZOOM", "properties": []}])


CROP = entry("CROP", "CROP_PERCENTAGE", [0, 10])
FIRST = "augmentation_list[0]"
PROPERTIES = f"{FIRST}.properties"
LEVEL = "augmentation_list.IMAGE_LEVEL"
MISTAKES: list[tuple[Any, str]] = [
    ("CROP", "augmentation_list is 'CROP'; it must be a mapping such as {'IMAGE_LEVEL': [...]}."),
    ({"BOX_LEVEL": []}, "augmentation_list.BOX_LEVEL is []; the only category is IMAGE_LEVEL."),
    ({"IMAGE_LEVEL": None}, f"{LEVEL} is None; it must be a list of entries with `id` and `properties`."),
    ([CROP, 5], "augmentation_list[1] is 5; it must be a mapping with `id` and `properties`."),
    ({"IMAGE_LEVEL": [CROP, CROP]}, f"{LEVEL}[1].id is 'CROP'; it occurs twice; remove one."),
    ([{"properties": []}], f"{FIRST}.id is None; it must be an augmentation: FLIP_IMAGE, IMAGE_ROTATION, "),
    ([{**CROP, "id": ["CROP"]}], f"{FIRST}.id is ['CROP']; it must be an augmentation: "),
    ([{"id": "CROP"}], f"{PROPERTIES} is None; it must be a list that has any of CROP_PERCENTAGE, each with"),
    ([{"id": "CROP", "properties": []}], f"{PROPERTIES} is []; it must be a list that has any of CROP_"),
    ([{"id": "CROP", "properties": [7]}], f"{PROPERTIES}[0] is 7; it must be a mapping with `id` and"),
    ([entry("CROP", "BLUR", [1, 2])], f"{PROPERTIES}[0].id is 'BLUR'; it must be a property of CROP: CROP_"),
    (
        [{"id": "CROP", "properties": CROP["properties"] * 2}],
        f"{PROPERTIES}[1].id is 'CROP_PERCENTAGE'; it occurs twice; remove one.",
    ),
    ([{**CROP, "isSelected": 0}], f"{FIRST}.isSelected is 0; it must be True or False."),
]


@pytest.mark.parametrize(("given_list", "message"), MISTAKES, ids=[message[:50] for _, message in MISTAKES])
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(given_list: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as told:
        parse_augmentations(given_list)
    assert str(told.value).startswith(message)


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    chosen: dict[str, list[dict[str, Any]]] = {}
    for operation, name in draw(st.lists(st.sampled_from(SWITCHES), unique=True)):
        chosen.setdefault(operation, []).append({"id": name, "values": [True]})
    for operation, name, low, high in draw(st.lists(st.sampled_from(RANGES), unique=True)):
        number = st.floats(low, high) | st.integers(low, high)
        chosen.setdefault(operation, []).append({"id": name, "values": draw(st.tuples(number, number))})
    return draw(st.permutations([{"id": key, "properties": value} for key, value in chosen.items()]))


@given(asked=entries())
def test_what_was_read_is_read_again_from_json_and_has_no_order(asked: list[dict[str, Any]]) -> None:
    augmentations = parse_augmentations({"IMAGE_LEVEL": asked})
    stored = json.loads(json.dumps([each.as_json() for each in augmentations], allow_nan=False))
    assert parse_augmentations(stored) == augmentations
    backwards = [{**each, "properties": each["properties"][::-1]} for each in asked[::-1]]
    assert parse_augmentations(backwards) == augmentations
