"""Sample releases: a tar.gz of images and GeoJSON labels for each type of label, as others publish them.

Each shows another way in which releases are packed: labels in degrees or in pixels, with an outline or
without one, with meta.json or without, splits in bounds.geojson.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.open_raster import open_in_memory
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.synthetic.uploads import EPSG, SIDE, tile_of
from factory_pipeline.synthetic.world import Cover, Sky, Surface, World

TILES = 12
FIRST_TILE = 300
"""Tiles before it are those of the sample uploads."""
DAY_OF_YEAR = 172
RED_GREEN_BLUE = ("B04", "B03", "B02")
BRIGHTEST = 3000.0
"""Reflectance times 10000 that becomes white."""
MEMBER_TIME = 1_577_836_800
"""Modification time of every file, 2020-01-01 in UTC: the same release has the same bytes."""
CLASSES = {
    "forest": (Cover.TREE,),
    "water": (Cover.WATER, Cover.WETLAND),
    "built-up": (Cover.BUILT,),
}
SPLITS = ("train", "train", "train", "test", "validation")
"""Of the tiles, cycled through."""

Json = dict[str, Any]

# Images without georeferencing are made on purpose.


@dataclass(frozen=True)
class _Tile:
    """A tile before it is packed."""

    surface: Surface
    ring: list[list[float]]
    """Its outline in degrees: a closed ring from the upper left corner, clockwise."""
    transform: Any
    to_degrees: Callable[[list[tuple[float, float]]], list[list[float]]]
    """Longitude and latitude of points in pixels."""


@dataclass(frozen=True)
class SampleRelease:
    """What one release is made of."""

    name: str
    ml_type: str
    label: Callable[[_Tile], Json]
    """The label of a tile."""
    has_outline: bool = True
    is_geotiff: bool = True
    has_documents: bool = True
    """Whether meta.json and bounds.geojson are there."""


def present_classes(tile: _Tile) -> Json:
    """1 for each class that covers a twentieth of the tile."""
    return {name: int(_is_class(tile, name).mean() >= 0.05) for name in CLASSES}


def class_polygons(tile: _Tile) -> Json:
    """Return the regions of each class as polygons in degrees."""
    label: Json = {}
    for name in CLASSES:
        label[name] = [
            {"type": "Polygon", "coordinates": [tile.to_degrees(ring) for ring in rings]}
            for rings in _regions(_is_class(tile, name))
        ]
    return label


def stand_boxes(tile: _Tile) -> Json:
    """Return the boxes of stands of trees, in whole pixels."""
    boxes = []
    for rings in _regions(_is_class(tile, "forest")):
        (left, top), (right, bottom) = np.min(rings[0], axis=0), np.max(rings[0], axis=0)
        ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        boxes.append({"type": "Polygon", "coordinates": [np.array(ring).astype(int).tolist()]})
    return {"stand": boxes}


def mean_biomass(tile: _Tile) -> Json:
    """Aboveground biomass density of the tile in Mg/ha, to two decimals."""
    return {"agbd": round(float(tile.surface.biomass.mean()), 2)}


RELEASES = (
    SampleRelease(
        "sample-cover-types",
        "classification",
        present_classes,
        has_outline=False,
        is_geotiff=False,
        has_documents=False,
    ),
    SampleRelease("sample-cover-polygons", "segmentation", class_polygons),
    SampleRelease("sample-stands", "object_detection", stand_boxes, is_geotiff=False),
    SampleRelease("sample-mean-biomass", "regression", mean_biomass),
)
VERSION = "1.0.0"


def make_releases(folder: Path, seed: int) -> list[Path]:
    """Make `<name>-1.0.0.tar.gz` of each release; the same seed gives the same bytes.

    Args:
        folder: where they go.
        seed: decides the landscape, as for the whole sample.
    """
    world = World(seed)
    paths = []
    for release in RELEASES:
        root = f"{release.name}-{VERSION}"
        path = folder / f"{root}.tar.gz"
        with atomic_write(path) as temporary:
            _pack(temporary, {f"{root}/{name}": content for name, content in _files(world, release).items()})
        paths.append(path)
    return paths


def _files(world: World, release: SampleRelease) -> Mapping[str, bytes]:
    files: dict[str, bytes] = {}
    features = []
    for number in range(TILES):
        name = f"tile_{number}"
        left, top, surface = tile_of(world, FIRST_TILE + number)
        tile = _tile(left, top, surface)
        outline: Json = {"type": "Polygon", "coordinates": [tile.ring]} if release.has_outline else {}
        document = {
            "type": "Feature",
            "geometry": outline,
            "properties": {"label": release.label(tile)},
        }
        files[f"images/{name}.tif"] = _image(world, tile, georeferenced=release.is_geotiff)
        files[f"labels/{name}.json"] = _json(document)
        split = SPLITS[number % len(SPLITS)]
        features.append(
            {"type": "Feature", "id": name, "geometry": outline or None, "properties": {"split": split}}
        )
    if release.has_documents:
        files["bounds.geojson"] = _json({"type": "FeatureCollection", "features": features})
        files["meta.json"] = _json(_meta(release, features))
    return files


def _tile(left: float, top: float, surface: Surface) -> _Tile:
    transform = from_origin(left, top, 10, 10)

    def to_degrees(points: list[tuple[float, float]]) -> list[list[float]]:
        x, y = np.array([transform @ point for point in points]).T
        longitudes, latitudes = crs_transformer(EPSG, 4326).transform(x, y)
        return np.stack([longitudes, latitudes], axis=1).round(9).tolist()

    corners = [(0.0, 0.0), (SIDE, 0.0), (SIDE, SIDE), (0.0, SIDE), (0.0, 0.0)]
    return _Tile(surface, to_degrees(corners), transform, to_degrees)


def _is_class(tile: _Tile, name: str) -> NDArray[np.bool_]:
    return np.isin(tile.surface.cover, CLASSES[name])


def _regions(is_it: NDArray[np.bool_]) -> list[list[list[tuple[float, float]]]]:
    """Return the rings of each region, along the edges of its pixels."""
    found = shapes(is_it.astype(np.uint8), mask=is_it, connectivity=4)
    return [region["coordinates"] for region, _ in found]


def _image(world: World, tile: _Tile, *, georeferenced: bool) -> bytes:
    scene = world.scene(tile.surface, Sky(key=900, cover=0.0), DAY_OF_YEAR)
    bands = np.stack([world.reflectance(scene, band) for band in RED_GREEN_BLUE])
    values = np.clip(bands / BRIGHTEST * 255, 0, 255).astype(np.uint8)
    place = {"crs": f"EPSG:{EPSG}", "transform": tile.transform} if georeferenced else {}
    with MemoryFile() as memory:
        with open_in_memory(
            memory,
            driver="GTiff",
            width=SIDE,
            height=SIDE,
            count=3,
            dtype="uint8",
            compress="deflate",
            **place,
        ) as image:
            image.write(values)
        return bytes(memory.getbuffer())


def _meta(release: SampleRelease, features: list[Json]) -> Json:
    rings = [feature["geometry"]["coordinates"][0] for feature in features]
    points = np.array(rings).reshape(-1, 2)
    classes = {
        "segmentation": list(CLASSES),
        "object_detection": ["stand"],
        "regression": ["agbd"],
    }[release.ml_type]
    return {
        "bbox": [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()],
        "classes": classes,
        "mlType": release.ml_type,
        "name": release.name,
        "nclasses": len(classes),
        "public": True,
        "source": "synthetic Sentinel-2",
        "version": VERSION,
        "s3_location": None,
        "source_url": None,
    }


def _json(document: Json) -> bytes:
    return (json.dumps(document, separators=(",", ":")) + "\n").encode()


def _pack(path: Path, files: Mapping[str, bytes]) -> None:
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, 0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), MEMBER_TIME, 0o644
            archive.addfile(info, io.BytesIO(content))
