"""The samples of a fused GEDI file as GeoTIFFs: an image per modality, and a label.

Scene classes are left out of the images: a class has no mean, and a model is told by bands that have one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from factory_pipeline.config.build_settings import Modality
from factory_pipeline.hdf5.fields import DATA, Field
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.hdf5.read import LABEL, FusedDataset
from factory_pipeline.open_raster import open_in_memory

SHOT_NUMBER = f"{DATA}/GEDI Shot Number"
LABEL_FIELD = "AGBD Raster"
LABEL_SUFFIX = "_AGBD.tif"
SAMPLES_AT_ONCE = 256


@dataclass(frozen=True)
class Layer:
    """A raster of the samples as a modality of images."""

    field: str
    """Name of the dataset in the file."""
    collection: str
    first_band: int = 0
    """Bands before this one are left out."""
    scaling_factor: float = 1.0


LAYERS: dict[Modality, Layer] = {
    "S2": Layer("Sentinel-2 L2A", "sentinel-2-l2a", first_band=1, scaling_factor=0.0001),
    "DEM": Layer("CopDEM", "cop-dem-glo-30"),
    "LC": Layer("WorldCover", "esa-worldcover"),
}


def image_suffix(modality: Modality) -> str:
    """Return how the images of a modality end, after the shot number."""
    return f"_{modality}.tif"


def sample_rasters(
    path: Path, modalities: Sequence[Modality], fields: Mapping[str, Field]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the images and labels of a fused file, sample by sample, in its order.

    Memory does not grow with the number of samples.

    Args:
        path: the file.
        modalities: an image of each is made of a sample.
        fields: what the file holds, by name.

    Raises:
        DatasetFileError: the file is missing or damaged.
    """
    layers = {modality: LAYERS[modality] for modality in modalities}
    members = [
        *(
            ("images", image_suffix(tag), layer.field, layer.field, layer.first_band)
            for tag, layer in layers.items()
        ),
        ("labels", LABEL_SUFFIX, LABEL, LABEL_FIELD, 0),
    ]
    rasters = FusedDataset(path, [layer.field for layer in layers.values()], LABEL_FIELD)
    with open_dataset(path) as file:
        for start in range(0, len(rasters), SAMPLES_AT_ONCE):
            rows = range(start, min(start + SAMPLES_AT_ONCE, len(rasters)))
            batch = rasters.read_batch(rows)
            for place, (shot, grid) in enumerate(_places(file, rows)):
                for folder, suffix, key, name, first in members:
                    field = fields[name]
                    pixels, bands = batch[key][place, first:], field.band_names[first:]
                    yield f"{folder}/{shot}{suffix}", _geotiff(shot, pixels, bands, field.nodata, grid)


def _places(file: h5py.File, rows: range) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the shot number, and CRS and transform of the window, of each sample."""
    here = slice(rows.start, rows.stop)
    shots = file[SHOT_NUMBER][here, 0].tolist()
    codes = file[f"{DATA}/CRS"][here, 0].tolist()
    transforms = file[f"{DATA}/Transforms"][here].astype(np.float64).tolist()
    for shot, code, transform in zip(shots, codes, transforms, strict=True):
        yield shot, {"crs": _crs(code.decode()), "transform": Affine(*transform[:6])}


def _geotiff(
    shot: int,
    pixels: NDArray[np.generic],
    bands: Sequence[str],
    nodata: float | None,
    grid: Mapping[str, Any],
) -> bytes:
    """Return a GeoTIFF of (bands, rows, columns).

    It knows its shot: two shots in one pixel have the same image, but are not the same file twice.
    """
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype, "nodata": nodata}
    with MemoryFile() as memory:
        with open_in_memory(memory, driver="GTiff", **shape, interleave="band", **grid) as image:
            image.write(pixels)
            image.descriptions = bands
            image.update_tags(gedi_shot_number=shot)
        return bytes(memory.getbuffer())


@lru_cache(maxsize=256)
def _crs(code: str) -> CRS:
    return CRS.from_string(code)
