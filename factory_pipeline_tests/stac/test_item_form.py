"""Items whose fields have other forms than STAC defines."""

import json
from typing import Any

import pytest

from factory_pipeline.errors import CatalogError
from factory_pipeline.stac.item_form import standard_item
from factory_pipeline.stac.items import parse_products, trim_item
from factory_pipeline.stac.providers import GEDI_REQUESTS, provider_named
from factory_pipeline_tests.fuzz.targets import CORPUS

SOURCE = provider_named("planetary-computer", GEDI_REQUESTS).source("sentinel2")
ITEM: dict[str, Any] = json.loads((CORPUS / "item.json").read_text())

WITHOUT_A_NUMBER = {
    **ITEM["assets"],
    "B02": {**ITEM["assets"]["B02"], "raster:bands": [{"offset": float("nan")}]},
}


def test_an_item_in_the_standard_form_stays_as_it_is() -> None:
    assert standard_item(ITEM) == ITEM
    assert [product.id for product in parse_products([trim_item(ITEM, SOURCE)], ["B02"]).products] == [
        ITEM["id"]
    ]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("properties", "x", "no projection fields for the 10 m grid"),
        ("properties", {**ITEM["properties"], "datetime": 7}, "no datetime"),
        ("properties", {**ITEM["properties"], "eo:cloud_cover": [1]}, "no eo:cloud_cover"),
        ("assets", WITHOUT_A_NUMBER, "a field of another form than STAC defines"),
        ("assets", 3, "no asset SCL"),
        ("assets", {**ITEM["assets"], "SCL": "x"}, "no asset SCL"),
        ("assets", {**ITEM["assets"], "SCL": {"href": None}}, "no asset SCL"),
    ],
)
def test_what_has_another_form_is_as_if_it_was_not_there(key: str, value: Any, reason: str) -> None:
    good = {**ITEM, "id": "good"}
    found = parse_products([trim_item({**ITEM, key: value}, SOURCE), trim_item(good, SOURCE)], ["B02"])
    assert [product.id for product in found.products] == ["good"]
    [unusable] = found.unusable_items
    assert (unusable.id, unusable.reason) == (ITEM["id"], reason)


@pytest.mark.parametrize("bands", [3, "x", [None, 7], {"name": "B02"}])
def test_bands_of_another_form_are_none(bands: Any) -> None:
    asset = {**ITEM["assets"]["B02"], "raster:bands": bands, "bands": bands}
    changed = {**ITEM, "id": {"a": 1}, "bbox": [10**400], "assets": {**ITEM["assets"], "B02": asset}}
    found = parse_products([trim_item(changed, SOURCE)], ["B02"])
    assert [product.id for product in found.products] == ["{'a': 1}"]


@pytest.mark.parametrize("item", [{}, {"type": "Feature"}, [], "x"])
def test_an_item_without_an_id_is_none_of_a_catalog(item: Any) -> None:
    with pytest.raises(CatalogError, match="an item without an id"):
        standard_item(item)
