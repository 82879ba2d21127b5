"""Images sorted by latitude on disk: every image in one band, equal footprints in the same one."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from factory_pipeline.imagery.footprints import footprints
from factory_pipeline.imagery.ground_bands import Band, GroundBands


def boxes(*souths: float | None, west: float = 10.0) -> pl.DataFrame:
    """Images of a hundredth of a degree, by their southern edge; None has no place."""
    bounds = [None if south is None else [west, south, west + 0.01, south + 0.01] for south in souths]
    return pl.DataFrame(
        {
            "epsg": [None] * len(souths),
            "transform": [None] * len(souths),
            "width": [8] * len(souths),
            "height": [8] * len(souths),
            "bounds": bounds,
        },
        schema_overrides={
            "epsg": pl.String,
            "transform": pl.List(pl.Float64),
            "bounds": pl.List(pl.Float64),
        },
    )


def bands_of(folder: Path, *parts: pl.DataFrame, band_images: int = 2) -> list[Band]:
    with GroundBands(folder, band_images) as bands:
        start = 0
        for part in parts:
            bands.add(part, np.arange(start, start + part.height).astype(np.int8))
            start += part.height
        assert len(list(bands)) == len(bands)
        return list(bands)


def test_every_image_is_in_one_band_from_south_to_north(tmp_path: Path) -> None:
    parts = boxes(40.0, -30.0, 5.0), boxes(5.0, 60.0), boxes(-30.001)
    found = bands_of(tmp_path, *parts)
    assert [band.sides.tolist() for band in found] == [[1, 5], [2, 3], [0, 4]]
    placed = footprints(pl.concat(parts))
    for band in found:
        assert np.array_equal(band.corners, placed[band.sides])
        assert band.sizes.tolist() == [[8.0, 8.0]] * len(band.sides)
    for here, after in pairwise(found):
        assert here.corners[..., 1].max() < here.next_south <= after.corners[..., 1].min()
    assert found[-1].next_south == np.inf


def test_images_of_one_footprint_are_in_one_band_in_the_order_they_came_in(tmp_path: Path) -> None:
    found = bands_of(tmp_path, boxes(*[7.0] * 4), boxes(7.0 + 4e-8, 7.0 - 4e-8), band_images=1)
    assert [sorted(band.sides.tolist()) for band in found] == [[0, 1, 2, 3, 4, 5]]
    assert found[0].sides.tolist() == [0, 1, 2, 3, 4, 5]


def test_images_without_a_place_are_in_no_band(tmp_path: Path) -> None:
    with GroundBands(tmp_path) as bands:
        assert bands.add(boxes(1.0, None), np.zeros(2, np.int8)).tolist() == [True, False]
        assert [len(band.corners) for band in bands] == [1]
    assert bands_of(tmp_path, boxes(None)) == []
    assert bands_of(tmp_path) == []


def test_what_reaches_a_pole_is_in_the_first_or_the_last_band(tmp_path: Path) -> None:
    around = boxes(-89.5, 20.0, 89.9).with_columns(
        pl.Series("bounds", [[-180.0, -90.0, 180.0, -88.0], [10.0, 20.0, 11.0, 21.0], [0.0, 89.5, 9.0, 89.9]])
    )
    assert [band.sides.tolist() for band in bands_of(tmp_path, around, band_images=1)] == [[0], [1], [2]]
