"""One process at a time does a piece of work, on whichever machine it runs."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from factory_pipeline.datalake.registry.batch_leases import BatchKey
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datalake.registry.url import is_shared
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.storage.layout import FactoryHome


@contextmanager
def exclusive_work(
    home: FactoryHome, lock: Path, key: BatchKey, on_wait: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold a piece of work inside the block; wait for it where another process holds it.

    Processes of one machine exclude each other by a file; where several machines share a registry, one of
    each then by a lease in it.

    Args:
        home: in which is worked.
        lock: the file of the processes of one machine.
        key: names the work to other machines.
        on_wait: called once with a sentence that says for which machine is waited.

    Raises:
        RegistryError: a shared registry is not available.
    """
    with file_lock(lock):
        if not is_shared(home.registry_address):
            yield
            return
        with closing(open_registry(home)) as registry, registry.batch_lease(key, on_wait):
            yield
