"""Small pictures of a dataset: pairs in columns, histograms in rows, within a limit of bytes."""

import io
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image

from factory_pipeline.onboarding.page.contact_sheets import GAP, SIDE, histogram_sheet, pair_sheet
from factory_pipeline.splits.assign import random_split
from factory_pipeline_tests.onboarding.curated import onboarded
from factory_pipeline_tests.onboarding.page.pages import SHARES, parameters_of

pytestmark = pytest.mark.integration
"""Draws with Matplotlib."""


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_each_pair_is_a_column_with_the_label_below(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5, modalities=("S2", "S1"), size=16)
    parameters = parameters_of(curated, random_split(curated.items, SHARES, 0))
    sheet = pair_sheet(curated.items.lazy(), curated.manifest, parameters, tmp_path, pairs=3)
    assert opened(sheet).size == (3 * (SIDE + GAP) - GAP, 3 * (SIDE + GAP) - GAP)
    few = pair_sheet(curated.items.lazy(), curated.manifest, parameters, tmp_path, pairs=3, max_bytes=1)
    assert opened(few).width == SIDE, "one pair is the least"
    again = pair_sheet(curated.items.lazy(), curated.manifest, parameters, tmp_path, pairs=3)
    assert again == sheet


def test_every_band_has_a_histogram(tmp_path: Path) -> None:
    one = onboarded(tmp_path / "a", 3, modalities=("S1",), size=16)
    both = onboarded(tmp_path / "b", 3, modalities=("S2", "S1"), size=16)
    with mpl.rc_context({"figure.facecolor": "black", "text.usetex": True}):
        parameters = parameters_of(one, random_split(one.items, SHARES, 0))
        in_a_dark_notebook = histogram_sheet(parameters)
    assert histogram_sheet(parameters) == in_a_dark_notebook
    heights = [
        opened(histogram_sheet(parameters_of(made, random_split(made.items, SHARES, 0)))).height
        for made in (one, both)
    ]
    assert heights[1] > heights[0]
