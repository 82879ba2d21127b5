"""Sample uploads: archives of images and labels with their manifests, as a curator would hand them in."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.open_raster import open_in_memory
from factory_pipeline.storage.atomic import atomic_write, write_text
from factory_pipeline.synthetic.world import Cover, Sky, Surface, World

EPSG = 32633
WEST, NORTH = 520_000.0, 5_400_000.0
"""Corner of the first tile in metres, near the granules of the sample, where all classes occur."""
SIDE = 64
"""Pixels of a tile's side, of 10 m."""
SPACING = 2_700.0
"""Metres from tile to tile; they don't overlap."""
DAY_OF_YEAR = 172
ZIP_TIME = (2020, 1, 1, 0, 0, 0)
"""Time of every member: the same upload has the same bytes."""

BANDS = (("B02", "B"), ("B03", "G"), ("B04", "R"), ("B8A", None), ("B11", None), ("B12", None))
CLASSES = {
    0: ("Open land", "#c8b27d", (Cover.GRASS, Cover.CROP, Cover.BARE, Cover.SHRUB)),
    1: ("Forest", "#3c8d5a", (Cover.TREE,)),
    2: ("Settlement", "#d64550", (Cover.BUILT,)),
    3: ("Water", "#2a7ab9", (Cover.WATER, Cover.WETLAND)),
}
NO_LABEL = 255
NO_BIOMASS = -9999.0

_Label = Callable[[Surface], NDArray[np.generic]]


@dataclass(frozen=True)
class SampleUpload:
    """What one upload is made of."""

    name: str
    purpose: str
    description: str
    label_suffix: str
    label_nodata: float
    tiles: int
    label: _Label


def land_cover_mask(surface: Surface) -> NDArray[np.uint8]:
    """Return the class of each pixel as uint8; a strip at the edge was left unlabelled."""
    mask = np.full(surface.cover.shape, NO_LABEL, dtype=np.uint8)
    for value, (_, _, covers) in CLASSES.items():
        mask[np.isin(surface.cover, covers)] = value
    mask[:2, :5] = NO_LABEL
    return mask


def biomass(surface: Surface) -> NDArray[np.float32]:
    """Aboveground biomass density in Mg/ha; water was not measured."""
    return np.where(surface.cover == Cover.WATER, np.float32(NO_BIOMASS), surface.biomass.astype(np.float32))


UPLOADS = (
    SampleUpload(
        "sample-land-cover",
        "Segmentation",
        "Tiles of Sentinel-2 with hand-drawn land cover.",
        "_mask.tif",
        NO_LABEL,
        30,
        land_cover_mask,
    ),
    SampleUpload(
        "sample-biomass",
        "Regression",
        "Tiles of Sentinel-2 with aboveground biomass from forest inventories.",
        "_agbd.tif",
        NO_BIOMASS,
        20,
        biomass,
    ),
)


def make_uploads(folder: Path, seed: int) -> list[Path]:
    """Write `<name>.zip` and `<name>.yaml` of each upload; return the manifests.

    The same seed gives the same bytes.

    Args:
        folder: where they go.
        seed: decides the landscape, as for the whole sample.
    """
    world = World(seed)
    manifests = []
    for number, upload in enumerate(UPLOADS):
        with atomic_write(folder / f"{upload.name}.zip") as temporary:
            _write_archive(temporary, world, upload, first_tile=100 * number)
        path = folder / f"{upload.name}.yaml"
        write_text(path, yaml.safe_dump(_manifest(upload), sort_keys=False))
        manifests.append(path)
    return manifests


def _write_archive(path: Path, world: World, upload: SampleUpload, first_tile: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for tile in range(upload.tiles):
            left, top, surface = tile_of(world, first_tile + tile)
            scene = world.scene(surface, Sky(key=900, cover=0.0), DAY_OF_YEAR)
            image = np.stack([world.reflectance(scene, band) for band, _ in BANDS]).astype(np.uint16)
            files = {
                f"images/tile_{tile}_s2.tif": _geotiff(image, left, top, 0, [name for name, _ in BANDS]),
                f"labels/tile_{tile}{upload.label_suffix}": _geotiff(
                    upload.label(surface)[None], left, top, upload.label_nodata, ["label"]
                ),
            }
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content, zipfile.ZIP_DEFLATED)


def tile_of(world: World, number: int) -> tuple[float, float, Surface]:
    """West and north edge of a tile, and its ground.

    Args:
        world: the ground.
        number: of the tile, from 0.
    """
    left, top = WEST + number % 10 * SPACING, NORTH - number // 10 * SPACING
    offsets = (np.arange(SIDE) + 0.5) * 10
    x, y = np.meshgrid(left + offsets, top - offsets)
    lon, lat = crs_transformer(EPSG, 4326).transform(x, y)
    return left, top, world.surface(lon, lat)


def _geotiff(values: NDArray[np.generic], left: float, top: float, nodata: float, names: list[str]) -> bytes:
    bands, height, width = values.shape
    with MemoryFile() as memory:
        with open_in_memory(
            memory,
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=values.dtype,
            crs=f"EPSG:{EPSG}",
            transform=from_origin(left, top, 10, 10),
            nodata=nodata,
            compress="deflate",
        ) as image:
            image.write(values)
            for band, name in enumerate(names, 1):
                image.set_band_description(band, name)
        return io.BytesIO(memory.getbuffer()).getvalue()


def _manifest(upload: SampleUpload) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type_of_upload": "Dataset & Labels",
        "purpose": upload.purpose,
        "dataset_url": f"{upload.name}.zip",
        "training_data_suffixes": ["_s2.tif"],
        "label_suffix": upload.label_suffix,
        "dataset_name": upload.name,
        "description": upload.description,
        "data_sources": [
            {
                "modality_tag": "S2",
                "connector": "sentinelhub",
                "collection": "sentinel-2-l2a",
                "file_suffix": "_s2.tif",
                "bands": [
                    {"index": index, "band_name": name, "RGB_band": channel, "scaling_factor": 0.0001}
                    for index, (name, channel) in enumerate(BANDS)
                ],
            }
        ],
    }
    if upload.purpose == "Segmentation":
        document["label_categories"] = [
            {"id": value, "name": name, "color": color, "opacity": 1.0}
            for value, (name, color, _) in CLASSES.items()
        ]
    return document
