"""Versions that several tests of exports read; tests must not write into their folders."""

import pytest

from factory_pipeline_tests.datasets.model.factories import MadeVersion, photo_version, satellite_version


@pytest.fixture(scope="session")
def satellite(tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    """Georeferenced images with shapes, masks and measured values."""
    return satellite_version(tmp_path_factory.mktemp("made"), masks=True, targets=True)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> MadeVersion:
    """Photographs with shapes."""
    return photo_version(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module", params=["photos", "satellite"])
def version(request: pytest.FixtureRequest) -> MadeVersion:
    """Each of the two."""
    made: MadeVersion = request.getfixturevalue(request.param)
    return made
