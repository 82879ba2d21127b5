"""The dataset file: schema, writing, fusing, reading, checking."""

from factory_pipeline.hdf5.read import FusedDataset

__all__ = ["FusedDataset"]
