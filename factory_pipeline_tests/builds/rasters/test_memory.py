"""The memory of a composite does not grow with the number of its dates."""

import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from factory_pipeline.builds.rasters import read_source
from factory_pipeline.builds.rasters.source_layer import layers_of
from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, WindowRead, WindowReader
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.stac.scenes import PixelMeaning, Scene, SceneAsset
from factory_pipeline.stac.select_scenes import Acquisition, Choice

WINDOW = Grid(32633, 500_000, 5_200_000, 10, 10, 64, 64)
BANDS = ("B02", "B03", "B04", "B08")


class DatesReader(WindowReader):
    """Answers with the date's number at every pixel."""

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        shape = WINDOW.shape
        return [
            ReadWindow(np.full(shape, int(read.hrefs[0]), np.uint16), np.ones(shape, np.bool_))
            for read in reads
        ]


def acquisition(number: int) -> Acquisition:
    time = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=number)
    assets = {band: SceneAsset(str(number + 1), 1, PixelMeaning(0, 0.0001, 0.0)) for band in BANDS}
    scene = Scene(f"S{number}", time, time, time, None, shapely.box(0, 0, 1, 1), assets, WINDOW, {})
    return Acquisition((scene,), covers=True)


def peak_of(composite: str, dates: int) -> tuple[float, int]:
    """Megabytes at the peak, and the value of the composite."""
    document = {
        "name": "dates",
        "labels": {"kind": "points", "path": "a.csv"},
        "window": {"size": 64, "pixel_size": 10},
        "sources": {
            "s2": {
                "collection": "sentinel-2-l2a",
                "assets": list(BANDS),
                "time": {"between": ["2021-01-01", "2022-12-31"]},
                "composite": composite,
            }
        },
    }
    (layer,) = layers_of(DatasetRecipe.parse(document, "test"))
    choice = Choice((tuple(acquisition(number) for number in range(dates)),), ())
    tracemalloc.start()
    try:
        stack = read_source.read_source(layer, [WINDOW], [choice], DatesReader())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stack.items[0][0].count(";") == dates - 1
    assert stack.valid.all()
    return peak / 1e6, int(stack.values[0, 0, 0, 0, 0])


@pytest.mark.integration
@pytest.mark.parametrize("composite", ["mean", "median"])
def test_120_dates_need_no_more_memory_than_12(composite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_source, "PORTION_BYTES", 3 * 2**20)
    monkeypatch.setattr(read_source, "MOST_IN_MEMORY", 2**21)
    few, middle = peak_of(composite, 12)
    assert middle == 7
    many, middle = peak_of(composite, 120)
    assert middle == 61
    # Their pixels are 4 MB as they are stored, and several times that while they are combined.
    assert many < few + 3
