"""GeoJSON laid onto the items of a collection."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.warp import transform_geom

from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.ingest.annotate import annotate as annotate_with_report
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.factories import (
    NORTH,
    UTM,
    WEST,
    collection_of,
    picture,
    placed,
    rows_of,
    tables_in,
    written,
)

Annotate = Callable[..., list[dict[str, Any]]]


def feature(geometry: Any, label: Any = "Field", **properties: Any) -> dict[str, Any]:
    given = geometry if isinstance(geometry, dict) or geometry is None else shapely.geometry.mapping(geometry)
    said = properties if label is None else {"label": label, **properties}
    return {"type": "Feature", "geometry": given, "properties": said}


def document(*features: dict[str, Any], epsg: int | None = None) -> dict[str, Any]:
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{epsg}"}}
    return {"type": "FeatureCollection", "features": list(features)} | ({"crs": crs} if epsg else {})


def square(left: float, top: float, side: float) -> Any:
    """A square in the UTM zone, from pixels of the first image."""
    x, y = WEST + 10 * left, NORTH - 10 * top
    return shapely.box(x, y - 10 * side, x + 10 * side, y)


def in_degrees(geometry: Any, epsg: int = UTM) -> Any:
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    return shapely.transform(geometry, lambda at: np.stack(to_degrees.transform(*at.T), axis=1))


@pytest.fixture
def annotate(registry: Registry, tmp_path: Path) -> Annotate:
    """Annotate images from GeoJSON; gives the rows."""
    home = FactoryHome(tmp_path / "home")

    def run(images: list[dict[str, Any]], given: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        collection = collection_of(registry, home, *images)
        path = written(tmp_path / "fields.geojson", given)
        return rows_of(add_annotations(registry, home, collection.id, "human", path, **options), home)

    return run


def test_a_polygon_on_the_earth_is_laid_on_every_image_that_it_meets(annotate: Annotate) -> None:
    across = document(feature(in_degrees(square(90, 20, 30)), "Wheat", confidence=0.5, owner="Ann"))
    first, second = annotate([placed("a"), placed("b", 1), placed("c", 2)], across)
    assert (first["item"], second["item"]) == ("a", "b")
    assert first["bbox"] == pytest.approx([90, 20, 10, 30], abs=1e-3)
    assert second["bbox"] == pytest.approx([0, 20, 20, 30], abs=1e-3)
    for row in (first, second):
        assert (row["type"], row["label"], row["confidence"]) == ("polygon", "Wheat", 0.5)
        assert (json.loads(row["attributes"]), json.loads(row["metadata"])) == ({"owner": "Ann"}, {})
        assert row["raster"] is None


def test_holes_parts_and_lines_keep_their_shape(annotate: Annotate) -> None:
    ring = square(10, 10, 20) - square(15, 15, 5)
    parts = shapely.MultiPolygon([square(50, 50, 5), square(60, 60, 5)])
    line = shapely.LineString([(WEST - 50, NORTH - 100), (WEST + 50, NORTH - 100)])
    rows = annotate(
        [placed("a")],
        document(feature(ring, "Ring"), feature(parts, "Parts"), feature(line, "Road"), epsg=UTM),
    )
    assert [row["type"] for row in rows] == ["polygon", "polygon", "polygon", "line"]
    assert [len(row["rings"]) for row in rows] == [2, 1, 1, 1]
    assert shapely.Polygon(rows[0]["rings"][0], rows[0]["rings"][1:]).area == pytest.approx(400 - 25)
    assert [row["bbox"] for row in rows[1:3]] == [[50, 50, 5, 5], [60, 60, 5, 5]]
    assert rows[3]["rings"] == [[[0, 10], [5, 10]]]


def test_a_laid_polygon_covers_the_pixels_that_gdal_finds_with_many_points_on_its_edges(
    annotate: Annotate,
) -> None:
    transform = Affine(500, 0, 300_000, 0, -500, 7_000_000)
    rng = np.random.default_rng(0)
    missed = []
    for _ in range(3):
        around = shapely.Point(14 + rng.random(), 62.5).buffer(0.2)
        hull = shapely.MultiPoint(rng.uniform((11.5, 61.8), (16.5, 63.0), (6, 2))).convex_hull | around
        (row,) = annotate([placed("a", transform=transform, size=200)], document(feature(hull)))
        drawn = shapely.Polygon(row["rings"][0], row["rings"][1:])
        found = rasterio.features.rasterize([drawn], (200, 200))
        by_gdal = [
            rasterio.features.rasterize(
                [transform_geom(4326, UTM, shapely.geometry.mapping(edges))], (200, 200), transform=transform
            )
            for edges in (hull.segmentize(0.005), hull)
        ]
        assert (found != by_gdal[0]).mean() < 5e-4
        missed.append((found != by_gdal[1]).mean())
    # Corners alone would not do.
    assert max(missed) > 2e-3


def test_a_square_along_the_pixels_comes_back_to_the_pixel(annotate: Annotate) -> None:
    (row,) = annotate([placed("a")], document(feature(in_degrees(square(10, 20, 5)))))
    assert np.array(row["rings"][0]) == pytest.approx(np.array(row["rings"][0]).round(), abs=2e-5)
    assert len(row["rings"][0]) == 4


def test_what_touches_an_image_from_outside_is_not_on_it(annotate: Annotate) -> None:
    rows = annotate([placed("a"), placed("b", 1)], document(feature(square(80, 0, 20)), epsg=UTM))
    assert [row["item"] for row in rows] == ["a"]


def test_images_on_both_sides_of_180_degrees_are_found(annotate: Annotate) -> None:
    # Zone 60 ends at 180 degrees; this image goes beyond it.
    to_utm = Transformer.from_crs(4326, 32760, always_xy=True)
    x, y = to_utm.transform(180, -17)
    image = placed("fiji", epsg=32760, transform=Affine(10, 0, x - 500, 0, -10, y + 500))
    west = shapely.box(179.999, -17.001, 180, -16.999)
    east = shapely.box(-180, -17.001, -179.999, -16.999)
    rows = annotate([image], document(feature(west, "West"), feature(east, "East")))
    assert [row["label"] for row in rows] == ["West", "East"]
    left, right = rows
    assert left["bbox"][0] + left["bbox"][2] == pytest.approx(right["bbox"][0], abs=1)
    assert right["bbox"][0] == pytest.approx(50, abs=1)


@pytest.mark.parametrize("name", ["one", "photo one", "one_s2.tif", "folder/photo one_s2.tif"])
def test_images_without_a_place_are_named_and_drawn_on_in_pixels(annotate: Annotate, name: str) -> None:
    (row,) = annotate(
        [picture("one"), picture("two")], document(feature(shapely.box(-5, 2, 7, 9), image=name))
    )
    assert (row["item"], row["bbox"]) == ("one", [0, 2, 7, 7])


def test_a_named_image_alone_gets_the_feature(annotate: Annotate) -> None:
    rows = annotate(
        [placed("a"), placed("same place")],
        document(feature(in_degrees(square(1, 1, 5)), item="same place")),
    )
    assert [row["item"] for row in rows] == ["same place"]


def test_the_label_may_be_another_property(annotate: Annotate) -> None:
    given = document(feature(square(1, 1, 5), None, crop=7), epsg=UTM)
    (row,) = annotate([placed("a")], given, label_property="crop")
    assert row["label"] == "7"


def test_a_polygon_that_crosses_itself_is_mended(annotate: Annotate) -> None:
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    rows = annotate([picture("one")], document(feature(bow, item="one")))
    assert sum(shapely.Polygon(row["rings"][0]).area for row in rows) == pytest.approx(50)


@pytest.mark.parametrize(
    ("given", "label"),
    [(1.0, "1"), (1, "1"), (-2.0, "-2"), (2.5, "2.5"), (1e15, "1000000000000000"), ("1.0", "1.0")],
)
def test_numbers_are_labels(annotate: Annotate, given: Any, label: str) -> None:
    (row,) = annotate([placed("a")], document(feature(square(1, 1, 5), given), epsg=UTM))
    assert row["label"] == label


def test_bad_features_are_counted_and_left_out(registry: Registry, tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    collection = collection_of(registry, home, placed("a"), placed("b", 1))
    features = [
        feature(square(1, 1, 5), 1.0),
        feature(None),
        feature(None),
        feature(square(1, 1, 5), None),
        feature(FAR),
        feature(square(1, 1, 5), item="b"),
        feature(square(1, 1, 5), item="x"),
        feature(shapely.Point(1, 1)),
    ]
    path = written(tmp_path / "fields.geojson", document(*features, epsg=UTM))
    operation, report = annotate_with_report(registry, home, collection.id, "human", path)
    assert [row["label"] for row in rows_of(operation, home)] == ["1"]
    assert (report.matched, report.unmatched, report.annotations) == (2, ("x",), 1)
    assert [(count, reason[:20]) for reason, count in report.left_out.counts.items()] == [
        (2, "has no geometry; all"),
        (1, "has no label in the "),
        (1, "has a geometry of th"),
        (1, "is not on the image "),
        (1, "names the image 'x',"),
        (1, "is not on any item"),
    ]


def test_coordinates_that_are_no_degrees_are_left_out_where_others_are(annotate: Annotate) -> None:
    given = document(feature(square(1, 1, 5)), feature(in_degrees(square(10, 20, 5)), "Wheat"))
    assert [row["label"] for row in annotate([placed("a")], given)] == ["Wheat"]


def test_parts_of_a_feature_on_an_image_are_one_object(annotate: Annotate) -> None:
    parts = shapely.MultiPolygon([square(50, 50, 5), square(60, 60, 5)])
    alone = feature(square(10, 10, 5))
    rows = annotate([placed("a")], document(alone, feature(parts), epsg=UTM))
    assert [json.loads(row["metadata"]) for row in rows] == [{}, {"group": 2}, {"group": 2}]


FAR = square(5000, 0, 5)
BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{", "fields.geojson is not JSON"),
    "no geojson": ([1], "is neither GeoJSON"),
    "no features": (document(), "has no features"),
    "no label": (
        document(feature(square(1, 1, 5), None, crop="Rye")),
        "feature 1 of fields.geojson has no label in the property 'label'; its other properties are 'crop'",
    ),
    "empty label": (document(feature(square(1, 1, 5), " ")), "has no label"),
    "far away": (
        document(feature(FAR), epsg=UTM),
        "None of 1 feature of fields.geojson is on an item",
    ),
    "unknown image": (
        document(feature(FAR, item="x")),
        "None of 1 image in fields.geojson, such as 'x'",
    ),
    "metres without a CRS": (
        document(feature(square(1, 1, 5))),
        r"such as \(500060, 4.99994e\+06\), are not longitude and latitude, .* metres of a projected CRS,"
        " such as the EPSG:32633 of the items: declare it in a 'crs' member",
    ),
    "exchanged": (
        document(feature(shapely.transform(in_degrees(square(1, 1, 5)), lambda at: at[:, ::-1]))),
        "with the two coordinates of each point exchanged they would, and longitude or easting comes first",
    ),
    "not a number": (document(feature(square(1, 1, 5), float("nan"))), "has no label"),
    "yes": (document(feature(square(1, 1, 5), True)), "has no label"),
    "in pixels on a placed image": (
        document(feature(shapely.box(1, 1, 5, 5), item="a")),
        "is not on the image that it names; coordinates on a georeferenced image are longitude",
    ),
    "a point": (
        document(feature(shapely.Point(1, 1))),
        "a geometry of the type 'Point'; allowed are Polygon",
    ),
    "no geometry": (document(feature(None)), "has no geometry"),
    "broken coordinates": (
        document(feature({"type": "Polygon", "coordinates": [[[0, 0], [1, "x"]]]})),
        "has coordinates that are not a Polygon",
    ),
    "confidence": (document(feature(square(1, 1, 5), confidence=87), epsg=UTM), "confidence 87; it must be"),
    "crs": (
        document(feature(square(1, 1, 5)), epsg=999999),
        "which is not supported; allowed are names such as",
    ),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_and_nothing_is_left(
    registry: Registry, tmp_path: Path, given: Any, message: str
) -> None:
    home = FactoryHome(tmp_path / "home")
    collection = collection_of(registry, home, placed("a"))
    path = tmp_path / "fields.geojson"
    path.write_text(given if isinstance(given, str) else json.dumps(given))
    before = tables_in(home)
    with pytest.raises(LakeError, match=message) as raised:
        add_annotations(registry, home, collection.id, "human", path)
    assert str(raised.value).count("\n") == 0
    assert registry.operations(collection.id) == []
    assert tables_in(home) == before
