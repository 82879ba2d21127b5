"""An object store of S3 on loopback that refuses, stalls or is gone, and what is on it."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from random import Random
from typing import Any, NamedTuple
from unittest import mock
from urllib.request import Request, urlopen

import obstore
from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.store import ObjectStore, from_url

from factory_pipeline.synthetic.server import Faults
from factory_pipeline_tests.cog.object_stores import SECRET, serving

BUCKET = "campaign"
CODES = {403: "ExpiredToken", 404: "NoSuchBucket", 503: "SlowDown"}
"""What S3 calls the statuses of faults."""


class Call(NamedTuple):
    """What is done at a request."""

    number: int
    act: Callable[[], None]
    is_answered: bool


class FaultyStore:
    """moto's S3 with one bucket, to whose requests faults happen while they are set."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.url = ""
        self.set_faults(())

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead a process to the store."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    @property
    def address(self) -> str:
        """Of the bucket."""
        return f"s3://{BUCKET}"

    def set_faults(self, faults: Sequence[Faults]) -> None:
        """Have faults happen to the requests from now on; of several that match one the first counts."""
        with self._lock:
            self._faults = [(fault, Random(fault.seed)) for fault in faults]
            self._matched = [0] * len(faults)
            self.faulty, self.requests = 0, 0
            self._call: Call | None = None

    def call_at(self, number: int, act: Callable[[], None], *, is_answered: bool) -> None:
        """Have something done at a request from now on, which counts as a fault.

        Args:
            number: of the request since the faults were set, the first of them 1.
            act: what is done.
            is_answered: do as the request says before; else it is refused after.
        """
        with self._lock:
            self._call = Call(number, act, is_answered)

    def answer(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer a request of WSGI."""
        fault, call = self._drawn(environ["PATH_INFO"])
        answer: Iterable[bytes] | None = None
        if call is not None and call.is_answered:
            answer = self._application(environ, start_response)
        if call is not None:
            call.act()
        if answer is not None:
            return answer
        if call is not None:
            fault = Faults(status=503)
        if fault is not None:
            time.sleep(fault.delay_s)
            if fault.status is not None:
                # What is sent with the request is read, so that the connection stays in step.
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response(f"{fault.status} Fault", [("Content-Type", "application/xml")])
                return [f"<Error><Code>{CODES[fault.status]}</Code></Error>".encode()]
        return self._application(environ, start_response)

    def contents(self) -> dict[str, bytes]:
        """Return what is in the bucket, by key."""
        store = self._client()
        return {
            key: obstore.get(store, key).bytes().to_bytes()
            for key in sorted(each["path"] for page in obstore.list(store) for each in page)
        }

    def replace_contents(self, contents: Mapping[str, bytes]) -> None:
        """Have nothing but these objects in the bucket."""
        store = self._client()
        if keys := [each["path"] for page in obstore.list(store) for each in page]:
            obstore.delete(store, keys)
        for key, content in contents.items():
            obstore.put(store, key, content)

    def _client(self) -> ObjectStore:
        with mock.patch.dict(os.environ, self.environment):
            return from_url(self.address, client_options={"allow_http": True})

    def _drawn(self, path: str) -> tuple[Faults | None, Call | None]:
        """Return what happens to the next request."""
        with self._lock:
            self.requests += 1
            if self._call is not None and self._call.number == self.requests:
                self.faulty += 1
                return None, self._call
            for index, (fault, generator) in enumerate(self._faults):
                if not fnmatchcase(path, fault.path):
                    continue
                self._matched[index] += 1
                place = self._matched[index] - fault.after
                drawn = generator.random() < fault.fraction
                if drawn and place > 0 and (fault.times is None or place <= fault.times):
                    self.faulty += 1
                    return fault, None
        return None, None


@contextmanager
def faulty_store() -> Iterator[FaultyStore]:
    """Have a store with an empty bucket."""
    store = FaultyStore()
    with serving(store.answer) as store.url:
        urlopen(Request(f"{store.url}/{BUCKET}", method="PUT")).close()
        yield store
