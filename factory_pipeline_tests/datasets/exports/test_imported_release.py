"""Releases of each type of label, through the lake, in every format, read by public readers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.import_release import import_release
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.format_limits import check_fitness
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    SIZE,
    box,
    feature,
    outline,
    pairs,
    polygon,
    tar_gz,
    tiff,
)
from factory_pipeline_tests.datasets.exports.format_readers import (
    READERS,
    Masks,
    box_mask,
    pixels_in,
    rings_mask,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SPLIT_OF = dict(zip("abcde", ("train", "train", "train", "test", "validation"), strict=True))
UTM = Affine(10, 0, 500_000, 0, -10, 5_500_000)
TO_DEGREES = Transformer.from_crs(32634, 4326, always_xy=True)
RINGS = [[(1, 1), (9, 1), (9, 9), (1, 9)], [(3, 3), (3, 6), (6, 6), (6, 3)]]
"""Of the fields, in pixels: with a hole."""
LAKE = (10, 10, 14, 15)


def has_lake(name: str) -> bool:
    return name in "bd"


def fields_and_lakes(name: str) -> dict[str, list[Any]]:
    """In degrees, on the grid of a GeoTIFF in UTM."""
    transform = transform_of(name)
    rings = [[TO_DEGREES.transform(*(transform @ point)) for point in ring] for ring in RINGS]
    left, top, right, bottom = LAKE
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    lake = polygon([TO_DEGREES.transform(*(transform @ point)) for point in corners])
    # A class that a file lacks is as an empty list.
    lakes = {} if name == "c" else {"lake": [lake] if has_lake(name) else []}
    return {"field": [polygon(*rings)], **lakes}


def transform_of(name: str) -> Affine:
    return UTM @ Affine.translation(SIZE * "abcde".index(name), 0)


def segmentation() -> dict[str, Any]:
    files = {}
    for number, name in enumerate("abcde"):
        transform = transform_of(name)
        corners = ((0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE))
        ring = [TO_DEGREES.transform(*(transform @ corner)) for corner in corners]
        document = feature(fields_and_lakes(name), polygon(ring))
        files[f"images/{name}.tif"] = tiff(number, crs="EPSG:32634", transform=transform)
        files[f"labels/{name}.json"] = document
    return files


def object_detection() -> dict[str, Any]:
    left, top, right, bottom = LAKE
    labels = {"lake": [box(left, top, right, bottom)]}
    return pairs({name: feature(labels, outline(number)) for number, name in enumerate("abcde")})


def classification() -> dict[str, Any]:
    # A class that a file lacks is 0.
    labels = {name: {"clear": int(has_lake(name))} for name in "bcde"}
    return pairs({name: feature(labels.get(name, {})) for name in "abcde"})


def regression() -> dict[str, Any]:
    labels = {name: {"agbd": number + 0.3} for number, name in enumerate("abcde")}
    return pairs({name: feature(label, outline("abcde".index(name))) for name, label in labels.items()})


def expected_masks(kind: str, name: str) -> Masks:
    match kind:
        case "segmentation":
            found = {"field": rings_mask(RINGS), "lake": box_mask(*LAKE) & has_lake(name)}
        case "object_detection":
            found = {"lake": box_mask(*LAKE)}
        case "classification":
            found = {"clear": box_mask(0, 0, SIZE, SIZE) & has_lake(name)}
        case _:
            return {"agbd": np.full((SIZE, SIZE), np.float32("abcde".index(name) + 0.3))}
    return {label: mask for label, mask in found.items() if mask.any()}


@dataclass(frozen=True)
class Made:
    """An imported release as a version of a dataset."""

    registry: Registry
    home: FactoryHome
    kind: str
    version_id: str


MAKERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each for each in (segmentation, object_detection, classification, regression)
}


@pytest.fixture(scope="module", params=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A release whose items came with splits, imported, as a version that can be exported in all formats."""
    folder = tmp_path_factory.mktemp("imported")
    home = FactoryHome(folder / "home")
    files = MAKERS[request.param]()
    files["bounds.geojson"] = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "id": name, "geometry": None, "properties": {"split": split}}
            for name, split in SPLIT_OF.items()
        ],
    }
    with closing(Registry.open(folder / "registry.db")) as registry:
        archive = tar_gz(folder / "made.tar.gz", files)
        collection, report = import_release(registry, home, "made@1", archive, IntakePolicy())
        assert report.ml_type == request.param
        asked = DatasetRequest.of(
            dataset_name="made",
            collection_id=collection.id,
            split_info={"train": 60, "test": 20, "validation": 20},
            labels=list(report.classes),
            use_given_splits=True,
        )
        made = create_version(registry, home, asked, check=lambda path: check_fitness(path, list(FORMATS)))
        yield Made(registry, home, request.param, made.id)


DRAWN_ONLY = ("YOLO Darknet", "Semantic Segmentation", "COCO")
"""Formats that have no form for numbers: they hold the images."""


def test_every_format_has_a_reader_here() -> None:
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("export_type", FORMATS)
def test_an_imported_release_is_exported_in_every_format(
    made: Made, export_type: str, tmp_path: Path
) -> None:
    with open_content(made.registry, made.home, made.version_id) as content:
        export_version(content, export_type, tmp_path / "out")
    found = dict(READERS[export_type](tmp_path / "out"))
    assert {name: read.split for name, read in found.items()} == SPLIT_OF
    for name, read in found.items():
        np.testing.assert_array_equal(read.pixels, pixels_of(name))
        expected = expected_masks(made.kind, name)
        if made.kind == "regression" and export_type in DRAWN_ONLY:
            expected = {}
        elif export_type == "YOLO Darknet":
            expected = {label: around(mask) for label, mask in expected.items()}
        assert set(read.masks) == set(expected)
        for label, mask in expected.items():
            np.testing.assert_array_equal(read.masks[label], mask)


def pixels_of(name: str) -> NDArray[Any]:
    with rasterio.MemoryFile(tiff("abcde".index(name))) as memory, memory.open() as image:
        return image.read()


def around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rectangle around some pixels."""
    rows, columns = np.nonzero(mask)
    return box_mask(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


# Polygons become masks and back


CIRCLE = shapely.Point(8.2, 7.7).buffer(6.3).difference(shapely.Point(7.9, 8.4).buffer(2.6))


def test_polygons_become_masks_and_back_and_lose_no_more_than_the_edge_of_a_pixel(tmp_path: Path) -> None:
    """Whatever is more than a pixel's diagonal from the outline of the polygon stays what it was."""
    rings = [list(CIRCLE.exterior.coords)[:-1], *(list(ring.coords)[:-1] for ring in CIRCLE.interiors)]
    files = pairs({name: feature({"ring": [polygon(*rings)]}) for name in "ab"})
    with closing(Registry.open(tmp_path / "registry.db")) as registry:
        home = FactoryHome(tmp_path / "home")
        archive = tar_gz(tmp_path / "ring.tar.gz", files)
        collection, _ = import_release(registry, home, "ring@1", archive, IntakePolicy())
        everything = {"train": 100, "test": 0, "validation": 0}
        asked = DatasetRequest.of(
            dataset_name="ring", collection_id=collection.id, split_info=everything, labels=["ring"]
        )
        with open_content(registry, home, create_version(registry, home, asked).id) as content:
            export_version(content, "Semantic Segmentation", tmp_path / "masks")
    mask = pixels_in(tmp_path / "masks" / "train" / "index_masks" / "a.tif")[0]
    found = [shapely.geometry.shape(region) for region, value in rasterio.features.shapes(mask) if value]
    lost = shapely.union_all(found).symmetric_difference(CIRCLE)
    assert CIRCLE.boundary.buffer(np.sqrt(2)).contains(lost)
    assert shapely.union_all(found).area == pytest.approx(CIRCLE.area, rel=0.05)
