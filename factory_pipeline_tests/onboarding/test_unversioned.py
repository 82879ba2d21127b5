"""Archives at hosts that say nothing of the state of a file, or that can't serve parts of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from factory_pipeline.archives.download import open_source
from factory_pipeline.archives.identity import archive_identity
from factory_pipeline.datalake.ingest.intake import validate_upload
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.archives.servers import host, whole
from factory_pipeline_tests.onboarding.factory import MANIFEST
from factory_pipeline_tests.onboarding.uploads import OPEN, pairs, tar_of

pytestmark = pytest.mark.integration


@contextmanager
def served(contents: list[bytes]) -> Iterator[str]:
    """A host with neither ETag nor Last-Modified nor ranges; what it serves is the first of the contents."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        whole(contents[0])(request)

    with host(answer) as url:
        yield url


def identity(url: str) -> str:
    with open_source(url, OPEN) as source:
        return archive_identity(source, OPEN)


def test_the_content_decides_whether_an_upload_is_the_same() -> None:
    one, other = os.urandom(5000), os.urandom(5000)
    contents = [one]
    with served(contents) as url:
        first = identity(f"{url}/a.tar")
        assert identity(f"{url}/moved/a.tar?token=1") == first
        contents[0] = other
        assert identity(f"{url}/a.tar") != first, "another content of the same size at the same address"


def test_what_was_changed_since_it_was_received_is_noticed_after_the_download(tmp_path: Path) -> None:
    content = tar_of(tmp_path / "a.tar", pairs(3)).read_bytes()
    contents = [content]
    home = FactoryHome(tmp_path / "home")
    with served(contents) as url:
        manifest = tmp_path / "a.yaml"
        manifest.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": f"{url}/a.tar"}))
        key = validate_upload(manifest, home, OPEN).key
        contents[0] = content[:-1] + b"x"
        with pytest.raises(OnboardingError) as error:
            Onboarding(key, home, OPEN).prescan()
        assert error.value.code == "SOURCE_CHANGED"
        contents[0] = content
        onboarding = Onboarding(key, home, OPEN)
        assert onboarding.prescan().passed
        assert all(check.passed for check in onboarding.arrange().checks)


@pytest.mark.parametrize("content", [b"no archive at all", b"\x1f\x8b broken"])
def test_a_broken_download_is_called_by_its_address(tmp_path: Path, content: bytes) -> None:
    home = FactoryHome(tmp_path / "home")
    with served([content]) as url:
        manifest = tmp_path / "a.yaml"
        manifest.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": f"{url}/a.tar?sig=secret"}))
        key = validate_upload(manifest, home, OPEN).key
        with pytest.raises(OnboardingError) as error:
            Onboarding(key, home, OPEN).prescan()
        assert error.value.code == "NOT_AN_ARCHIVE"
        assert f"{url}/a.tar" in str(error.value)
        assert str(tmp_path) not in str(error.value)
        assert "secret" not in str(error.value)
