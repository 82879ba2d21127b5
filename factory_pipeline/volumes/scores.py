"""How alike the sections of pairs are, as a whole file."""

from pathlib import Path

import h5py
import numpy as np

from factory_pipeline.volumes.fields.shards import CORRELATION, correlation
from factory_pipeline.volumes.pair_files import images_of


def mean_correlation(images: Path) -> float:
    """Return the mean correlation of src and tgt over all pairs of a file, as they are stored."""
    with h5py.File(images) as file:
        pairs = images_of(file)
        return float(np.mean([correlation(*pairs[row]) for row in range(len(pairs))]))


def mean_improvement(fields: Path) -> tuple[float, float]:
    """Return the mean correlations of a shard or a joined file, before and after its alignment."""
    with h5py.File(fields) as file:
        before, after = file[CORRELATION][:].mean(axis=0, dtype=np.float64).tolist()
    return before, after
