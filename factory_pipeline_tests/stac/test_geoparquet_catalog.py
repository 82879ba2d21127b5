"""A stac-geoparquet snapshot gives what a static catalog and an API of the same items give."""

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import shapely
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import S2_BANDS, Sentinel2
from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.stac.geoparquet_catalog import Snapshot
from factory_pipeline.stac.items import parse_product, parse_tile, trim_item
from factory_pipeline.stac.providers import PLANETARY_COMPUTER, Catalog, Provider, open_catalog
from factory_pipeline.stac.query import ItemQuery, parse_time
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.stac.tiles import find_tiles
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.stac.footprints import IN_JUNE, footprints
from factory_pipeline_tests.stac.small_snapshots import columns_of, write_snapshots, write_table
from factory_pipeline_tests.stac.small_stac import (
    Item,
    copdem_item,
    sentinel2_item,
    worldcover_item,
    write_catalog,
)
from factory_pipeline_tests.stac.test_tiles import window_at

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
"""1.5 to 3.1 degrees east, 50.4 to 51.4 degrees north."""
EAST_END = Grid(32660, 600_000, 6_800_040, 10, 10, 10_980, 10_980)
"""Crosses the antimeridian."""
HALVES = shapely.MultiPolygon([shapely.box(179, 60, 180, 61), shapely.box(-180, 60, -179, 61)])
EVERYWHERE = ItemQuery((-180, -90, 180, 90))


def small_items() -> list[Item]:
    without_scl = sentinel2_item("no SCL", "2020-06-05T10:00:00Z", 1, GRID)
    del without_scl["assets"]["SCL"]
    without_grid = sentinel2_item("no grid", "2020-06-05T10:00:00Z", 1, GRID)
    for asset in without_grid["assets"].values():
        del asset["proj:transform"]
    cut = sentinel2_item("cut", "2020-06-05T00:00:00.024Z", 1, EAST_END, outline=HALVES)
    cut["bbox"] = [179, 60, -179, 61]
    return [
        sentinel2_item("A", "2020-05-25T10:00:00Z", 3, GRID),
        sentinel2_item("B", "2020-06-03T10:00:00.5Z", 20, GRID, baseline="05.11"),
        sentinel2_item("cloudy", "2020-06-04T10:00:00Z", 90, GRID),
        without_scl,
        without_grid,
        cut,
        sentinel2_item("uncut", "2020-06-05T00:00:00Z", 1, EAST_END, outline=shapely.box(-179, 60, 179, 61)),
        *(copdem_item(*corner) for corner in ((-1, 5), (0, 5), (0, 6), (0, 179), (0, -180))),
        *(worldcover_item(0, west, year) for west in (3, 6) for year in (2020, 2021)),
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_catalog(tmp_path_factory.mktemp("small"), small_items())
    write_snapshots(root, small_items())
    return root


@pytest.fixture(scope="module")
def snapshots(root: Path) -> Catalog:
    return open_catalog(str(root / "stac" / "snapshots" / "2024"))


@pytest.fixture(scope="module")
def static(root: Path) -> Catalog:
    return open_catalog(str(root))


# The same as from the other sources


@pytest.mark.integration
@pytest.mark.parametrize("place", [("2020-06-10", 50.9, 2.5), ("2020-06-05", 60.5, 179.9)])
def test_same_products(
    root: Path, static: Catalog, snapshots: Catalog, place: tuple[str, float, float]
) -> None:
    frame = footprints(place)
    found = find_products(snapshots, frame, Sentinel2())
    assert found.products
    assert found == find_products(static, frame, Sentinel2())
    with SampleServer(root) as server:
        by_api = find_products(open_catalog(server.stac_url), frame, Sentinel2())
        local = [
            replace(
                product,
                hrefs={band: href.replace(server.url, str(root)) for band, href in product.hrefs.items()},
            )
            for product in by_api.products
        ]
    assert (list(found.products), found.unusable) == (local, by_api.unusable)


def test_missing_assets_and_fields_are_missing(snapshots: Catalog) -> None:
    found = find_products(snapshots, IN_JUNE, Sentinel2())
    assert [product.id for product in found.products] == ["A", "B", "cloudy"]
    assert found.unusable == {"no asset SCL": 1, "no projection fields for the 10 m grid": 1}


def test_same_tiles(static: Catalog, snapshots: Catalog) -> None:
    windows = [window_at(0.5, 6.0), window_at(1e-4, 6.0), window_at(0.5, 180.0), window_at(20.5, -40.5)]
    found = find_tiles(snapshots, "copdem", windows).windows
    assert [len(tiles) for tiles in found] == [2, 3, 2, 0]
    assert found == find_tiles(static, "copdem", windows).windows


def test_same_maps_though_their_datetime_is_null(static: Catalog, snapshots: Catalog) -> None:
    windows, years = [window_at(0.5, 6.0)] * 3, [2019, 2020, 2021]
    found = find_tiles(snapshots, "worldcover", windows, years).windows
    assert [[tile.year for tile in tiles] for tiles in found] == [[2020] * 2, [2020] * 2, [2021] * 2]
    assert found == find_tiles(static, "worldcover", windows, years).windows


edges = st.sampled_from([-180.0, -179.0, 0.0, 1.0, 2.5, 3.0, 6.0, 9.0, 50.9, 60.0, 61.0, 178.5, 179.0, 180.0])
days = st.integers(0, 800).map(lambda number: parse_time("2019-12-30T10:00:00Z") + timedelta(number / 2))


@given(
    layer=st.sampled_from(["sentinel2", "copdem", "worldcover"]),
    longitudes=st.tuples(edges, edges).map(sorted),
    latitudes=st.tuples(edges, edges).map(sorted),
    times=st.none() | st.tuples(days, days).map(sorted),
)
@example("sentinel2", [-180.0, 180.0], [-90.0, 90.0], None)
@example("sentinel2", [-180.0, -180.0], [-180.0, 60.0], None)
@example("sentinel2", [180.0, 180.0], [-180.0, 60.0], None)
@hypothesis_settings(max_examples=up_to(60), deadline=None)
def test_any_query_finds_the_same(
    static: Catalog,
    snapshots: Catalog,
    layer: str,
    longitudes: list[float],
    latitudes: list[float],
    times: list[datetime] | None,
) -> None:
    (west, east), (south, north) = longitudes, (max(latitudes[0], -90), min(latitudes[1], 90))
    start, end = times or (None, None)
    query = ItemQuery((west, min(south, north), east, north), start, end)
    ids = [sorted(item["id"] for item in catalog.search(layer, query)) for catalog in (snapshots, static)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(("unit", "zone"), [("ns", None), ("ms", "UTC"), ("us", "Europe/Paris")])
def test_timestamps_of_any_kind(tmp_path: Path, unit: str, zone: str | None) -> None:
    items = [sentinel2_item(f"T{hour}", f"2020-06-03T{hour}:00:00Z", 3, GRID) for hour in (10, 11, 12)]
    path = write_table(tmp_path / "s2.parquet", columns_of(items, unit, zone))
    eleven = parse_time("2020-06-03T11:00:00Z")
    (found,) = Snapshot.open(str(path)).search(
        "sentinel-2-l2a", ItemQuery((2, 50, 3, 51), eleven, eleven + timedelta(minutes=59))
    )
    assert (found["id"], found["properties"]["datetime"]) == ("T11", "2020-06-03T11:00:00Z")


def test_items_without_cloud_cover_are_found(tmp_path: Path) -> None:
    columns = columns_of([sentinel2_item("A", "2020-06-03T10:00:00Z", 3, GRID)])
    del columns["eo:cloud_cover"]
    snapshot = Snapshot.open(str(write_table(tmp_path / "s2.parquet", columns)))
    (item,) = snapshot.search("sentinel-2-l2a", EVERYWHERE)
    assert json.loads(json.dumps(item))["id"] == "A"


def test_bbox_that_was_rounded_to_float32(tmp_path: Path) -> None:
    item = copdem_item(0, 8)  # Its east end is rounded to the west.
    columns = columns_of([item])
    corner = pa.struct([(name, pa.float32()) for name in ("xmin", "ymin", "xmax", "ymax")])
    columns["bbox"] = columns["bbox"].cast(corner)
    snapshot = Snapshot.open(str(write_table(tmp_path / "dem.parquet", columns)))
    east = item["bbox"][2]
    assert len(snapshot.search("cop-dem-glo-30", ItemQuery((east, 0.2, east + 1, 0.8)))) == 1
    assert snapshot.search("cop-dem-glo-30", ItemQuery((east + 1e-9, 0.2, east + 1, 0.8))) == []


# Real items

PARSED_ITEMS = (
    ("sentinel-2-l2a", PLANETARY_COMPUTER.source("sentinel2")),
    ("cop-dem-glo-30", PLANETARY_COMPUTER.source("copdem")),
)


@pytest.mark.skipif(
    "FACTORY_REALDATA" not in os.environ, reason="FACTORY_REALDATA names no folder with real STAC items"
)
@pytest.mark.parametrize(("collection", "source"), PARSED_ITEMS)
def test_real_items(tmp_path: Path, collection: str, source: Any) -> None:
    folder = Path(os.environ["FACTORY_REALDATA"]) / "stac_items"
    items = {
        item["id"]: item
        for item in json.loads((folder / f"stac-geoparquet__{collection}-pc.json").read_text())
    }
    for path in sorted(folder.glob(f"pc__{collection}__*.json")):
        item = json.loads(path.read_text())
        items[item["id"]] = item
    path = write_table(tmp_path / "real.parquet", columns_of(items.values()))
    found = Snapshot.open(str(path)).search(collection, EVERYWHERE)
    assert {item["id"] for item in found} == items.keys()

    def parsed(item: Item) -> Any:
        trimmed = trim_item(item, source)
        return parse_tile(trimmed) if collection == "cop-dem-glo-30" else parse_product(trimmed, S2_BANDS)

    for item in found:
        assert parsed(item) == parsed(items[item["id"]])


# Where a snapshot may lie


def test_folder_of_parts(tmp_path: Path) -> None:
    items = small_items()
    for number, item in enumerate(item for item in items if item["collection"] == "cop-dem-glo-30"):
        write_table(tmp_path / "cop-dem-glo-30.parquet" / f"part-{number}.parquet", columns_of([item]))
    found = Snapshot.open(str(tmp_path / "cop-dem-glo-30.parquet")).search("cop-dem-glo-30", EVERYWHERE)
    assert len(found) == 5


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    for name, item in (("a", copdem_item(0, 6)), ("b", worldcover_item(0, 6, 2020))):
        write_table(tmp_path / "all.parquet" / f"{name}.parquet", columns_of([item]))
    with pytest.raises(CatalogError, match=r"all.parquet has parts whose columns differ"):
        Snapshot.open(str(tmp_path / "all.parquet"))


OWN = """
sentinel2: {{url: {url}/stac/snapshots/2024/sentinel-2-l2a.parquet, collection: sentinel-2-l2a,
            assets: {{B02: B02, SCL: SCL}}}}
copdem: {{url: {url}/stac/snapshots/2024/none.parquet, collection: cop-dem-glo-30, assets: {{data: data}}}}
worldcover: {{url: stac/snapshots/2024/esa-worldcover.parquet, collection: esa-worldcover,
             assets: {{map: map}}}}
"""


def provider_of(root: Path, url: str) -> Provider:
    (root / "own.yaml").write_text(OWN.format(url=url))
    return open_catalog(str(root / "own.yaml")).provider


@pytest.mark.integration
def test_snapshot_by_url_and_by_path_in_a_provider_file(root: Path) -> None:
    with SampleServer(root) as server:
        catalog = Catalog(provider_of(root, server.url))
        rules = Sentinel2(bands=("B02",))
        found = find_products(catalog, IN_JUNE, rules)
        assert [product.id for product in found.products] == ["A", "B", "cloudy"]
        assert found.products[0].hrefs["SCL"] == f"{server.url}/s2/A/SCL.tif"
        assert len(find_tiles(catalog, "worldcover", [window_at(0.5, 6.0)], [2020]).windows[0]) == 2
        with pytest.raises(CatalogError, match=r"The STAC snapshot http://127.*/none.parquet does not exist"):
            catalog.search("copdem", EVERYWHERE)


@pytest.mark.integration
def test_store_that_is_busy_is_asked_again(root: Path) -> None:
    with SampleServer(root, faults=[Faults(path="/stac/*", status=503, times=2)]) as server:
        snapshot = Snapshot.open(f"{server.url}/stac/snapshots/2024/cop-dem-glo-30.parquet")
        assert len(snapshot.search("cop-dem-glo-30", EVERYWHERE)) == 5


@pytest.mark.integration
def test_store_that_refuses(root: Path) -> None:
    with SampleServer(root, faults=[Faults(path="/stac/*", status=403)]) as server:
        address = f"{server.url}/stac/snapshots/2024/sentinel-2-l2a.parquet"
        with pytest.raises(CatalogError, match=f"{address} may not be read") as raised:
            Snapshot.open(f"{address}?sig=secret")
    assert "secret" not in str(raised.value)


def test_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("GET https://store.example/dem.parquet?sig=secret")

    monkeypatch.setattr(pl, "scan_parquet", refuse)
    with pytest.raises(
        CatalogUnavailableError, match=r"store.example/dem.parquet could not be reached"
    ) as raised:
        Snapshot.open("https://store.example/dem.parquet?sig=secret")
    assert "secret" not in str(raised.value)


def test_folder_that_lacks_a_snapshot(root: Path, tmp_path: Path) -> None:
    whole = root / "stac" / "snapshots" / "2024" / "sentinel-2-l2a.parquet"
    (tmp_path / whole.name).write_bytes(whole.read_bytes())
    with pytest.raises(CatalogError, match=r"lacks cop-dem-glo-30.parquet, esa-worldcover.parquet"):
        open_catalog(str(tmp_path))


def test_snapshots_of_planetary_computer_are_signed(snapshots: Catalog) -> None:
    assert snapshots.provider.source("sentinel2").signer == "planetary-computer"


# What is no snapshot


def test_table_of_several_collections(tmp_path: Path) -> None:
    items = [copdem_item(0, 6), {**copdem_item(0, 7), "collection": "other"}]
    snapshot = Snapshot.open(str(write_table(tmp_path / "all.parquet", columns_of(items))))
    assert [item["id"][22:33] for item in snapshot.search("other", EVERYWHERE)] == ["N00_00_E007"]


def test_other_collection(root: Path) -> None:
    snapshot = Snapshot.open(str(root / "stac" / "snapshots" / "2024" / "cop-dem-glo-30.parquet"))
    with pytest.raises(CatalogError, match="has no collection sentinel-2-l2a; it holds: cop-dem-glo-30"):
        snapshot.search("sentinel-2-l2a", EVERYWHERE)


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("id", None, "it lacks the column id"),
        ("assets", None, "it lacks the column assets"),
        ("datetime", None, "it lacks the column datetime"),
        ("bbox", [[6.0, 0.0, 7.0, 1.0]], "the column bbox is not a struct of xmin, ymin, xmax and ymax"),
        ("assets", ['{"data": {}}'], "the column assets is not a struct"),
        ("assets", [{"data": "data.tif"}], "the column assets is not a struct"),
        ("datetime", ["2021-04-22T00:00:00Z"], "the column datetime contains no timestamps"),
        ("geometry", ["POLYGON EMPTY"], "the column geometry contains no WKB"),
        ("geometry", [7], "the column geometry contains no WKB"),
    ],
)
def test_table_that_is_no_snapshot(tmp_path: Path, column: str, values: list[Any] | None, says: str) -> None:
    columns = columns_of([copdem_item(0, 6)])
    if values is None:
        del columns[column]
    else:
        columns[column] = pa.array(values)
    path = write_table(tmp_path / "dem.parquet", columns)
    with pytest.raises(CatalogError, match=f"dem.parquet is not a stac-geoparquet snapshot: {says}"):
        Snapshot.open(str(path)).search("cop-dem-glo-30", EVERYWHERE)


def test_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_table(tmp_path / "dem.parquet", columns_of([copdem_item(0, 6)]))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CatalogError, match="it is not a Parquet file, or damaged"):
        Snapshot.open(str(path))
