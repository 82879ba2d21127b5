"""CQL2 text, by the parser of cql2, within limits."""

import pytest

from factory_pipeline.datalake.query.cql2_text import (
    MOST_OPERATORS,
    Cql2TextError,
    parse_cql2_condition,
)
from factory_pipeline.datalake.query.operands import DEEPEST


def test_a_condition_becomes_json_and_a_property_alone_is_none():
    assert parse_cql2_condition("split = 'test'") == {"op": "=", "args": [{"property": "split"}, "test"]}
    assert parse_cql2_condition("split") is None


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("(" * (DEEPEST + 1) + "a = 1" + ")" * (DEEPEST + 1), DEEPEST, "levels of nesting"),
        (" and ".join(["a = 1"] * (MOST_OPERATORS + 2)), None, "operators"),
        ("a = 12345678901234567", 4, "in quotes"),
        ("a = 1 or", None, "does not allow"),
    ],
)
def test_what_the_parser_can_not_process_is_refused(text: str, position: int | None, told: str):
    with pytest.raises(Cql2TextError, match=told) as error:
        parse_cql2_condition(text)
    if position is not None:
        assert error.value.position == position


def test_quoted_text_does_not_count():
    quoted = f"a = '{'(' * 200} and 12345678901234567'"
    assert parse_cql2_condition(quoted) is not None
