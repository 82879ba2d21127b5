"""The registry as the rest of the factory sees it."""

from factory_pipeline.datalake.registry.collections import Collections
from factory_pipeline.datalake.registry.datasets import Datasets
from factory_pipeline.datalake.registry.exports import Exports
from factory_pipeline.datalake.registry.uploads import Uploads


class Registry(Uploads, Collections, Datasets, Exports):
    """Everything that the factory remembers, open: `Registry.open(FactoryHome.from_environment().registry)`.

    All calls are safe between threads and between processes.
    """
