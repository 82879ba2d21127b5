"""How long busy web servers ask to be left alone (Retry-After).

obstore 0.12 shows no header of an answer that is an error, and its own retries take no notice of it. So what
a server refused for a passing reason is asked for once more by a client that shows headers, by one request at
a time; then every request to this server waits for as long as the answer says.
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

from factory_pipeline.web_retries import asked_wait

_SPREAD = 0.1
"""Requests come back over so much more than the time that was asked for, and not all at once."""
_LONGEST_SPREAD = 5.0


class HostBusyError(Exception):
    """A server asks to be left alone for longer than anybody would wait; the message says how long."""


@dataclass
class _Host:
    free_at: float = 0.0
    """Until when it asks to be left alone, on the machine's monotonic clock."""
    asked_at: float = 0.0
    """When it last told whether it does."""


class BusyHosts:
    """What is known about the web servers that were busy. Threads and event loops may share one."""

    def __init__(self, stall: float, longest_wait: float) -> None:
        """Nothing is known yet.

        Args:
            stall: seconds without a byte after which a question is given up.
            longest_wait: largest Retry-After that is waited for, in seconds.
        """
        self._stall = stall
        self._longest_wait = longest_wait
        self._hosts: dict[str, _Host] = {}
        # One question at a time: the others of the same moment find the answer.
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="ask")

    async def wait(self, url: str) -> None:
        """Come back when the server of an address may be asked.

        Raises:
            HostBusyError: that is later than the longest wait; nothing must be sent.
        """
        while left := self.seconds_left(url):
            if left > self._longest_wait:
                raise HostBusyError(f"its server is busy and asks to be left alone for {left:.0f} seconds")
            await asyncio.sleep(left + random.uniform(0, min(_SPREAD * left, _LONGEST_SPREAD)))

    def seconds_left(self, url: str) -> float:
        """For how long the server of an address asks to be left alone; 0 where it doesn't."""
        host = self._hosts.get(urlsplit(url).netloc)
        return max(host.free_at - time.monotonic(), 0.0) if host else 0.0

    async def ask(self, url: str, start: int, length: int, sent: float) -> tuple[memoryview, int] | None:
        """Ask again for a range that was refused, and note how long the server asks to be left alone.

        Args:
            url: the signed address.
            start: first byte of the range.
            length: bytes of the range.
            sent: when the refused request was sent, on the monotonic clock. Nothing is asked where the
                server has told since then.

        Returns:
            The bytes and the size of the whole file where they come this time, else None.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._asking, self._ask, url, start, length, sent)

    def _ask(self, url: str, start: int, length: int, sent: float) -> tuple[memoryview, int] | None:
        host = self._hosts.setdefault(urlsplit(url).netloc, _Host())
        if host.asked_at > sent:
            return None
        try:
            # Neither requests nor urllib3: they log addresses, and this one is signed.
            request = Request(_spelled(url), headers={"Range": f"bytes={start}-{start + length - 1}"})
            with urlopen(request, timeout=self._stall) as answer:
                whole = re.fullmatch(rf"bytes {start}-\d+/(\d+)", answer.headers.get("Content-Range", ""))
                return (memoryview(answer.read()), int(whole[1])) if whole else None
        except HTTPError as refusal:
            with refusal:
                asked = asked_wait(refusal.headers.get("Retry-After"))
            host.free_at = max(host.free_at, time.monotonic() + asked)
        except (OSError, ValueError, HTTPException):
            pass
        finally:
            host.asked_at = time.monotonic()
        return None


def _spelled(url: str) -> str:
    """An address with what may not stand in it encoded; what is encoded already stays."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=~")
