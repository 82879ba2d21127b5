"""The items that are drawn for a version: even over labels, days and values, or as different as possible."""

from collections import Counter
from typing import Any

import h5py
import numpy as np
import pytest

from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.datasets.versions.plan import check_version, plan_version
from factory_pipeline.errors import ArgumentError
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, request

ITEMS = 24


@pytest.fixture
def lake_of_kinds(lake: MadeLake) -> MadeLake:
    """Items 0 to 23 of a day each, all with label A, 6 with B too; regions of 4 and 20, an embedding."""
    angle = np.linspace(0, 1, ITEMS) ** 3
    collection = lake.add(
        "many",
        {f"i{number:02}": number for number in range(ITEMS)},
        {
            "region": ["north"] * 4 + ["south"] * 20,
            "height": [float(number) ** 2 for number in range(ITEMS)],
            "embedding": np.stack([np.cos(angle), np.sin(angle)], axis=1).tolist(),
        },
    )
    rows = [box(f"i{number:02}", "A") for number in range(ITEMS)]
    rows += [box(f"i{number:02}", "B", 3) for number in range(0, ITEMS, 4)]
    lake.annotate(collection, rows)
    return lake


def drawn(lake: MadeLake, **subset: Any) -> list[str]:
    asked = request(labels=("A", "B"), subset=subset)
    with plan_version(lake.registry, lake.home, asked) as plan:
        return plan.items["id"].sort().to_list()


def test_a_draw_is_exact_and_the_same_again_and_another_seed_draws_others(lake_of_kinds: MadeLake) -> None:
    first = drawn(lake_of_kinds, size=7)
    assert len(first) == 7
    assert drawn(lake_of_kinds, size=7) == first
    assert drawn(lake_of_kinds, size=7, seed=1) != first
    assert len(drawn(lake_of_kinds, size=ITEMS + 5)) == ITEMS


def test_what_is_drawn_does_not_depend_on_the_order_of_the_items(
    lake_of_kinds: MadeLake, other_lake: MadeLake
) -> None:
    other = other_lake.add("many", {f"i{number:02}": number for number in reversed(range(ITEMS))})
    other_lake.annotate(other, [box("i00", "A"), box("i00", "B")])
    assert drawn(other_lake, size=9) == drawn(lake_of_kinds, size=9)
    assert drawn(other_lake, size=9, by=["day"], seed=3) == drawn(lake_of_kinds, size=9, by=["day"], seed=3)
    assert drawn(other_lake, size=9, cover=["bands"]) == drawn(lake_of_kinds, size=9, cover=["bands"])


def test_a_draw_is_even_over_the_rarest_label_a_property_and_the_parts_of_a_number(
    lake_of_kinds: MadeLake,
) -> None:
    by_label = drawn(lake_of_kinds, size=8, by=["label"])
    assert Counter(int(name[1:]) % 4 == 0 for name in by_label) == {True: 4, False: 4}
    by_region = drawn(lake_of_kinds, size=8, by=["region"])
    assert Counter(int(name[1:]) < 4 for name in by_region) == {True: 4, False: 4}
    by_height = drawn(lake_of_kinds, size=8, by=["height"])
    assert Counter(int(name[1:]) // 6 for name in by_height) == {0: 2, 1: 2, 2: 2, 3: 2}
    by_tile = drawn(lake_of_kinds, size=6, by=["tile", "collection", "year"])
    assert len(by_tile) == 6


def test_a_draw_covers_an_embedding_and_numbers(lake_of_kinds: MadeLake) -> None:
    apart = drawn(lake_of_kinds, size=2, cover=["embedding"])
    assert "i23" in apart, "the one that points elsewhere"
    ends = drawn(lake_of_kinds, size=4, cover=["height"])
    assert {"i00", "i23"} <= set(ends)


def test_a_version_of_a_subset_grows_by_an_update_and_its_items_stay(lake_of_kinds: MadeLake) -> None:
    lake = lake_of_kinds
    asked = request(labels=("A", "B"), subset={"size": 6, "by": ["label"]})
    check_version(lake.registry, lake.home, asked)
    first = create_version(lake.registry, lake.home, asked)
    before = drawn(lake, size=6, by=["label"])
    more = request(dataset_version_id=first.id, labels=("A", "B"), subset={"size": 10, "cover": ["bands"]})
    check_version(lake.registry, lake.home, more)
    with plan_version(lake.registry, lake.home, more) as plan:
        assert plan.items.height == 10
        assert set(before) <= set(plan.items["id"])
    fewer = request(dataset_version_id=first.id, labels=("A",), subset={"size": 5})
    with pytest.raises(ArgumentError, match=r"subset.size is 5; the source version has 6 items, which stay"):
        check_version(lake.registry, lake.home, fewer)


@pytest.mark.parametrize(
    ("subset", "said"),
    [
        (
            {"by": ["ecoregion"]},
            r"subset.by\[0\] is 'ecoregion'; it must be 'collection', 'datetime', 'year', 'day' or a",
        ),
        ({"by": ["embedding"]}, r"subset.by\[0\] is 'embedding'; its values must be numbers, texts or times"),
        ({"cover": ["region"]}, r"subset.cover\[0\] is 'region'; its values must be numbers or lists"),
        ({"cover": ["bands"]}, r"subset.cover\[0\] is 'bands'; the items must have the same bands"),
        ({"cover": ["ragged"]}, r"subset.cover\[0\] is 'ragged'; its lists must have one length"),
    ],
)
def test_what_can_not_be_drawn_is_told(lake_of_kinds: MadeLake, subset: dict[str, Any], said: str) -> None:
    lake = lake_of_kinds
    if "bands" in str(subset):
        path = lake.home.root / "other.h5"
        with h5py.File(path, "w") as file:
            file["values"] = np.ones((1, 6, 8), np.float32)
        lake.add_row("other", path, "values", 0, None)
    if "ragged" in str(subset):
        lake.add("ragged", {"r": 78, "s": 79}, {"ragged": [[1.0], [1.0, 2.0]]})
    with pytest.raises(ArgumentError, match=said):
        drawn(lake, size=3, **subset)
