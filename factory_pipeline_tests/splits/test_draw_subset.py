"""Subsets: exact in size, even or far apart, the same in any order."""

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.splits.draw_subset import draw_apart, draw_evenly, farthest_points, ranks_of
from factory_pipeline.splits.random_keys import random_keys
from factory_pipeline_tests.examples import up_to


@settings(max_examples=up_to(60), deadline=None)
@given(
    strata=st.lists(st.integers(0, 5), min_size=1, max_size=50),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_an_even_draw_is_exact_keeps_what_it_must_and_ignores_the_order(
    strata: list[int], share: float, seed: int, data: st.DataObject
) -> None:
    stratum = np.array(strata)
    count = len(strata)
    size = max(1, round(share * count))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    key, order = random_keys(np.arange(count), seed), random_keys(np.unique(stratum), seed)
    drawn = draw_evenly(stratum, key, kept, size, order)
    assert drawn.sum() == size
    assert (drawn & kept).sum() == min(kept.sum(), size)
    if not kept.any():
        there, left = Counter(stratum[drawn].tolist()), Counter(stratum[~drawn].tolist())
        # A stratum with something left has as many as any other, but for the rest.
        assert all(there[rich] <= there[poor] + 1 for poor in left for rich in there)
    turn = np.random.default_rng(seed).permutation(count)
    assert (draw_evenly(stratum[turn], key[turn], kept[turn], size, order) == drawn[turn]).all()


@settings(max_examples=up_to(30), deadline=None)
@given(count=st.integers(2, 40), share=st.floats(0, 1), seed=st.integers(0, 99), kept_share=st.floats(0, 1))
def test_a_draw_apart_is_exact_keeps_what_it_must_and_ignores_the_order(
    count: int, share: float, seed: int, kept_share: float
) -> None:
    rng = np.random.default_rng(seed)
    points, kept = rng.random((count, 3)), rng.random(count) < kept_share
    size, key = max(1, round(share * count)), random_keys(np.arange(count), seed)
    drawn = draw_apart(points, key, kept, size)
    assert drawn.sum() == size
    assert (drawn & kept).sum() == min(kept.sum(), size)
    turn = rng.permutation(count)
    assert (draw_apart(points[turn], key[turn], kept[turn], size) == drawn[turn]).all()


def test_ranks_know_no_unit_and_put_what_is_missing_in_the_middle() -> None:
    ranks = ranks_of(pl.DataFrame({"a": [1.0, 1000.0, 3.0], "b": [None, 5.0, 2.0]}))
    assert ranks.tolist() == [[0.0, 0.5], [1.0, 0.5], [0.5, 0.0]]


def test_points_are_chosen_farthest_first() -> None:
    points = np.array([[0.0], [1.0], [4.0], [10.0]])
    order = np.array([1, 0, 2, 3], np.uint64)
    nothing = np.empty(0, np.int64)
    assert farthest_points(points, 4, order, nothing).tolist() == [1, 3, 2, 0]
    assert farthest_points(points, 2, order, np.array([3])).tolist() == [3, 0]
