"""Locations of manifests, and addresses in them."""

from pathlib import Path

import pytest

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.location import (
    absolute_location,
    file_name,
    is_object,
    read_manifest,
    resolve_beside,
)


def test_objects_are_addresses_of_stores_alone(tmp_path: Path):
    assert is_object("s3://bucket/a.yaml")
    assert not is_object(tmp_path / "a.yaml")
    assert not is_object("a.yaml")
    assert absolute_location("a.yaml") == str(Path("a.yaml").absolute())
    assert absolute_location("s3://bucket/a.yaml") == "s3://bucket/a.yaml"
    assert file_name("s3://bucket/in/a.yaml") == "a.yaml"


@pytest.mark.parametrize(
    ("location", "address", "resolved"),
    [
        ("/in/a.yaml", "a.zip", "/in/a.zip"),
        ("/in/a.yaml", "/data/a.zip", "/data/a.zip"),
        ("/in/a.yaml", "https://host/a.zip", "https://host/a.zip"),
        ("s3://bucket/in/a.yaml", "../b/a.zip", "s3://bucket/b/a.zip"),
        ("s3://bucket/a.yaml", "a.zip", "s3://bucket/a.zip"),
        ("s3://bucket/in/a.yaml", "/data/a.zip", "/data/a.zip"),
    ],
)
def test_a_relative_path_starts_from_the_manifest(location: str, address: str, resolved: str):
    assert resolve_beside(location, address) == resolved


def test_a_manifest_that_can_not_be_read_is_named(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"a: 1")
    assert read_manifest(tmp_path / "a.yaml") == b"a: 1"
    for path, code in ((tmp_path / "b.yaml", "MANIFEST_MISSING"), (tmp_path, "MANIFEST_INVALID")):
        with pytest.raises(OnboardingError) as error:
            read_manifest(path)
        assert error.value.code == code
