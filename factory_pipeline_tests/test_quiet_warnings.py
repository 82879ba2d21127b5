"""A category of warnings is silenced in blocks alone, and the process's filters are as before."""

import warnings
from collections.abc import Iterator

import pytest

from factory_pipeline.quiet_warnings import QuietWarnings


class DullWarning(UserWarning):
    """Of a library."""


class NewsWarning(UserWarning):
    """Of another one."""


quiet = QuietWarnings(DullWarning)


@pytest.fixture(autouse=True)
def callers_filters() -> Iterator[list[object]]:
    """The caller makes every warning an error, and has asked to ignore the same category before."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DullWarning)
        warnings.simplefilter("error")
        yield list(warnings.filters)


def test_one_category_is_silenced_in_the_block_alone(callers_filters: list[object]) -> None:
    with quiet.during():
        warnings.warn("known", DullWarning, stacklevel=1)
        with quiet.during(), pytest.raises(NewsWarning):
            warnings.warn("new", NewsWarning, stacklevel=1)
        warnings.warn("known", DullWarning, stacklevel=1)
    with pytest.raises(DullWarning):
        warnings.warn("known", DullWarning, stacklevel=1)
    assert warnings.filters == callers_filters


def test_a_filter_that_is_set_in_the_block_does_not_undo_the_next_one() -> None:
    with quiet.during():
        warnings.simplefilter("always")
        warnings.simplefilter("error")
        with quiet.during():
            warnings.warn("known", DullWarning, stacklevel=1)


def test_blocks_that_overlap_others_leave_nothing(callers_filters: list[object]) -> None:
    ours, theirs = quiet.during(), warnings.catch_warnings()
    ours.__enter__()
    theirs.__enter__()
    ours.__exit__(None, None, None)
    assert warnings.filters == callers_filters
    theirs.__exit__(None, None, None)
    assert warnings.filters == callers_filters
    first, second = quiet.during(), quiet.during()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warnings.warn("known", DullWarning, stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters == callers_filters


def test_what_was_shown_once_is_not_shown_again() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for _ in range(2):
            with quiet.during():
                warnings.warn("new", NewsWarning, stacklevel=1)
    assert [each.category for each in shown] == [NewsWarning]
