import logging
import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from factory_pipeline.web_retries import CappedRetry, TooBusyError, parse_retry_after, request_logs


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


def write_lines() -> None:
    line = '%s://%s:%s "%s %s %s" %s %s'
    asked = ("http", "me:s3cr3t@host", 80, "GET", "/a.zip?sig=s3cr3t", "HTTP/1.1", 200, 512)
    logging.getLogger("urllib3.connectionpool").debug(line, *asked)
    logging.getLogger("urllib3.util.retry").debug("Incremented Retry for (url='%s')", "/a.zip?sig=s3cr3t")
    headers = {"Accept": "*/*", "Authorization": "Basic czNjcjN0"}
    logging.getLogger("pystac_client.stac_api_io").debug(f"GET http://me:s3cr3t@host/stac Headers: {headers}")


def test_the_logs_of_requests_have_no_signatures_and_no_credentials(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with request_logs.during():
        with request_logs.during():
            pass
        write_lines()
    assert [record.getMessage() for record in caplog.records] == [
        'http://host:80 "GET /a.zip HTTP/1.1" 200 512',
        "Incremented Retry for (url='/a.zip",
        "GET http://host/stac Headers: {'Accept': '*/*', 'Authorization': (hidden)}",
    ]


def test_what_a_caller_requests_at_the_same_time_is_logged_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("urllib3.connectionpool")
    before = list(logger.filters)
    with request_logs.during():
        caller = threading.Thread(target=write_lines)
        caller.start()
        caller.join()
    write_lines()
    assert sum("s3cr3t" in record.getMessage() for record in caplog.records) == 6
    assert logger.filters == before
