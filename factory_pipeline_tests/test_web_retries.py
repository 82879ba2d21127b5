import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from factory_pipeline.web_retries import CappedRetry, TooBusyError, parse_retry_after


@given(st.integers(0, 6 * 3600))
def test_seconds_are_read(seconds: int) -> None:
    assert parse_retry_after(str(seconds)) == seconds


def test_a_date_is_read() -> None:
    assert parse_retry_after(formatdate(time.time() + 100, usegmt=True)) == pytest.approx(100, abs=5)
    assert parse_retry_after(formatdate(time.time() - 100, usegmt=True)) == 0


@pytest.mark.parametrize("text", [None, "", "soon", "-5", "Fri, 99 Foo 2020 99:99:99 GMT", "9" * 5000])
def test_what_cant_be_read_asks_for_nothing(text: str | None) -> None:
    assert parse_retry_after(text) == 0


@given(st.text())
def test_no_header_raises(text: str) -> None:
    assert parse_retry_after(text) >= 0


@pytest.mark.parametrize(("headers", "seconds"), [({}, None), ({"Retry-After": "60"}, 60)])
def test_a_host_is_left_alone_for_as_long_as_it_asks(headers: dict[str, str], seconds: float | None) -> None:
    assert CappedRetry(3).get_retry_after(HTTPResponse(headers=headers, status=500)) == seconds


def test_nobody_waits_for_hours() -> None:
    with pytest.raises(TooBusyError, match="asks to wait 7200 seconds"):
        CappedRetry(3).get_retry_after(HTTPResponse(headers={"Retry-After": "7200"}, status=503))
