"""What a file of labels says of itself: kind, columns, and which of these may be id, time and target."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import shapely
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from factory_pipeline.builds.labels.areas import ENDINGS, raster_files
from factory_pipeline.builds.labels.label_times import count_times, read_times
from factory_pipeline.builds.labels.read_table import X_NAMES, Y_NAMES, list_layers, read_rows
from factory_pipeline.config.dataset_splits import GIVEN_NAMES
from factory_pipeline.config.label_sources import LabelTime, RasterLabels, TableLabels
from factory_pipeline.errors import RecipeError
from factory_pipeline.open_raster import open_raster
from factory_pipeline.plain_text import count_noun

MOST_CLASSES = 50
LABELS_PER_CLASS = 2
"""Numbers count as codes of classes where there are at least so many labels of each in the mean."""
_START_WORDS = ("start", "from", "begin")
_ID_NAME = re.compile(r"(?i:^([a-z]?id|uuid|key|name)$|[_\W]id$)|[a-z]I[Dd]$")
_SAMPLED_PIXELS = 512
"""Pixels a side of a raster that are read to find its classes."""


@dataclass(frozen=True)
class LabelFile:
    """What is found in a file of labels."""

    kind: str
    """`points`, `polygons` or `rasters`."""
    count: int
    """Rows, or rasters."""
    columns: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    """Columns without a value that is there twice."""
    times: tuple[str, ...] = ()
    """Columns that hold dates or times."""
    targets: tuple[str, ...] = ()
    """Columns that a model may learn, classes first."""
    classes: dict[str, dict[int, str]] = field(default_factory=dict)
    """By target: code -> name, where its values are categories."""
    splits: tuple[str, ...] = ()
    """Columns that hold names of splits."""
    broken_times: tuple[str, ...] = ()
    """A sentence for each column of text of which most values are dates or times, but not all."""
    broken_ids: tuple[str, ...] = ()
    """A sentence for each column that most likely was meant to name labels, but can't name each."""
    layers: tuple[str, ...] = ()
    """Of a file with several."""
    layer: str | None = None
    """The one of several that was read."""

    @property
    def time(self) -> dict[str, str] | None:
        """The columns that say when a label holds, as a recipe names them."""
        if len(self.times) == 2 and any(word in self.times[0].lower() for word in _START_WORDS):
            return {"start": self.times[0], "end": self.times[1]}
        return {"column": self.times[0]} if self.times else None


def describe_label_file(labels: TableLabels) -> LabelFile:
    """Look into a file of labels, or a folder of rasters.

    Args:
        labels: the path; the columns of coordinates and their CRS where the file does not tell.

    Raises:
        RecipeError: it can't be read as labels; the message names the key that would help.
    """
    path = Path(labels.path)
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        return _describe_rasters(RasterLabels(kind="rasters", path=labels.path))
    rows = read_rows(labels)
    layers = list_layers(path)
    has_several = len(layers) > 1
    kinds = shapely.get_type_id(rows.geometries)
    areas = np.isin(kinds, [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    columns = rows.columns
    places = {name for name in columns.columns if name.lower() in (*X_NAMES, *Y_NAMES)}
    places |= {name for name in (labels.x, labels.y) if name is not None}
    named = [name for name in columns.columns if name not in places]
    times = tuple(name for name in named if _holds_times(columns, labels, name))
    splits = tuple(name for name in named if _holds_splits(columns[name]))
    ids = tuple(name for name in named if name not in times and _names_rows(columns[name]))
    left = [name for name in named if name not in (*times, *splits)]
    classes = {name: found for name in left if (found := _classes(columns[name]))}
    numbers = [name for name in left if name not in classes and columns[name].dtype.is_numeric()]
    # A whole number that differs in every row names labels; it is no measurement.
    measured = [name for name in numbers if name not in ids or columns[name].dtype.is_float()]
    ids = tuple(name for name in ids if not columns[name].dtype.is_float())
    other = [name for name in left if name not in (*classes, *ids)]
    return LabelFile(
        kind="polygons" if areas.any() else "points",
        count=columns.height,
        columns=tuple(columns.columns),
        ids=ids,
        times=times,
        targets=(*sorted(classes, key=lambda name: columns[name].dtype != pl.String), *measured),
        classes=classes,
        splits=splits,
        broken_times=tuple(
            sentence for name in named if (sentence := _broken_times(columns[name], labels)) is not None
        ),
        broken_ids=tuple(
            sentence for name in other if (sentence := _broken_id(columns[name], ids)) is not None
        ),
        layers=layers if has_several else (),
        layer=(labels.layer or layers[0]) if has_several else None,
    )


def _holds_times(columns: pl.DataFrame, labels: TableLabels, name: str) -> bool:
    rule = labels.model_copy(update={"time": LabelTime(column=name)})
    try:
        return not read_times(columns.select(name), rule).missing.all()
    except RecipeError:
        return False


def _broken_times(column: pl.Series, labels: TableLabels) -> str | None:
    """Return what is wrong with a column of text that most likely was meant to hold dates or times."""
    if column.dtype != pl.String or 2 * count_times(column) <= len(column) - column.null_count():
        return None
    rule = labels.model_copy(update={"time": LabelTime(column=column.name)})
    try:
        read_times(column.to_frame(), rule)
    except RecipeError as error:
        return str(error)
    return None


def _broken_id(column: pl.Series, ids: Sequence[str]) -> str | None:
    """Return what is wrong with a column of which most values are of one label alone."""
    has_name = _ID_NAME.search(column.name) is not None
    if not (column.dtype == pl.String or (column.dtype.is_integer() and has_name)) or (ids and not has_name):
        return None
    values = column.drop_nulls().alias("value").value_counts(name="rows")
    counts = values.sort("rows", "value", descending=[True, False])
    if 2 * counts.height <= len(column):
        return None
    repeated = counts.filter(pl.col("rows") > 1)
    wrong = []
    if repeated.height:
        others = count_noun(repeated.height - 1, "other value")
        more = f" and {others} several times" if repeated.height > 1 else ""
        wrong.append(f"has {repeated['value'][0]!r} in {repeated['rows'][0]:,} rows{more}")
    if column.has_nulls():
        wrong.append(f"is empty in {count_noun(column.null_count(), 'row')}")
    used = f"the column {ids[0]} names them" if ids else "their row numbers name them"
    return (
        f"The column {column.name} can't name the labels, as it {' and '.join(wrong)}: {used}; as id it would"
        " leave out all but the first label of each value."
    )


def _holds_splits(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return False
    return set(column.drop_nulls().str.to_lowercase()) <= GIVEN_NAMES.keys() and column.n_unique() > 1


def _names_rows(column: pl.Series) -> bool:
    return not column.has_nulls() and column.n_unique() == len(column)


def _classes(column: pl.Series) -> dict[int, str]:
    """Return the names of the classes of a column by code; empty where it holds something else."""
    values = column.drop_nulls().unique().sort()
    few = 1 < len(values) <= MOST_CLASSES and len(values) * LABELS_PER_CLASS <= len(column)
    if not few:
        return {}
    if column.dtype == pl.String:
        return {number: str(name) for number, name in enumerate(values, start=1)}
    if column.dtype.is_integer():
        return {int(code): f"class {code}" for code in values}
    return {}


def _describe_rasters(labels: RasterLabels) -> LabelFile:
    files = raster_files(labels)
    try:
        found: set[int] | None = set()
        for path in files:
            values = _sample_integers(path)
            found = None if found is None or values is None else found | values
    except RasterioError as error:
        raise RecipeError(f"At labels.path: {path} can't be read as a raster.") from error
    classes = {code: f"class {code}" for code in sorted(found or ())}
    return LabelFile(
        kind="rasters",
        count=len(files),
        targets=("label",),
        classes={"label": classes} if 1 < len(classes) <= MOST_CLASSES else {},
    )


def _sample_integers(path: Path) -> set[int] | None:
    """Return the values of a raster of integers, without that for no label; None for other rasters."""
    with open_raster(path) as dataset:
        if np.dtype(dataset.dtypes[0]).kind == "f":
            return None
        shape: Sequence[int] = [min(size, _SAMPLED_PIXELS) for size in dataset.shape]
        values = dataset.read(1, out_shape=tuple(shape), resampling=Resampling.nearest, masked=True)
    return set(np.unique(values.compressed()).tolist())
