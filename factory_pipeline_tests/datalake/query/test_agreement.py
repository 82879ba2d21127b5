"""Random queries over random tables: polars against an evaluator that goes from row to row."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.datalake.query.spatial import RELATIONS
from factory_pipeline_tests.datalake.query import factories, reference
from factory_pipeline_tests.examples import up_to

pytestmark = pytest.mark.integration

DTYPES: dict[str, pl.DataType] = {
    "word": pl.String(),
    "class": pl.Enum(["a", "B", "5"]),
    "whole": pl.Int16(),
    "real": pl.Float64(),
    "short": pl.Float32(),
    "flag": pl.Boolean(),
    "tags": pl.List(pl.String()),
    "measures": pl.List(pl.Float64()),
    "pair": pl.Array(pl.Int64(), 2),
    "day": pl.Date(),
    "moment": pl.Datetime("ms"),
    "zoned": pl.Datetime("ns", "Europe/Athens"),
    "days": pl.List(pl.Date()),
    "inner": pl.Struct({"word": pl.String()}),
    "nothing": pl.Null(),
}
WORDS = [
    "",
    "a",
    "A",
    "B",
    "aB",
    "5",
    "05",
    "5.5",
    "5.0",
    "-1",
    "1e1",
    "true",
    "True",
    "2020-01-02",
    "a%b",
    "ß",
]
WHOLES = [-1, 0, 5, 300]
REALS = [-1.0, 0.1, 5.0, 5.5]
DAYS = [date(2020, 1, 1), date(2020, 1, 2), date(2020, 3, 1)]
MOMENTS = [datetime(2020, 1, 1), datetime(2020, 1, 2, 12), datetime(2020, 3, 1, 23, 59, 59)]
ROWS, TABLES = 40, 5
SHAPES = [
    shapely.box(0, 0, 1, 1),
    shapely.Point(2, 2),
    shapely.box(179, 0, 180, 1),
    shapely.box(-3, -3, 3, 3),
]


def random_rows(seed: int) -> list[dict[str, Any]]:
    """Items with every sort of metadata and up to three annotations each; anything may be missing."""
    random = Random(seed)

    def maybe(values: Sequence[Any]) -> Any:
        return None if random.random() < 0.2 else random.choice(values)

    def some(values: Sequence[Any], *counts: int) -> list[Any]:
        return [maybe(values) for _ in range(random.choice(counts))]

    rows = []
    for number in range(ROWS):
        moment = maybe(MOMENTS)
        metadata = {
            "word": maybe(WORDS),
            "class": maybe(["a", "B", "5"]),
            "whole": maybe(WHOLES),
            "real": maybe([*REALS, float("nan")]),
            "short": maybe([*REALS, float("nan")]),
            "flag": maybe([True, False]),
            "tags": maybe([some(WORDS, 0, 1, 2, 3)]),
            "measures": maybe([some([*REALS, float("nan")], 0, 1, 2)]),
            "pair": maybe([some(WHOLES, 2)]),
            "day": maybe(DAYS),
            "moment": maybe(MOMENTS),
            "zoned": maybe([moment.astimezone(ZoneInfo("Europe/Athens")) for moment in MOMENTS]),
            "days": maybe([some(DAYS, 0, 1, 2)]),
            "inner": maybe([{"word": maybe(WORDS)}]),
        }
        item = factories.item(f"{number:02}", moment and moment.isoformat(), maybe(SHAPES), **metadata)
        item["annotations"] = [
            factories.annotation(
                item["id"],
                maybe(WORDS),
                random.choice(["human", "machine"]),
                type=random.choice(["rectangle", "mask"]),
                confidence=maybe([0.1, 0.5, 1.0]),
                attributes={
                    key: random.choice([*WORDS, *WHOLES, True])
                    for key in some(["word", "a b"], 0, 1, 2)
                    if key
                },
            )
            for _ in range(random.choice([0, 1, 2, 3]))
        ]
        rows.append(item)
    return rows


TIMES = [
    {"date": "2020-01-02"},
    {"date": "2020-03-01"},
    {"timestamp": "2020-01-02T12:00:00Z"},
    {"timestamp": "2020-01-01T01:00:00+01:00"},
]
INTERVALS = [{"interval": ["2020-01-01", "2020-01-02"]}, {"interval": ["..", "2020-01-02T12:00:00Z"]}]
TEXT = st.sampled_from(WORDS)
NUMBERS = st.sampled_from([*WHOLES, *REALS, 70_000, 2**70])
TIME = st.sampled_from([*TIMES, "2020-01-02", "2020-01-01T00:00:00Z"])
ANY = TEXT | NUMBERS | TIME | st.booleans()
LOOSE = TEXT | NUMBERS | st.booleans()
KNOWN = {
    "id": LOOSE,
    "split": LOOSE,
    "width": NUMBERS,
    "datetime": TIME,
    "annotation.label": LOOSE,
    "annotation.type": st.sampled_from(["rectangle", "mask", "line"]),
    "annotation.source": st.sampled_from(["human", "machine"]),
    "annotation.confidence": NUMBERS,
    "annotation.attributes.word": LOOSE,
    "annotation.attributes.a b": LOOSE,
}
PROPERTIES = st.sampled_from(
    [*KNOWN, "metadata.missing", "metadata.inner.word", *(f"metadata.{n}" for n in DTYPES)]
)
TEXTS = st.sampled_from(
    ["annotation.label", "annotation.attributes.word", "metadata.word", "metadata.class", "id"]
)
NUMERIC = ["metadata.whole", "metadata.real", "metadata.word", "metadata.missing", "width"]
COMPARISONS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def of(name: str) -> dict[str, str]:
    return {"property": name}


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    """A condition of any sort on any property, with a value of any kind that parsing allows."""
    name = draw(PROPERTIES)
    value = KNOWN.get(name, ANY)
    casei = lambda inner: {"op": "casei", "args": [inner]}  # noqa: E731
    match draw(st.integers(0, 8)):
        case 0 | 1:
            return {"op": draw(COMPARISONS), "args": [of(name), draw(value)]}
        case 2:
            return {"op": "in", "args": [of(name), draw(st.lists(value, max_size=3))]}
        case 3:
            return {"op": "between", "args": [of(name), draw(value), draw(value)]}
        case 4:
            return {"op": "isNull", "args": [of(draw(PROPERTIES | st.just("geometry")))]}
        case 5:
            pattern = draw(st.sampled_from(["%", "a%", "_", "%b", "a\\%b", "", "5%", ".*"]))
            return {"op": "like", "args": [of(draw(TEXTS | st.just("metadata.tags"))), pattern]}
        case 6:
            text = draw(st.sampled_from(["metadata.word", "metadata.tags", "annotation.label"]))
            return {"op": draw(COMPARISONS), "args": [casei(of(text)), casei(draw(TEXT))]}
        case 7:
            left, right = draw(st.sampled_from(NUMERIC)), draw(st.sampled_from(NUMERIC))
            sum_ = {
                "op": draw(st.sampled_from("+-*/")),
                "args": [of(left), draw(st.sampled_from([2, of(right)]))],
            }
            return {"op": draw(COMPARISONS), "args": [sum_, draw(st.just(5) | st.just(of("metadata.whole")))]}
    temporal = ["t_before", "t_after", "t_during", "t_intersects", "t_equals", "t_disjoint"]
    timed = st.sampled_from(
        ["datetime", "metadata.day", "metadata.moment", "metadata.zoned", "metadata.days", "metadata.word"]
    )
    return {
        "op": draw(st.sampled_from(temporal)),
        "args": [of(draw(timed)), draw(st.sampled_from([*TIMES, *INTERVALS]))],
    }


PLACES = [
    {"bbox": [0.5, 0.5, 4, 4]},
    {"bbox": [178, -5, -178, 5]},
    {"type": "Polygon", "coordinates": [[[-5, -5], [5, -5], [5, 5], [-5, 5], [-5, -5]]]},
    {"type": "Point", "coordinates": [1, 1]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
]
SPATIAL = st.builds(
    lambda operation, place: {"op": operation, "args": [of("geometry"), place]},
    st.sampled_from(sorted(RELATIONS)),
    st.sampled_from(PLACES),
)
QUERIES = st.recursive(
    conditions() | SPATIAL,
    lambda inner: st.one_of(
        st.builds(lambda part: {"op": "not", "args": [part]}, inner),
        st.builds(
            lambda operation, parts: {"op": operation, "args": parts},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=up_to(400), deadline=None)
@given(st.sampled_from(range(TABLES)), QUERIES)
def test_polars_finds_the_items_that_a_walk_over_the_rows_finds(table: int, query: dict[str, Any]) -> None:
    items, annotations, seen = tables(table)
    normalize_condition = parse_query(query)

    found = matching_items(items, annotations, query, {}).collect()

    assert found["id"].to_list() == [
        item["id"] for item in seen if reference.is_met(normalize_condition, item)
    ]
    assert found.schema == items.collect_schema()


@cache
def tables(seed: int) -> tuple[pl.LazyFrame, pl.LazyFrame, list[Mapping[str, Any]]]:
    """Items and annotations, and the same as the walk sees them."""
    rows = random_rows(seed)
    annotations = factories.annotations([one for row in rows for one in row["annotations"]])
    items = factories.items(
        [{name: row[name] for name in row if name != "annotations"} for row in rows], DTYPES
    )
    seen = [
        {**row, **as_seen(row), "annotations": [annotation_as_seen(one) for one in row["annotations"]]}
        for row in rows
    ]
    return items, annotations, seen


def as_seen(row: Mapping[str, Any]) -> dict[str, Any]:
    inner, short = row["metadata.inner"], row["metadata.short"]
    return {
        "metadata.inner.word": inner and inner["word"],
        "metadata.short": None if short is None or short != short else np.float32(short),
    }


def annotation_as_seen(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {
        f"annotation.attributes.{key}": reference.Loose(
            json.dumps(value) if isinstance(value, bool | int) else value
        )
        for key, value in json.loads(row["attributes"]).items()
    }
    return {**{f"annotation.{name}": value for name, value in row.items()}, **attributes}
