"""Reading a file whose rows are labels: columns, geometries in WGS 84."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from factory_pipeline.config.label_sources import TableLabels
from factory_pipeline.config.problems import suggest_names
from factory_pipeline.crs_transformer import crs_transformer
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.json_document import parse_json

X_NAMES = ("lon", "longitude", "long", "lng")
Y_NAMES = ("lat", "latitude")
"""Columns that hold degrees by their name, in lower case."""
_CSV = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".geoparquet", ".pq")
WGS84 = 4326
_DEFAULT_CRS = "OGC:CRS84"
"""Of a GeoParquet file that states none (GeoParquet 1.1)."""


@dataclass(frozen=True)
class LabelRows:
    """The rows of a label file."""

    columns: pl.DataFrame
    """All columns but the geometry, in the order of the file."""
    geometries: NDArray[np.object_]
    """(rows,) shapely geometries in longitude and latitude (WGS 84); None where a row has none."""


def read_rows(labels: TableLabels) -> LabelRows:
    """Read the file of a recipe's labels.

    Raises:
        RecipeError: the file is missing or can't be read, states no coordinate reference system and neither
            does the recipe, or lacks a column that the recipe names.
    """
    path = Path(labels.path)
    if not path.exists():
        raise RecipeError(f"At labels.path: {path} does not exist.")
    columns, geometries, crs = _read(path, labels)
    _require(columns, labels)
    epsg = labels.crs if labels.crs is not None else crs
    if epsg is None:
        raise RecipeError(
            f"At labels.crs: {path} does not state the coordinate reference system of its labels; give the"
            " EPSG code, such as 4326 for longitude and latitude."
        )
    return LabelRows(columns, _to_degrees(geometries, epsg))


def _read(path: Path, labels: TableLabels) -> tuple[pl.DataFrame, NDArray[np.object_], int | str | None]:
    """Return columns, geometries in their own CRS, and what the file states of that."""
    suffix = path.suffix.lower()
    try:
        if suffix in _CSV:
            return _locate_points(_csv_table(path, "\t" if suffix == ".tsv" else ","), labels)
        if suffix in _PARQUET:
            return _read_parquet(path, labels)
        return _read_vector(path, labels)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = str(error).partition("\n")[0].rstrip(".")
        raise RecipeError(f"At labels.path: {path} can't be read: {first}.") from error


def _csv_table(path: Path, separator: str) -> pl.DataFrame:
    """Return a table with its dates; as text where a column of dates holds something else too."""
    options: dict[str, Any] = {"separator": separator, "infer_schema_length": None}
    try:
        return pl.read_csv(path, try_parse_dates=True, **options)
    except pl.exceptions.ComputeError:
        return pl.read_csv(path, **options)


def _read_parquet(path: Path, labels: TableLabels) -> tuple[pl.DataFrame, NDArray[np.object_], Any]:
    table, geo = _parquet_table(path)
    if geo is None:
        return _locate_points(table, labels)
    try:
        stated = parse_json(geo, f"The description of the geometries in {path}")
        primary = stated["primary_column"]
        about = dict(stated["columns"][primary])
    except DocumentError as error:
        raise RecipeError(f"At labels.path: {error}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise RecipeError(f"At labels.path: {path} is not GeoParquet: it has no primary column.") from error
    if about.get("encoding", "WKB") != "WKB":
        raise RecipeError(f"At labels.path: the geometries of {path} are not WKB; write them so.")
    crs = about.get("crs", _DEFAULT_CRS)
    try:
        wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
        return table.drop(primary), shapely.from_wkb(table[primary].to_numpy()), wkt
    except (CRSError, shapely.errors.ShapelyError, TypeError) as error:
        raise RecipeError(
            f"At labels.path: the geometries of {path} can't be read as GeoParquet describes them."
        ) from error


def _parquet_table(path: Path) -> tuple[pl.DataFrame, bytes | None]:
    """Return a table and what its file says of geometries.

    polars would end the process on some damaged files: it asks for exabytes of memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            read = file.read()
            read.validate(full=True)
            table = pl.from_arrow(read)
            geo = (file.metadata.metadata or {}).get(b"geo")
    except (pa.ArrowException, OSError, MemoryError, UnicodeError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise RecipeError(f"At labels.path: {path} can't be read: {reason}.") from error
    assert isinstance(table, pl.DataFrame)
    return table, geo


def _read_vector(path: Path, labels: TableLabels) -> tuple[pl.DataFrame, NDArray[np.object_], Any]:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        # The first layer by its number: without any, pyogrio warns of the others in the user's terminal.
        meta, table = pyogrio.read_arrow(path, layer=0 if labels.layer is None else labels.layer)
    except DataLayerError as error:
        names = list_layers(path)
        raise RecipeError(
            f"At labels.layer: {path} has no layer {labels.layer!r}{suggest_names(str(labels.layer), names)};"
            f" it has {', '.join(names) or 'none'}."
        ) from error
    except (DataSourceError, ValueError) as error:
        raise RecipeError(
            f"At labels.path: {path} can't be read as labels; allowed are CSV, Parquet and what GDAL reads as"
            f" vectors, such as GeoJSON and GeoPackage ({str(error).partition(chr(10))[0].rstrip('.')})."
        ) from error
    name = meta["geometry_name"] or "wkb_geometry"
    if name not in table.column_names:
        return _locate_points(pl.DataFrame(table), labels)
    geometries = shapely.from_wkb(np.array(table[name].to_pylist(), dtype=object))
    return pl.DataFrame(table.drop_columns([name])), geometries, meta["crs"]


def list_layers(path: Path) -> tuple[str, ...]:
    """Return the names of the layers of a file, in its order; none of a format without layers."""
    import pyogrio

    if path.suffix.lower() in (*_CSV, *_PARQUET):
        return ()
    return tuple(str(name) for name in pyogrio.list_layers(path)[:, 0])


def _locate_points(
    columns: pl.DataFrame, labels: TableLabels
) -> tuple[pl.DataFrame, NDArray[np.object_], int | None]:
    """Return points of the columns that hold coordinates."""
    x, x_is_degrees = _coordinate(columns.columns, labels.x, X_NAMES, "x")
    y, y_is_degrees = _coordinate(columns.columns, labels.y, Y_NAMES, "y")
    numbers = []
    for key, name in (("x", x), ("y", y)):
        if not columns[name].dtype.is_numeric():
            raise RecipeError(f"At labels.{key}: the column {name} {_first_text(columns[name])}.")
        numbers.append(columns[name].cast(pl.Float64).fill_null(float("nan")).to_numpy())
    geometries = np.full(columns.height, None, dtype=object)
    known = np.isfinite(numbers[0]) & np.isfinite(numbers[1])
    geometries[known] = shapely.points(numbers[0][known], numbers[1][known])
    return columns, geometries, WGS84 if x_is_degrees and y_is_degrees else None


def _first_text(column: pl.Series) -> str:
    """Say why a column holds no coordinates: by the first row that is no number, where it is text."""
    if column.dtype == pl.String:
        is_text = column.is_not_null() & column.str.strip_chars().cast(pl.Float64, strict=False).is_null()
        if is_text.any():
            row = int(is_text.arg_true()[0])
            allowed = "allowed are numbers, and nothing where a label has none"
            return f"has {column[row]!r} in row {row + 1}; {allowed}"
    return f"is {column.dtype}, not numbers"


def _coordinate(
    names: Sequence[str], given: str | None, guesses: Sequence[str], key: str
) -> tuple[str, bool]:
    """Return the column of a coordinate, and whether its name implies degrees."""
    if given is not None:
        if given not in names:
            raise RecipeError(
                f"At labels.{key}: there is no column {given!r}{suggest_names(given, names)}; there are"
                f" {', '.join(names)}."
            )
        return given, given.lower() in guesses
    found = next((name for name in names if name.lower() in guesses), None)
    if found is None:
        raise RecipeError(
            f"At labels.{key}: no column is named {' or '.join(guesses)}; name the columns of the coordinates"
            f" by x and y. There are {', '.join(names)}."
        )
    return found, True


def _require(columns: pl.DataFrame, labels: TableLabels) -> None:
    """Refuse a recipe that names a column which the file lacks."""
    times = labels.time.columns if labels.time else ()
    named = [
        ("id", labels.id),
        ("target.column", labels.target.column if labels.target else None),
        *(("time", name) for name in times),
        *(("extra", name) for name in labels.extra),
    ]
    for key, name in named:
        if name is not None and name not in columns.columns:
            raise RecipeError(
                f"At labels.{key}: there is no column {name!r}{suggest_names(name, columns.columns)}; there"
                f" are {', '.join(columns.columns)}."
            )


def _assert_not_degrees(geometries: NDArray[np.object_], system: CRS) -> None:
    """Refuse longitudes and latitudes as metres of a projection: all would be at its origin.

    Raises:
        RecipeError: all coordinates may be degrees.
    """
    bounds = shapely.bounds(geometries)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    if len(bounds) and (np.abs(bounds.reshape(-1, 2)).max(axis=0) <= (180, 90)).all():
        raise RecipeError(
            f"At labels.crs: the coordinates, such as {bounds[0][0]:g}, {bounds[0][1]:g}, are degrees, and"
            f" {system.name} has the unit {system.axis_info[0].unit_name}; give 4326 for longitude and"
            " latitude."
        )


def _to_degrees(geometries: NDArray[np.object_], crs: int | str) -> NDArray[np.object_]:
    try:
        system = CRS.from_user_input(crs)
        is_degrees = system.equals(CRS.from_epsg(WGS84), ignore_axis_order=True)
    except CRSError as error:
        raise RecipeError(f"At labels.crs: {crs} is not a known coordinate reference system.") from error
    if is_degrees:
        return geometries
    if system.is_projected:
        _assert_not_degrees(geometries, system)
    transform = crs_transformer(crs, WGS84).transform

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(transform(points[:, 0], points[:, 1]), axis=1)

    projected = np.full(len(geometries), None, dtype=object)
    known = np.array([geometry is not None for geometry in geometries], dtype=np.bool_)
    if known.any():
        projected[known] = shapely.transform(geometries[known], project)
    return projected
