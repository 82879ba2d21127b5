"""When a request to a web server is sent again, and what the server says about when."""

import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.response import BaseHTTPResponse

from factory_pipeline.redaction import RedactedLines

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509})
"""Transient HTTP statuses: a later request may succeed."""
LONGEST_ASKED_S = 600.0
"""Largest Retry-After that CappedRetry waits for."""
CONNECTIONS = 16
"""Connections kept open to one host: as many as searches run at the same time."""
FIRST_WAIT_S = 0.25
LONGEST_PAUSE_S = 20.0
TIMEOUT_S = 60.0
SHORTEST_TIMEOUT_S = 1.0
OnWait = Callable[[str, float], None]
"""Called with a host and the seconds until the next request to it."""
request_logs = RedactedLines(
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
    "pystac_client.stac_api_io",
)
"""They log each request with its address and headers, where somebody asked for logs of level DEBUG."""
_given_up: dict[str, float] = {}
"""By host: when retries to it last ended without success, by the monotonic clock of this process."""


def parse_retry_after(retry_after: str | None) -> float:
    """Parse Retry-After, given as seconds or as a date (RFC 9110, 10.2.3).

    Args:
        retry_after: value of the header; None if the response has none.

    Returns:
        Seconds from now, at most six hours; 0 without the header or if it can't be parsed.
    """
    try:
        return max(Retry().parse_retry_after(retry_after), 0.0) if retry_after else 0.0
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


class TooBusyError(HTTPError):
    """A host asks for a longer wait than LONGEST_ASKED_S."""


class CappedRetry(Retry):
    """Waits for as long as a host asks in Retry-After, whatever the status, up to LONGEST_ASKED_S."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that a response asks to wait; None if it has no Retry-After that can be parsed.

        Raises:
            TooBusyError: that is more than LONGEST_ASKED_S.
        """
        seconds = parse_retry_after(response.headers.get("Retry-After"))
        if seconds > LONGEST_ASKED_S:
            raise TooBusyError(f"it is busy and asks to wait {seconds:.0f} seconds")
        return seconds or None


class PatientAdapter(HTTPAdapter):
    """Sends a request again until it gets a response or the next wait would pass `max_wait_s`.

    Resets, timeouts, truncated bodies and the statuses of TRANSIENT_STATUS are retried. The wait doubles each
    time, or is what the server asks for in Retry-After. `max_wait_s` holds for the host, not for each
    request: a host that did not recover in this time is not waited for again for as long.
    """

    def __init__(self, max_wait_s: float, on_wait: OnWait | None = None) -> None:
        """Set the limit of the waits.

        Args:
            max_wait_s: seconds to wait for a host in total.
            on_wait: called before each wait.
        """
        super().__init__(pool_maxsize=CONNECTIONS, pool_block=True)
        self._max_wait_s = max_wait_s
        self._on_wait = on_wait

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Return the first response that is not transient, else the last one.

        Args:
            request: sent again after each transient response or error.
            *args: as for `requests.adapters.HTTPAdapter.send`.
            **kwargs: as there, except for the `timeout`, which is set for each attempt.

        Raises:
            requests.RequestException: no response came at all.
        """
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        began = time.monotonic()
        in_vain = _given_up.get(host, -math.inf) > began - self._max_wait_s
        give_up = began if in_vain else began + self._max_wait_s
        wait_s = FIRST_WAIT_S
        while True:
            left_s = give_up - time.monotonic()
            kwargs["timeout"] = min(TIMEOUT_S, max(left_s, SHORTEST_TIMEOUT_S))
            try:
                with request_logs.during():
                    response = super().send(request, *args, **kwargs)
                # The body is read here, so that a truncated one is requested again.
                _ = response.content
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ):
                if time.monotonic() + wait_s > give_up:
                    _given_up[host] = time.monotonic()
                    raise
                pause_s = wait_s
            else:
                if response.status_code not in TRANSIENT_STATUS:
                    _given_up.pop(host, None)
                    return response
                pause_s = max(wait_s, parse_retry_after(response.headers.get("Retry-After")))
                if time.monotonic() + pause_s > give_up:
                    _given_up[host] = time.monotonic()
                    return response
            if self._on_wait is not None:
                self._on_wait(host, pause_s)
            time.sleep(pause_s)
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)
