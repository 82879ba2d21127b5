"""Faults happen to the requests that they are meant for, and every request is counted."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import PlainTextResponse

from factory_pipeline.synthetic.faults import COUNTS_PATH, Faults, FaultyFront


class Client:
    """Sends requests to a front without a server."""

    def __init__(self, faults: Sequence[Faults]) -> None:
        self._front = FaultyFront(PlainTextResponse("0123456789"), faults, latency_s=0.0)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes, bool]:
        """Return status, headers and body of the answer, and whether more of it was announced."""
        messages: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("a", 1)}
        asyncio.run(self._front(scope, receive, send))  # type: ignore[arg-type]
        head, *bodies = messages
        headers = {name.decode(): value.decode() for name, value in head["headers"]}
        return (
            head["status"],
            headers,
            b"".join(m["body"] for m in bodies),
            bodies[-1].get("more_body", False),
        )

    def statuses(self, path: str, count: int) -> list[int]:
        return [self.get(path)[0] for _ in range(count)]


def test_a_fault_happens_after_some_requests_and_so_many_times() -> None:
    client = Client([Faults("*.tif", after=1, times=2, status=503, retry_after_s=7)])
    assert client.statuses("/a.tif", 5) == [200, 503, 503, 200, 200]
    assert client.statuses("/a.json", 2) == [200, 200]


def test_the_answer_says_when_to_come_again() -> None:
    status, headers, body, _ = Client([Faults(status=429, retry_after_s=7)]).get("/a")
    assert (status, headers["retry-after"], body) == (429, "7", b"")


def test_the_first_fault_that_matches_happens() -> None:
    client = Client([Faults("/a*", times=1, status=500), Faults("*", status=404)])
    assert client.statuses("/a", 2) == [500, 404]


def test_a_fraction_is_the_same_for_the_same_seed() -> None:
    drawn = [Client([Faults(fraction=0.5, seed=3, status=503)]).statuses("/a", 40) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert 8 < drawn[0].count(503) < 32


def test_a_truncated_body_is_half_of_what_was_announced() -> None:
    status, headers, body, more = Client([Faults(truncate=True)]).get("/a")
    assert (status, headers["content-length"], body, more) == (200, "10", b"01234", True)


def test_requests_and_bytes_are_counted_but_not_those_for_the_counts() -> None:
    client = Client([Faults("/broken", status=500)])
    client.statuses("/a", 3)
    client.get("/broken")
    counts = json.loads(client.get(COUNTS_PATH)[2])
    assert {path: (count["requests"], count["bytes"]) for path, count in counts.items()} == {
        "/a": (3, 30),
        "/broken": (1, 0),
    }
    assert counts["/a"]["came"] == sorted(counts["/a"]["came"])
