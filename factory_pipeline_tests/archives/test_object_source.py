"""Archives in file systems of obstore and fsspec."""

from pathlib import Path

import fsspec
import pytest

from factory_pipeline.archives.object_source import FsspecSource, ObjectSource, open_store
from factory_pipeline.errors import OnboardingError

CONTENT = bytes(range(256)) * 8


@pytest.fixture(params=["obstore", "fsspec"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectSource | FsspecSource:
    if request.param == "obstore":
        (tmp_path / "a.zip").write_bytes(CONTENT)
        return ObjectSource(f"file://{tmp_path}/a.zip")
    fsspec.filesystem("memory").pipe_file("/object_source/a.zip", CONTENT)
    return FsspecSource("memory://object_source/a.zip")


def test_parts_and_the_whole_of_an_object(source: ObjectSource | FsspecSource) -> None:
    assert source.size == len(CONTENT)
    assert source.read(100, 50) == CONTENT[100:150]
    assert source.read(len(CONTENT) - 3, 50) == CONTENT[-3:]
    assert b"".join(source.stream(1000)) == CONTENT[1000:]


@pytest.mark.parametrize("kind", [ObjectSource, FsspecSource])
def test_an_object_that_is_not_there_is_named(
    kind: type[ObjectSource | FsspecSource], tmp_path: Path
) -> None:
    with pytest.raises(OnboardingError, match="does not exist, or access is denied") as error:
        kind(f"file://{tmp_path}/none.zip")
    assert error.value.code == "URL_UNREACHABLE"
    assert "none.zip" in str(error.value)


def test_a_scheme_without_its_package_says_so() -> None:
    with pytest.raises(OnboardingError, match="a package for dropbox is not installed"):
        FsspecSource("dropbox://a.zip")


def test_a_store_is_opened_again_only_where_the_settings_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    first = open_store("s3://bucket/folder")
    assert open_store("s3://bucket/folder") is first
    assert open_store("s3://bucket/other") is not first
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert open_store("s3://bucket/folder") is not first
