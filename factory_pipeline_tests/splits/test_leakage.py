"""The search for leaks against a comparison of every image with every other."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.splits.assign import random_split, spatial_split, together_by_location
from factory_pipeline.splits.leakage import COPIES_SCHEMA, leak_report
from factory_pipeline_tests.onboarding.curated import items_frame, square
from factory_pipeline_tests.splits.test_groups import items

SPLITS = ("train", "test", "validation")
SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
IN_PLACE = 5_000_000
SIDE_M = 1000
"""Of an image of `items`."""
IMAGES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 6).map(lambda place: 450 * place)),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([*SPLITS, None]),
    ),
    min_size=1,
    max_size=9,
)
Image = tuple[int | None, str | None, str | None]


def split_of(images: list[Image]) -> pl.DataFrame:
    stems = [f"s{number}" for number in range(len(images))]
    return pl.DataFrame(
        {"stem": stems, "split": [split for *_, split in images]}, schema_overrides={"split": pl.String}
    )


def are_pair(one: Image, other: Image) -> bool:
    overlap = one[0] is not None and other[0] is not None and abs(one[0] - other[0]) < SIDE_M
    return overlap or (one[1] is not None and one[1] == other[1])


@given(IMAGES)
def test_every_pair_is_found_and_counted_once(images: list[Image]) -> None:
    table = items(*(left for left, *_ in images), sha256=[content for _, content, _ in images])
    found = leak_report(table, split_of(images))
    taken = [image for image in images if image[2] is not None]
    pairs = [(one, other) for one, other in combinations(taken, 2) if are_pair(one, other)]
    crossing = [(one, other) for one, other in pairs if one[2] != other[2]]
    assert (found.pairs, found.crossing_pairs, found.leaks) == (len(pairs), len(crossing), bool(crossing))
    held_out = [image for image in taken if image[2] != "train"]
    leaking = [
        image for image in held_out if any(other[2] == "train" and are_pair(image, other) for other in taken)
    ]
    assert (found.leaking, found.held_out, found.images) == (len(leaking), len(held_out), len(taken))
    in_pairs = {
        f"s{number}"
        for number, image in enumerate(images)
        if image[2] is not None
        and any(each[2] not in (None, image[2]) and are_pair(image, each) for each in images)
    }
    assert set(found.crossing["stem"]) == in_pairs
    assert found.placed == sum(image[0] is not None for image in taken)


def test_the_reason_and_the_largest_share_are_told() -> None:
    table = items(0, 750, 5000, None, None, sha256=["a", None, "a", "x", "y"])
    copies = pl.DataFrame([("s3", "s4", 0.99)], schema=COPIES_SCHEMA, orient="row")
    split = pl.DataFrame(
        {
            "stem": [f"s{number}" for number in range(5)],
            "split": ["train", "test", "test", "train", "validation"],
        }
    )
    found = leak_report(table, split, copies=copies)
    reasons = dict(found.crossing.select("stem", "reason").iter_rows())
    assert reasons == {"s0": "duplicate", "s1": "overlap", "s2": "duplicate", "s3": "copy", "s4": "copy"}
    assert found.largest_overlap == pytest.approx(0.25, abs=1e-3)
    assert found.distance_m == pytest.approx(0, abs=1)
    assert (found.copies, found.compared, found.duplicates) == (1, 5, 2)


def test_within_a_distance_two_images_are_a_pair() -> None:
    table, split = items(0, 1200), split_of([(0, None, "train"), (1200, None, "test")])
    assert not leak_report(table, split).leaks
    assert leak_report(table, split).distance_m == pytest.approx(200, abs=1)
    assert leak_report(table, split, buffer_m=250).leaks
    assert not leak_report(table, split, buffer_m=150).leaks


def test_chances_are_those_of_a_random_split() -> None:
    """Of two images in train and two in test, a pair is divided with 4 of 6 chances."""
    table = items(0, 100, 9000, 20_000)
    split = split_of([(0, None, side) for side in ("train", "train", "test", "test")])
    found = leak_report(table, split)
    assert (found.pairs, found.crossing_pairs) == (1, 0)
    assert found.random_pairs == pytest.approx(4 / 6)
    # Each of the two images of the pair, held out, has its neighbour in training with 2 of 3 chances.
    assert found.random_leaking_share == pytest.approx((2 / 3 + 2 / 3) / 4)


@pytest.mark.integration
def test_the_leak_report_names_pairs_and_tells_what_chance_would_do() -> None:
    # A row of ten images, each over half of the next, and a copy of the first far away.
    rows = [square(500_000 + 50 * n, IN_PLACE, 100) | {"sha256": f"{n}"} for n in range(10)]
    images = items_frame([*rows, square(600_000, IN_PLACE, 100) | {"sha256": "0"}])
    sides = ["train"] * 6 + ["test"] * 3 + ["validation"] * 2
    split = pl.DataFrame({"stem": images["stem"], "split": sides})
    report = leak_report(images, split)
    assert report.pairs == 10
    assert report.crossing_pairs == 3
    assert report.crossing.select("stem", "other_stem", "reason").rows() == [
        ("s000000", "s000010", "duplicate"),
        ("s000005", "s000006", "overlap"),
        ("s000006", "s000005", "overlap"),
        ("s000008", "s000009", "overlap"),
        ("s000009", "s000008", "overlap"),
        ("s000010", "s000000", "duplicate"),
    ]
    assert report.leaking_share == pytest.approx(2 / 5)

    rng = np.random.default_rng(0)
    draws = [
        leak_report(images, split.with_columns(pl.Series("split", rng.permutation(sides))))
        for _ in range(150)
    ]
    assert report.random_pairs == pytest.approx(np.mean([draw.crossing_pairs for draw in draws]), rel=0.08)
    assert report.random_leaking_share == pytest.approx(
        np.mean([draw.leaking_share for draw in draws]), abs=0.08
    )


@pytest.mark.integration
def test_many_images_of_one_place_are_quick_to_split_and_to_check() -> None:
    """Taken one by one they would be 150 million pairs."""
    rows = [square(500_000 + 9000 * (n % 3), IN_PLACE, 100) for n in range(30_000)]
    images = items_frame(rows)
    split = spatial_split(images, SHARES, 0, together_by_location("overlap"))
    assert not leak_report(images, split).leaks
    random = leak_report(images, random_split(images, SHARES, 0))
    assert random.pairs == 3 * 10_000 * 9_999 // 2
    assert random.crossing.height == 30_000
