"""A check of a request tells what a version would be, and makes none."""

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    request,
)

pytestmark = pytest.mark.integration


def test_a_check_writes_nothing_and_names_a_name_that_is_taken(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    check_version(lake.registry, lake.home, request())
    assert lake.registry.datasets() == []
    assert not lake.home.versions.exists()
    create_version(lake.registry, lake.home, request())
    with pytest.raises(ArgumentError, match="dataset_name is 'Balloons'; this name is in use"):
        check_version(lake.registry, lake.home, request())
