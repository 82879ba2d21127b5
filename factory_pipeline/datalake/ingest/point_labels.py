"""Labels of points as rasters: the lake has classes and measured values of pixels alone.

The label is in the pixel of its point, `[size // 2, size // 2]`; the others have none.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.hdf5.codec import LEVEL, encode_chunk
from factory_pipeline.hdf5.recipe_fields import LABEL, label_nodata, label_type
from factory_pipeline.storage.atomic import atomic_write


def write_point_labels(path: Path, recipe: DatasetRecipe, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Write a raster per label to an HDF5 file, atomically.

    Args:
        path: the file; its dataset LABEL is (labels, 1, rows, columns).
        recipe: of the labels.
        values: (labels,) number, or code of the class, of each.

    Returns:
        (labels, 32) the SHA-256 of the stored chunk of each.
    """
    size, hashes = recipe.window.size, np.empty((len(values), sha256().digest_size), np.uint8)
    raster = np.full((1, size, size), label_nodata(recipe), label_type(recipe))
    with atomic_write(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        dataset = file.create_dataset(
            LABEL,
            (len(values), *raster.shape),
            raster.dtype,
            chunks=(1, *raster.shape),
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=True,
            track_times=False,
            track_order=False,
        )
        for row, value in enumerate(values):
            raster[0, size // 2, size // 2] = value
            chunk = encode_chunk(raster)
            dataset.id.write_direct_chunk((row, 0, 0, 0), chunk)
            hashes[row] = np.frombuffer(sha256(chunk).digest(), np.uint8)
    return hashes
