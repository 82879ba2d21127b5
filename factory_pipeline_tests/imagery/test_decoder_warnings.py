"""Damaged pixels are found whatever the caller's program does with its logging, which stays as it is."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.decoder_warnings import LOGGERS, heard_warnings
from factory_pipeline.imagery.pixels import strips

RASTERIO = logging.getLogger("rasterio")
ERRORS = logging.getLogger("rasterio._err")


def disable_existing() -> None:
    """What `logging.config.dictConfig` does to the loggers that exist, unless it is told otherwise."""
    for name in LOGGERS:
        logging.getLogger(name).disabled = True


HOSTS: dict[str, Callable[[], object]] = {
    "as Python begins": lambda: None,
    "disabled": lambda: logging.disable(logging.CRITICAL),
    "level": lambda: RASTERIO.setLevel(logging.ERROR),
    "configured": disable_existing,
    "filter": lambda: ERRORS.addFilter(refuse),
    "no propagation": lambda: setattr(ERRORS, "propagate", False),
    "no threads": lambda: setattr(logging, "logThreads", False),
}


def refuse(_: logging.LogRecord) -> bool:
    """A filter of the caller's own."""
    return False


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Take back what any of HOSTS does."""
    yield
    logging.disable(logging.NOTSET)
    logging.logThreads = True
    RASTERIO.setLevel(logging.NOTSET)
    ERRORS.propagate = True
    ERRORS.removeFilter(refuse)
    for name in LOGGERS:
        logging.getLogger(name).disabled = False


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A JPEG and a fax in TIFF, each with zeros in place of half a strip."""
    random = np.random.default_rng(0)
    paths = []
    for method, most, bits in (("JPEG", 255, 8), ("CCITTFAX4", 2, 1)):
        path = tmp_path_factory.mktemp("damaged") / f"{method}.tif"
        profile = {"width": 256, "height": 256, "count": 1, "dtype": "uint8", "transform": None}
        with rasterio.open(path, "w", driver="GTiff", **profile, compress=method, nbits=bits) as out:
            out.write(random.integers(0, most, (1, 256, 256), np.uint8))
        content = bytearray(path.read_bytes())
        content[-len(content) // 4 :] = bytes(len(content[-len(content) // 4 :]))
        path.write_bytes(content)
        paths.append(path)
    return paths


@pytest.mark.parametrize("host", HOSTS)
def test_damaged_pixels_are_found_whatever_is_logged(host: str, damaged: list[Path]) -> None:
    HOSTS[host]()
    before = [dict(vars(logging.getLogger(name))) for name in LOGGERS]
    for path in damaged:
        with pytest.raises(OnboardingError, match="can't be decoded"):
            list(strips(path))
    for name, attributes in zip(LOGGERS, before, strict=True):
        after = dict(vars(logging.getLogger(name)))
        assert {**after, "_cache": None} == {**attributes, "_cache": None}


def test_the_caller_sees_of_it_what_its_logging_shows(caplog: pytest.LogCaptureFixture) -> None:
    with heard_warnings() as heard:
        ERRORS.setLevel(logging.ERROR)
        ERRORS.warning("not %s", "shown")
        ERRORS.setLevel(logging.NOTSET)
        ERRORS.warning("shown")
        ERRORS.info("no warning")
        thread = threading.Thread(target=ERRORS.warning, args=("of another thread",))
        thread.start()
        thread.join()
    assert heard == ["not shown", "shown"]
    assert caplog.messages == ["shown", "of another thread"]
