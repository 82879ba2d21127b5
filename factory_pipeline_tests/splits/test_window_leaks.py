"""The search band by band against a comparison of every window with every other."""

from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.connected_groups import group_numbers
from factory_pipeline.splits.groups import Together, group_items
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.window_leaks import WindowLeaks, search_windows
from factory_pipeline_tests.examples import up_to

SIDE_M = 1000
PLACES = {
    "within a zone": ("EPSG:32633", 500_000, 5_000_000),
    "east end of a zone": ("EPSG:32632", 744_000, 4_650_000),
    "west end of the next": ("EPSG:32633", 248_000, 4_650_000),
    "east end of the last zone": ("EPSG:32760", 833_500, 9_999_000),
    "west end of the first": ("EPSG:32701", 166_000, 9_999_000),
    "north of the equator": ("EPSG:32633", 500_000, 0),
    "south of it": ("EPSG:32733", 500_000, 10_000_000),
    "at a pole": ("EPSG:3031", 0, 0),
}
WINDOWS = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, None]),
        st.integers(-3, 3),
        st.integers(-3, 3),
        st.sampled_from(SPLITS),
    ),
    max_size=14,
)
Window = tuple[str | None, int, int, str]


def table_of(windows: list[Window]) -> pl.DataFrame:
    """Windows of 100 pixels of 10 m, by steps of 450 m from their places; None has none."""
    transforms = []
    for place, right, up, _ in windows:
        _, x, y = PLACES[place] if place else (None, 0, 0)
        transforms.append([10.0, 0.0, x + 450.0 * right, 0.0, -10.0, y + 450.0 * up] if place else None)
    return pl.DataFrame(
        {
            "stem": [f"s{number}" for number in range(len(windows))],
            "sha256": [None] * len(windows),
            "split": [split for *_, split in windows],
            "epsg": [PLACES[place][0] if place else None for place, *_ in windows],
            "transform": transforms,
            "width": [100] * len(windows),
            "height": [100] * len(windows),
            "bounds": [None] * len(windows),
        },
        schema_overrides={
            "stem": pl.String,
            "sha256": pl.String,
            "split": pl.String,
            "epsg": pl.String,
            "transform": pl.List(pl.Float64),
            "width": pl.Int64,
            "height": pl.Int64,
            "bounds": pl.List(pl.Float64),
        },
    )


def are_together(windows: list[Window]) -> bool:
    """Return whether all windows are within some kilometres."""
    places = list(PLACES)
    sites = [{place} for place in places[:1] + places[-1:]] + [set(places[at : at + 2]) for at in (1, 3, 5)]
    used = {place for place, *_ in windows if place}
    return any(used <= site for site in sites)


def searched(table: pl.DataFrame, folder: Path, buffer_m: float = 0.0, part: int = 4) -> WindowLeaks:
    return search_windows(table.iter_slices(part), folder, buffer_m, band_images=1)


@given(windows=WINDOWS, buffer_m=st.sampled_from([0.0, 300.0]), part=st.integers(1, 15))
@settings(max_examples=up_to(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_pair_is_found_once_in_whatever_bands_it_is(
    tmp_path: Path, windows: list[Window], buffer_m: float, part: int
) -> None:
    table = table_of(windows)
    ground = Ground.of(table)
    every = np.array(list(combinations(range(len(windows)), 2)), np.int64).reshape(-1, 2)
    numbers = ground.number[every]
    near = (numbers >= 0).all(axis=1) & (numbers[:, 0] == numbers[:, 1])
    # A window without a place has the number -1.
    south = np.append(ground.corners[:, :, 1].min(axis=1), 90.0)[numbers]
    # Footprints of different continents can't be compared in a plane.
    others = (numbers >= 0).all(axis=1) & ~near & (np.abs(south[:, 0] - south[:, 1]) < 1)
    near[others] = ground.are_near(numbers[others], buffer_m)
    pairs = [(windows[one][3], windows[other][3]) for one, other in every[near]]
    found = searched(table, tmp_path, buffer_m, part)
    assert found.leaks.pairs == len(pairs)
    assert found.leaks.crossing_pairs == sum(one != other for one, other in pairs)
    leaking = {
        number
        for pair in every[near].tolist()
        for number, other in (pair, pair[::-1])
        if windows[number][3] != "train" and windows[other][3] == "train"
    }
    assert found.leaks.leaking == len(leaking)
    groups = group_numbers(len(windows), [every[near]])
    sizes = np.bincount(groups) if len(groups) else np.zeros(1, np.int64)
    assert (found.groups, found.largest_group) == ((sizes > 0).sum(), sizes.max())


@given(windows=WINDOWS, buffer_m=st.sampled_from([0.0, 300.0]))
@settings(max_examples=up_to(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_says_what_the_search_with_all_windows_in_memory_says(
    tmp_path: Path, windows: list[Window], buffer_m: float
) -> None:
    table = table_of(windows)
    expected = asdict(leak_report(table.drop("split"), table.select("stem", "split"), buffer_m))
    found = searched(table, tmp_path, buffer_m)
    for name, value in asdict(found.leaks).items():
        if name == "largest_overlap":
            # Whichever pair is measured first, another must be larger by more than this to be measured too.
            assert value == pytest.approx(expected[name], abs=2e-6)
        elif name == "distance_m" and not are_together(windows):
            # Planes around a pair are not true to such distances: it only matters that there is one.
            assert (value is None) == (expected[name] is None)
        elif name != "crossing":
            assert value == (
                pytest.approx(expected[name], rel=1e-12) if value is not None else expected[name]
            )
    group = group_items(table, Together(buffer_m=buffer_m))
    assert found.groups == len(set(group.tolist()))
    assert found.splits == {split: (table["split"] == split).sum() for split in SPLITS}


def test_windows_of_many_bands_are_counted_as_of_one(tmp_path: Path) -> None:
    """Chains of windows to the north, longer than any band, in two columns."""
    rng = np.random.default_rng(0)
    windows: list[Window] = [
        ("within a zone", 10 * column, row, SPLITS[rng.integers(3)])
        for row in rng.permutation(600).tolist()
        for column in (0, 1)
    ]
    found = searched(table_of(windows), tmp_path, part=100)
    assert (found.groups, found.largest_group) == (2, 600)
    # Two rows of 450 m are less than 1000 m apart, three are more.
    assert found.leaks.pairs == found.leaks.tested == 2 * (599 + 598)


def test_the_distance_is_found_between_windows_of_far_bands(tmp_path: Path) -> None:
    apart: list[Window] = [
        *(("within a zone", 0, row, "train") for row in range(0, -200, -20)),
        *(("within a zone", 0, row, "test") for row in range(100, 300, 20)),
    ]
    found = searched(table_of(apart), tmp_path)
    assert not found.leaks.leaks
    # The scale of UTM is 0.9996 in the middle of a zone.
    assert found.leaks.distance_m == pytest.approx((100 * 450 - SIDE_M) / 0.9996, rel=1e-3)
    assert searched(table_of(apart[:5]), tmp_path).leaks.distance_m is None
