"""How long busy web servers ask clients to wait (Retry-After).

obstore 0.12 does not show the headers of an error, and its own retries ignore Retry-After. So a request that
failed for a transient reason is repeated by a client that shows headers, one request at a time; then every
request to this server waits for as long as the response says.
"""

import asyncio
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from factory_pipeline.web_retries import parse_retry_after

_SPREAD = 0.1
"""Requests resume spread over this fraction more than the requested time, not all at once."""
_LONGEST_SPREAD = 5.0
_own_random = random.Random()
"""The caller's generator may be seeded: its numbers stay its own, and processes seeded alike still spread."""


class HostBusyError(Exception):
    """A server asks for a longer wait than allowed; the message says how long."""


@dataclass
class _Host:
    free_at: float = 0.0
    """When requests may resume, on the machine's monotonic clock."""
    asked_at: float = 0.0
    """When its headers were last read, on the same clock."""


class BusyHosts:
    """The web servers that were busy. Threads and event loops may share one."""

    def __init__(self, stall: float, longest_wait: float) -> None:
        """Start without any busy server.

        Args:
            stall: seconds without a byte after which a request is cancelled.
            longest_wait: largest Retry-After that is waited for, in seconds.
        """
        self._stall = stall
        self._longest_wait = longest_wait
        self._hosts: dict[str, _Host] = {}
        # One request at a time: the others of the same moment find the result.
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="ask")

    async def wait(self, url: str) -> None:
        """Return when the server of an address may get requests.

        Raises:
            HostBusyError: that is later than the longest wait; no request must be sent.
        """
        while left := self.seconds_left(url):
            if left > self._longest_wait:
                raise HostBusyError(f"its server is busy and asks to wait {left:.0f} seconds")
            await asyncio.sleep(left + _own_random.uniform(0, min(_SPREAD * left, _LONGEST_SPREAD)))

    def seconds_left(self, url: str) -> float:
        """Return how many seconds the server of an address still asks to wait; 0 if it doesn't."""
        host = self._hosts.get(urlsplit(url).netloc)
        return max(host.free_at - time.monotonic(), 0.0) if host else 0.0

    async def ask(self, url: str, start: int, length: int, sent: float) -> tuple[memoryview, int] | None:
        """Request a refused range again, and record how long the server asks to wait.

        Args:
            url: the signed address.
            start: first byte of the range.
            length: bytes of the range.
            sent: when the refused request was sent, on the monotonic clock. No request is sent if the headers
                were read since then.

        Returns:
            The bytes and the size of the file if they come this time, else None.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._asking, self._ask, url, start, length, sent)

    def _ask(self, url: str, start: int, length: int, sent: float) -> tuple[memoryview, int] | None:
        host = self._hosts.setdefault(urlsplit(url).netloc, _Host())
        if host.asked_at > sent:
            return None
        try:
            # Neither requests nor urllib3: they log addresses, and this one is signed.
            request = Request(_percent_encoded(url), headers={"Range": f"bytes={start}-{start + length - 1}"})
            with urlopen(request, timeout=self._stall) as answer:
                whole = re.fullmatch(rf"bytes {start}-\d+/(\d+)", answer.headers.get("Content-Range", ""))
                return (memoryview(answer.read()), int(whole[1])) if whole else None
        except HTTPError as refusal:
            with refusal:
                asked = parse_retry_after(refusal.headers.get("Retry-After"))
            host.free_at = max(host.free_at, time.monotonic() + asked)
        except (OSError, ValueError, HTTPException):
            pass
        finally:
            host.asked_at = time.monotonic()
        return None


def _percent_encoded(url: str) -> str:
    """Return an address with the characters encoded that are not allowed in it; encoded ones stay."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=~")
