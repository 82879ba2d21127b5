"""What failed steps say, of errors that are written for users and of others."""

import errno
import os

import dagster as dg
import psycopg

from factory_pipeline.errors import RegistryError
from factory_pipeline.runs.failures import describe_failure


@dg.asset
def recipe_samples(context: dg.AssetExecutionContext) -> None:
    """Fail as the run's tag says."""
    match context.run.tags["error"]:
        case "registry":
            try:
                raise OSError("connection is bad")
            except OSError as error:
                raise RegistryError("The registry db can't be used: connection is bad") from error
        case "folder":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/home/cache")
        case "outage":
            try:
                raise psycopg.OperationalError("connection is bad")
            except psycopg.OperationalError as error:
                raise RuntimeError("too many retries for DB connection") from error
        case "other":
            raise ZeroDivisionError("by zero")


def said_of(error: str) -> str:
    result = dg.materialize([recipe_samples], tags={"error": error}, raise_on_error=False)
    return describe_failure(result.run_id, result.all_events)


def test_an_error_for_users_keeps_its_sentence_whatever_its_cause() -> None:
    told = said_of("registry")
    assert told == "Cutting the windows of a batch failed. The registry db can't be used: connection is bad"


def test_a_path_that_may_not_be_written_is_named() -> None:
    told = said_of("folder")
    expected = "/data/home/cache can't be read or written: Permission denied."
    assert told == f"Cutting the windows of a batch failed. {expected}"


def test_a_database_server_that_is_gone_is_named() -> None:
    expected = "The database of the factory home can't be used: connection is bad"
    assert said_of("outage") == f"Cutting the windows of a batch failed. {expected}"


def test_another_error_is_named_as_unexpected() -> None:
    told = said_of("other")
    assert "failed with an unexpected error (ZeroDivisionError: by zero)" in told
    assert "please report it" in told
