"""The version of the package."""

import re
from importlib.metadata import version

from factory_pipeline.version import __version__


def test_the_installed_package_has_the_version_of_its_source():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert version("factory-pipeline").split(".")[0] == __version__.split(".")[0]
