"""Splits: exact counts, stability, groups that stay together, and the proof that nothing leaks."""

import itertools

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.assign import (
    assign_given,
    assign_partly_given,
    quotas,
    random_split,
    spatial_split,
    split_by_rule,
    together_by_location,
    write_split_files,
)
from factory_pipeline.splits.connected_groups import group_numbers
from factory_pipeline.splits.leakage import leak_report
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.split_rule import GivenSplit, Percentages, RandomSplit, SpatialSplit
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.curated import items_frame, square

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
IN_PLACE = 5_000_000


def _counts(split: pl.DataFrame) -> dict[str, int]:
    return {name: split.filter(pl.col("split") == name).height for name in SPLITS}


def near_pairs(items: pl.DataFrame, distance_m: float = 0.0) -> list[tuple[int, int]]:
    """Every pair of images that overlap or are nearer than that."""
    ground = Ground.of(items)
    found = [(one, other) for part in ground.pairs(distance_m) for one, other in part.tolist()]
    assert len(found) == len(set(found)), "each pair once"
    on = {number: np.flatnonzero(ground.number == number).tolist() for number in range(len(ground.corners))}
    different = [pair for a, b in found for pair in itertools.product(on[a], on[b])]
    same = [pair for images in on.values() for pair in itertools.combinations(images, 2)]
    return sorted((min(pair), max(pair)) for pair in different + same)


def _named(count: int, start: int = 0) -> pl.DataFrame:
    return items_frame([{"original_name": f"image {number}"} for number in range(start, start + count)])


def _earlier(items: pl.DataFrame, split: pl.DataFrame) -> pl.DataFrame:
    return items.join(split, on="stem").select("original_name", "sha256", "split")


@given(count=st.integers(0, 500), shares=st.tuples(st.integers(0, 100), st.integers(0, 100)))
@settings(max_examples=up_to(30))
def test_quotas_sum_up_and_are_less_than_one_off(count: int, shares: tuple[int, int]) -> None:
    low, high = sorted(shares)
    percentages = {"train": low, "test": high - low, "validation": 100 - high}
    found = quotas(count, percentages)
    assert sum(found.values()) == count
    assert all(abs(found[split] - count * share / 100) < 1 for split, share in percentages.items())


def test_quotas_are_the_largest_remainders_on_paper() -> None:
    percentages = {"train": 70.0, "test": 20.0, "validation": 10.0}
    assert quotas(8, percentages) == {"train": 6, "test": 1, "validation": 1}
    assert _counts(random_split(_named(8), percentages, 0)) == quotas(8, percentages)


def test_what_is_placed_stays_where_it_is_though_another_count_would_be_nearer() -> None:
    items, percentages = _named(8), {"train": 70.0, "test": 20.0, "validation": 10.0}
    placed = pl.Series("split", ["train"] * 5 + ["test"] * 2 + ["validation"])
    earlier = items.select("original_name", "sha256").with_columns(placed)
    assert random_split(items, percentages, 0, earlier)["split"].to_list() == placed.to_list()


@pytest.mark.parametrize("percentages", [{"train": 60}, {"train": 120, "test": -20}, {"learn": 100}])
def test_percentages_must_sum_to_100(percentages: dict[str, float]) -> None:
    with pytest.raises(OnboardingError, match="sum to 100") as error:
        quotas(10, percentages)
    assert error.value.code == "SPLIT_INVALID"


@given(count=st.integers(1, 120), seed=st.integers(0, 1000))
@settings(max_examples=up_to(12), deadline=None)
def test_a_random_split_is_exact_and_does_not_depend_on_the_order(count: int, seed: int) -> None:
    items = _named(count)
    split = random_split(items, SHARES, seed)
    assert _counts(split) == quotas(count, SHARES)
    assert split["stem"].to_list() == items["stem"].to_list()
    assert random_split(items.reverse(), SHARES, seed).sort("stem").equals(split.sort("stem"))


def test_another_seed_is_another_split() -> None:
    items = _named(50)
    assert not random_split(items, SHARES, 1).equals(random_split(items, SHARES, 2))


@pytest.mark.integration
@given(before=st.integers(1, 80), added=st.integers(0, 60), seed=st.integers(0, 99))
@settings(max_examples=up_to(12), deadline=None)
def test_images_keep_their_split_when_others_are_added(before: int, added: int, seed: int) -> None:
    first = _named(before)
    earlier = _earlier(first, random_split(first, SHARES, seed))
    # New files sort in front, so that every stem means another image than before.
    grown = pl.concat([_named(added, start=1000), first]).with_columns(
        pl.format("t{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)).alias("stem")
    )
    split = random_split(grown, SHARES, seed, earlier)
    kept = _earlier(grown, split).join(earlier, on="original_name")
    assert kept.height == before
    assert (kept["split"] == kept["split_right"]).all()
    assert _counts(split) == quotas(before + added, SHARES)


def test_a_renamed_image_keeps_its_split_by_its_content() -> None:
    items = _named(10)
    earlier = _earlier(items, random_split(items, SHARES, 0))
    renamed = items.with_columns(pl.format("new {}", "original_name").alias("original_name"))
    again = _earlier(renamed, random_split(renamed, SHARES, 0, earlier))
    assert again.sort("sha256")["split"].equals(earlier.sort("sha256")["split"])


def test_without_an_earlier_split_few_images_move() -> None:
    first, grown = _named(1000), _named(1050)
    both = random_split(first, SHARES, 0).join(random_split(grown, SHARES, 0), on="stem")
    moved = both.filter(pl.col("split") != pl.col("split_right")).height
    assert moved < 50, "a fresh draw would move more than half"


@given(contents=st.lists(st.integers(0, 12), min_size=1, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=up_to(12), deadline=None)
def test_duplicates_stay_together(contents: list[int], seed: int) -> None:
    items = items_frame([{"sha256": f"{content:064x}"} for content in contents])
    split = random_split(items, SHARES, seed)
    sides = items.join(split, on="stem").group_by("sha256").agg(pl.col("split").n_unique())
    assert (sides["split"] == 1).all()
    assert not leak_report(items, split).leaks


def test_a_given_split_is_taken_as_it_is() -> None:
    items = _named(4)
    split = assign_given(
        items, {"train": ["image 0", "image 3"], "test": ["image 2"], "validation": ["image 1"]}
    )
    assert split["split"].to_list() == ["train", "validation", "test", "train"]


@pytest.mark.parametrize(
    ("given_names", "message"),
    [
        ({"train": ["image 0"]}, "don't list these images: image 1"),
        ({"train": ["image 0", "image 1"], "test": ["image 1"]}, "twice: image 1"),
        ({"train": ["image 0", "image 1", "image 9"]}, "don't exist: image 9"),
        ({"learn": ["image 0", "image 1"]}, "not learn"),
    ],
)
def test_a_given_split_names_every_image_once(given_names: dict[str, list[str]], message: str) -> None:
    with pytest.raises(OnboardingError, match=message):
        assign_given(_named(2), given_names)


DRAWN = {"train": 75.0, "test": 0.0, "validation": 25.0}


@pytest.mark.integration
@given(
    tests=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    others=st.tuples(st.integers(1, 60), st.integers(0, 60)),
    seed=st.integers(0, 99),
)
@settings(max_examples=up_to(12), deadline=None)
def test_images_that_no_list_names_are_drawn_and_keep_their_split(
    tests: tuple[int, int], others: tuple[int, int], seed: int
) -> None:
    rule = GivenSplit(test_file="test.txt", percentages=Percentages(**DRAWN), seed=seed)

    def split(tests: int, others: int, earlier: pl.DataFrame | None = None) -> pl.DataFrame:
        items = pl.concat([_named(others), _named(tests, start=1000)]).with_columns(
            pl.format("t{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)).alias("stem")
        )
        listed = {"test": [f"image {number}" for number in range(1000, 1000 + tests)]}
        found = split_by_rule(items, rule, listed, earlier)
        assert found["stem"].equals(items["stem"])
        assert _counts(found) == quotas(others, DRAWN) | {"test": tests}
        return _earlier(items, found)

    before = split(tests[0], others[0])
    after = split(sum(tests), sum(others), before)
    assert after.join(before, on=["original_name", "split"]).height == before.height


def test_an_image_that_a_list_names_now_leaves_its_earlier_split() -> None:
    items = _named(4)
    earlier = items.select("original_name", "sha256", split=pl.lit("test"))
    split = assign_partly_given(items, {"validation": ["image 3"]}, DRAWN, 0, earlier)
    assert split["split"].to_list().count("validation") == 2
    assert split["split"][3] == "validation"
    assert "test" not in split["split"]


def test_the_rule_of_the_manifest_decides() -> None:
    items = items_frame([square(500_000 + 200 * n, IN_PLACE, 100) for n in range(10)])
    assert split_by_rule(items, RandomSplit(seed=3)).equals(random_split(items, SHARES, 3))
    spatial = SpatialSplit(by="overlap", buffer_m=10, seed=3)
    assert split_by_rule(items, spatial).equals(
        spatial_split(items, SHARES, 3, together_by_location("overlap", 10))
    )
    lists = GivenSplit(train=("image 0",), test_file="test.txt")
    rest = [f"image {n}" for n in range(1, 10)]
    assert _counts(split_by_rule(items, lists, listed={"test": rest})) == {
        "train": 1,
        "test": 9,
        "validation": 0,
    }


def test_split_files_hold_one_stem_per_line(tmp_path) -> None:
    split = pl.DataFrame({"stem": ["b", "a", "c"], "split": ["train", "train", "validation"]})
    write_split_files(tmp_path, split)
    assert (tmp_path / "train_data.txt").read_text() == "a\nb\n"
    assert (tmp_path / "val_data.txt").read_text() == "c\n"
    assert (tmp_path / "test_data.txt").read_text() == ""


places = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from([100, 200, 400])),
    min_size=2,
    max_size=40,
)


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


@pytest.mark.integration
@given(
    places=places,
    by=st.sampled_from(["overlap", "block", "mgrs"]),
    buffer_m=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=up_to(20), deadline=None)
def test_no_group_crosses_a_spatial_split(
    places: list[tuple[int, int, int]], by: str, buffer_m: float, seed: int
) -> None:
    # Two more places far off, so that there are three groups at least.
    rows = [square(500_000 + 50 * x, IN_PLACE + 50 * y, side) for x, y, side in places]
    rows += [square(500_000, IN_PLACE + far, 100) for far in (200_000, 400_000)]
    items = items_frame(rows)
    split = spatial_split(items, SHARES, seed, together_by_location(by, buffer_m, block_m=2000))
    report = leak_report(items, split, buffer_m)
    assert not report.leaks
    assert report.leaking_share == 0
    assert min(_counts(split).values()) > 0
    shuffled = items.sample(fraction=1, shuffle=True, seed=seed)
    assert (
        spatial_split(shuffled, SHARES, seed, together_by_location(by, buffer_m, block_m=2000))
        .sort("stem")
        .equals(split.sort("stem"))
    )


def test_blocks_hold_neighbours_together_that_do_not_touch() -> None:
    places = [(x, y) for x in range(12) for y in range(12)]
    items = items_frame([square(500_000 + 1000 * x, IN_PLACE + 1000 * y, 500) for x, y in places])
    split = spatial_split(items, SHARES, 0, together_by_location("block", block_m=3000))
    table = dict(zip(places, split["split"], strict=True))
    neighbours = [table[x, y] == table[x + 1, y] for x, y in places if x < 11]
    assert np.mean(neighbours) > 0.6, "at random it would be 0.44"
    assert all(abs(_counts(split)[name] - quotas(144, SHARES)[name]) <= 9 for name in SPLITS)


def test_a_spatial_split_keeps_earlier_images_and_takes_new_neighbours_in() -> None:
    first = items_frame([square(500_000 + 1000 * n, IN_PLACE, 500) for n in range(20)])
    earlier = _earlier(first, spatial_split(first, SHARES, 0, together_by_location("overlap")))
    beside = items_frame(
        [square(500_200 + 1000 * n, IN_PLACE, 500) | {"original_name": f"new {n}"} for n in range(20)]
    ).with_columns(pl.format("t{}", "stem").alias("stem"))
    grown = pl.concat([first, beside])
    split = _earlier(grown, spatial_split(grown, SHARES, 5, together_by_location("overlap"), earlier=earlier))
    assert split.head(20)["split"].equals(earlier["split"])
    assert split.tail(20)["split"].equals(earlier["split"])


def test_neighbours_in_a_mosaic_touch_but_do_not_overlap() -> None:
    items = items_frame(
        [square(500_000 + 5120 * x, IN_PLACE + 5120 * y, 5120) for x in range(4) for y in range(4)]
    )
    assert len(near_pairs(items)) == 0
    assert len(near_pairs(items, 10)) == 4 * 3 * 2 + 3 * 3 * 2


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


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{} for _ in range(5)], "none is"),
        (
            [square(500_000 + 10 * n, IN_PLACE, 500) for n in range(5)],
            "form 1 group by location and 3 splits",
        ),
    ],
)
def test_a_spatial_split_that_cannot_be_says_what_to_do(rows: list[dict], message: str) -> None:
    with pytest.raises(OnboardingError, match=message):
        spatial_split(items_frame(rows), SHARES, 0, together_by_location("overlap"))


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))
    )
)
@settings(max_examples=up_to(20))
def test_groups_are_the_connected_components(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = case
    groups = group_numbers(count, [np.array(pairs, dtype=np.int64).reshape(-1, 2)])
    reach = np.eye(count, dtype=bool)
    for one, other in pairs:
        reach[one, other] = reach[other, one] = True
    for _ in range(count):
        reach = reach @ reach
    assert ((groups[:, None] == groups[None]) == reach).all()


@given(
    rows=st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 5)), st.integers(0, 8), st.sampled_from(SPLITS)),
        min_size=1,
        max_size=25,
    ),
    buffer_m=st.sampled_from([0.0, 60.0]),
)
@settings(max_examples=up_to(30), deadline=None)
def test_the_leak_report_is_that_of_a_plain_search(
    rows: list[tuple[int | None, int, str]], buffer_m: float
) -> None:
    """Images of few places and contents, some of them without a place."""
    items = items_frame(
        [
            ({} if place is None else square(500_000 + 150 * place, IN_PLACE, 100)) | {"sha256": f"{content}"}
            for place, content, _ in rows
        ]
    )
    split = pl.DataFrame({"stem": items["stem"], "split": [side for *_, side in rows]})

    def are_pair(one: tuple[int | None, int, str], other: tuple[int | None, int, str]) -> bool:
        placed = one[0] is not None and other[0] is not None
        apart = abs(one[0] - other[0]) if placed else 9
        return one[1] == other[1] or apart == 0 or (apart == 1 and buffer_m > 50)

    pairs = [
        (one, other) for one in range(len(rows)) for other in range(one) if are_pair(rows[one], rows[other])
    ]
    crossing = [(one, other) for one, other in pairs if rows[one][2] != rows[other][2]]
    leaking = {
        held
        for pair in crossing
        for held, other in (pair, pair[::-1])
        if rows[held][2] != "train" and rows[other][2] == "train"
    }
    held_out = sum(side != "train" for *_, side in rows)

    report = leak_report(items, split, buffer_m)
    assert (report.pairs, report.crossing_pairs) == (len(pairs), len(crossing))
    assert report.leaking_share == pytest.approx(len(leaking) / held_out if held_out else 0)
    names = items["stem"].to_list()
    assert report.crossing["stem"].to_list() == [names[n] for n in sorted({n for p in crossing for n in p})]
    numbers = {name: number for number, name in enumerate(names)}
    for stem, side, other_stem, other_side, reason in report.crossing.iter_rows():
        one, other = rows[numbers[stem]], rows[numbers[other_stem]]
        assert (side, other_side) == (one[2], other[2])
        assert side != other_side
        assert are_pair(one, other)
        assert reason == ("duplicate" if one[1] == other[1] else "overlap")


@pytest.mark.integration
def test_many_images_of_one_place_are_quick_to_split_and_to_check() -> None:
    """Taken one by one they would be 150 million pairs."""
    rows = [square(500_000 + 9000 * (n % 3), IN_PLACE, 100) for n in range(30_000)]
    items = items_frame(rows)
    split = spatial_split(items, SHARES, 0, together_by_location("overlap"))
    assert not leak_report(items, split).leaks
    random = leak_report(items, random_split(items, SHARES, 0))
    assert random.pairs == 3 * 10_000 * 9_999 // 2
    assert random.crossing.height == 30_000


@pytest.mark.integration
def test_the_leak_report_names_pairs_and_tells_what_chance_would_do() -> None:
    # A row of ten images, each over half of the next, and a copy of the first far away.
    rows = [square(500_000 + 50 * n, IN_PLACE, 100) | {"sha256": f"{n}"} for n in range(10)]
    items = items_frame([*rows, square(600_000, IN_PLACE, 100) | {"sha256": "0"}])
    sides = ["train"] * 6 + ["test"] * 3 + ["validation"] * 2
    split = pl.DataFrame({"stem": items["stem"], "split": sides})
    report = leak_report(items, split)
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
        leak_report(items, split.with_columns(pl.Series("split", rng.permutation(sides)))) for _ in range(150)
    ]
    assert report.random_pairs == pytest.approx(np.mean([draw.crossing_pairs for draw in draws]), rel=0.08)
    assert report.random_leaking_share == pytest.approx(
        np.mean([draw.leaking_share for draw in draws]), abs=0.08
    )


@pytest.mark.parametrize("size", [8, 32, 512, 10_980])
def test_overlap_by_one_pixel_is_found_and_by_an_edge_is_none(size: int) -> None:
    def image(column: int, row: int) -> dict[str, object]:
        transform = [10.0, 0.0, 500_000.0 + 10 * column, 0.0, -10.0, IN_PLACE - 10.0 * row]
        return {"epsg": 32633, "transform": transform, "width": size, "height": size}

    corner, edge = (size - 1, size - 1), (size, 0)
    assert near_pairs(items_frame([image(0, 0), image(*corner)])) == [(0, 1)]
    assert near_pairs(items_frame([image(0, 0), image(*edge)])) == []
    assert near_pairs(items_frame([image(0, 0), image(size - 1, 0)])) == [(0, 1)]
