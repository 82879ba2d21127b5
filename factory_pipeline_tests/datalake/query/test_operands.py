"""Operands of a condition in CQL2 JSON."""

from typing import Any

import pytest

from factory_pipeline.datalake.query.operands import (
    QueryError,
    has_property,
    normalize_operand,
    properties_of,
    require_one_table,
)

SUM = {"op": "+", "args": [{"property": "width"}, {"op": "*", "args": [2, {"property": "height"}]}]}


@pytest.mark.parametrize("operand", ["text", True, 2.5, {"property": "split"}, {"date": "2024-05-01"}, SUM])
def test_operands_stay_as_they_are(operand: Any):
    assert normalize_operand(operand, "") == operand


@pytest.mark.parametrize(
    ("operand", "told"),
    [
        (None, "null is not a value"),
        ([1], "a property or a value is expected"),
        ({}, "is expected"),
        ({"property": "colour"}, "allowed"),
        ({"op": "sqrt", "args": [1]}, "sqrt|casei|allowed"),
    ],
)
def test_what_is_no_operand_is_refused_with_its_position(operand: Any, told: str):
    with pytest.raises(QueryError, match=told) as error:
        normalize_operand(operand, ".args[1]")
    assert error.value.path.startswith(".args[1]")


def test_properties_are_found_in_calculations():
    assert properties_of(SUM) == ["width", "height"]
    assert has_property(SUM)
    assert not has_property({"date": "2024-05-01"})


def test_a_condition_is_of_items_or_of_annotations():
    require_one_table([SUM, 3], "")
    with pytest.raises(QueryError, match="needs a property"):
        require_one_table([1, 2], "")
    with pytest.raises(QueryError):
        require_one_table([{"property": "split"}, {"property": "annotation.label"}], "")
