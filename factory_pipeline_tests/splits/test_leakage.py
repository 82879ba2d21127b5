"""The search for leaks against a comparison of every image with every other."""

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.splits.leakage import COPIES_SCHEMA, leak_report
from factory_pipeline_tests.splits.test_groups import items

SPLITS = ("train", "test", "validation")
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
