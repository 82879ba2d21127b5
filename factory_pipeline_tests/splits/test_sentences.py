"""What a user must know of a split, in sentences."""

from dataclasses import replace

import polars as pl

from factory_pipeline.splits.balance import Balance
from factory_pipeline.splits.leakage import LeakReport
from factory_pipeline.splits.sentences import describe_balance, describe_leaks, describe_limits

CLEAN = LeakReport(
    pairs=0,
    crossing_pairs=0,
    crossing=pl.DataFrame(),
    leaking_share=0.0,
    random_pairs=0.0,
    random_leaking_share=0.0,
    images=10,
    placed=10,
)


def test_a_leak_is_said_with_its_numbers():
    leaking = replace(CLEAN, pairs=1_200, crossing_pairs=30, leaking_share=0.125)
    told = describe_leaks(leaking, "images")
    assert told.startswith("The split leaks: 30 of 1,200 pairs")
    assert "12.5% of the test and validation images" in told


def test_a_clean_split_says_what_was_compared():
    assert describe_leaks(CLEAN, "images") == "No two images overlap, and no two files are identical."
    assert describe_leaks(replace(CLEAN, placed=0), "images") == "No two files are identical."
    told = describe_leaks(replace(CLEAN, pairs=8, random_pairs=5.4, random_leaking_share=0.5), "chips")
    assert told.startswith("No overlapping or identical chips are in different splits")
    assert "separate 5 of 8 pairs and leak 50.0%" in told


def test_what_was_not_checked_is_said():
    assert "no image is georeferenced" in describe_limits(replace(CLEAN, placed=0), "images")[0]
    assert "overlap of 4 of 10 chips" in describe_limits(replace(CLEAN, placed=6), "chips")[0]


def test_shares_that_deviate_are_not_blamed_on_groups_that_need_not_exist():
    (told,) = describe_balance(Balance(0.1, "label=Field in train"), "images")
    assert "by up to 10.0 percentage points (label=Field in train): shares are of whole images," in told
