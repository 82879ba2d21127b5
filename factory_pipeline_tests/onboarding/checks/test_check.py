"""How the files that failed a check are found and named."""

import polars as pl
import pytest

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.checks import check
from factory_pipeline.onboarding.checks.check import (
    NAMED_FILES,
    Check,
    check_none,
    files_check,
    first_names,
    first_reason,
    require,
    select_groups,
)


def test_a_check_passes_without_files_and_else_names_each_once() -> None:
    assert files_check("a", [], "are odd", "All are even.") == Check("a", True, "All are even.")
    failed = check_none("a", pl.LazyFrame({"name": ["b", "a", "b"]}), "are odd", "All are even.")
    assert failed == Check("a", False, "Files that are odd: a, b.", ("a", "b"))


def test_of_many_files_the_message_names_the_first_and_the_check_has_all() -> None:
    names = [f"{number:03d}.tif" for number in range(NAMED_FILES + 7)]
    failed = files_check("a", names[::-1], "are odd", "")
    assert failed.message.endswith(f"{NAMED_FILES - 1:03d}.tif and 7 more.")
    assert failed.files == tuple(names)
    assert first_names([]) == "none"


@pytest.mark.parametrize(
    ("name", "code"),
    [("files_found", "NO_FILES"), ("pairs_complete", "UNPAIRED"), ("crs_equal", "CHECK_FAILED")],
)
def test_the_first_check_that_failed_is_the_error(name: str, code: str) -> None:
    require([Check("a", True, "Fine.")])
    with pytest.raises(OnboardingError, match="It is odd") as raised:
        require(
            [Check("a", True, "Fine."), Check(name, False, "It is odd."), Check("b", False, "So is this.")]
        )
    assert raised.value.code == code


def test_the_reason_is_that_of_the_first_file() -> None:
    files = pl.LazyFrame({"name": ["b", "a"], "error": ["later", "first"]})
    assert first_reason(files, "error") == " (first)"
    assert first_reason(files.head(0), "error") == ""


@pytest.mark.parametrize("at_once", [1, 2, 50_000])
def test_groups_are_found_whatever_the_size_of_the_parts(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(check, "FILES_AT_ONCE", at_once)
    files = pl.LazyFrame({"name": ["a", "b", "c", "d"], "stem": ["x", "y", "x", "z"]})
    found = select_groups(files, "stem", pl.len() > 1).collect()
    assert found.columns == ["name"]
    assert sorted(found["name"]) == ["a", "c"]
    assert select_groups(files, "stem", pl.len() > 1, "name", "stem").collect().columns == ["name", "stem"]
