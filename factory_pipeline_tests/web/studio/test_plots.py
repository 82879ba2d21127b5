"""Plots are lines and bars within their view box; what is not a number is left out."""

import math
import re
from datetime import date
from pathlib import Path

import pytest

from factory_pipeline.web.studio.plots import MOST_POINTS, Plot, day_plot, line_plot
from factory_pipeline.web.studio.training_metrics import read_metrics

HEADER = "epoch,step,train/loss,val/loss,lr-AdamW\n"


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def is_within(plot: Plot) -> bool:
    across, up = [tick.at for tick in plot.across], [tick.at for tick in plot.up]
    return all(plot.left <= at <= plot.width for at in across) and all(0 <= at <= plot.bottom for at in up)


def test_lines_go_through_their_points_and_say_their_last() -> None:
    plot = line_plot("Loss", {"train": [(0, 2.0), (50, math.nan), (100, 1.0)], "val": [(100, 4.0)], "no": []})
    assert plot is not None
    assert [(one.name, one.last) for one in plot.series] == [("train", "1"), ("val", "4")]
    x0, y0, x1, y1 = numbers(plot.series[0].path)
    assert (x0, x1) == (plot.left, plot.right)
    assert y0 < y1 < plot.bottom, "2 is above 1, and 1 above the zero of the axis"
    assert [tick.text for tick in plot.up] == ["0", "1", "2", "3", "4"]
    assert plot.across[0].text == "0"
    assert is_within(plot)


def test_a_plot_of_nothing_is_none_and_one_of_a_point_is_drawn() -> None:
    assert line_plot("Loss", {"train": [(0, math.inf)]}) is None
    assert line_plot("Loss", {}) is None
    for value in (0.0, -3.0, 1e-9, 1e12):
        plot = line_plot("Loss", {"train": [(7, value)]})
        assert plot is not None
        assert is_within(plot)


@pytest.mark.integration  # takes seconds
def test_very_many_points_are_thinned_and_the_last_stays() -> None:
    plot = line_plot("Loss", {"train": [(step, step % 7) for step in range(100_000)]})
    assert plot is not None
    found = numbers(plot.series[0].path)
    assert len(found) <= 2 * (MOST_POINTS + 1)
    assert found[-2] == plot.right


def test_days_have_bars_where_they_are_in_the_year() -> None:
    days = [date(2020, 4, 1), date(2020, 4, 2), date(2021, 4, 1)]
    plot = day_plot("Footprints", days, {"Drawn": [10, 20, 40], "Accepted": [5, 0, 40]})
    assert plot is not None
    assert [one.last for one in plot.series] == ["70", "45"]
    assert plot.series[0].path.count("M") == 3
    assert plot.series[1].path.count("M") == 2, "a day without any has no bar"
    assert plot.across[0].text == "2020-04-01"
    assert is_within(plot)
    assert day_plot("Footprints", [], {"Drawn": []}) is None


def test_metrics_are_those_of_the_newest_training_as_far_as_they_are_written(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) is None
    file = tmp_path / "terratorch_runs" / "lightning_logs" / "version_3" / "metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text(HEADER)
    assert read_metrics(tmp_path) is None
    file.write_text(HEADER + "0,4,1.5,,\n0,4,,,0.0001\n0,9,,1.25,\n1,14,0.7")
    found = read_metrics(tmp_path)
    assert found is not None
    assert found.epoch == 1
    assert found.losses is not None
    assert [(one.name, one.last) for one in found.losses.series] == [
        ("train/loss", "0.7"),
        ("val/loss", "1.25"),
    ]
    assert found.others == (("lr-AdamW", "0.0001"),)
    assert read_metrics(tmp_path, file.stat().st_mtime + 1) is None, "another training wrote it"
