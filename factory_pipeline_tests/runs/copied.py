"""The Dagster instances of new homes as copies of one: Dagster takes half a second to make its tables."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from factory_pipeline.runs import instance
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.storage.layout import FactoryHome

TABLES = ("history", "schedules")
"""The folders of an instance in which Dagster keeps its tables."""
SHIPPED = Path(instance.__file__).with_name("dagster.yaml")


@contextmanager
def copied_instances() -> Iterator[None]:
    """Copy the tables into homes that have none; the instance is then opened as always."""
    make = instance._make_instance
    with TemporaryDirectory() as folder:

        @cache
        def template() -> Path:
            home = FactoryHome(Path(folder))
            home.dagster.mkdir()
            make(home)
            return home.dagster

        def copy_and_make(home: FactoryHome) -> None:
            with file_lock(home.dagster_lock):
                is_shipped = home.dagster_config.read_bytes() == SHIPPED.read_bytes()
                if is_shipped and not any((home.dagster / name).exists() for name in TABLES):
                    for name in TABLES:
                        shutil.copytree(template() / name, home.dagster / name)
            make(home)

        with patch.object(instance, "_make_instance", copy_and_make):
            yield
