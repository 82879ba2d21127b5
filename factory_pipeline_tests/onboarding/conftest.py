"""What tests of onboarding share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import Bench


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str]]:
    """A home in which `rivers` was onboarded, and its key; tests must not change it."""
    import dagster as dg  # unit tests need none

    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(FactoryHome(tmp_path_factory.mktemp("finished") / "home"), instance)
        yield bench, bench.onboard("rivers")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A home and an instance of the test's own."""
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        yield Bench(FactoryHome(tmp_path / "home"), instance)
