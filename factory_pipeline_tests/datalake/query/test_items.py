"""Which items match, by examples; that these rules hold throughout is seen in test_agreement."""

from pathlib import Path
from typing import Any

import cql2
import polars as pl
import pytest
import shapely

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.parse import parse_query
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datalake.query import factories

ITEMS = factories.items(
    [
        factories.item(
            "a", "2024-05-01T10:00:00", shapely.Point(1, 2), Tags=["water", "land"], cloud=5.0, site="Ä 1"
        ),
        factories.item("b", "2024-05-02T23:30:00", shapely.Point(3, 4), Tags=["land"], cloud=40.0, site="B"),
        factories.item("c", "2024-06-01T00:00:00", None, Tags=None, cloud=None, site="b%"),
        factories.item("d", None, None, Tags=[], cloud=float("nan"), site=None),
    ]
)
ANNOTATIONS = factories.annotations(
    [
        factories.annotation(
            "a", "Balloon", "human", attributes={"size": 5, "eo:kind": "hot air", "old": True}
        ),
        factories.annotation("b", "Balloon", "machine", confidence=0.25),
        factories.annotation("b", "Person", "human", attributes={"size": "10"}),
        factories.annotation("c", "Person", "human", type="mask"),
        factories.annotation("other", "Balloon", "human"),
    ]
)


def found(
    query: Any, filter: dict[str, Any] | None = None, annotations: pl.LazyFrame | None = ANNOTATIONS
) -> str:
    return "".join(matching_items(ITEMS, annotations, query, filter or {}).collect()["id"])


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "abcd"),
        ("annotation.label=Balloon", "ab"),
        ("annotation.label=Person or annotation.label=Balloon", "abc"),
        ("not annotation.label=Balloon", "cd"),
        ("not not annotation.label=Balloon", "ab"),
        ("annotation.label != Balloon", "c"),
        ("annotation.label is null", "d"),
        ("annotation.type=mask", "c"),
        ("annotation.confidence < 0.5", "b"),
        ("not annotation.confidence < 0.5", "acd"),
        ("annotation.operation=machine", "b"),
        ("annotation.attributes.size=5", "a"),
        ("annotation.attributes.size>=5", "ab"),
        ("annotation.attributes.eo:kind=hot air", "a"),
        ("annotation.attributes.old=true", "a"),
        ("annotation.label=Balloon and metadata.cloud<10", "a"),
        ("annotation.label=Person or metadata.cloud<10", "abc"),
        ("not (annotation.label=Person or metadata.cloud<10)", "d"),
        ("annotation.label=Person and (metadata.cloud>10 or annotation.type=mask)", "bc"),
    ],
)
def test_labels(query: str, ids: str) -> None:
    assert found(query) == ids


def test_two_conditions_may_be_met_by_two_annotations() -> None:
    assert found("annotation.label=Balloon and annotation.source=human") == "ab"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("metadata.Tags=land", "ab"),
        ("metadata.Tags != water", "b"),
        ("not metadata.Tags=water", "bcd"),
        ("metadata.Tags is null", "cd"),
        ("metadata.Tags in ('water', 'sea')", "a"),
        ("metadata.Tags like 'l%'", "ab"),
        ("metadata.cloud > 4", "ab"),
        ("metadata.cloud is null", "cd"),
        ("metadata.cloud <> 5", "b"),
        ("metadata.cloud='5'", "a"),
        ("metadata.cloud=low", ""),
        ("metadata.cloud between 5 and 39.5", "a"),
        ("metadata.cloud * 2 = 80", "b"),
        ("metadata.cloud / 0 > 1", ""),
        ("metadata.site=b%", "c"),
        ("metadata.site like 'b\\%'", "c"),
        ("metadata.site like '_'", "b"),
        ("casei(metadata.site) = casei('ä 1')", "a"),
        ("casei(metadata.site) in (casei('b'), 'ä 1')", "ab"),
        ("metadata.nothing=5", ""),
        ("not metadata.nothing=5", "abcd"),
        ("metadata.nothing != 5", ""),
        ("metadata.nothing is null", "abcd"),
        ("collection=x", ""),
        ("width > (height) and id=a", "a"),
        ("width in (256, 1e300)", "abcd"),
        ("width in (256.5)", ""),
    ],
)
def test_metadata(query: str, ids: str) -> None:
    assert found(query) == ids


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("datetime = 2024-05-01", "a"),
        ("datetime <= 2024-05-02", "ab"),
        ("datetime < 2024-05-02", "a"),
        ("datetime > 2024-05-02", "c"),
        ("datetime >= 2024-05-02T23:30:00Z", "bc"),
        ("datetime >= 2024-05-02T23:30:00-01:00", "c"),
        ("datetime != 2024-05-01", "bc"),
        ("t_during(datetime, INTERVAL('2024-05-02', '2024-06-01'))", "bc"),
        ("t_during(datetime, INTERVAL('2024-06-01', '2024-07-01'))", ""),
        ("t_intersects(datetime, INTERVAL('2024-06-01', '2024-07-01'))", "c"),
        ("t_disjoint(datetime, INTERVAL('..', '2024-05-02'))", "c"),
        ("t_intersects(datetime, INTERVAL('..', '..'))", "abc"),
        ("t_equals(datetime, TIMESTAMP('2024-06-01T00:00:00Z'))", "c"),
        ("t_before(datetime, INTERVAL('2024-05-02', '..'))", "a"),
        ("t_after(datetime, INTERVAL('2024-05-02', '..'))", ""),
    ],
)
def test_times(query: str, ids: str) -> None:
    assert found(query) == ids


def test_query_and_filter_must_both_hold() -> None:
    assert found("annotation.label=Balloon", {"to_date": "2024-05-01"}) == "a"
    assert found("annotation.label=Person", {"annotation_types": ["machine"], "bbox": [0, 0, 5, 5]}) == "b"


def test_without_annotations_no_item_has_one() -> None:
    assert found("annotation.label=Balloon", annotations=None) == ""
    assert found("annotation.label != Balloon", annotations=None) == ""
    assert found("not annotation.label=Balloon and annotation.type is null", annotations=None) == "abcd"
    assert found("", {"annotation_types": ["raw"]}, annotations=None) == "abcd"


def test_items_of_several_collections_keep_their_own_annotations_and_columns() -> None:
    items = pl.concat(
        [
            factories.items([factories.item("1", cloud=5)]).with_columns(collection=pl.lit("x")),
            factories.items([factories.item("1", site="y")]).with_columns(collection=pl.lit("y")),
        ],
        how="diagonal",
    )
    annotations = factories.annotations([factories.annotation("1", "Balloon")]).with_columns(
        collection=pl.lit("y")
    )

    def collections(query: str) -> str:
        return "".join(matching_items(items, annotations, query, {}).collect()["collection"])

    assert collections("annotation.label=Balloon") == "y"
    assert collections("not annotation.label=Balloon") == "x"
    assert collections("annotation.label=Balloon or metadata.cloud=7") == "y"
    assert collections("metadata.cloud=5 or metadata.site=y") == "xy"
    assert collections("collection=x") == "x"


LARGE = 9007199254740993


def test_whole_numbers_beyond_the_floats_are_told_apart() -> None:
    rows = [factories.item(str(one), number=one) for one in (LARGE, LARGE - 1)]

    def ids(query: str) -> list[str]:
        return matching_items(factories.items(rows), None, query, {}).collect()["id"].to_list()

    assert ids(f"id={LARGE}") == [str(LARGE)]
    assert ids(f"metadata.number={LARGE}") == [str(LARGE)]
    assert ids(f"metadata.number in ('{LARGE}')") == [str(LARGE)]
    assert ids(f"id in ('{LARGE}')") == [str(LARGE)]


def test_a_pattern_goes_over_lines() -> None:
    items = factories.items(
        [factories.item("1", note="first\nsecond line"), factories.item("2", note="first")]
    )
    assert matching_items(items, None, "metadata.note like 'first%line'", {}).collect()["id"].to_list() == [
        "1"
    ]


def test_ids_are_compared_as_texts() -> None:
    rows = [factories.item("12"), factories.item("012"), factories.item("12.0")]
    assert matching_items(factories.items(rows), None, "id=12", {}).collect()["id"].to_list() == ["12"]
    assert matching_items(factories.items(rows), None, "id=012", {}).collect()["id"].to_list() == ["012"]


def test_lists_are_not_compared_with_other_properties() -> None:
    with pytest.raises(ArgumentError, match=r"`metadata\.Tags` contains lists"):
        found("metadata.Tags = metadata.site")


def test_a_wrong_argument_is_named_before_any_row_is_read() -> None:
    def fail(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("rows were read")

    items = ITEMS.map_batches(fail, schema=ITEMS.collect_schema())
    with pytest.raises(ArgumentError, match="query"):
        matching_items(items, ANNOTATIONS, "Tags=water", {})
    with pytest.raises(ArgumentError, match=r"filter\.from_date"):
        matching_items(items, ANNOTATIONS, "", {"from_date": "never"})
    matching_items(
        items, ANNOTATIONS, "annotation.label=Balloon and metadata.cloud<5 or id=a", {"bbox": [0, 0, 1, 1]}
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    "query",
    [
        "annotation.label=even",
        "not annotation.label=even",
        "annotation.label=even or metadata.number<700",
        "annotation.label=even and s_intersects(geometry, BBOX(0, 0, 0.5, 0.5))",
        "metadata.number >= 100",
    ],
)
def test_order_is_kept_over_many_row_groups_by_both_engines(tmp_path: Path, query: str) -> None:
    count = 20_000
    order = pl.int_range(count, eager=True).shuffle(seed=0)
    shape = shapely.to_wkb(shapely.Point(0, 0))
    items = factories.items([factories.item("0", shape=shapely.Point(0, 0), number=0)]).collect()
    pl.concat([items] * count).with_columns(
        id=order.cast(pl.String), geometry=pl.lit(shape), **{"metadata.number": order}
    ).write_parquet(tmp_path / "items.parquet", row_group_size=500)
    drawn = factories.annotations([factories.annotation("0", "even")]).collect()
    even = (
        order.shuffle(seed=1).filter(pl.Series([number % 2 == 0 for number in range(count)])).cast(pl.String)
    )
    annotations = pl.concat([drawn] * len(even)).with_columns(item=even).lazy()

    matching = matching_items(pl.scan_parquet(tmp_path / "items.parquet"), annotations, query, {}).select(
        "id"
    )
    streamed = matching.collect(engine="streaming")["id"]

    assert 0 < len(streamed) < count
    assert streamed.equals(matching.collect(engine="in-memory")["id"])
    assert streamed.equals(order.cast(pl.String).filter(order.cast(pl.String).is_in(streamed.implode())))


@pytest.mark.parametrize(
    "query",
    [
        "metadata.cloud >= 5 and metadata.cloud < 40",
        "metadata.cloud between 5 and 40 or metadata.site = 'B'",
        "not (metadata.cloud <> 5)",
        "metadata.site like 'Ä%'",
        "casei(metadata.site) = casei('b')",
        "metadata.site in ('B', 'C')",
        "metadata.cloud * 2 + 1 > 50",
        "s_intersects(geometry, BBOX(0, 0, 1, 2))",
        "s_within(geometry, POLYGON((0 0, 5 0, 5 5, 0 5, 0 0))) and t_before(datetime, DATE('2024-05-02'))",
        "t_after(datetime, TIMESTAMP('2024-05-02T00:00:00Z'))",
    ],
)
def test_items_that_have_everything_are_found_as_by_the_reference_implementation(query: str) -> None:
    expected = [
        {
            "id": row["id"],
            "datetime": row["datetime"].isoformat(),
            "geometry": shapely.geometry.mapping(shapely.from_wkb(row["geometry"])),
            "metadata": {"cloud": row["metadata.cloud"], "site": row["metadata.site"]},
        }
        for row in ITEMS.head(2).collect().to_dicts()
    ]
    matched = [row["id"] for row in expected if cql2.Expr(parse_query(query)).matches(row)]
    assert found(f"({query}) and id in ('a', 'b')") == "".join(matched)
