"""How the batches of a build are divided over runs and processes."""

import pytest

from factory_pipeline.runs import build
from factory_pipeline.runs.build import MOST_BATCHES_PER_RUN, neighbouring_ranges, processes_for

KEYS = [f"b{number:03}" for number in range(100)]


@pytest.mark.parametrize(
    ("footprints", "most", "processes"),
    [(0, 4, 1), (827, 16, 1), (1_999, 16, 1), (2_000, 16, 2), (100_000, 16, 16), (100_000, 1, 1)],
)
def test_a_process_is_started_where_it_has_enough_to_do(footprints: int, most: int, processes: int) -> None:
    assert processes_for(footprints, most) == processes


def test_processes_that_are_forked_are_worth_it_for_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "is_serving", lambda: True)
    assert [processes_for(footprints, 4) for footprints in (0, 399, 400, 827)] == [1, 1, 2, 4]


def test_one_process_has_two_runs_unless_there_are_many_batches() -> None:
    assert neighbouring_ranges(KEYS[:9], KEYS, 1) == [tuple(KEYS[:5]), tuple(KEYS[5:9])]
    assert [len(each) for each in neighbouring_ranges(KEYS, KEYS, 1)] == [MOST_BATCHES_PER_RUN] * 4


@pytest.mark.parametrize("workers", [1, 2, 3, 10])
def test_each_process_has_two_runs_or_more(workers: int) -> None:
    ranges = neighbouring_ranges(KEYS, KEYS, workers)
    assert len(ranges) >= 2 * workers
    assert [key for each in ranges for key in each] == KEYS


def test_a_run_ends_where_a_batch_is_there_already() -> None:
    missing = [*KEYS[3:5], *KEYS[7:9]]
    assert neighbouring_ranges(missing[::-1], KEYS, 1) == [tuple(KEYS[3:5]), tuple(KEYS[7:9])]
