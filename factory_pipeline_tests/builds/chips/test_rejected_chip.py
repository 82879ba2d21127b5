"""Which rejected footprints can be looked at."""

import pytest

from factory_pipeline.builds.chips import samples, sentinel2
from factory_pipeline.builds.chips.reading import UNREADABLE
from factory_pipeline.builds.chips.rejected_chip import has_chip


@pytest.mark.parametrize("stage", [sentinel2.STAGE, samples.STAGE])
def test_a_footprint_that_was_dropped_for_its_pixels_can_be_looked_at(stage: str) -> None:
    assert has_chip(stage, "cloudy")


@pytest.mark.parametrize(
    ("stage", "reason"),
    [("filter", "cloudy"), (sentinel2.STAGE, "no_product"), (sentinel2.STAGE, UNREADABLE)],
)
def test_without_imagery_there_is_nothing_to_see(stage: str, reason: str) -> None:
    assert not has_chip(stage, reason)
