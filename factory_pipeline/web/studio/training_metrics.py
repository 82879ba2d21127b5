"""What a training has logged so far: its losses as a plot, its other metrics as they were last.

Lightning's CSVLogger adds a line to `metrics.csv` now and then; a line has the metrics that were logged at
its step, the others are empty.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from factory_pipeline.web.studio.plots import Plot, line_plot

FILE = "metrics.csv"
MOST_BYTES = 16 << 20
"""Of a larger file, nothing is shown."""
AXES = ("step", "epoch")


@dataclass(frozen=True)
class TrainingMetrics:
    """The metrics of one training."""

    epoch: int
    """The last one of which something was logged, from 0."""
    losses: Plot | None
    others: tuple[tuple[str, str], ...]
    """Name and last value of all other metrics."""


def read_metrics(folder: Path, since: float = 0.0) -> TrainingMetrics | None:
    """Return the metrics of the newest training of a folder; None where none was logged.

    Args:
        folder: where trainings write, at any depth.
        since: seconds since 1970; what was written before is of another training.
    """
    files = [path for path in folder.rglob(FILE) if path.stat().st_mtime >= since]
    newest = max(files, key=lambda path: (path.stat().st_mtime, str(path)), default=None)
    if newest is None or newest.stat().st_size > MOST_BYTES:
        return None
    with newest.open(encoding="utf-8", newline="") as file:
        rows = [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        step = row.get("step", math.nan)
        for name, value in row.items():
            if name not in AXES and not math.isnan(value):
                points.setdefault(name, []).append((step, value))
    if not points:
        return None
    losses = {name: values for name, values in points.items() if "loss" in name.lower()}
    others = {name: values[-1][1] for name, values in points.items() if name not in losses}
    epochs = [row["epoch"] for row in rows if not math.isnan(row.get("epoch", math.nan))]
    return TrainingMetrics(
        int(max(epochs, default=0)),
        line_plot("Loss by step", dict(sorted(losses.items()))),
        tuple((name, f"{value:.4g}") for name, value in sorted(others.items())),
    )


def _number(text: object) -> float:
    """Return the number of a cell; NaN for an empty one, and for one that is not written to its end."""
    try:
        return float(str(text))
    except ValueError:
        return math.nan
