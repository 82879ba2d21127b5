"""Errors that a user can mend are told in one sentence; what may pass by itself is tried again."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import dagster as dg

from factory_pipeline.errors import (
    ARGUMENT_ERROR,
    ArgumentError,
    CatalogUnavailableError,
    FactoryError,
    GranuleUnavailableError,
    SourceUnavailableError,
    describe_os_error,
)

PASSING_ERRORS = (CatalogUnavailableError, SourceUnavailableError, GranuleUnavailableError)
"""A service is away or busy: the same work may succeed later."""


def plain(error: FactoryError | OSError) -> str:
    """What went wrong, in one sentence."""
    return str(error) if isinstance(error, FactoryError) else describe_os_error(error)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what a user can mend into a failed step whose description is one sentence.

    That is a FactoryError, and what the operating system refuses, such as space on a full disk.
    """
    try:
        yield
    except ArgumentError as error:
        # The caller of the SDK, here or elsewhere, meets the same error again.
        told = {ARGUMENT_ERROR: dg.MetadataValue.json(error.as_json())}
        raise dg.Failure(description=plain(error), metadata=told, allow_retries=False) from error
    except (FactoryError, OSError) as error:
        raise dg.Failure(description=plain(error), allow_retries=isinstance(error, PASSING_ERRORS)) from error


def stop_where_failed(checks: Iterable[dg.AssetCheckResult]) -> None:
    """Fail the step with the sentences of the blocking checks that failed; called once they are yielded.

    Dagster itself would fail it with an exception that names the checks and says nothing of what they found.

    Raises:
        dagster.Failure: a check failed; the same input would fail it again.
    """
    said = [
        check.description or f"The check {check.check_name} failed."
        for check in checks
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    ]
    if said:
        raise dg.Failure(description=" ".join(said), allow_retries=False)
