"""Errors of the command line: one sentence for what a user can correct, a log file for the unexpected."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from factory_pipeline.cli.request_options import describe_argument_error
from factory_pipeline.cli.terminal import echo
from factory_pipeline.errors import ArgumentError, FactoryError, OnboardingError, describe_os_error
from factory_pipeline.storage.atomic import describe_refusal

MAX_SHOWN = 300
"""Characters of an unexpected error that are printed; its log has all of them."""
INTERRUPTED_STATUS = 130
"""A shell's status of a command that Ctrl-C ended."""
INTERRUPTED = "Interrupted. Finished batches stay; run the command again to go on."
"""What Ctrl-C leaves: every stage publishes what it has finished, and finds it again."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Print the error that a command ends with to standard error, and exit with its status."""
    try:
        yield
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FactoryError as error:
        echo(f"Error: {_describe(error)}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        echo(f"Error: {describe_os_error(error)}", err=True)
        sys.exit(1)
    except click.Abort as abort:
        # click raises the same error for Ctrl-C and for an open question, but with a different cause.
        interrupted = isinstance(abort.__cause__, KeyboardInterrupt)
        echo("", INTERRUPTED if interrupted else "Nothing was done: the question was not answered.", err=True)
        sys.exit(INTERRUPTED_STATUS)
    except KeyboardInterrupt:
        echo("", INTERRUPTED, err=True)
        sys.exit(INTERRUPTED_STATUS)
    except Exception as error:
        refused = describe_refusal(error)
        if refused is not None:
            echo(f"Error: {refused}", err=True)
            sys.exit(1)
        shown = f"{type(error).__name__}: {' '.join(str(error).split())[:MAX_SHOWN]}"
        try:
            where = f"the full log is in {_write_traceback()}"
        except OSError as refusal:
            where = f"its log could not be written ({refusal.strerror})"
        echo(f"Error: unexpected error: {shown}; {where}, please report it.", err=True)
        sys.exit(1)


def _describe(error: FactoryError) -> str:
    if isinstance(error, OnboardingError):
        return f"{error} [{error.code}]"
    return describe_argument_error(error) if isinstance(error, ArgumentError) else str(error)


def _write_traceback() -> Path:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="factory-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        traceback.print_exc(file=file)
    return Path(file.name)
