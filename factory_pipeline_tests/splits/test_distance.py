"""The distance between training and held-out images, against shapely in UTM."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.distance import distance_between


def ground(lefts: list[float | None]) -> Ground:
    """Images of 100 m at these eastings of UTM zone 33; None for one without a place."""
    return Ground.of(
        pl.DataFrame(
            {
                "epsg": [None if left is None else "EPSG:32633" for left in lefts],
                "transform": [
                    None if left is None else [10.0, 0, left, 0, -10.0, 5_400_000.0] for left in lefts
                ],
                "width": [10] * len(lefts),
                "height": [10] * len(lefts),
                "bounds": [None] * len(lefts),
            },
            schema={
                "epsg": pl.String,
                "transform": pl.List(pl.Float64),
                "width": pl.Int64,
                "height": pl.Int64,
                "bounds": pl.List(pl.Float64),
            },
        )
    )


def test_the_nearest_pair_counts():
    images = ground([500_000.0, 500_350.0, 503_000.0])
    found = distance_between(images, np.array([False, True, True]))
    assert found == pytest.approx(250, rel=1e-3), "from 500,100 to 500,350"


def test_one_place_on_both_sides_is_no_distance():
    assert distance_between(ground([500_000.0, 500_000.0]), np.array([False, True])) == 0


@pytest.mark.parametrize("lefts", [[500_000.0, None], [None, 500_000.0]])
def test_a_side_without_places_has_no_distance(lefts: list[float | None]):
    assert distance_between(ground(lefts), np.array([False, True])) is None
