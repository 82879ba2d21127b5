"""A program that has h5py keep the order of names in each file, which takes other bytes."""

from collections.abc import Iterator
from contextlib import contextmanager

import h5py


@contextmanager
def order_tracked() -> Iterator[None]:
    """Set h5py up as such a program does, for all threads of the process."""
    config = h5py.get_config()
    before, config.track_order = config.track_order, True
    try:
        yield
    finally:
        config.track_order = before
