"""The registry of a factory home."""

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome


def open_registry(home: FactoryHome) -> Registry:
    """Return the registry of a home, which the caller closes.

    Args:
        home: has the registry's file, unless the variable FACTORY_REGISTRY names a database.

    Raises:
        RegistryError: it can't be opened.
    """
    return Registry.open(home.registry_address)
