from datetime import UTC, datetime, timedelta, timezone

import pytest

from factory_pipeline.stac.query import ItemQuery, item_times, parse_time, rfc3339

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def test_times_are_utc_and_come_back() -> None:
    eastern = datetime(2024, 6, 1, 14, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(NOON) == "2024-06-01T12:00:00Z"
    assert rfc3339(eastern) == "2024-06-01T12:00:00.250000Z"
    assert parse_time(rfc3339(eastern)) == eastern
    assert parse_time("2024-06-01T12:00:00") == NOON


def test_an_interval_has_both_ends_or_none() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    assert ItemQuery(box).interval is None
    assert ItemQuery(box, NOON).interval is None
    later = NOON + timedelta(days=1)
    assert ItemQuery(box, NOON, later).interval == "2024-06-01T12:00:00Z/2024-06-02T12:00:00Z"


def test_an_item_has_an_instant_or_a_range() -> None:
    one, two = "2024-06-01T12:00:00Z", "2024-06-02T12:00:00Z"
    assert item_times({"properties": {"datetime": one}}) == (NOON, NOON)
    ranged = {"datetime": None, "start_datetime": one, "end_datetime": two}
    assert item_times({"properties": ranged}) == (NOON, NOON + timedelta(days=1))
    with pytest.raises(KeyError):
        item_times({"properties": {"datetime": None, "start_datetime": one}})
