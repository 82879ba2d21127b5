"""Queries as text, read into CQL2 JSON."""

from typing import Any

import cql2
import pytest

from factory_pipeline.datalake.query.operands import DEEPEST
from factory_pipeline.datalake.query.parse_text import TextError, parse_text


def equal(name: str, value: Any, operation: str = "=") -> dict[str, Any]:
    return {"op": operation, "args": [{"property": name}, value]}


LABEL, WATER = equal("annotation.label", "Balloon"), equal("metadata.Tags", "water")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("annotation.label=Balloon", LABEL),
        ("  annotation.label  =  Balloon ", LABEL),
        ("annotation.label='Balloon'", LABEL),
        ('annotation.label="Balloon"', LABEL),
        ('"annotation.label"=Balloon', LABEL),
        ("(annotation.label=Balloon)", LABEL),
        ("annotation.label=Balloon AND metadata.Tags=water", {"op": "and", "args": [LABEL, WATER]}),
        ("annotation.label=Balloon Or metadata.Tags=water", {"op": "or", "args": [LABEL, WATER]}),
        ("NOT annotation.label=Balloon", {"op": "not", "args": [LABEL]}),
        ("not(annotation.label=Balloon)", {"op": "not", "args": [LABEL]}),
    ],
)
def test_conditions_are_joined_in_any_case_and_spacing(text: str, query: dict[str, Any]) -> None:
    assert parse_text(text) == query


def test_and_binds_more_tightly_than_or_and_not_most_tightly() -> None:
    both = {"op": "and", "args": [{"op": "not", "args": [LABEL]}, WATER]}
    text = "metadata.Tags=water or not annotation.label=Balloon and metadata.Tags=water"
    assert parse_text(text) == {"op": "or", "args": [WATER, both]}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("hot air balloon", "hot air balloon"),
        ("N/A", "N/A"),
        ("Baker's", "Baker's"),
        ("wow!", "wow!"),
        ("a, b", "a, b"),
        ("Größe", "Größe"),
        ("android", "android"),
        ("width", "width"),
        ("'and'", "and"),
        ("'it''s'", "it's"),
        ('"a ""b"" (c)"', 'a "b" (c)'),
        ("''", ""),
        ("5", 5),
        ("'5'", "5"),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("17480000200123457", 17480000200123457),
        ("007", "007"),
        ("5 m", "5 m"),
        ("1e999", "1e999"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00+02:00"),
        ("TRUE", True),
        ("false", False),
    ],
)
def test_a_value_is_read_as_it_is_written(written: str, value: Any) -> None:
    assert parse_text(f"metadata.x={written}") == equal("metadata.x", value)
    joined = parse_text(f"(metadata.x={written}) and metadata.x={written} or metadata.x={written}")
    assert joined["args"][1] == equal("metadata.x", value)
    assert type(joined["args"][1]["args"][1]) is type(value)


@pytest.mark.parametrize("comparison", ["=", "<>", "<", "<=", ">", ">="])
def test_every_comparison_stands_with_and_without_blanks(comparison: str) -> None:
    assert parse_text(f"width{comparison}5") == equal("width", 5, comparison)
    assert parse_text(f"width {comparison} 5") == equal("width", 5, comparison)


def test_unequal_has_two_spellings() -> None:
    assert parse_text("width!=5") == parse_text("width <> 5") == equal("width", 5, "<>")


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("annotation.label", 16, "one of = != < <= > >="),
        ("annotation.label=", 17, "a value"),
        ("annotation.label=and", 17, "a value"),
        ("annotation.label='Balloon", 17, "a quote is opened and not closed"),
        ("annotation.label==Balloon", 17, "a value"),
        ("=Balloon", 0, "a property"),
        ("(annotation.label=Balloon", 25, "`)`"),
        ("annotation.label=Balloon)", 24, "the end"),
        ("annotation.label=Balloon and", 28, "a property"),
        ("annotation.label=Balloon and or width=5", 29, "a property"),
        ("annotation.label='Balloon' width=5", 27, "`and`"),
        ("annotation.label=hot and cold", 29, "after `cold`"),
        ("annotation.label=hot air balloon (red)", 33, "the end"),
        ("metadata.a in ['x']", 14, "CQL2 does not allow `['x']`"),
        ("metadata.a is null or\nmetadata.a\nlike x y", 40, "CQL2 does not allow `y`"),
    ],
)
def test_what_is_no_query_is_named_by_its_place(text: str, place: int, expected: str) -> None:
    with pytest.raises(TextError) as raised:
        parse_text(text)
    assert raised.value.position == place
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "condition",
    [
        "metadata.a is null",
        "metadata.a between 1 and 5",
        "metadata.a not between 1 and 5",
        "metadata.a in ('a and b', 'c)')",
        "metadata.a like 'a or b'",
        "(metadata.a + 1) * 2 > 5",
        "((metadata.a + 1)) > 5 - (width * 2)",
        "width = (height)",
        "width=height * 2",
        "width=metadata.width",
        "s_intersects(geometry, POLYGON((0 0, 1 0, 1 1, 0 0)))",
        "t_during(datetime, INTERVAL('2024-01-01', '..'))",
        "casei(metadata.and) = casei('x')",
        "5 < width",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "({})",
        "not {}",
        "annotation.label=hot air balloon and {}",
        "{} and annotation.label=Balloon",
        "annotation.label=hot air balloon or (not {} AND {})",
    ],
)
def test_conditions_in_cql2_stand_among_those_in_the_short_form(text: str, condition: str) -> None:
    in_cql2 = text.replace("=hot air balloon", "='hot air balloon'").replace("=Balloon", "='Balloon'")
    expected = cql2.parse_text(in_cql2.replace("{}", condition)).to_json()
    assert parse_text(text.replace("{}", condition)) == expected


@pytest.mark.parametrize("opened", ["(", "not "])
def test_nesting_has_an_end(opened: str) -> None:
    closed = ")" if opened == "(" else ""
    parse_text(f"{opened * DEEPEST}width=5{closed * DEEPEST}")
    with pytest.raises(TextError, match="levels of nesting"):
        parse_text(f"{opened * 10_000}width=5{closed * 10_000}")


def test_any_number_of_conditions_can_be_joined() -> None:
    assert len(parse_text(" or ".join(["width=5"] * 5000))["args"]) == 5000
