"""Blocks of the ground that are held out: no item of one split reaches into ground of another."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.splits.held_out_blocks import leave_out
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.splits.names import BORDER, OUTSIDE, SPLITS
from factory_pipeline_tests.examples import up_to

SHARES = {"train": 60.0, "test": 40.0, "validation": 0.0}
HALF_M = 160.0


def scattered(count: int, seed: int, spread: float, lat: float = 47.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.uniform(179.9, 179.9 + spread, count) % 360, rng.uniform(lat, lat + spread, count)], 1
    )


def windows(places: np.ndarray) -> pl.DataFrame:
    """Windows of 320 m around places, by their bounds in degrees."""
    up = HALF_M / 111_195.08
    across = up / np.cos(np.radians(places[:, 1]))
    west, south = (places[:, 0] - across + 180) % 360 - 180, places[:, 1] - up
    east, north = (places[:, 0] + across + 180) % 360 - 180, places[:, 1] + up
    return pl.DataFrame({"stem": [f"s{number}" for number in range(len(places))]}).with_columns(
        sha256=pl.lit(None, pl.String),
        epsg=pl.lit(None, pl.String),
        transform=pl.lit(None, pl.List(pl.Float64)),
        width=pl.lit(32),
        height=pl.lit(32),
        bounds=pl.Series(np.stack([west, south, east, north], 1).tolist()),
    )


@pytest.mark.integration
@given(
    count=st.integers(1, 400),
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.02, 0.1, 0.3]),
    lat=st.sampled_from([-0.05, 47.0, 71.0]),
)
@settings(max_examples=up_to(15), deadline=None)
def test_what_is_left_in_never_leaks_across_the_antimeridian_or_at_any_latitude(
    count: int, seed: int, spread: float, lat: float
) -> None:
    places = scattered(count, seed, spread, lat)
    years = pl.Series(np.random.default_rng(seed).choice(["train", "test"], count))
    reason = leave_out(places, years, SHARES, seed, 2000.0, 1.05 * HALF_M)
    assert set(reason.drop_nulls()) <= {OUTSIDE, BORDER}
    items = windows(places)
    kept = pl.select(pl.when(reason.is_null()).then(years)).to_series()
    report = leak_report(items, items.select("stem").with_columns(kept.alias("split")))
    assert not report.leaks
    order = np.random.default_rng(seed + 1).permutation(count)
    again = leave_out(places[order], years[order.tolist()], SHARES, seed, 2000.0, 1.05 * HALF_M)
    assert again.equals(reason[order.tolist()])


@pytest.mark.parametrize("seed", range(5))
def test_blocks_keep_their_split_when_items_are_added(seed: int) -> None:
    places = scattered(600, seed, 0.2)
    years = pl.Series(np.random.default_rng(seed).choice(["train", "test"], 600))
    first = leave_out(places[:300], years[:300], SHARES, seed, 2000.0, HALF_M)
    kept = pl.select(pl.when(first.is_null()).then(years[:300])).to_series().extend_constant(None, 300)
    grown = leave_out(places, years, SHARES, seed, 2000.0, HALF_M, kept)
    stayed = grown[:300].filter(first.is_null())
    # A new block beside may be of another split: only an item that reaches into it is left out then.
    assert set(stayed.drop_nulls()) <= {BORDER}
    assert stayed.null_count() > 0.9 * len(stayed)


def test_shares_of_the_ground_are_those_that_were_asked_for() -> None:
    places = scattered(4000, 0, 0.6)
    years = pl.Series(["train", "test"] * 2000)
    reason = leave_out(places, years, SHARES, 0, 2000.0, HALF_M)
    inside = reason != OUTSIDE
    trained = (years == "train").filter(inside.fill_null(True)).sum()
    assert trained / 2000 == pytest.approx(0.6, abs=0.03)
    assert set(SHARES) == set(SPLITS)
