"""Conditions in CQL2 JSON are brought into one form, or refused with their position."""

from typing import Any

import pytest

from factory_pipeline.datalake.query.operands import DEEPEST, QueryError
from factory_pipeline.datalake.query.validate import normalize_condition

CLOUDS = {"property": "metadata.clouds"}
GEOMETRY = {"property": "geometry"}
POINT = {"type": "Point", "coordinates": [1, 2]}
DAY = {"property": "datetime"}


def condition(op: str, *args: Any) -> dict[str, Any]:
    return {"op": op, "args": list(args)}


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (condition("<", 20, CLOUDS), condition(">", CLOUDS, 20)),
        (condition("!=", CLOUDS, 20), condition("<>", CLOUDS, 20)),
        (condition("=", CLOUDS, 20.0), condition("=", CLOUDS, 20)),
        (condition("ISNULL", CLOUDS), condition("isNull", CLOUDS)),
        (condition("s_within", POINT, GEOMETRY), condition("s_contains", GEOMETRY, POINT)),
        (
            condition("t_before", {"date": "2021-01-01"}, DAY),
            condition("t_after", DAY, {"date": "2021-01-01"}),
        ),
        (condition("And", condition("=", 1, CLOUDS)), condition("and", condition("=", CLOUDS, 1))),
        (condition("in", CLOUDS, [1, 2]), condition("in", CLOUDS, [1, 2])),
        (condition("between", CLOUDS, 1, 2), condition("between", CLOUDS, 1, 2)),
    ],
)
def test_the_property_is_on_the_left_and_names_are_those_of_the_standard(
    given: dict[str, Any], normal: dict[str, Any]
) -> None:
    assert normalize_condition(given) == normal
    assert normalize_condition(normal) == normal


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ("a", "", "is not a condition such as"),
        (condition("near", CLOUDS, 1), ".op", "`near` is not a condition; allowed are and, or, not, ="),
        ({"op": "=", "args": "ab"}, ".args", "`=` takes a list of arguments"),
        (condition("=", CLOUDS), ".args", "`=` takes 2 arguments, not 1"),
        (condition("not", condition("=", CLOUDS, 1), condition("=", CLOUDS, 1)), ".args", "one condition"),
        (condition("and", condition("=", 1, 2)), ".args[0]", "a condition needs a property"),
        (condition("=", GEOMETRY, 1), "", "geometry is compared by"),
        (condition("isNull", 1), "", "`isNull` takes a property"),
        (condition("in", CLOUDS, "ab"), ".args", "`in` takes a property and a list of values"),
        (condition("in", CLOUDS, [1, CLOUDS]), "", "is not a value"),
        (condition("like", CLOUDS, 3), "", "`like` takes a property and a text"),
        (condition("s_intersects", CLOUDS, POINT), ".args", "takes the property geometry and a geometry"),
        (
            condition("s_intersects", GEOMETRY, {"type": "Point"}),
            "",
            "the area of `s_intersects` is not valid",
        ),
        (condition("=", DAY, {"interval": ["..", ".."]}), "", "an INTERVAL is for t_before"),
    ],
)
def test_what_is_wrong_is_named_with_its_position(given: Any, path: str, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        normalize_condition(given)
    assert raised.value.path == path
    assert message in raised.value.allowed


def test_a_query_may_not_be_nested_too_deep() -> None:
    nested = condition("=", CLOUDS, 1)
    for _ in range(DEEPEST):
        nested = condition("not", nested)
    assert normalize_condition(nested) == nested
    with pytest.raises(QueryError, match=f"nested {DEEPEST} levels deep"):
        normalize_condition(condition("not", nested))
