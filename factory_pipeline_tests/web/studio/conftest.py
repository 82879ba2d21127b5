"""What tests of the studio share."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.context import Studio
from factory_pipeline_tests.onboarding.conftest import bench  # noqa: F401 -- a fixture
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import pairs
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """The studio of an empty home."""
    studio = studio_of_home(FactoryHome(tmp_path / "home"))
    with closing(studio.registry):
        yield studio


@pytest.fixture
def visitor(studio: Studio) -> Visitor:
    """A browser on the studio of an empty home."""
    return Visitor(studio)


@pytest.fixture(scope="module")
def onboarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str, str]]:
    """A home with a finished upload and one that failed, and their keys."""
    import dagster as dg  # unit tests need none

    from factory_pipeline.runs.instance import prepare_home

    home = FactoryHome(tmp_path_factory.mktemp("studio") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        prepare_home(home)
        bench = Bench(home, instance)
        key = bench.prepare("rivers", dataset_name="Rivers <b>wide</b>")
        files = pairs(3)
        del files["labels/tile_2_mask.tif"]
        failed = bench.take_in(bench.drop("broken", files))
        assert not bench.run(failed).success
        yield bench, key, failed
