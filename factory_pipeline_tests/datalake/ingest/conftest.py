"""What tests of the doors share: a home in which the sample uploads and some more were onboarded."""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.uploads import make_uploads
from factory_pipeline_tests.made_once import made_once
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import geotiff, mask

NO_CODE = "+proj=laea +lat_0=50 +lon_0=10 +datum=WGS84 +units=m"


@dataclass(frozen=True)
class Onboarded:
    """A home and the keys of what was onboarded there."""

    home: FactoryHome
    keys: dict[str, str]
    """By the name of the upload."""


def labelled(*masks: bytes, count: int = 5) -> dict[str, bytes]:
    """Pictures without place and their labels, which are cycled through."""
    pictures = {f"picture {number}.png": picture(number) for number in range(count)}
    return pictures | {f"picture {number}_mask.tif": masks[number % len(masks)] for number in range(count)}


def picture(red: int) -> bytes:
    """A picture of 8x8 pixels of one colour."""
    stored = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(stored, "PNG")
    return stored.getvalue()


def two_modalities(count: int = 5) -> dict[str, bytes]:
    """Images of two modalities in a CRS that has no code, and their masks."""
    rng, files = np.random.default_rng(0), {}
    for number in range(count):
        place = {"crs": NO_CODE, "left": 1000.0 * number}
        files[f"plot {number}_merged.tif"] = geotiff(rng.integers(1, 99, (2, 8, 8), np.uint16), **place)
        files[f"plot {number}_dem.tif"] = geotiff(rng.random((1, 8, 8), np.float32), **place)
        files[f"plot {number}_mask.tif"] = mask(0, 1, **place)
    return files


@pytest.fixture(scope="session")
def onboarded(tmp_path_factory: pytest.TempPathFactory) -> Onboarded:
    """Uploads of every purpose; tests must not change the home but may open registries of their own."""
    folder = made_once(tmp_path_factory, "onboarded", _onboard_all)
    return Onboarded(FactoryHome(folder / "home"), json.loads((folder / "keys.json").read_text()))


def _onboard_all(folder: Path) -> None:
    import dagster as dg  # unit tests need none

    home, keys = FactoryHome(folder / "home"), {}
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        for manifest in make_uploads(home.upload_inbox, seed=7):
            keys[manifest.stem] = bench.prepare_dropped(manifest)
        one, both = (
            np.full((1, 8, 8), 1, np.uint8),
            np.resize(np.array([0, 1, 9], np.uint8), (1, 8, 8)),
        )
        pictures = labelled(geotiff(one, crs=None), geotiff(both, crs=None))
        changes = {"training_data_suffixes": [".png"], "label_nodata": 9}
        keys["classes"] = bench.prepare("classes", pictures, purpose="Classification", **changes)
        keys["generic"] = bench.prepare(
            "generic", pictures, purpose="Generic", label_categories=[], **changes
        )
        suffixes = {"training_data_suffixes": ["_merged.tif", "_dem.tif"], "to_cog": True}
        keys["plots"] = bench.prepare("plots", two_modalities(), **suffixes)
    (folder / "keys.json").write_text(json.dumps(keys))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of the test's own."""
    with closing(Registry.open(tmp_path / "registry.db")) as opened:
        yield opened
