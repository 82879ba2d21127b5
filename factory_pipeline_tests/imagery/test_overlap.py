"""Which images cover the same ground."""

import itertools

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.imagery.overlap import Ground, number_rows
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.curated import items_frame, square


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


IN_PLACE = 5_000_000
places = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from([100, 200, 400])),
    min_size=2,
    max_size=40,
)


def near_pairs(items: pl.DataFrame, distance_m: float = 0.0) -> list[tuple[int, int]]:
    """Every pair of images that overlap or are nearer than that."""
    ground = Ground.of(items)
    found = [(one, other) for part in ground.pairs(distance_m) for one, other in part.tolist()]
    assert len(found) == len(set(found)), "each pair once"
    on = {number: np.flatnonzero(ground.number == number).tolist() for number in range(len(ground.corners))}
    different = [pair for a, b in found for pair in itertools.product(on[a], on[b])]
    same = [pair for images in on.values() for pair in itertools.combinations(images, 2)]
    return sorted((min(pair), max(pair)) for pair in different + same)


@given(places=places, buffer_m=st.sampled_from([0.0, 30.0, 230.0]))
@settings(max_examples=up_to(20), deadline=None)
def test_near_pairs_are_those_of_a_plain_search(places: list[tuple[int, int, int]], buffer_m: float) -> None:
    items = items_frame([square(500_000 + 50 * x, IN_PLACE + 50 * y, side) for x, y, side in places])
    boxes = [shapely.box(50 * x, 50 * y, 50 * x + side, 50 * y + side) for x, y, side in places]
    expected = set()
    for one in range(len(boxes)):
        for other in range(one + 1, len(boxes)):
            apart = boxes[one].distance(boxes[other])
            shared = boxes[one].intersection(boxes[other]).area
            if shared > 0 or apart < buffer_m:
                expected.add((one, other))
    assert set(near_pairs(items, buffer_m)) == expected


def test_neighbours_in_a_mosaic_touch_but_do_not_overlap() -> None:
    items = items_frame(
        [square(500_000 + 5120 * x, IN_PLACE + 5120 * y, 5120) for x in range(4) for y in range(4)]
    )
    assert len(near_pairs(items)) == 0
    assert len(near_pairs(items, 10)) == 4 * 3 * 2 + 3 * 3 * 2


@pytest.mark.parametrize("size", [8, 32, 512, 10_980])
def test_overlap_by_one_pixel_is_found_and_by_an_edge_is_none(size: int) -> None:
    def image(column: int, row: int) -> dict[str, object]:
        transform = [10.0, 0.0, 500_000.0 + 10 * column, 0.0, -10.0, IN_PLACE - 10.0 * row]
        return {"epsg": 32633, "transform": transform, "width": size, "height": size}

    corner, edge = (size - 1, size - 1), (size, 0)
    assert near_pairs(items_frame([image(0, 0), image(*corner)])) == [(0, 1)]
    assert near_pairs(items_frame([image(0, 0), image(*edge)])) == []
    assert near_pairs(items_frame([image(0, 0), image(size - 1, 0)])) == [(0, 1)]


def test_images_on_both_sides_of_the_antimeridian_overlap() -> None:
    items = items_frame(
        [
            {"bounds": [179.99, 10.0, -179.99, 10.02]},
            {"bounds": [-179.995, 10.0, -179.98, 10.02]},
            {"bounds": [179.98, 10.0, 179.995, 10.02]},
            {"bounds": [0.0, 10.0, 0.01, 10.02]},
        ]
    )
    assert near_pairs(items) == [(0, 1), (0, 2)]
    assert near_pairs(items, 1500) == [(0, 1), (0, 2), (1, 2)]


def test_overlap_is_found_across_utm_zones() -> None:
    east_of_33 = square(733_000, 5_000_000, 5000, epsg=32633)
    west_of_34 = items_frame([east_of_33, square(262_000, 5_000_000, 5000, epsg=32634), {}])
    assert Ground.of(west_of_34).number.tolist() == [0, 1, -1]
    assert near_pairs(west_of_34) == [(0, 1)]
