"""Addresses and texts that may be shown, logged and stored: without passwords and signatures."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_SIGNATURE_KEYS = frozenset(
    {"sig", "signature", "token", "access_token", "awsaccesskeyid", "x-amz-signature", "x-goog-signature"}
)
_ADDRESS = re.compile(r"\w+://\S+")
_NESTED = re.compile(r"[\w+.-]+://")
_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"\?\S*")
_AUTHORIZATION = re.compile(r"(authorization['\"]?\s*[:=]\s*)(['\"]).*?\2", re.IGNORECASE)
_HOST = re.compile(r"(\[[^\]]*\]|[^:@]*)(:\d*)?")


def display(address: object) -> str:
    """Return an address without user, password, query and fragment, as it may be shown and stored.

    A path stays as it is. The argument may be anything, also a text that is not an address.
    """
    text = str(address)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return text
    if _NESTED.match(rest):
        # Such as precomputed://https://host/volume.
        return f"{scheme}://{display(rest)}"
    authority = _authority(rest)
    # Characters in a password should be encoded and often aren't: `me:pa` of `me:pa/ss@host` is not a host,
    # so the password must continue behind it.
    while "@" in rest and not _HOST.fullmatch(authority):
        rest = rest.partition("@")[2]
        authority = _authority(rest)
    path = re.split(r"[?#]", rest[len(authority) :], maxsplit=1)[0]
    return f"{scheme}://{authority}{path}"


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def remove_signature(href: str) -> str:
    """Return the href without its query if that contains a signature.

    Such an href can be stored, shown and signed again.
    """
    parts = urlsplit(href)
    keys = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return urlunsplit(parts._replace(query="")) if keys & _SIGNATURE_KEYS else href


def redact(text: str) -> str:
    """Return a text of a library, such as a line of a log, without users and queries of its addresses."""
    return _QUERY.sub("", _USER.sub("", text))


def hide_addresses(text: str) -> str:
    """Return a text of a library with each address replaced by `(address)`."""
    return _ADDRESS.sub("(address)", text)


class RedactedLines:
    """Redacts what loggers of libraries write during calls of our own, whoever listens to them.

    The loggers are the caller's: lines of other threads, and those written outside of the blocks, stay as
    they are, and after the last block the loggers have the filters that they had before.
    """

    def __init__(self, *loggers: str) -> None:
        """Name the loggers; lines of loggers below them are not changed."""
        self._loggers = loggers
        self._lock = threading.Lock()
        self._depths: dict[int, int] = {}

    @contextmanager
    def during(self) -> Iterator[None]:
        """Redact the lines that this thread writes within the block; blocks may be nested."""
        self._enter(1)
        try:
            yield
        finally:
            self._enter(-1)

    def _enter(self, change: int) -> None:
        thread = threading.get_ident()
        with self._lock:
            depth = self._depths.pop(thread, 0) + change
            if depth:
                self._depths[thread] = depth
            for name in self._loggers:
                logger = logging.getLogger(name)
                (logger.addFilter if self._depths else logger.removeFilter)(self._redact)

    def _redact(self, record: logging.LogRecord) -> bool:
        if threading.get_ident() in self._depths:
            record.msg = _AUTHORIZATION.sub(r"\1(hidden)", redact(record.getMessage()))
            record.args = ()
        return True


gdal_logs = RedactedLines("rasterio._base", "rasterio._env", "rasterio._err", "rasterio._io")
"""GDAL's warnings and rasterio's traces contain signed addresses."""
