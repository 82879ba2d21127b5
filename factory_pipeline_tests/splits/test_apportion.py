"""Dividing a whole number in proportion to shares, by the largest remainder."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.splits.apportion import largest_remainder

shares_of_any_sum = st.lists(st.decimals(0, 1000, places=3).map(float), min_size=1, max_size=8).filter(any)


@given(count=st.integers(0, 3000), shares=shares_of_any_sum)
def test_the_parts_sum_to_the_count_and_are_less_than_one_off(count: int, shares: list[float]) -> None:
    found = largest_remainder(count, dict(enumerate(shares)))
    exact = [Fraction(str(share)) for share in shares]
    assert list(found) == list(range(len(shares)))
    assert sum(found.values()) == count
    for part, share in zip(found.values(), exact, strict=True):
        assert abs(part - count * share / sum(exact)) < 1
        assert share or not part


@given(count=st.integers(0, 3000), shares=shares_of_any_sum)
def test_the_largest_remainders_get_one_more_and_ties_go_in_the_given_order(
    count: int, shares: list[float]
) -> None:
    found = largest_remainder(count, dict(enumerate(shares)))
    exact = [count * Fraction(str(share)) / sum(Fraction(str(other)) for other in shares) for share in shares]
    remainders = [part - int(part) for part in exact]
    up = [found[place] > exact[place] for place in range(len(shares))]
    turns = sorted(range(len(shares)), key=lambda place: (-remainders[place], place))
    assert [up[place] for place in turns] == sorted(up, reverse=True)


@given(count=st.integers(0, 3000), shares=shares_of_any_sum, factor=st.sampled_from([2, 3, 7, 10]))
def test_only_the_proportion_of_the_shares_matters(count: int, shares: list[float], factor: int) -> None:
    scaled = [float(Fraction(str(share)) * factor) for share in shares]
    assert largest_remainder(count, dict(enumerate(shares))) == largest_remainder(
        count, dict(enumerate(scaled))
    )


@pytest.mark.parametrize(
    ("count", "shares", "parts"),
    [
        # In binary floating point 8 * 20 % has a larger remainder than 8 * 70 %.
        (8, [70, 20, 10], [6, 1, 1]),
        (8, [0.7, 0.2, 0.1], [6, 1, 1]),
        (100, [57, 29, 14], [57, 29, 14]),
        (10, [33.3333333, 33.3333333, 33.3333334], [3, 3, 4]),
        (1, [0, 50, 50], [0, 1, 0]),
        (0, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_remainders_are_those_on_paper(count: int, shares: list[float], parts: list[int]) -> None:
    assert list(largest_remainder(count, dict(enumerate(shares))).values()) == parts


@pytest.mark.parametrize("shares", [[0, 0], [-1, 2], []])
def test_shares_that_say_nothing_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="share"):
        largest_remainder(3, dict(enumerate(shares)))
