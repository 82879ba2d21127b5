"""Names in archives: refused, ignored, or made the same on every system."""

import pytest

from factory_pipeline.archives.safe_names import Member, MemberFilter, is_ignored, safe_name
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/etc/passwd", "ABSOLUTE_PATH"),
        ("C:\\a.tif", "ABSOLUTE_PATH"),
        ("a/../../b.tif", "PATH_TRAVERSAL"),
        ("a\x07.tif", "BAD_NAME"),
        ("a\udcff.tif", "BAD_NAME"),
        ("folder:b.tif", "BAD_NAME"),
        ("a" * 300, "BAD_NAME"),
        ("/".join("a" * 70), "BAD_NAME"),
    ],
)
def test_names_that_lead_out_or_are_not_valid_are_refused(name: str, code: str):
    with pytest.raises(OnboardingError) as error:
        safe_name(name, "a.zip")
    assert error.value.code == code
    assert "a.zip" in str(error.value)


def test_names_are_normalized():
    assert safe_name("./a\\b//e\u0301.tif", "a.zip") == "a/b/\u00e9.tif"


@pytest.mark.parametrize(
    ("name", "ignored"),
    [("__MACOSX/a.tif", True), ("a/.DS_Store", True), ("a/Thumbs.db", True), ("a/b.tif", False), ("", True)],
)
def test_by_products_of_systems_are_ignored(name: str, ignored: bool):
    assert is_ignored(name) is ignored


def members(*names: str, policy: IntakePolicy | None = None) -> list[bool]:
    """Which names a filter accepts."""
    gate = MemberFilter("a.zip", policy or IntakePolicy())
    return [gate.accepts(Member(name, 1, is_folder=name.endswith("/"))) for name in names]


def test_files_are_accepted_and_folders_are_not():
    assert members("a/b.tif", "A/c.tif", "a/.hidden") == [True, True, False]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("a.tif", "A.tif"), "NAME_CLASH"),
        (("a.tif", "a.tif"), "NAME_CLASH"),
        (("a", "a/b.tif"), "NAME_CLASH"),
        (("b.zip",), "NESTED_ARCHIVE"),
        (("a", "b", "c"), "TOO_MANY_MEMBERS"),
    ],
)
def test_what_can_not_be_unpacked_is_refused(names: tuple[str, ...], code: str):
    with pytest.raises(OnboardingError) as error:
        members(*names, policy=IntakePolicy(max_members=2))
    assert error.value.code == code


def test_an_archive_without_files_is_empty():
    gate = MemberFilter("a.zip", IntakePolicy())
    gate.accepts(Member("folder", 0, is_folder=True))
    with pytest.raises(OnboardingError, match="contains no files"):
        gate.check_not_empty()
