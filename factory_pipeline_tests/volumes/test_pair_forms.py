"""The pairs of a spec in each of their forms."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.volumes.pair_forms import FORM_TAGS, Pair, SectionPair, mixed_places

PAIR: TypeAdapter[SectionPair] = TypeAdapter(Pair)
START = {"x_start": 1, "y_start": 2, "z_start": 3}
CENTRE = {"x": 4, "y": 5, "z": 6}


def test_an_object_and_a_list_are_the_same_pair() -> None:
    as_object = PAIR.validate_python({"src": START, "tgt": START})
    as_list = PAIR.validate_python([START, START])
    assert as_object[:2] == as_list[:2]
    assert tuple(as_object.src) == (1, 2, 3, False)
    assert (as_object.side_path("tgt"), as_list.side_path("tgt")) == (".tgt", "[1]")


def test_a_place_may_be_a_centre() -> None:
    assert tuple(PAIR.validate_python([CENTRE, CENTRE]).tgt) == (4, 5, 6, True)


def test_keys_that_mean_nothing_are_named_with_their_path() -> None:
    pair = PAIR.validate_python({"src": {**START, "w": 1}, "tgt": START, "note": ""})
    assert pair.unknown == (".note", ".src.w")
    assert PAIR.validate_python([START, {**START, "w": 1}]).unknown == ("[1].w",)
    assert PAIR.validate_python([START, START]).unknown == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", 'must be {"src": place, "tgt": place} or [place, place]'),
        ([START], "List should have at least 2 items"),
        (
            [START, {**START, **CENTRE}],
            "must be an object with x_start, y_start and z_start, or with x, y and z",
        ),
        ([START, {"x": 1, "y": 2}], "Field required"),
        ([START, {**START, "x_start": 1.5}], "valid integer"),
        ({"src": START}, "Field required"),
    ],
)
def test_what_is_no_pair_is_said(value: Any, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        PAIR.validate_python(value)
    (error,) = raised.value.errors()
    assert message in error["msg"]


def test_tags_of_forms_are_in_the_places_of_errors() -> None:
    with pytest.raises(ValidationError) as raised:
        PAIR.validate_python([START, {**START, "x_start": "a"}])
    (error,) = raised.value.errors()
    assert [part for part in error["loc"] if part not in FORM_TAGS] == [1, "x_start"]


def test_starts_and_centres_are_not_mixed() -> None:
    pairs = [PAIR.validate_python(each) for each in ([START, START], {"src": CENTRE, "tgt": START})]
    (fault,) = mixed_places(pairs)
    assert fault.startswith("$.pairs[1].src: must have x_start, y_start, z_start")
    assert list(mixed_places(pairs[:1])) == list(mixed_places([])) == []
