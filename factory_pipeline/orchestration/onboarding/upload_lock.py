"""One process at a time works on an upload, on whichever machine it runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.exclusive import exclusive_work
from factory_pipeline.storage.layout import FactoryHome


def upload_lock(
    home: FactoryHome, key: str, on_wait: Callable[[str], object] | None = None
) -> AbstractContextManager[None]:
    """Hold an upload inside a block; wait for it where another process of any machine holds it.

    Args:
        home: contains the upload.
        key: of the upload, `name@digest`.
        on_wait: called once with a sentence that says for which machine is waited.

    Raises:
        RegistryError: a shared registry is not available.
    """
    return exclusive_work(home, home.upload(key).lock, BatchKey("uploads", "onboarding", key), on_wait)
