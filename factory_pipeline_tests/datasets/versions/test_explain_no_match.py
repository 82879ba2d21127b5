"""A query that matches nothing is told with the values that there are."""

import pytest

from factory_pipeline.datasets.versions.plan import check_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import (
    MadeLake,
    box,
    request,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "annotation.label=Ballon and not split=train",
            "query is 'annotation.label=Ballon and not split=train'; none of 2 items of the collection"
            " 'fair' matches it; no annotation.label is 'Ballon'; there is 'Balloon'.",
        ),
        (
            "metadata.wether=sun",
            "query is 'metadata.wether=sun'; none of 2 items of the collection 'fair' matches it;"
            " no item has metadata.wether; there is metadata.weather, metadata.tags.",
        ),
        (
            "metadata.tags in ('windi', 'hail')",
            "query is \"metadata.tags in ('windi', 'hail')\"; none of 2 items of the collection 'fair'"
            " matches it; no metadata.tags is 'windi'; there is 'windy'; no metadata.tags is 'hail';"
            " there is 'dry', 'windy'.",
        ),
    ],
)
def test_a_query_without_a_match_is_told_as_it_was_written_with_near_names(
    lake: MadeLake, query: str, message: str
) -> None:
    metadata = {"weather": ["sun", "rain"], "tags": ["windy", "dry"]}
    collection = lake.add("fair", {"a": 1, "b": 2}, metadata)
    lake.annotate(collection, [box("a", "Balloon")])
    asked = request(query=query)
    with pytest.raises(ArgumentError) as told:
        check_version(lake.registry, lake.home, asked)
    assert str(told.value) == message
