"""Small onboarded datasets on disk: images, labels, manifest and items, as the intake leaves them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from factory_pipeline.onboarding.manifest.model import UploadManifest

ITEMS_SCHEMA = {
    "stem": pl.String,
    "original_name": pl.String,
    "images": pl.List(pl.Struct({"modality_tag": pl.String, "path": pl.String})),
    "label": pl.String,
    "width": pl.Int64,
    "height": pl.Int64,
    "bands": pl.Int64,
    "epsg": pl.Int64,
    "transform": pl.List(pl.Float64),
    "bounds": pl.List(pl.Float64),
    "sha256": pl.String,
}
EPSG = 32633
WEST, NORTH = 500_000.0, 5_000_000.0
"""Corner of the first image, in the middle of the zone's width, where its meridian is straight."""

CATEGORIES = [
    {"id": 0, "name": "Land", "color": "#c8b27d"},
    {"id": 1, "name": "Water", "color": "#2a7ab9", "opacity": 0.8},
    {"id": 2, "name": "Cloud", "color": "#ffffff", "weight": 0.5},
]
OPTICAL = {
    "modality_tag": "S2",
    "collection": "sentinel-2-l2a",
    "file_suffix": "_s2.tif",
    "bands": [
        {"band_name": "B02", "RGB_band": "B", "scaling_factor": 0.0001},
        {"band_name": "B03", "RGB_band": "G", "scaling_factor": 0.0001},
        {"band_name": "B04", "RGB_band": "R", "scaling_factor": 0.0001},
        {"band_name": "B8A", "scaling_factor": 0.0001},
    ],
}
RADAR = {
    "modality_tag": "S1",
    "collection": "sentinel-1-grd",
    "file_suffix": "_s1.tif",
    "bands": [{"band_name": "VV"}, {"band_name": "VH"}],
}


@dataclass(frozen=True)
class Curated:
    """An onboarded dataset before its products."""

    root: Path
    manifest: UploadManifest
    items: pl.DataFrame

    @property
    def band_names(self) -> dict[str, list[str]]:
        """The bands of each modality."""
        return {
            source.modality_tag: [band.band_name for band in source.bands]
            for source in self.manifest.data_sources
        }


def items_frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Items of which only what matters is given."""
    filled = []
    for number, row in enumerate(rows):
        name = str(row.get("original_name", f"image {number}"))
        blank = {
            "stem": f"s{number:06d}",
            "original_name": name,
            "images": [],
            "label": None,
            "width": 10,
            "height": 10,
            "bands": 1,
            "epsg": None,
            "transform": None,
            "bounds": None,
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
        }
        filled.append(blank | row)
    return pl.DataFrame(filled, schema=ITEMS_SCHEMA)


def square(x: float, y: float, side_m: float, epsg: int = EPSG) -> dict[str, object]:
    """Place of an image of 10 x 10 pixels, from its south-western corner in metres."""
    transform = [side_m / 10, 0.0, x, 0.0, -side_m / 10, y + side_m]
    return {"epsg": epsg, "transform": transform, "width": 10, "height": 10}


def onboarded(
    root: Path,
    count: int = 10,
    purpose: str = "Segmentation",
    modalities: tuple[str, ...] = ("S2",),
    size: int = 32,
    seed: int = 0,
    apart: float = 1.0,
) -> Curated:
    """Write images and labels in the layout of an onboarded dataset.

    Sentinel-2 is uint16 with 0 as no data, Sentinel-1 is float32 with NaN; masks use 255 as no data and
    regression labels -9999.

    Args:
        root: an empty folder.
        count: of images.
        purpose: of the dataset.
        modalities: S2, S1 or both.
        size: pixels a side, of 10 m.
        seed: of the pixels.
        apart: distance of neighbours' corners in image sides; below 1 they overlap.
    """
    sources = [source for source in (OPTICAL, RADAR) if source["modality_tag"] in modalities]
    segments = purpose == "Segmentation"
    manifest = UploadManifest.parse(
        {
            "purpose": purpose,
            "dataset_url": "floods.zip",
            "training_data_suffixes": [source["file_suffix"] for source in sources],
            "label_suffix": "_mask.tif",
            "dataset_name": "Spring floods",
            "description": "Images of rivers in spring, with <b>hand-drawn</b> water masks.",
            "data_sources": sources,
            "label_categories": CATEGORIES if segments else [],
        },
        where="example.yaml",
    )
    rng = np.random.default_rng(seed)
    per_row = max(int(np.ceil(np.sqrt(count))), 1)
    rows: list[dict[str, object]] = []
    for number in range(count):
        west = WEST + (number % per_row) * size * 10 * apart
        north = NORTH - (number // per_row) * size * 10 * apart
        images = []
        water = _blob(size, rng)
        for source in sources:
            tag, suffix = str(source["modality_tag"]), str(source["file_suffix"])
            path = root / "training_data" / tag / f"s{number:06d}{suffix}"
            optical = tag == "S2"
            pixels = _optical(water, rng) if optical else _radar(water, rng)
            write_raster(path, pixels, west, north, nodata=0 if optical else np.nan)
            images.append({"modality_tag": tag, "path": str(path.relative_to(root))})
        label = root / "labels" / f"s{number:06d}_mask.tif"
        mask = _mask(water, rng) if segments else _biomass(water, rng)
        write_raster(label, mask[None], west, north, nodata=255 if segments else -9999)
        to_lonlat = Transformer.from_crs(EPSG, 4326, always_xy=True)
        east, south = west + size * 10, north - size * 10
        lons, lats = to_lonlat.transform([west, east, east, west], [north, north, south, south])
        rows.append(
            {
                "stem": f"s{number:06d}",
                "original_name": f"river {number} (spring)",
                "images": images,
                "label": str(label.relative_to(root)),
                "width": size,
                "height": size,
                "bands": sum(len(source["bands"]) for source in sources),
                "epsg": EPSG,
                "transform": [10.0, 0.0, west, 0.0, -10.0, north],
                "bounds": [min(lons), min(lats), max(lons), max(lats)],
                "sha256": hashlib.sha256((root / images[0]["path"]).read_bytes()).hexdigest(),
            }
        )
    return Curated(root, manifest, pl.DataFrame(rows, schema=ITEMS_SCHEMA))


def write_raster(
    path: Path,
    pixels: NDArray[np.generic],
    west: float = WEST,
    north: float = NORTH,
    nodata: float | None = None,
    **options: object,
) -> Path:
    """Write (bands, rows, columns) as a GeoTIFF of 10 m pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=pixels.dtype,
        crs=EPSG,
        transform=Affine(10, 0, west, 0, -10, north),
        nodata=nodata,
        **options,
    ) as sink:
        sink.write(pixels)
    return path


def _blob(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A winding river."""
    column = np.arange(size)
    middle = size / 2 + size / 5 * np.sin(column / size * rng.uniform(3, 9) + rng.uniform(0, 6))
    return np.abs(np.arange(size)[:, None] - middle) < size / rng.uniform(6, 14)


def _optical(water: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint16]:
    land, wet = np.array([600, 900, 1100, 3200]), np.array([500, 700, 400, 250])
    mean = np.where(water, wet[:, None, None], land[:, None, None])
    rough = rng.normal(1, 0.12, (1, *water.shape)) * rng.normal(1, 0.03, mean.shape)
    pixels = np.clip(mean * rough, 1, 10_000).astype(np.uint16)
    pixels[:, :2, :3] = 0
    return pixels


def _radar(water: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    mean = np.where(water, -21.0, -9.0) + np.array([0.0, -6.0])[:, None, None]
    pixels = rng.normal(mean, 1.5).astype(np.float32)
    pixels[:, :1, :4] = np.nan
    return pixels


def _mask(water: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    mask = water.astype(np.uint8)
    if rng.random() < 0.6:
        top, left = rng.integers(0, water.shape[0] // 2, 2)
        mask[top : top + water.shape[0] // 4, left : left + water.shape[0] // 3] = 2
    mask[:2, :3] = 255
    return mask


def _biomass(water: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    values = np.where(water, 0.0, rng.gamma(2.0, 40.0, water.shape)).astype(np.float32)
    values[:2, :3] = -9999
    return values
