"""Errors that a user can mend are told in one sentence; what may pass by itself is tried again."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from factory_pipeline.errors import CatalogUnavailableError, FactoryError, SourceUnavailableError

PASSING_ERRORS = (CatalogUnavailableError, SourceUnavailableError)
"""A service is away or busy: the same work may succeed later."""


def plain(error: FactoryError | OSError) -> str:
    """What went wrong, in one sentence."""
    if isinstance(error, FactoryError):
        return str(error)
    what = error.filename if isinstance(error.filename, str) else "A file"
    return f"{what} can't be read or written: {error.strerror or error}."


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what a user can mend into a failed step whose description is one sentence.

    That is a FactoryError, and what the operating system refuses, such as space on a full disk.
    """
    try:
        yield
    except (FactoryError, OSError) as error:
        raise dg.Failure(description=plain(error), allow_retries=isinstance(error, PASSING_ERRORS)) from error
