"""Threads that don't run ahead, and frames that grow part by part."""

import polars as pl
import pytest

from factory_pipeline.onboarding import gather
from factory_pipeline.onboarding.gather import frame_of, in_order


def test_answers_come_in_order_and_few_of_them_wait() -> None:
    taken = 0
    ahead = []

    def numbers():
        for number in range(100):
            ahead.append(number - taken)
            yield number

    for place, answer in enumerate(in_order(lambda number: number * 2, numbers(), workers=3)):
        assert answer == 2 * place
        taken += 1
    assert taken == 100
    assert max(ahead) <= 2 * 3 + 1


def test_an_error_of_a_task_is_raised_in_its_turn() -> None:
    answers = in_order(lambda number: 1 // number, [2, 1, 0, 1], workers=2)
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(answers)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20])
def test_rows_become_the_frame_that_they_would_become_at_once(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "ROWS_AT_ONCE", 8)
    schema = {"name": pl.String, "values": pl.List(pl.Float64)}
    rows = [{"name": f"{number}", "values": [number] if number % 3 else None} for number in range(count)]
    assert frame_of(iter(rows), schema).equals(pl.DataFrame(rows, schema=schema))
