"""Queries in all forms, and what is said of those that can't be answered."""

import json
from typing import Any

import cql2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datalake.query.queryables import PROPERTIES
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datalake.query.test_agreement import QUERIES, tables

LABEL = {"op": "=", "args": [{"property": "annotation.label"}, "Balloon"]}


@pytest.mark.parametrize("nothing", ["", "  \n", {}, "{}"])
def test_an_empty_query_asks_for_nothing(nothing: Any) -> None:
    assert parse_query(nothing) == {}


@pytest.mark.parametrize(
    "query", ["annotation.label=Balloon", "annotation.label = 'Balloon'", LABEL, json.dumps(LABEL)]
)
def test_all_forms_of_a_query_are_one_in_cql2_json(query: Any) -> None:
    assert parse_query(query) == LABEL


def test_a_word_on_the_right_side_is_a_value_though_cql2_takes_it_for_a_property() -> None:
    text = "annotation.label=Balloon"
    assert cql2.parse_text(text).to_json()["args"][1] == {"property": "Balloon"}
    assert parse_query(text) == LABEL


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("metadata.a = metadata.b", {"property": "metadata.b"}),
        ("width = (height)", {"property": "height"}),
        ("width = height * 2", {"op": "*", "args": [{"property": "height"}, 2]}),
    ],
)
def test_what_only_cql2_can_read_is_cql2(text: str, right: dict[str, Any]) -> None:
    assert parse_query(text)["args"][1] == right


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("annotation.label=Balloon and id is null", "annotation.label='Balloon' and id is null"),
        ("5 < width", "width > 5"),
        ("5 >= width", "width <= 5"),
        ("5 <= width", "width >= 5"),
        ("s_within(POINT(1 2), geometry)", "s_contains(geometry, POINT(1 2))"),
        ("t_before(DATE('2024-01-01'), datetime)", "t_after(datetime, DATE('2024-01-01'))"),
        ("s_intersects(BBOX(1, 2, 3, 4), geometry)", "S_INTERSECTS(geometry, BBOX(1, 2, 3, 4))"),
        ({"op": "AND", "args": [LABEL, LABEL]}, {"op": "and", "args": [LABEL, LABEL]}),
        ({"op": "!=", "args": [{"property": "width"}, 5.0]}, "width <> 5"),
        ({"op": "ISNULL", "args": [{"property": "id"}]}, "id is null"),
    ],
)
def test_the_same_query_in_two_ways_is_one_in_cql2_json(query: Any, same: Any) -> None:
    assert parse_query(query) == parse_query(same)


@settings(deadline=None)
@given(QUERIES)
def test_parsing_what_was_parsed_changes_nothing(query: dict[str, Any]) -> None:
    once = parse_query(query)
    assert parse_query(once) == once
    assert parse_query(json.dumps(once)) == once


def test_whole_numbers_are_exact_in_the_short_form_and_in_json() -> None:
    large = 17480000200123457
    query = {"op": "=", "args": [{"property": "id"}, large]}
    assert parse_query(f"id={large}") == parse_query(query) == parse_query(json.dumps(query)) == query


def fault(query: Any) -> str:
    with pytest.raises(ArgumentError) as raised:
        parse_query(query)
    assert raised.value.argument == "query"
    message = str(raised.value)
    assert message.endswith(".")
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("width=\udc80", ["text in UTF-8"]),
        ("s_intersects(geometry, POLYGON((1 2, 3 4))", ["character"]),
        ("(" * 200_000, ["levels of nesting", "character 52"]),
        ("id='" + "x" * 300_000 + "'", ["300,000 characters"]),
        ("Tags=water", ["`Tags` is not a property", PROPERTIES, "metadata.Tags"]),
        ("label=Balloon", ["annotation.label"]),
        ("metadata.=5", ["`metadata.` is not a property"]),
        ("annotation.label in (Balloon)", ["'Balloon' in quotes"]),
        ("annotation.label='Balloon", ["not closed", "character 18"]),
        ("metadata.a in ('x', ", ["character 20"]),
        ("metadata.a in ('x', 'y' and width=5", ["character 36"]),
        ("a\n =\n\n", ["character 5"]),
        ("metadata.a = (", ["character 15"]),
        ("width=big", ["`width` is a number, and 'big' is not"]),
        ("width=height", ["(height)"]),
        ("width=true", ["True is not"]),
        ("width > (datetime)", ["`width` is a number and `datetime` is a time"]),
        ("datetime>yesterday", ["2024-01-31"]),
        ("datetime between 2024-01-01 and 2024-02-01", ["DATE('2024-01-31')"]),
        ("datetime = DATE('2024-13-01')", ["2024-13-01", "a day such as"]),
        ("datetime = TIMESTAMP('2024-12-01')", ["a moment such as"]),
        ("t_during(datetime, INTERVAL('2024-02-01', '2024-01-01'))", ["the later one second"]),
        ("t_before(width, DATE('2024-01-01'))", ["`width`"]),
        ("t_during(INTERVAL('2024-01-01', '..'), datetime)", ["the property first"]),
        ("datetime < INTERVAL('2024-01-01', '..')", ["t_intersects"]),
        ("id = DATE('2024-01-01')", ["`id` is a text"]),
        ("metadata.a = null", ["is null"]),
        ("metadata.a", ["is expected after `metadata.a` at character 11"]),
        ("not metadata.a", ["is expected after `metadata.a` at character 15"]),
        ("true", ["is expected after `true`"]),
        ("'a' = 'b'", ["needs a property"]),
        ("foo(metadata.a)", ["`foo` is not a condition", "s_intersects", "between"]),
        ("foo(metadata.a) = 1", ["`foo` is not supported", "casei"]),
        ("metadata.a % 2 = 1", ["`%` is not supported", "+, -, *, /"]),
        ("accenti(metadata.a) = 'x'", ["`accenti` is not supported"]),
        ("casei(width) = 'x'", ["`casei` takes a text"]),
        ("id + 1 = 2", ["`id` is not a number"]),
        ("metadata.a + 'x' = 2", ["'x' is not a number"]),
        ("metadata.a like 5", ["text in quotes"]),
        ("width like '5%'", ["`like` is for texts"]),
        ("metadata.a in (metadata.b)", ["`metadata.b` is not a value"]),
        ("metadata.a between metadata.b and 5", ["`metadata.b` is not a value"]),
        ("width in (1, 'x')", ["'x' is not"]),
        ("casei(id) is null", ["`isNull` takes a property"]),
        ("annotation.label = (metadata.a)", ["can't be in one condition"]),
        ("geometry = 'x'", ["s_intersects"]),
        ("geometry in ('x')", ["s_intersects"]),
        ("s_intersects(geometry, geometry)", ["the property geometry and a geometry"]),
        ("s_intersects(metadata.a, POINT(1 2))", ["the property geometry"]),
        ("s_intersects(geometry, BBOX(1, 2, 3, 400))", ["-90..90"]),
        ("s_intersects(geometry, BBOX(1, 20, 3, 4))", ["south not above north"]),
        ("s_intersects(geometry, POINT(190 2))", ["-180..180"]),
        ("s_intersects(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", ["Self-intersection"]),
        ("metadata.a in (17480000200123457)", ["17480000200123457", "in quotes"]),
        ("{", ["begins as JSON"]),
        ("[1]", ["character 1"]),
        ({"op": "foo"}, ["at op", "`foo` is not a condition"]),
        ({"op": "="}, ["at args", "a list"]),
        ({"op": "=", "args": "xy"}, ["at args", "a list"]),
        ({"op": "=", "args": [{"property": "id"}]}, ["takes 2 arguments", "not 1"]),
        ({"op": "and", "args": []}, ["`and` takes conditions"]),
        ({"op": "not", "args": [LABEL, LABEL]}, ["`not` takes one condition"]),
        ({"op": "and", "args": [LABEL, {"op": "=", "args": [{"property": "x"}, 1]}]}, ["at args[1].args[0]"]),
        ({"op": "in", "args": [{"property": "id"}, "x"]}, ["a list of values"]),
        ({"op": "=", "args": [{"property": 5}, 1]}, ["`5` is not a property"]),
        ({"op": "=", "args": [{"property": "id"}, [1]]}, ["a property or a value"]),
        ({"op": "=", "args": [{"property": "id"}, {"foo": 1}]}, ["a date or a timestamp"]),
        ({"op": "=", "args": [{"property": "width"}, float("nan")]}, ["a number must be within"]),
        ({"op": "=", "args": [{"property": "width"}, 10**400]}, ["a number must be within"]),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"type": "Polygon"}]}, ["GeoJSON"]),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3]}]},
            ["[west, south, east, north]"],
        ),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3, True]}]}, ["numbers"]),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [1, 2, 3, float("nan")]}]},
            ["numbers"],
        ),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": []}]},
            ["empty"],
        ),
        ({"args": [1]}, ["not a condition"]),
        (5, ["text or CQL2 JSON"]),
        (None, ["text or CQL2 JSON"]),
        (["annotation.label=Balloon"], ["text or CQL2 JSON"]),
    ],
)
def test_a_query_that_cant_be_answered_is_refused_with_the_place_and_what_is_allowed(
    query: Any, parts: list[str]
) -> None:
    message = fault(query)
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    "query",
    [
        "(" * 10_000 + "width=5" + ")" * 10_000,
        "not " * 10_000 + "width=5",
        "width in (" + "(" * 10_000,
        "width = (" + "-" * 10_000 + "5)",
        "width = (5" + "+1" * 100_000 + ")",
        "(" + " and ".join(["width in (5)"] * 20_000) + ") = 5",
        '{"op":"not","args":[' * 100_000,
        '{"op":"not","args":[' * 900 + "1" + "]}" * 900,
    ],
)
def test_a_query_that_would_exhaust_the_stack_is_refused(query: str) -> None:
    fault(query)


def test_a_long_list_or_polygon_is_no_reason_to_refuse() -> None:
    numbers = ", ".join(str(-number) for number in range(5000))
    assert len(parse_query(f"metadata.a in ({numbers})")["args"][1]) == 5000
    points = ", ".join(f"{number / 100} -20" for number in range(5000))
    parse_query(f"s_intersects(geometry, POLYGON((0 0, {points}, 0 0)))")


@settings(deadline=None)
@given(st.text(max_size=40))
@example("metadata.a=\x00")
def test_no_text_gives_anything_but_a_query_or_an_error_for_the_user(text: str) -> None:
    assert_a_query_or_a_fault(text)


PARTS = ["annotation.label", "metadata.a", "=", "<", "(", ")", "'", '"', "and", "or", "not", "in", "between"]
PARTS += ["like", "null", "5", "-1", "x", ",", "is", "*"]
WORDS = st.lists(st.sampled_from(PARTS), max_size=12)


@settings(deadline=None)
@given(WORDS, st.sampled_from(["", " "]))
@example(["metadata.a", "in", "(", "5", ",", "-1", ")"], " ")
def test_no_row_of_words_gives_anything_but_a_query_or_an_error_for_the_user(
    words: list[str], blank: str
) -> None:
    assert_a_query_or_a_fault(blank.join(words))


def assert_a_query_or_a_fault(text: str) -> None:
    """A query is CQL2 that is the same when read again and can be answered; else a sentence says why not."""
    try:
        query = parse_query(text)
    except ArgumentError as error:
        quoted, said = str(error.value), error.allowed
    else:
        assert_a_query(query, text)
        return
    fault(text)
    assert text.strip().startswith(quoted.removesuffix("..."))
    assert len(said) > 10


def assert_a_query(query: dict[str, Any], text: str) -> None:
    assert parse_query(json.dumps(query)) == query
    assert (query == {}) == (text.strip() in ("", "{}"))
    if query:
        assert cql2.parse_json(json.dumps(query)).to_json()["op"] == query["op"]
    items, annotations, _ = tables(0)
    assert matching_items(items, annotations, query, {}).collect_schema() == items.collect_schema()
