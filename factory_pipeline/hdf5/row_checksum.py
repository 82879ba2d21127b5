"""The checksum of a row of a dataset, of its chunks as they are stored."""

import hashlib
from itertools import product

import h5py


def row_sha256(dataset: h5py.Dataset, row: int) -> str:
    """Return the SHA-256, in hex, of the stored chunks of a row in the order of their offsets.

    Args:
        dataset: in chunks of one row.
        row: its index.

    Raises:
        ValueError: the dataset is not stored in chunks of one row.
    """
    if dataset.chunks is None or dataset.chunks[0] != 1:
        raise ValueError(f"{dataset.name} is not stored in chunks of one row")
    offsets = [range(0, edge, step) for edge, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)]
    found = hashlib.sha256()
    for offset in product(*offsets):
        found.update(dataset.id.read_direct_chunk((row, *offset))[1])
    return found.hexdigest()
