"""Which images cover the same ground."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.imagery.overlap import Ground, number_rows


def items(*corners: tuple[str, float, float], pixel: float = 10, size: int = 100) -> pl.DataFrame:
    """Square images by their CRS and upper left corner."""
    return pl.DataFrame(
        {
            "epsg": [crs for crs, _, _ in corners],
            "transform": [[float(value) for value in (pixel, 0, x, 0, -pixel, y)] for _, x, y in corners],
            "width": [size] * len(corners),
            "height": [size] * len(corners),
            "bounds": pl.Series([None] * len(corners), dtype=pl.List(pl.Float64)),
        }
    )


def pairs(ground: Ground, distance_m: float = 0.0) -> list[list[int]]:
    found = [part.tolist() for part in ground.pairs(distance_m)]
    return sorted(pair for part in found for pair in part)


UTM = "EPSG:32633"


def test_a_shared_pixel_is_an_overlap_and_a_shared_edge_is_none() -> None:
    ground = Ground.of(items((UTM, 500_000, 5e6), (UTM, 500_990, 5e6), (UTM, 501_990, 5e6)))
    assert pairs(ground) == [[0, 1]]


def test_images_nearer_than_a_distance_are_found_once_each() -> None:
    ground = Ground.of(items((UTM, 500_000, 5e6), (UTM, 501_500, 5e6), (UTM, 503_000, 5e6)))
    assert pairs(ground, 400) == []
    assert pairs(ground, 600) == [[0, 1], [1, 2]]
    assert pairs(ground, 2100) == [[0, 1], [0, 2], [1, 2]]


def test_overlap_is_found_between_crs_and_across_180_degrees() -> None:
    zones = Ground.of(items(("EPSG:32601", 200_000, 1e6), ("EPSG:32660", 858_000, 1e6), size=1000))
    degrees = Ground.of(items(("EPSG:4326", 179.9, 1), ("EPSG:4326", -180.05, 1), pixel=0.001))
    assert pairs(degrees) == [[0, 1]]
    (candidates,) = zones.candidates()
    assert candidates.tolist() in ([[0, 1]], [[1, 0]])


def test_equal_footprints_are_one_and_images_without_place_have_none() -> None:
    table = items((UTM, 500_000, 5e6), (UTM, 500_000, 5e6), (UTM, 510_000, 5e6))
    nowhere = table.with_columns(
        epsg=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("epsg"),
        transform=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("transform"),
    )
    ground = Ground.of(nowhere)
    assert ground.number.tolist() == [0, 0, -1]
    assert ground.corners.shape == (1, 4, 2)


def test_shares_and_distances_are_measured_in_metres() -> None:
    ground = Ground.of(items((UTM, 500_000, 5e6), (UTM, 500_750, 5e6), (UTM, 503_000, 5e6)))
    both = np.array([[0, 1], [0, 2]])
    assert ground.shared_shares(both) == pytest.approx([0.25, 0], abs=1e-3)
    assert ground.distances(both) == pytest.approx([0, 2000], rel=1e-3, abs=1e-6)
    assert (ground.largest_shares(both) >= ground.shared_shares(both) - 1e-9).all()


@pytest.mark.parametrize("side", [1, -1])
def test_around_a_pole_images_of_all_longitudes_overlap(side: int) -> None:
    crs = "EPSG:3413" if side > 0 else "EPSG:3031"
    ground = Ground.of(items((crs, -50_000, 50_000), (crs, -1000, 1000), (crs, 2e6, 2e6), pixel=1000))
    assert pairs(ground) == [[0, 1]]


def test_rows_are_numbered_by_their_first() -> None:
    number, firsts = number_rows(pl.DataFrame({"a": [3, 1, 3, 1, 2], "b": [0, 0, 0, 1, 0]}))
    assert number.tolist() == [0, 1, 0, 2, 3]
    assert firsts.tolist() == [0, 1, 3, 4]
