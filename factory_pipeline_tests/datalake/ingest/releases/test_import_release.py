"""Releases become collections: what is decided for all of a release."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Transformer

from factory_pipeline.datalake.ingest.delete import delete_collection
from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.registry.records import CollectionSource
from factory_pipeline.datalake.registry.schema import operations
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    NORTH,
    SIZE,
    STEP,
    WEST,
    box,
    feature,
    outline,
    pairs,
    polygon,
    tar_gz,
    tiff,
    zip_of,
)
from factory_pipeline_tests.datalake.ingest.releases.conftest import Imports

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

HOUSE = box(20.001, 49.99, 20.004, 49.995)
"""In the first image, in degrees: columns 1 to 4, rows 5 to 10."""
TRIANGLE = polygon([(20.002, 49.998), (20.006, 49.998), (20.002, 49.994)])
"""In the first image, in degrees: from column 2, row 2."""


def test_a_release_is_a_collection_of_items_with_labels(imports: Imports) -> None:
    labels = {
        "tile 1": feature({"building": [HOUSE], "car": []}, outline(0)),
        "tile 2": feature({"building": [], "car": []}, outline(1)),
    }
    items = imports(pairs(labels))
    assert items["id"].to_list() == ["tile 1", "tile 2"]
    (medium,) = items["media"][0].to_list()
    assert resolve(medium["path"], imports.home).read_bytes() == tiff(0)
    assert medium["bands"] == ["Band 0", "Band 1", "Band 2"]
    assert imports.collection.source is CollectionSource.RELEASE
    (row,) = imports.annotations()
    assert (row["item"], row["type"], row["label"]) == ("tile 1", "rectangle", "building")
    assert row["bbox"] == [1, 5, 3, 5]
    assert imports.report.classes == {"building": 1, "car": 0}


def test_the_same_release_again_is_the_same_collection(imports: Imports) -> None:
    files = pairs({"a": feature("house", outline())})
    imports(files)
    first, imports.count = imports.collection, 0
    imports(files)
    assert imports.collection == first
    assert len(imports.registry.collections()) == 1


def test_labels_that_a_killed_process_did_not_register_are_imported_again(imports: Imports) -> None:
    files = pairs({"a": feature("house", outline())})
    imports(files)
    with imports.registry._change() as connection:
        connection.execute(operations.delete())
    first, imports.count = imports.collection, 0
    imports(files)
    assert imports.collection == first
    assert len(imports.annotations()) == 1


def test_a_deleted_collection_leaves_nothing_of_the_release(imports: Imports) -> None:
    imports(pairs({"a": feature("house", outline())}))
    delete_collection(imports.registry, imports.home, imports.collection.id)
    assert [path for path in imports.home.root.rglob("*") if path.is_file()] == []


# Geometry


@pytest.mark.parametrize("geometry", [{}, None, "missing"])
def test_without_an_outline_coordinates_are_pixels(imports: Imports, geometry: Any) -> None:
    document = feature({"building": [polygon([(1, 2), (5, 2), (1, 6)])]})
    if geometry == "missing":
        del document["geometry"]
    else:
        document["geometry"] = geometry
    items = imports(pairs({"a": document}))
    assert items.select("geometry", "bbox", "proj:code", "proj:transform").row(0) == (None,) * 4
    (row,) = imports.annotations()
    assert row["rings"] == [[[1, 2], [5, 2], [1, 6]]]


def test_spatial_search_finds_images_with_an_outline_alone(imports: Imports) -> None:
    items = imports(pairs({"placed": feature("house", outline(1)), "nowhere": feature("house")}))

    def found(bbox: list[float]) -> list[str]:
        return matching_items(items.lazy(), None, "", {"bbox": bbox}).collect()["id"].to_list()

    west = WEST + SIZE * STEP
    assert found([west + STEP, NORTH - 2 * STEP, west + 2 * STEP, NORTH - STEP]) == ["placed"]
    assert found([WEST - STEP, NORTH - STEP, WEST + STEP, NORTH]) == []
    # Its pixels are no degrees.
    assert found([0, 0, SIZE, SIZE]) == []
    assert found([-180, -90, 180, 90]) == ["placed"]


def test_a_multipolygon_of_one_part_is_an_outline(imports: Imports) -> None:
    several = {"type": "MultiPolygon", "coordinates": [outline()["coordinates"]]}
    items = imports(pairs({"a": feature("house", several)}))
    assert shapely.from_wkb(items["geometry"][0]).bounds == pytest.approx(
        (WEST, NORTH - SIZE * STEP, WEST + SIZE * STEP, NORTH)
    )


def test_properties_may_have_a_capital(imports: Imports) -> None:
    document = {"geometry": outline(), "Properties": {"label": {"clouds": 1}}}
    imports(pairs({"a": document}))
    assert imports.report.classes == {"clouds": 1}


# Georeferencing


def test_four_corners_give_the_transform_of_a_plain_tiff_also_a_rotated_one(imports: Imports) -> None:
    turned = Affine.translation(WEST, NORTH) @ Affine.rotation(-20) @ Affine.scale(STEP, -STEP)
    ring = [turned @ corner for corner in ((0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE))]
    labels = {
        "straight": feature("house", outline()),
        # Whichever corner is the first, and whichever way round.
        "turned": feature("house", polygon(ring[2:] + ring[:2])),
        "turned back": feature("house", polygon(ring[::-1])),
    }
    items = imports(pairs(labels))
    transforms = dict(items.select("id", "proj:transform").iter_rows())
    np.testing.assert_allclose(transforms["straight"], [STEP, 0, WEST, 0, -STEP, NORTH], atol=1e-15)
    for name in ("turned", "turned back"):
        np.testing.assert_allclose(transforms[name], list(turned)[:6], atol=1e-12)
    assert imports.report.placed_by == {"the four corners of the outline": 3}


def test_any_other_ring_gives_its_bounds_north_up(imports: Imports) -> None:
    east, south = WEST + SIZE * STEP, NORTH - SIZE * STEP
    ring = [(WEST, NORTH), (east, NORTH), (east, south), (WEST + 0.004, south), (WEST, NORTH - 0.003)]
    items = imports(pairs({"a": feature("house", polygon(ring))}))
    np.testing.assert_allclose(items["proj:transform"][0], [STEP, 0, WEST, 0, -STEP, NORTH], atol=1e-12)
    assert items["proj:code"][0] == "EPSG:4326"
    assert imports.report.placed_by == {"the bounds of the outline": 1}


UTM = Affine(10, 0, 500_000, 0, -10, 5_500_000)


def utm_outline(transform: Affine = UTM) -> dict[str, Any]:
    to_degrees = Transformer.from_crs(32634, 4326, always_xy=True)
    corners = ((0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE))
    return polygon([to_degrees.transform(*(transform @ corner)) for corner in corners])


def test_a_geotiff_that_agrees_with_the_outline_keeps_its_own_georeferencing(imports: Imports) -> None:
    files = pairs({"a": feature("house", utm_outline())}, crs="EPSG:32634", transform=UTM)
    items = imports(files)
    assert items.select("proj:code", "proj:transform").row(0) == ("EPSG:32634", list(UTM)[:6])
    assert imports.report.placed_by == {"the GeoTIFF, which agrees with the outline": 1}
    assert imports.report.conflicts == []


def test_a_geotiff_within_a_pixel_agrees_and_one_beyond_disagrees(imports: Imports) -> None:
    near, far = UTM @ Affine.translation(0.9, 0), UTM @ Affine.translation(1.2, 0)
    for number, (moved, count) in enumerate(((near, 0), (far, 1))):
        files = pairs({"a": feature("house", utm_outline(moved))}, crs="EPSG:32634", transform=UTM)
        items = imports(files)
        assert len(imports.report.conflicts) == count
        assert items["proj:code"][0] == ("EPSG:32634", "EPSG:4326")[number]
    (conflict,) = imports.report.conflicts
    assert conflict == (
        "images/a.tif is georeferenced 1.2 pixels from the outline in its label file; the outline is taken"
    )


def test_a_georeferenced_tiff_without_an_outline_is_named(imports: Imports) -> None:
    items = imports(pairs({"a": feature("house")}, crs="EPSG:32634", transform=UTM))
    assert items["proj:code"][0] is None
    assert "no outline" in imports.report.conflicts[0]


# meta.json, bounds.geojson, the archive


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("False", False), ("maybe", None), (None, None)]
)
def test_public_is_a_boolean_or_the_text_of_one(imports: Imports, value: Any, expected: bool | None) -> None:
    meta = {"public": value, "name": "Häuser / Nord", "source": "DigitalGlobe", "version": 3}
    imports(pairs({"a": feature("house")}) | {"meta.json": meta})
    report = imports.report
    assert (report.public, report.source, report.version) == (expected, "DigitalGlobe", "3")
    assert report.name.startswith("hauser-nord-")


@pytest.mark.parametrize("name", ["bounds.geojson", "bounds.json"])
def test_splits_are_those_of_the_outlines(imports: Imports, name: str) -> None:
    features = [
        {"type": "Feature", "id": "a", "geometry": outline(), "properties": {"split": "val"}},
        {"type": "Feature", "geometry": None, "properties": {"id": "b", "split": "Train"}},
        {"type": "Feature", "id": "c", "geometry": None, "properties": {"split": "holdout"}},
        {"type": "Feature", "id": "d", "geometry": None, "properties": {}},
    ]
    files = pairs(dict.fromkeys("abcd", feature("house")))
    items = imports(files | {name: {"type": "FeatureCollection", "features": features}})
    assert items["split"].to_list() == ["validation", "train", None, None]
    assert imports.report.splits == {"train": 1, "validation": 1}
    assert "'holdout'" in imports.report.notes[0]


def test_a_single_feature_of_bounds_gives_no_split(imports: Imports) -> None:
    bounds = {"type": "Feature", "geometry": outline(), "properties": {}}
    items = imports(pairs({"a": feature("house")}) | {"bounds.geojson": bounds})
    assert items["split"].to_list() == [None]


@pytest.mark.parametrize("root", ["", "ts/", "a/b/c/"])
def test_the_root_folder_may_be_missing_or_deep(imports: Imports, root: str) -> None:
    files = pairs({"a": feature("house")}) | {"meta.json": {"version": "9"}}
    imports(files, root)
    assert imports.report.version == "9"


def test_by_products_of_macos_are_passed_over_and_suffixes_are_of_any_case(imports: Imports) -> None:
    found = pairs({"a": feature("house"), "b": feature("house")})
    files = {
        "Images/a.TIFF": found["images/a.tif"],
        "Images/b.Tif": found["images/b.tif"],
        "labels/a.JSON": found["labels/a.json"],
        "labels/b.json": found["labels/b.json"],
        "images/._a.tif": b"x",
        "labels/.DS_Store": b"x",
        "__MACOSX/images/._b.tif": b"x",
        "README.txt": b"hello",
    }
    items = imports(files)
    assert items["id"].to_list() == ["a", "b"]
    assert imports.report.others == ["README.txt"]


@pytest.mark.parametrize("name", ["a.tgz", "a.tar", "a.zip"])
def test_other_archives_are_read_too(imports: Imports, tmp_path: Path, name: str) -> None:
    files = pairs({"a": feature("house")})
    pack = zip_of if name.endswith(".zip") else tar_gz
    assert imports.of(pack(tmp_path / name, files))["id"].to_list() == ["a"]


# The examples of the published description, and records as they are in Veda


def example(label: Any, geometry: Any) -> dict[str, bytes]:
    """Plain TIFFs and label files alone, as the description has them: no meta.json, no bounds.geojson."""
    document = {"geometry": geometry, "properties": {"label": label}}
    return pairs({f"tile_{number}": document for number in range(3)})


def test_the_example_of_classified_images(imports: Imports) -> None:
    items = imports(example({"clouds": 1, "building": 0, "car": 1}, outline()))
    assert items["proj:code"].to_list() == ["EPSG:4326"] * 3
    assert imports.report.ml_type == "classification"
    assert imports.report.classes == {"clouds": 3, "building": 0, "car": 3}


def test_the_example_of_segmentation(imports: Imports) -> None:
    imports(example({"building": [TRIANGLE, HOUSE], "car": [TRIANGLE]}, outline()))
    assert imports.report.ml_type == "segmentation"
    assert imports.report.classes == {"building": 6, "car": 3}
    first = imports.annotations()[0]
    assert first["rings"] == [[[2, 2], [6, 2], [2, 6]]]


def test_the_example_of_images_without_georeferencing(imports: Imports) -> None:
    items = imports(example({"clouds": 1, "building": 0, "car": 1}, {}))
    assert items["geometry"].null_count() == 3
    assert imports.report.placed_by == {"none: pixel coordinates": 3}


def test_records_as_they_are_in_veda(imports: Imports) -> None:
    """Integer pixels under a geographic outline, parts and empty collections, a text for a boolean."""
    parts = {
        "type": "MultiPolygon",
        "coordinates": [box(0, 0, 4, 16)["coordinates"], box(9, 2, 16, 5)["coordinates"]],
    }
    nothing = {"type": "GeometryCollection", "geometries": []}
    files = pairs(
        {
            "8f3b": feature({"road": [parts], "roof": [nothing]}, outline(0), dataset_id="x", item_id="8f3b"),
            "91aa": feature({"road": [nothing], "roof": [polygon([(1, 1), (5, 1), (1, 7)])]}, outline(1)),
        }
    )
    files["meta.json"] = {
        "bbox": [20.0, 49.984, 20.032, 50.0],
        "classes": ["road", "roof"],
        "mlType": "Segmentation",
        "name": "Roads of a town",
        "nclasses": 2,
        "public": "True",
        "source": "WV03",
        "version": "1.0.1",
        "s3_location": "s3://bucket/roads",
    }
    items = imports(files)
    assert (imports.report.coordinates, imports.report.public) == ("pixel", True)
    assert imports.report.name == "roads-of-a-town"
    assert items["bbox"].null_count() == 0
    found = {(row["item"], row["label"]): row for row in imports.annotations()}
    assert set(found) == {("8f3b", "road"), ("91aa", "roof")}
    assert found["91aa", "roof"]["rings"] == [[[1, 1], [5, 1], [1, 7]]]
    assert imports.report.classes == {"road": 2, "roof": 1}
