"""Errors say what is wrong in one sentence, also when they come from another process."""

import errno
import json
import os
import pickle

import pytest

from factory_pipeline.errors import (
    ArgumentError,
    DocumentError,
    FactoryError,
    MissingExtraError,
    OnboardingError,
    describe_error,
    describe_os_error,
)


@pytest.mark.parametrize(
    "error", [DocumentError("The recipe a.yaml", "is not UTF-8 text"), MissingExtraError("torch", "fields")]
)
def test_an_error_of_a_worker_is_raised_as_it_was(error: FactoryError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_refused_file_is_named() -> None:
    error = OSError(errno.EACCES, os.strerror(errno.EACCES), "a.tif")
    assert describe_os_error(error) == "a.tif can't be read or written: Permission denied."
    assert describe_error(error) == describe_os_error(error)
    assert describe_os_error(OSError("odd")) == "A file can't be read or written: odd."
    assert describe_error(FactoryError("It is so.")) == "It is so."


def test_an_argument_is_raised_again_from_json() -> None:
    error = ArgumentError("split_info.train", {1, 2}, "allowed are numbers")
    parts = json.loads(json.dumps(error.as_json()))
    again = ArgumentError(**parts)
    assert again.argument == "split_info.train"
    assert again.allowed == "allowed are numbers"
    assert str(ArgumentError("name", "", "it must not be empty")) == "name is ''; it must not be empty."


def test_a_missing_package_is_an_import_error_that_names_the_extra() -> None:
    with pytest.raises(ImportError, match=r"pip install 'factory-pipeline\[plots\]'"):
        raise MissingExtraError("matplotlib", "plots")


def test_an_onboarding_error_has_its_code() -> None:
    error = OnboardingError("BOMB", "It unpacks to too much.")
    assert (error.code, str(error)) == ("BOMB", "It unpacks to too much.")
