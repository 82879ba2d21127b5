"""What GDAL's decoders warn of, whatever the process does with its logging.

Strips of JPEG and fax that are damaged raise no error: GDAL warns, and goes on with invented pixels. rasterio
hands these warnings to Python's logging alone. The process may belong to somebody else, who has switched that
off: by `logging.disable`, by a level or a filter, and `logging.config` does so unless it is told otherwise.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io")
"""Those to which rasterio hands what GDAL says."""
_lock = threading.Lock()
_heard: dict[int, list[str]] = {}
"""By thread that listens: its warnings so far."""


@contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """Yield a list to which the warnings of this thread in the block are added; blocks are not nested.

    For its caller, logging is as it was: other threads, and what is shown of this one.
    """
    thread = threading.get_ident()
    with _lock:
        if not _heard:
            for name in LOGGERS:
                _listen(logging.getLogger(name))
        _heard[thread] = []
    try:
        yield _heard[thread]
    finally:
        with _lock:
            del _heard[thread]
            if not _heard:
                for name in LOGGERS:
                    _stop_listening(logging.getLogger(name))


def _listen(logger: logging.Logger) -> None:
    """Put two methods before those of a logger: the first and the last that a call reaches."""
    is_enabled, handle = logger.isEnabledFor, logger.handle

    def hear(record: logging.LogRecord) -> None:
        heard = _heard.get(threading.get_ident())
        if heard is not None and record.levelno >= logging.WARNING:
            heard.append(record.getMessage())
        if is_enabled(record.levelno):
            handle(record)

    def is_heard(level: int) -> bool:
        return (level >= logging.WARNING and threading.get_ident() in _heard) or is_enabled(level)

    logger.isEnabledFor, logger.handle = is_heard, hear  # type: ignore[method-assign]


def _stop_listening(logger: logging.Logger) -> None:
    del logger.isEnabledFor, logger.handle
