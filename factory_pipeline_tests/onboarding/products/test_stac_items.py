"""`items.parquet` read back as Parquet, as GeoParquet and as STAC items."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import shapely
from rasterio.warp import transform_bounds

from factory_pipeline.onboarding.products.stac_items import write_items
from factory_pipeline.splits.assign import random_split
from factory_pipeline_tests.onboarding.curated import items_frame, onboarded

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


@pytest.fixture
def written(tmp_path: Path):
    """Items of two modalities, written to a file."""
    curated = onboarded(tmp_path, 6, modalities=("S2", "S1"))
    split = random_split(curated.items, SHARES, 0)
    path = tmp_path / "items.parquet"
    write_items(path, curated.items.lazy(), split, "spring-floods", "Rivers")
    return curated, split, path


def test_the_geometry_is_the_footprint_of_the_image(written) -> None:
    curated, _, path = written
    table = pq.read_table(path)
    for row in table.to_pylist():
        footprint = shapely.from_wkb(row["geometry"])
        assert footprint.exterior.is_ccw
        assert footprint.bounds == pytest.approx(tuple(row["bbox"].values()))
        with rasterio.open(curated.root / row["image_path_S2"]) as source:
            assert footprint.bounds == pytest.approx(
                transform_bounds(source.crs, 4326, *source.bounds, densify_pts=2), abs=1e-7
            )


def test_the_metadata_is_that_of_geoparquet(written) -> None:
    _, _, path = written
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], geo["primary_column"], column["encoding"]) == ("1.1.0", "geometry", "WKB")
    assert column["geometry_types"] == ["Polygon"]
    everything = shapely.union_all(shapely.from_wkb(table["geometry"].to_pylist()))
    assert column["bbox"] == pytest.approx(list(everything.bounds))
    for edge in ("xmin", "ymin", "xmax", "ymax"):
        assert column["covering"]["bbox"][edge] == ["bbox", edge]
        assert edge in [field.name for field in table.schema.field("bbox").type]
    stac = json.loads(table.schema.metadata[b"stac-geoparquet"])
    pystac.Collection.from_dict(stac["collections"]["spring-floods"])
    assert stac["version"] == "1.0.0"


def test_rows_are_stac_items(written) -> None:
    curated, split, path = written
    top = {"type", "stac_version", "stac_extensions", "id", "links", "assets", "collection"}
    splits = dict(split.iter_rows())
    for row in pq.read_table(path).to_pylist():
        properties = {name: value for name, value in row.items() if name not in {*top, "geometry", "bbox"}}
        properties |= {name: row[name].isoformat() for name in ("start_datetime", "end_datetime")}
        item = pystac.Item.from_dict(
            {name: row[name] for name in top}
            | {
                "geometry": json.loads(shapely.to_geojson(shapely.from_wkb(row["geometry"]))),
                "bbox": list(row["bbox"].values()),
                "properties": properties,
            }
        )
        assert set(item.assets) == {"S1", "S2", "label"}
        assert all((curated.root / asset.href).is_file() for asset in item.assets.values())
        assert item.datetime is None, "an upload names no time"
        assert item.properties["split"] == splits[item.id]
        assert item.properties["proj:code"] == "EPSG:32633"


def test_polars_reads_it_as_a_plain_table(written) -> None:
    curated, split, path = written
    table = pl.read_parquet(path)
    assert table["id"].to_list() == sorted(curated.items["stem"])
    assert table["split"].value_counts().sort("split").equals(split["split"].value_counts().sort("split"))
    assert table["sha256"].to_list() == curated.items.sort("stem")["sha256"].to_list()


def test_images_without_georeference_have_no_geometry(tmp_path: Path) -> None:
    items = items_frame([{}, {"bounds": [10.0, 50.0, 11.0, 51.0]}])
    split = pl.DataFrame({"stem": items["stem"], "split": ["train", "test"]})
    write_items(tmp_path / "items.parquet", items.lazy(), split, "x", "")
    first, second = pq.read_table(tmp_path / "items.parquet").to_pylist()
    assert (first["geometry"], first["bbox"]) == (None, None)
    assert shapely.from_wkb(second["geometry"]).equals(shapely.box(10, 50, 11, 51))


def test_a_footprint_across_180_degrees_has_west_beyond_east(tmp_path: Path) -> None:
    items = items_frame([{"bounds": [179.5, -17.0, -179.5, -16.0]}])
    split = pl.DataFrame({"stem": items["stem"], "split": ["train"]})
    write_items(tmp_path / "items.parquet", items.lazy(), split, "x", "")
    (row,) = pq.read_table(tmp_path / "items.parquet").to_pylist()
    assert list(row["bbox"].values()) == [179.5, -17.0, -179.5, -16.0]


def test_the_bytes_are_the_same_each_time(written) -> None:
    curated, split, path = written
    first = path.read_bytes()
    order = np.random.default_rng(0).permutation(curated.items.height).tolist()
    write_items(path, curated.items[order].lazy(), split, "spring-floods", "Rivers")
    assert path.read_bytes() == first
