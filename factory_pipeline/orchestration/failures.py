"""Errors of a step: one sentence for what a user can correct; transient ones are retried."""

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
    VolumeUnavailableError,
    describe_error,
)

TRANSIENT_ERRORS = (
    CatalogUnavailableError,
    SourceUnavailableError,
    GranuleUnavailableError,
    VolumeUnavailableError,
)
"""A service is unavailable or busy: the same work may succeed later."""
NO_RETRY = {"dagster/retry_on_asset_or_op_failure": "false"}
"""Tags of a job whose failed step would fail again; a run whose process was killed is still started again."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn errors that a user can correct into a failed step whose description is one sentence.

    That is a FactoryError, and what the operating system refuses, such as space on a full disk.
    """
    try:
        yield
    except ArgumentError as error:
        # The caller of the SDK, local or remote, gets the same error.
        told = {ARGUMENT_ERROR: dg.MetadataValue.json(error.as_json())}
        raise dg.Failure(description=describe_error(error), metadata=told, allow_retries=False) from error
    except (FactoryError, OSError) as error:
        raise dg.Failure(
            description=describe_error(error), allow_retries=isinstance(error, TRANSIENT_ERRORS)
        ) from error


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
