"""Entries that tests put into a registry."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from factory_pipeline.datalake.registry.records import Collection, CollectionSource, Version
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.schema import leases
from factory_pipeline.datalake.registry.url import registry_url

SPEC = {
    "split_info": {"train": 60, "test": 20, "validation": 20},
    "labels": ["Balloon"],
    "query": "annotation.label=Balloon",
    "filter": {"annotation_types": ["human"]},
    "operations": None,
    "augmentations": None,
}
KEY = "flood@0123abcd"
MANIFEST = "name: flood\ndescription: Überflutung\n"


def add_collection(
    registry: Registry, name: str = "balloons", content_hash: str = "c0", **more: Any
) -> Collection:
    """A collection of ten items."""
    return registry.add_collection(
        name,
        CollectionSource.UPLOAD,
        items_path=f"datasets/{name}/items.parquet",
        item_count=10,
        content_hash=content_hash,
        **more,
    )


def ready_dataset(
    registry: Registry, name: str = "Balloons Dataset", collections: tuple[str, ...] = ()
) -> Version:
    """Version 1.0.0 of a new dataset, ready."""
    with registry.create_dataset(name, SPEC) as version:
        return finish(registry, version, collections)


def finish(registry: Registry, version: Version, collections: tuple[str, ...] = ()) -> Version:
    """Finish a version as its writer does."""
    return registry.finish_version(
        version.id,
        manifest_path=f"versions/{version.id}.parquet",
        content_hash=f"hash of {version.id}",
        collections=collections,
    )


def numbers(registry: Registry, dataset_id: str) -> list[str]:
    """The numbers of a dataset's versions."""
    return [version.number for version in registry.versions(dataset_id)]


def let_leases_run_out(where: str) -> None:
    """What time does after the processes that hold the leases have died."""
    engine = sa.create_engine(registry_url(where))
    with engine.begin() as connection:
        connection.execute(leases.update().values(expires=datetime(2020, 1, 1, tzinfo=UTC)))
    engine.dispose()


def move_holders_elsewhere(where: str) -> None:
    """Make all leases those of another machine, whose processes can't be seen from here."""
    engine = sa.create_engine(registry_url(where))
    with engine.begin() as connection:
        for id, holder in connection.execute(sa.select(leases.c.id, leases.c.holder)).all():
            named = f"elsewhere:{holder.partition(':')[2]}"
            connection.execute(leases.update().where(leases.c.id == id).values(holder=named))
    engine.dispose()


def living_leases(where: str) -> int:
    """How many leases have not run out."""
    engine = sa.create_engine(registry_url(where))
    query = sa.select(sa.func.count()).select_from(leases).where(leases.c.expires > datetime.now(UTC))
    with engine.connect() as connection:
        count = connection.execute(query).scalar_one()
    engine.dispose()
    return count


def wait_for(happened: Callable[[], bool], patience_s: float = 60.0) -> None:
    """Return once another thread or process has done something; fail when it never does."""
    deadline = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
