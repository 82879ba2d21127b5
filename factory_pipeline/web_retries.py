"""When a request to a web server is sent again, and what the server says about when."""

from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 509})
"""Answers that a later request may not get."""


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
