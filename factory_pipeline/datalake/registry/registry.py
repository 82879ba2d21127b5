"""The registry as the other packages use it."""

from factory_pipeline.datalake.registry.batch_leases import BatchLeases
from factory_pipeline.datalake.registry.collections import Collections
from factory_pipeline.datalake.registry.datasets import Datasets
from factory_pipeline.datalake.registry.exports import Exports
from factory_pipeline.datalake.registry.run_signs import RunSigns
from factory_pipeline.datalake.registry.uploads import Uploads


class Registry(Uploads, Collections, Datasets, Exports, BatchLeases, RunSigns):
    """The open registry of uploads, collections, datasets and versions, leases on batches, signs of life.

    `Registry.open(FactoryHome.from_environment().registry)` opens it.

    All calls are safe between threads and between processes.
    """
