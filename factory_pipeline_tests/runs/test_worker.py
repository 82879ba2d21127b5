"""A build on two Celery workers, one of which is killed: the same bytes as on one machine."""

import os
from pathlib import Path

import pytest

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline.errors import BuildError
from factory_pipeline.runs import demo_services
from factory_pipeline.runs.demo_cluster import run_cluster_demo
from factory_pipeline_tests.test_packaging import ROOT

CONFIG = (ROOT / "deploy" / "dagster-celery.yaml").read_text(encoding="utf-8")


@pytest.fixture
def installed() -> None:
    """Skip where the servers are not installed."""
    try:
        demo_services.postgres_program("initdb")
        demo_services.redis_program()
    except BuildError as error:
        if os.environ.get("FACTORY_REQUIRE_SYSTEM") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.mark.usefixtures("installed")
def test_a_build_on_two_workers_of_which_one_is_killed_gives_the_same_bytes(
    small_archive: Path, tmp_path: Path
) -> None:
    settings = BuildSettings(
        granules=str(small_archive / "granules"),
        output=tmp_path,
        catalog=str(small_archive),
        recipe=Recipe(batch_size=2, subset=Subset(dataset_size_max=4)),
        workers=2,
    )
    before = dict(os.environ)
    demo = run_cluster_demo(settings, tmp_path, CONFIG, lambda _: None)
    assert dict(os.environ) == before
    assert demo.is_same, demo.digests
    assert {"train_dataset.h5", "test_dataset.h5"} < set(demo.digests)
    assert all(demo.runs.values()), "both workers were at work"
    assert demo.killed in demo.runs
    assert "(killed at work)" in str(demo)
    assert demo.logs > 0, "what runs printed is on S3"
    assert not list(Path("/proc").glob(f"{demo.killed}/exe"))
