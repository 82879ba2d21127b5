"""Where items are, and what their pixels are."""

import polars as pl
import shapely

from factory_pipeline.datasets.versions.item_ground import GROUND, GROUND_SOURCE, ground_of

ACROSS = shapely.union_all([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])


def ground(hashes: list[str | None], outline: shapely.Geometry | None = None) -> dict[str, object]:
    """One item with files of these hashes, by the columns of GROUND."""
    items = pl.DataFrame(
        {
            "media": [[{"sha256": value} for value in hashes]],
            "proj:code": [None],
            "proj:transform": [None],
            "geometry": [None if outline is None else outline.wkb],
            "width": [10],
            "height": [20],
        },
        schema_overrides={
            "media": pl.List(pl.Struct({"sha256": pl.String})),
            "proj:code": pl.String,
            "proj:transform": pl.List(pl.Float64),
            "geometry": pl.Binary,
        },
    ).select("proj:code", "proj:transform", *GROUND_SOURCE)
    found = ground_of(items)
    assert {series.name for series in found} == set(GROUND)
    return {series.name: series.to_list()[0] for series in found}


def test_pixels_are_the_same_in_whatever_order_the_files_are():
    assert ground(["b", "a"])["sha256"] == ground(["a", "b"])["sha256"] == "a b"


def test_a_file_without_a_hash_leaves_the_item_without_one():
    assert ground(["a", None])["sha256"] is None
    assert ground([])["sha256"] is None


def test_across_180_degrees_west_is_above_east():
    assert ground(["a"], ACROSS)["bounds"] == [179.0, 0.0, -179.0, 1.0]
    assert ground(["a"], shapely.box(1, 2, 3, 4))["bounds"] == [1.0, 2.0, 3.0, 4.0]
    assert ground(["a"])["bounds"] is None
