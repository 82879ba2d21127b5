"""Which pairs are stored last: whole locations, so that none is in training and validation at once."""

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.pair_order import order_pairs


def at(x: int, z: int, offset: int = -1, y: int = 0) -> tuple[Box, Box]:
    return Box(z, y, x, 10, 10), Box(z + offset, y, x, 10, 10)


def swapped(pair: tuple[Box, Box]) -> tuple[Box, Box]:
    return pair[::-1]


def test_a_pair_and_its_reverse_at_the_end_stay_there() -> None:
    pairs = [at(0, 5), swapped(at(0, 5)), at(50, 5), swapped(at(50, 5))]
    order = order_pairs(pairs)
    assert order.order == (0, 1, 2, 3)
    assert order.location == (0, 0, 1, 1)
    assert [order.split(pair) for pair in range(4)] == ["train", "train", "validation", "validation"]
    assert order.leaking == 0


def test_a_location_of_two_pairs_goes_last() -> None:
    pairs = [at(50, 5), swapped(at(50, 5)), *(at(0, 5, -offset) for offset in (1, 2, 3))]
    assert order_pairs(pairs).order == (2, 3, 4, 0, 1)


def test_two_locations_of_one_pair_go_last() -> None:
    pairs = [at(100, 1), *(at(0, 5, -offset) for offset in (1, 2, 3)), at(200, 1)]
    assert order_pairs(pairs).order == (1, 2, 3, 0, 4)


def test_else_the_smallest_location_goes_last_and_what_leaks_is_counted() -> None:
    pairs = [*(at(0, 5, -offset) for offset in (1, 2, 3)), *(at(50, 5, -offset) for offset in (1, 2, 3, 4))]
    order = order_pairs(pairs)
    assert order.order == (3, 4, 5, 6, 0, 1, 2)
    assert (order.held_out, order.leaking) == ({0, 1, 2}, 1)


def test_one_location_is_for_training() -> None:
    order = order_pairs([at(0, 5), swapped(at(0, 5)), at(0, 5, -2)])
    assert (order.order, order.held_out) == ((0, 1, 2), frozenset())


def test_boxes_that_overlap_are_one_location_and_those_that_touch_are_not() -> None:
    assert order_pairs([at(0, 5), at(9, 5, y=9)]).location == (0, 0)
    assert order_pairs([at(0, 5), at(10, 5)]).location == (0, 1)
    assert order_pairs([at(0, 5), at(0, 5, y=10)]).location == (0, 1)
    # The tgt of one is over the src of the other, which a third has too.
    assert order_pairs([at(0, 5), at(5, 4), at(100, 9), at(100, 8)]).location == (0, 0, 1, 1)


places = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(1, 4), st.sampled_from([-1, -2]))


@given(st.lists(places, min_size=1, max_size=12))
def test_no_location_is_on_both_sides(made: list[tuple[int, int, int, int]]) -> None:
    pairs = [at(6 * x, z, offset, y=6 * y) for x, y, z, offset in made]
    order = order_pairs(pairs)
    assert sorted(order.order) == list(range(len(pairs)))
    # Held-out pairs are last, and share no pixel of a section with the others.
    assert set(order.order[len(pairs) - len(order.held_out) :]) == order.held_out
    for one in order.held_out:
        for other in set(range(len(pairs))) - order.held_out:
            assert not any(
                a.z == b.z and abs(a.x - b.x) < 10 and abs(a.y - b.y) < 10
                for a in pairs[one]
                for b in pairs[other]
            )
