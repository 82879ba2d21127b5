"""The catalog of the sample: items as the real archives have them, in files that a static catalog reads."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline.synthetic.mgrs import MgrsTile
from factory_pipeline.synthetic.sentinel2 import SyntheticProduct, Visit
from factory_pipeline.synthetic.stac import Json, sentinel2_item, write_catalog
from factory_pipeline.synthetic.world import SceneClass

TIME = datetime(2020, 6, 10, 10, 5, 31, 24000, tzinfo=UTC)
PRODUCT = SyntheticProduct(Visit(1.0, 20.0), TIME, MgrsTile(32633, 4, 52), 4, None)


@pytest.fixture(scope="module")
def item() -> Json:
    return sentinel2_item(PRODUCT, {SceneClass.VEGETATION: 0.6, SceneClass.WATER: 0.2})


def test_an_item_has_the_product_its_grid_and_its_clouds(item: Json) -> None:
    properties = item["properties"]
    assert item["id"] == PRODUCT.item_id
    assert properties["eo:cloud_cover"] == 20.0
    assert properties["s2:vegetation_percentage"] == pytest.approx(60.0)
    assert properties["s2:water_percentage"] == pytest.approx(20.0)
    clouds = sum(
        value
        for name, value in properties.items()
        if name.endswith(("_clouds_percentage", "thin_cirrus_percentage"))
    )
    assert clouds == pytest.approx(20.0)
    asset = item["assets"]["B04"]
    assert asset["proj:shape"] == list(PRODUCT.tile.grid(10).shape)
    assert asset["eo:bands"][0]["common_name"] == "red"
    west, south, east, north = item["bbox"]
    ring = np.array(item["geometry"]["coordinates"][0])
    assert ring[0].tolist() == ring[-1].tolist()
    assert (ring.min(axis=0) >= (west - 1e-6, south - 1e-6)).all()
    assert (ring.max(axis=0) <= (east + 1e-6, north + 1e-6)).all()


def test_a_static_catalog_reads_what_is_written_and_twice_the_same_bytes(item: Json, tmp_path: Path) -> None:
    other = {**item, "id": "another", "collection": "cop-dem-glo-30"}
    for name, items in (("a", [item, other]), ("b", [other, item])):
        write_catalog(tmp_path / name, items)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.json")}
        for name in ("a", "b")
    )
    assert first == second
    catalog = StaticCatalog.load(tmp_path / "a" / "catalog.json")
    assert sorted(catalog.collections) == ["cop-dem-glo-30", "sentinel-2-l2a"]
    west, south, east, north = item["bbox"]
    query = ItemQuery((west, south, east, north), TIME, TIME)
    [found] = catalog.search("sentinel-2-l2a", query)
    assert found["id"] == PRODUCT.item_id
