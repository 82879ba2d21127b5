"""C1: a process that calls the SDK belongs to somebody else."""

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline.errors import ArgumentError, FactoryError
from factory_pipeline.runs.build import run_build
from factory_pipeline.runs.instance import load_definitions
from factory_pipeline.runs.onboarding import onboard
from factory_pipeline.sdk.backend import Created
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import Bench

SPLIT = {"train": 60, "test": 20, "validation": 20}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> FactoryHome:
    """A home with one collection, `tiles`: 10 images with masks of Land and Water."""
    # Libraries that are imported by it set filters of warnings.
    load_definitions()
    home = FactoryHome(tmp_path_factory.mktemp("caller") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        bench.prepare("tiles")
    return home


@pytest.fixture
def client(home: FactoryHome) -> DatasetClient:
    return DatasetClient(home=home.root, on_progress=lambda *_: None)


class CallersHandler(logging.Handler):
    """A handler of the caller's own program, which nobody else may close."""

    closed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record and do nothing with it."""

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
        super().close()


def callers_signal_handler(*_: object) -> None:
    """A handler of the caller's own program."""


def process_state() -> dict[str, Any]:
    """Everything of this process that a call must leave as it was."""
    root = logging.getLogger()
    return {
        "handlers of the root logger": list(root.handlers),
        "level of the root logger": root.level,
        "filters of loggers": {
            name: list(logger.filters)
            for name, logger in logging.root.manager.loggerDict.items()
            if isinstance(logger, logging.Logger) and logger.filters
        },
        "disabled level": logging.root.manager.disable,
        "signal handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
        "working directory": Path.cwd(),
        "random state": random.getstate(),
        "errors of numpy": np.geterr(),
        "start method of multiprocessing": multiprocessing.get_start_method(allow_none=True),
        "wakeup descriptor of signals": wakeup_descriptor(),
        "hook of ignored exceptions": sys.unraisablehook,
    }


def wakeup_descriptor() -> int:
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


class OutputWatch(threading.Thread):
    """Looks all the time where stdout and stderr of this process lead."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.targets: set[tuple[int, int]] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until `ended` is set."""
        while not self.ended.wait(0.005):
            self.targets.add((os.fstat(1).st_ino, os.fstat(2).st_ino))


@contextmanager
def unchanged() -> Iterator[None]:
    """Assert that the block leaves this process as a caller has set it up."""
    handler = CallersHandler()
    logging.getLogger().addHandler(handler)
    previous = signal.signal(signal.SIGTERM, callers_signal_handler)
    before = process_state()
    output = OutputWatch()
    output.start()
    try:
        yield
        assert process_state() == before
        assert output.targets == {(os.fstat(1).st_ino, os.fstat(2).st_ino)}
        assert not handler.closed
        # `logging.config` empties this list and shuts everything in it down.
        assert any(reference() is handler for reference in logging._handlerList)
    finally:
        output.ended.set()
        output.join()
        logging.getLogger().removeHandler(handler)
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def strict_program() -> Iterator[None]:
    """A program that makes each warning and each doubtful float an error, and shows no logs."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def make(client: DatasetClient, name: str, formats: list[str]) -> Created:
    (collection,) = client.list_collections()
    return client.create_dataset_from_collection(name, collection.id, SPLIT, ["Water"], formats)


def test_sdk_calls_leave_the_callers_process_as_it_was(client: DatasetClient, tmp_path: Path) -> None:
    # Not in `unchanged`: Dagster's own blocks of `catch_warnings` overlap where several threads call.
    with strict_program(), unchanged():
        filters = list(warnings.filters)
        made = make(client, "Unchanged", ["RAW"])
        client.download_dataset(made.version_id, "COCO", tmp_path / "coco")
        client.list_datasets()
        with pytest.raises(ArgumentError):
            client.download_dataset(made.version_id, "RAW", "not/absolute")
        assert warnings.filters == filters


def test_an_onboarding_and_a_failed_build_leave_the_callers_process_as_it_was(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        manifest = Bench(home, instance).drop("broken", {"a.tif": b"no raster"})
    (tmp_path / "granules").mkdir()
    settings = BuildSettings(
        granules=str(tmp_path / "granules"),
        output=tmp_path / "out",
        catalog="earth-search",
        recipe=Recipe(subset=Subset(dataset_size_max=3)),
        workers=1,
    )
    with unchanged():
        with pytest.raises(FactoryError):
            onboard(manifest, home)
        with pytest.raises(FactoryError, match="granule"):
            run_build(home, settings, lambda _: None)


def test_calls_in_threads_end_and_make_what_they_should(client: DatasetClient, tmp_path: Path) -> None:
    names = [f"In thread {number}" for number in range(4)]

    def bring(made: Created) -> Path:
        return client.download_dataset(made.version_id, "RAW", tmp_path / made.version_id)

    with unchanged(), ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda name: make(client, name, []), names, timeout=120))
        folders = list(pool.map(bring, versions, timeout=120))
    assert sorted(dataset.name for dataset in client.list_datasets() if dataset.name in names) == names
    assert len(set(folders)) == len(names)
    assert all(any(folder.rglob("*.tif")) for folder in folders)


def test_importing_everything_adds_no_filter_to_a_logger() -> None:
    program = """
import logging
import factory_pipeline.archives.download, factory_pipeline.cli.main, factory_pipeline.definitions
loggers = [found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
filters = [one for logger in loggers for one in logger.filters]
print([one for one in filters if one.__module__.startswith("factory_pipeline")])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
