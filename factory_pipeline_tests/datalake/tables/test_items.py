"""Items of a collection, written as stac-geoparquet and read back as items of the lake."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pystac
import pytest
import shapely

from factory_pipeline.datalake.tables.items import items_hash, items_writer, scan_items, write_items_table
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.errors import LakeError

NOON = datetime(2021, 6, 1, 12, tzinfo=UTC)
WKT = 'LOCAL_CS["a field",UNIT["metre",1]]'


def medium(modality: str, path: str) -> dict[str, Any]:
    return {"modality": modality, "path": path, "bands": ["a", "b"], "dtype": "uint8", "nodata": 0.0}


def item(name: str, **columns: Any) -> dict[str, Any]:
    west = columns.pop("west", 10.0)
    blank: dict[str, Any] = dict.fromkeys(ITEM_SCHEMA)
    return {
        **blank,
        "id": name,
        "datetime": NOON,
        "geometry": shapely.to_wkb(shapely.box(west, 50.0, west + 1, 51.0)),
        "bbox": {"xmin": west, "ymin": 50.0, "xmax": west + 1, "ymax": 51.0},
        "split": "train",
        "width": 3,
        "height": 2,
        "proj:code": "EPSG:4326",
        "proj:transform": [1 / 3, 0.0, west, 0.0, -0.5, 51.0],
        "media": [medium("S2", f"datasets/a/{name}.tif"), medium("DEM", "/far/away.h5")],
        "metadata.tags": ["water", name],
        "metadata.height": 7.5,
        **columns,
    }


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    schema = {**ITEM_SCHEMA, "metadata.tags": pl.List(pl.String), "metadata.height": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


@pytest.fixture
def items() -> pl.DataFrame:
    return frame(
        item("one"),
        item("two", west=20.0, datetime=None, media=[medium("S2", "datasets/a/two.png")]),
        item("three", **dict.fromkeys(("geometry", "bbox", "proj:code", "proj:transform"))),
        item("four", **{"proj:code": WKT}),
    )


def test_items_come_back_as_they_were(tmp_path: Path, items: pl.DataFrame) -> None:
    write_items_table(tmp_path / "items.parquet", items, collection="rivers")
    assert scan_items(tmp_path / "items.parquet").collect().equals(items)


def test_rows_are_valid_stac_items(tmp_path: Path, items: pl.DataFrame) -> None:
    write_items_table(tmp_path / "items.parquet", items, collection="rivers")
    top = {"type", "stac_version", "stac_extensions", "id", "links", "collection"}
    rows = pq.read_table(tmp_path / "items.parquet").to_pylist()
    found = []
    for row in rows:
        properties = {name: value for name, value in row.items() if name not in {*top, "geometry", "bbox"}}
        properties |= {
            name: row[name] and row[name].isoformat()
            for name in ("datetime", "start_datetime", "end_datetime")
        }
        geometry = row["geometry"] and json.loads(shapely.to_geojson(shapely.from_wkb(row["geometry"])))
        found.append(
            pystac.Item.from_dict(
                {name: row[name] for name in top}
                | {"assets": {name: asset for name, asset in properties.pop("assets").items() if asset}}
                | {"geometry": geometry, "bbox": row["bbox"] and list(row["bbox"].values())}
                | {"properties": properties}
            )
        )
    assert [one.datetime for one in found] == [NOON, None, NOON, NOON]
    assert [set(one.assets) for one in found] == [{"S2", "DEM"}, {"S2"}, {"S2", "DEM"}, {"S2", "DEM"}]
    assert found[0].assets["S2"].href == "../../datasets/a/one.tif"
    assert found[0].assets["DEM"].href == "/far/away.h5"
    assert found[1].assets["S2"].media_type == "image/png"
    assert [one.properties["proj:code"] for one in found] == ["EPSG:4326", "EPSG:4326", None, None]
    assert found[3].properties["proj:wkt2"] == WKT


def test_the_metadata_is_that_of_geoparquet(tmp_path: Path, items: pl.DataFrame) -> None:
    path = tmp_path / "items.parquet"
    write_items_table(path, items, collection="rivers")
    metadata = pq.read_metadata(path).metadata
    column = json.loads(metadata[b"geo"])["columns"]["geometry"]
    assert column["geometry_types"] == ["Polygon"]
    assert column["bbox"] == [10.0, 50.0, 21.0, 51.0]
    collection = json.loads(metadata[b"stac-geoparquet"])["collections"]["rivers"]
    assert pystac.Collection.from_dict(collection).extent.temporal.intervals == [[NOON, NOON]]


def test_images_without_a_place_have_no_bounds(tmp_path: Path) -> None:
    rows = frame(item("one", **dict.fromkeys(("geometry", "bbox", "proj:code", "proj:transform"))))
    write_items_table(tmp_path / "items.parquet", rows, collection="photos")
    metadata = pq.read_metadata(tmp_path / "items.parquet").metadata
    column = json.loads(metadata[b"geo"])["columns"]["geometry"]
    # An empty list is allowed, but rustac panics on it.
    assert (column["geometry_types"], column.get("bbox")) == (["Polygon"], None)
    collection = json.loads(metadata[b"stac-geoparquet"])["collections"]["photos"]
    assert collection["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]


def test_the_bytes_are_the_same_each_time(tmp_path: Path, items: pl.DataFrame) -> None:
    for name in ("one", "other"):
        write_items_table(tmp_path / name, items, collection="rivers")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_batches_give_the_same_rows_as_the_whole(tmp_path: Path, items: pl.DataFrame) -> None:
    path = tmp_path / "items.parquet"
    with items_writer(path, collection="rivers", modalities=["S2", "DEM"], dated=False) as batches:
        for start in range(items.height):
            batches.append(items[start : start + 1])
    assert scan_items(path).collect().equals(items)


def test_what_fails_midway_leaves_no_file(tmp_path: Path, items: pl.DataFrame) -> None:
    def write() -> None:
        with items_writer(
            tmp_path / "items.parquet", collection="a", modalities=["S2"], dated=False
        ) as batches:
            batches.append(items)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        write()
    assert not list(tmp_path.iterdir())


def test_the_hash_tells_every_value_but_not_what_is_derived(items: pl.DataFrame) -> None:
    moved = items.with_columns(geometry=pl.lit(None, pl.Binary))
    assert items_hash(moved) == items_hash(items)
    for changed in (
        items.with_columns(split=pl.lit("test")),
        items.with_columns(pl.lit(7.6).alias("metadata.height")),
        items.reverse(),
    ):
        assert items_hash(changed) != items_hash(items)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"items\.parquet are missing"):
        scan_items(tmp_path / "items.parquet")
