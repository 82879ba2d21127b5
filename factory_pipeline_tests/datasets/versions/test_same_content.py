"""The bytes and the hash of a version are those of its content alone."""

from typing import Any

import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline_tests.datasets.versions.factories import (
    FLIPS,
    MadeLake,
    box,
    request,
)

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


def test_a_version_made_twice_has_the_same_bytes(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2}, {"weather": ["sun", "rain"]})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon")])
    made = [create_version(lake.registry, lake.home, request(dataset_name=name)) for name in ("one", "other")]
    assert made[0].content_hash == made[1].content_hash
    first, second = (lake.home.version(version.id).manifest.read_bytes() for version in made)
    assert first == second


def test_the_hash_is_the_same_in_another_home_and_of_the_content_alone(
    lake: MadeLake, other_lake: MadeLake
) -> None:
    def made(home: MadeLake, name: str = "Balloons", **more: Any) -> str | None:
        return create_version(home.registry, home.home, request(dataset_name=name, **more)).content_hash

    def fill(home: MadeLake, *, upside_down: bool) -> None:
        collection = home.add("fair", {"a": 1, "b": 2})
        model = ([box("a", "Balloon", 3)], "machine")
        operations = [([box("a", "Balloon")], "human"), ([box("b", "Balloon")], "human"), model]
        for rows, source in reversed(operations) if upside_down else operations:
            home.annotate(collection, rows, source)

    fill(lake, upside_down=False)
    fill(other_lake, upside_down=True)
    assert made(lake) == made(other_lake)
    different = [
        made(lake, "1", split_info={"train": 0, "test": 100, "validation": 0}),
        made(lake, "2", operation_list=()),
        made(lake, "3", augmentation_list=FLIPS),
        made(lake, "4", query={"op": "=", "args": [{"property": "id"}, "a"]}),
    ]
    assert len({made(lake, "5"), *different}) == 5
