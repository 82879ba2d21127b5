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

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509})
"""Answers that a later request may not get."""
LONGEST_ASKED_S = 600.0
"""Largest Retry-After that CappedRetry waits for."""
CONNECTIONS = 16
"""Connections kept open to one host: as many as searches run at once."""
FIRST_WAIT_S = 0.25
LONGEST_PAUSE_S = 20.0
TIMEOUT_S = 60.0
SHORTEST_TIMEOUT_S = 1.0
OnWait = Callable[[str, float], None]
"""Called with a host and the seconds for which nothing is asked of it."""
_given_up: dict[str, float] = {}
"""Host -> when it was last waited for in vain, by the monotonic clock of this process."""


def asked_wait(retry_after: str | None) -> float:
    """What Retry-After says, by seconds or by a date (RFC 9110, 10.2.3).

    Args:
        retry_after: value of the header; None where the answer has none.

    Returns:
        Seconds from now, at most six hours; 0 without the header and with one that can't be read.
    """
    try:
        return max(Retry().parse_retry_after(retry_after), 0.0) if retry_after else 0.0
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


class TooBusyError(HTTPError):
    """A host asks to be left alone for longer than anybody would wait."""


class CappedRetry(Retry):
    """Waits for as long as a host asks in Retry-After, whatever its status, but not for hours."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that an answer asks for, None where it doesn't or can't be understood.

        Raises:
            TooBusyError: that is more than LONGEST_ASKED_S.
        """
        seconds = asked_wait(response.headers.get("Retry-After"))
        if seconds > LONGEST_ASKED_S:
            raise TooBusyError(f"it is busy and asks to be left alone for {seconds:.0f} seconds")
        return seconds or None


class PatientAdapter(HTTPAdapter):
    """Sends a request again until it is answered or the next wait would pass `max_wait_s`.

    Resets, timeouts and truncated bodies are tried again, and so are the statuses of PASSING_STATUS.
    The wait doubles each time, or is what the server asks for in Retry-After. `max_wait_s` holds for the
    host, not for each request: a host that was waited for in vain is not waited for again for as long.
    """

    def __init__(self, max_wait_s: float, on_wait: OnWait | None = None) -> None:
        super().__init__(pool_maxsize=CONNECTIONS, pool_block=True)
        self._max_wait_s = max_wait_s
        self._on_wait = on_wait

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Give the first lasting answer, else the last passing one.

        Raises:
            requests.RequestException: no answer came at all.
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
                response = super().send(request, *args, **kwargs)
                # The body is read here, so that one that breaks off is asked for again.
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
                if response.status_code not in PASSING_STATUS:
                    _given_up.pop(host, None)
                    return response
                pause_s = max(wait_s, asked_wait(response.headers.get("Retry-After")))
                if time.monotonic() + pause_s > give_up:
                    _given_up[host] = time.monotonic()
                    return response
            if self._on_wait is not None:
                self._on_wait(host, pause_s)
            time.sleep(pause_s)
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)
