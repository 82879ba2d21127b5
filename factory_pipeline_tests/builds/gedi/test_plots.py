from datetime import date, timedelta
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from PIL import Image

from factory_pipeline.builds.gedi import plots
from factory_pipeline.builds.gedi.plots import plot_distribution
from factory_pipeline_tests.builds.gedi.factories import footprints, seconds

pytestmark = pytest.mark.integration


def year(shots: int) -> pl.DataFrame:
    """Footprints over the tropics and a leap year."""
    random = np.random.default_rng(5)
    start = seconds(date(2020, 1, 1), hour=0)
    return footprints(
        shots,
        delta_time=start + random.uniform(0, 366 * 86_400, shots),
        lat_lowestmode=random.uniform(-20, 20, shots),
        lon_lowestmode=random.uniform(-70, -40, shots),
        agbd=random.gamma(2, 80, shots).astype(np.float32),
    )


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert not image.info.keys() & {"Software", "Creation Time", "date:create"}
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("shots", [0, 1, 10, plots.SINGLE_POINTS + 1])
def test_any_number_of_footprints_can_be_drawn(tmp_path: Path, shots: int) -> None:
    path = tmp_path / "deep" / "plot.png"
    plot_distribution(year(shots), path, "train: subset")
    pixels = picture(path)
    assert pixels.shape == (800, 1260, 3)
    green = np.all(np.abs(pixels.astype(int) - (0x2F, 0x7D, 0x5B)) < 12, axis=-1)
    assert green.any() == (shots > 0)
    assert [entry.name for entry in path.parent.iterdir()] == ["plot.png"]


def test_the_same_footprints_give_the_same_bytes_and_leave_no_trace(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    paths = [tmp_path / "one.png", tmp_path / "other.png"]
    for path in paths:
        plot_distribution(year(100), path, "test: subset")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert dict(mpl.rcParams) == before


def test_values_that_are_no_numbers_do_no_harm(tmp_path: Path) -> None:
    table = footprints(
        4,
        lon_lowestmode=[float("nan"), 10.0, 11.0, float("inf")],
        agbd=[float("nan"), float("inf"), -9999.0, 5.0],
        delta_time=[float("nan"), 7e7, 7e7, 7e7],
    )
    plot_distribution(table, tmp_path / "plot.png", "as read")
    assert picture(tmp_path / "plot.png").any()


def test_a_footprint_at_either_end_of_the_world_fits_the_map(tmp_path: Path) -> None:
    table = footprints(2, lon_lowestmode=[-180.0, 180.0], lat_lowestmode=[-90.0, 90.0])
    plot_distribution(table, tmp_path / "plot.png", "all")
    assert picture(tmp_path / "plot.png").any()


def test_a_long_time_is_counted_by_month() -> None:
    first, last = date(2019, 11, 30), date(2022, 2, 1)
    months = plots._edges(first, last, by_month=True)
    assert months[0] == date(2019, 11, 1)
    assert months[-1] == date(2022, 3, 1)
    assert len(months) == 29
    days = plots._edges(first, first + timedelta(days=2), by_month=False)
    assert days == [first + timedelta(days=day) for day in range(4)]
