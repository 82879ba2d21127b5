"""The layers of a preview: band compositions and labels, each as a picture of the same frame."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory_pipeline.imagery.band_statistics import band_statistics
from factory_pipeline.onboarding.manifest.sections import DataSource, LabelCategory
from factory_pipeline.onboarding.page.layers import compositions, draw_composition, draw_mask
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.splits.assign import random_split
from factory_pipeline_tests.onboarding.curated import onboarded, write_raster
from factory_pipeline_tests.onboarding.page.pages import SHARES, parameters_of

pytestmark = pytest.mark.integration


def decoded(picture: bytes) -> Image.Image:
    return Image.open(BytesIO(picture))


def test_compositions_are_those_that_the_bands_allow(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 3, modalities=("S2", "S1"))
    parameters = parameters_of(curated, random_split(curated.items, SHARES, 0))
    found = compositions(curated.manifest.data_sources, parameters)
    assert [(one.modality, one.name, one.bands) for one in found] == [
        ("S2", "True colour", (2, 1, 0)),
        ("S2", "Infrared", (3, 2, 1)),
        ("S1", "VV", (0,)),
        ("S1", "VH", (1,)),
    ]


def test_a_composition_is_stretched_and_shows_through_where_there_is_no_data(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(1, 1000, 64).astype(np.uint16), (64, 1))[None]
    ramp[:, :8] = 0
    path = write_raster(tmp_path / "a.tif", ramp, nodata=0)
    source = DataSource.model_validate({"bands": ["grey"]})
    bands, _ = band_statistics([path], "image", ["grey"])
    parameters = TrainingParameters(1, tuple(bands), (), "inverse", (), {}, None)
    (composition,) = compositions([source], parameters)
    picture = np.asarray(decoded(draw_composition(path, composition, 64)).convert("RGBA")).astype(int)
    assert (picture[:7, :, 3] == 0).all()
    assert (picture[9:, :, 3] == 255).all()
    row = picture[32, :, 0]
    assert row[0] < 6
    assert row[-1] > 249
    assert row[32] == pytest.approx(128, abs=6)
    assert decoded(draw_composition(path, composition, 16)).size == (16, 16)


def test_a_mask_is_drawn_in_the_colours_of_its_categories(tmp_path: Path) -> None:
    mask = np.zeros((1, 10, 30), dtype=np.uint8)
    mask[0, :, 10:20], mask[0, :, 20:] = 1, 255
    path = write_raster(tmp_path / "m.tif", mask, nodata=255)
    categories = [
        LabelCategory(id=0, name="Land", color="#c8b27d"),
        LabelCategory(id=1, name="Water", color="#2a7ab9", opacity=0.5),
    ]
    picture = np.asarray(decoded(draw_mask(path, categories, 64)).convert("RGBA"))
    assert picture[5, 5].tolist() == [0xC8, 0xB2, 0x7D, 255]
    assert picture[5, 15].tolist() == [0x2A, 0x7A, 0xB9, 128]
    assert picture[5, 25, 3] == 0
