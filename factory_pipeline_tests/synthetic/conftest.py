import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def realdata():
    folder = os.environ.get("FACTORY_REALDATA")
    if not folder:
        pytest.skip("FACTORY_REALDATA names no folder of real data")
    return Path(folder)
