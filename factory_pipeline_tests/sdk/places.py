"""A version with every kind of annotation, made through lake and SDK, and what its samples are made of."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer

from factory_pipeline import DatasetClient
from factory_pipeline.datalake.ingest.annotate import add_annotations
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.uploads import geotiff

HEIGHT, WIDTH, COUNT = 24, 32, 10
SPLIT = {"train": 60, "test": 20, "validation": 20}
ORIGINALS = {"train": 6, "test": 2, "validation": 2}
LABELS = ["Field", "Lake", "House"]
VALUES = {"Field": 1, "Lake": 3, "House": 2}
"""The lakes keep the value of their masks; the others have the lowest that are free, in their order."""
BOX = (4.0, 3.0, 9.0, 6.0)
FIELD = [(14, 4), (30, 4), (30, 18), (14, 18)]
HOLE = [(18, 8), (18, 12), (26, 12), (26, 8)]
AUGMENTATIONS = {
    "IMAGE_LEVEL": [
        {"id": "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]},
        {"id": "IMAGE_ROTATION", "properties": [{"id": "PERCENTAGE_SCALE", "values": [10, 30]}]},
    ]
}


def has_house(number: int) -> bool:
    return number % 5 in (1, 4)


def has_field(number: int) -> bool:
    return number % 5 in (2, 4)


def has_lake(number: int) -> bool:
    return number % 5 in (3, 4)


def transform_of(number: int) -> Affine:
    """Of an image: 10 m pixels, each image 1 km east of the one before."""
    return Affine(10, 0, 500_000 + 1000 * number, 0, -10, 5_000_000)


def pixels_of(number: int) -> NDArray[np.uint16]:
    """Three bands; the upper left corner tells which image it is."""
    values = np.random.default_rng(number).integers(100, 3000, (3, HEIGHT, WIDTH)).astype(np.uint16)
    values[:, 0, 0] = 5000 + number
    return values


def lake_pixels(number: int) -> NDArray[np.bool_]:
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[10:22, 1 : 8 + number % 4] = True
    return inside


def classes_of(number: int) -> NDArray[np.uint8]:
    """The class of each pixel of an image, as Semantic Segmentation has it: lakes lie over what was drawn."""
    classes = np.zeros((HEIGHT, WIDTH), np.uint8)
    if has_house(number):
        x, y, w, h = map(int, BOX)
        classes[y : y + h, x : x + w] = VALUES["House"]
    if has_field(number):
        field = np.zeros_like(classes)
        field[4:18, 14:30] = 1
        field[8:12, 18:26] = 0
        classes[field == 1] = VALUES["Field"]
    if has_lake(number):
        classes[lake_pixels(number)] = VALUES["Lake"]
    return classes


@dataclass(frozen=True)
class Made:
    """A version and which image each of its names stands for."""

    client: DatasetClient
    version_id: str
    numbers: Mapping[str, int]
    """The number of each original by its name."""

    def number_of(self, name: str) -> int:
        return self.numbers[name.removesuffix("-flip_horizontal").removesuffix("-rotation")]

    def classes(self, name: str) -> NDArray[np.uint8] | None:
        """The classes of a sample; None of a rotated one, whose pixels are interpolated."""
        if name.endswith("-rotation"):
            return None
        classes = classes_of(self.number_of(name))
        return classes[:, ::-1] if name.endswith("-flip_horizontal") else classes

    def transform(self, name: str) -> Affine | None:
        """The transform of a sample; None of a rotated one."""
        if name.endswith("-rotation"):
            return None
        original = transform_of(self.number_of(name))
        if name.endswith("-flip_horizontal"):
            return original @ Affine.translation(WIDTH, 0) @ Affine.scale(-1, 1)
        return original

    def see_placed(self, transform: Affine, crs: Any, name: str) -> None:
        """A sample lies where it was taken, a copy too: its centre is that of its original."""
        assert rasterio.CRS.from_user_input(crs) == rasterio.CRS.from_epsg(32632)
        if (expected := self.transform(name)) is not None:
            assert transform.almost_equals(expected)
        middle = (WIDTH / 2, HEIGHT / 2)
        np.testing.assert_allclose(transform @ middle, transform_of(self.number_of(name)) @ middle, atol=1e-6)

    def see_image(self, path: Path, name: str) -> None:
        """A raster on the grid of a sample, of which an original has its pixels."""
        with rasterio.open(path) as read:
            self.see_placed(read.transform, read.crs, name)
            if name in self.numbers:
                np.testing.assert_array_equal(read.read(), pixels_of(self.numbers[name]))

    def see_classes(self, classes: NDArray[Any], name: str) -> None:
        if (expected := self.classes(name)) is not None:
            np.testing.assert_array_equal(classes, expected)

    def see_names(self, names: Mapping[str, list[str]]) -> None:
        """Each original is in one split; copies are beside their originals, in train alone."""
        by_split = {split: sorted(set(given) & self.numbers.keys()) for split, given in names.items()}
        assert {split: len(given) for split, given in by_split.items()} == ORIGINALS
        assert sorted(chain.from_iterable(by_split.values())) == sorted(self.numbers)
        copies = [f"{each}-{how}" for each in by_split["train"] for how in ("flip_horizontal", "rotation")]
        assert sorted(set(names["train"]) - self.numbers.keys()) == sorted(copies)
        assert sum(map(len, names.values())) == COUNT + len(copies)


def upload() -> dict[str, bytes]:
    files = {}
    for number in range(COUNT):
        left = 500_000 + 1000 * number
        values = np.resize(np.array([0, 1], np.uint8), (1, HEIGHT, WIDTH))
        files[f"place {number}_merged.tif"] = geotiff(
            pixels_of(number), ("red", "green", "blue"), left=left, nodata=0
        )
        files[f"place {number}_mask.tif"] = geotiff(values, left=left)
    return files


def annotate(registry: Registry, home: FactoryHome, collection: Collection, folder: Path) -> list[str]:
    """Boxes in COCO, polygons with a hole as GeoJSON in degrees, PNG masks; gives the operations."""
    houses = {
        "images": [
            {"id": number, "file_name": f"place {number}.tif", "width": WIDTH, "height": HEIGHT}
            for number in range(COUNT)
        ],
        "categories": [{"id": 4, "name": "House"}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 4, "bbox": list(BOX), "area": 54, "iscrowd": 0}
            for number in filter(has_house, range(COUNT))
        ],
    }
    (folder / "houses.json").write_text(json.dumps(houses))
    fields = [
        {
            "type": "Feature",
            "properties": {"label": "Field", "crop": "rye", "confidence": 0.5},
            "geometry": {
                "type": "Polygon",
                "coordinates": [in_degrees(number, FIELD), in_degrees(number, HOLE)],
            },
        }
        for number in filter(has_field, range(COUNT))
    ]
    (folder / "fields.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": fields}))
    (folder / "lakes").mkdir()
    for number in filter(has_lake, range(COUNT)):
        stored = io.BytesIO()
        Image.fromarray(lake_pixels(number) * np.uint8(VALUES["Lake"])).save(stored, "PNG")
        (folder / "lakes" / f"place {number}.png").write_bytes(stored.getvalue())
    added = [
        add_annotations(registry, home, collection.id, "human", folder / "houses.json"),
        add_annotations(registry, home, collection.id, "machine", folder / "fields.geojson"),
        add_annotations(
            registry, home, collection.id, "human", folder / "lakes", label_map={0: None, 3: "Lake"}
        ),
    ]
    return [operation.id for operation in added]


def in_degrees(number: int, ring: list[tuple[int, int]]) -> list[list[float]]:
    """A ring of pixels as GeoJSON has it, closed."""
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    return [list(to_degrees.transform(*(transform_of(number) @ point))) for point in [*ring, ring[0]]]


def numbers_of(items: pl.DataFrame) -> dict[str, int]:
    named = items.select("id", "metadata.original_name").iter_rows()
    return {item: int("".join(filter(str.isdigit, original))) for item, original in named}
