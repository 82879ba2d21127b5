"""One process at a time works on an upload, on whichever machine it runs."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.url import is_shared
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.storage.layout import FactoryHome


@contextmanager
def upload_lock(
    home: FactoryHome, key: str, on_wait: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold an upload inside the block; wait for it where another process holds it.

    Processes of one machine exclude each other by a file; where several machines share a registry, one of
    each then by a lease in it.

    Args:
        home: contains the upload.
        key: of the upload, `name@digest`.
        on_wait: called once with a sentence that says for which machine is waited.

    Raises:
        RegistryError: a shared registry is not available.
    """
    with file_lock(home.upload(key).lock):
        if not is_shared(home.registry_address):
            yield
            return
        with (
            closing(open_registry(home)) as registry,
            registry.batch_lease(BatchKey("uploads", "onboarding", key), on_wait),
        ):
            yield
