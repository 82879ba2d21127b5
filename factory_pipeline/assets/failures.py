"""Errors that a user can mend are told in one sentence; what may pass by itself is tried again."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from factory_pipeline.errors import CatalogUnavailableError, FactoryError, SourceUnavailableError

PASSING_ERRORS = (CatalogUnavailableError, SourceUnavailableError)
"""A service is away or busy: the same work may succeed later."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn a FactoryError into a failed step whose description is the error's sentence."""
    try:
        yield
    except FactoryError as error:
        raise dg.Failure(description=str(error), allow_retries=isinstance(error, PASSING_ERRORS)) from error
