"""The examples of docs/queries.md, over the items that stand there."""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pytest
import shapely

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.query.queryables import PROPERTIES
from factory_pipeline_tests.datalake.query import factories
from factory_pipeline_tests.project import DOCS

PAGE = DOCS / "queries.md"


def rows(*header: str) -> list[list[str]]:
    """The rows of all tables of the page whose header begins so."""
    found, inside = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" |")]
        inside = line.startswith("|") and (inside or cells[: len(header)] == list(header))
        if inside and cells[: len(header)] != list(header) and not set(cells[0]) <= {"-"}:
            found.append(cells)
    return found


def lake() -> tuple[pl.LazyFrame, pl.LazyFrame]:
    items, annotations = [], []
    for id_, time, tags, cloud, drawn, bounds in rows("id", "datetime"):
        shape = shapely.box(*(float(edge) for edge in bounds.split(", "))) if bounds else None
        at = datetime.fromisoformat(time).replace(tzinfo=None).isoformat() if time else None
        metadata = {
            "Tags": tags.split(", ") if tags else None,
            "cloud_cover": float(cloud) if cloud else None,
        }
        items.append(factories.item(id_, at, shape, **metadata))
        for one in drawn.split(", ") if drawn else []:
            label, _, source = one.rstrip(")").rpartition(" (")
            annotations.append(factories.annotation(id_, label, source))
    return factories.items(items), factories.annotations(annotations)


def found(query: Any, filter: Any) -> str:
    return ", ".join(matching_items(*lake(), query, filter).collect()["id"])


@pytest.mark.parametrize(("query", "ids"), rows("query", "finds"))
def test_a_query_of_the_page_finds_what_the_page_says(query: str, ids: str) -> None:
    assert found(query.strip("`"), {}) == ids


@pytest.mark.parametrize(("filter", "ids"), rows("filter", "finds"))
def test_a_filter_of_the_page_finds_what_the_page_says(filter: str, ids: str) -> None:
    assert found("", json.loads(filter.strip("`"))) == ids


def test_the_page_has_all_properties() -> None:
    named = " ".join(cells[0] for cells in rows("property", "values"))
    assert [name for name in PROPERTIES.split(", ") if f"`{name}`" not in named] == []
