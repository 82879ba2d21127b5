"""A snapshot of a collection's items: one Parquet table in the stac-geoparquet format.

https://github.com/stac-utils/stac-geoparquet/blob/main/spec/stac-geoparquet-spec.md
"""

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from shapely.geometry import mapping

from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.redaction import display
from factory_pipeline.stac.longitudes import normalize_outline, touches_box
from factory_pipeline.stac.query import Box, ItemQuery, rfc3339
from factory_pipeline.stac.static_catalog import resolve_href

NOT_PROPERTIES = frozenset(
    {"type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"}
)
"""The members of an item that are columns; every other column is a property."""
CORNERS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
"""The fields of a bbox in the order of a GeoJSON bbox; zmin and zmax may lack."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is read lazily: a search reads the rows that it asks for."""

    address: str
    """The path of a Parquet file or of a folder with its parts, or the URL of one in an object store."""
    frame: pl.LazyFrame
    """The table, without the columns that no search needs."""
    schema: Mapping[str, pl.DataType]
    """Its columns."""
    collections: tuple[str, ...]
    """The ids that the items name as their collection; none where they name none."""

    @classmethod
    def open(cls, address: str) -> "Snapshot":
        """Read the columns' names and types, and which collections there are.

        Raises:
            CatalogError: there is no such file, or it is not in the stac-geoparquet format.
            CatalogUnavailableError: the object store does not answer.
        """
        with _errors_named(address):
            frame = pl.scan_parquet(address, glob=False).drop("links", strict=False)
            schema = frame.collect_schema()
            _check_format(schema)
            names: list[str] = []
            if "collection" in schema:
                names = (
                    frame.select(pl.col("collection").drop_nulls().unique()).collect()["collection"].to_list()
                )
        return cls(address, frame, schema, tuple(sorted(names)))

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """All items of a collection that a query asks for, as JSON without links and with absolute hrefs.

        Members that are null are left out.

        Args:
            collection: its id.
            query: place and time.

        Raises:
            CatalogError: there is no such collection, or the file is broken.
            CatalogUnavailableError: the object store does not answer.
        """
        self.check_collection(collection)
        conditions = [_overlaps(query.bbox), *self._filter_time(query)]
        if self.collections:
            conditions.append(pl.col("collection") == collection)
        with _errors_named(self.address):
            near = self.frame.filter(*conditions).collect()
            outlines = _outlines(near["geometry"])
        touches = touches_box(outlines, query.bbox)
        rows = near.drop("geometry").iter_rows(named=True)
        return [
            self._item(row, outline)
            for row, outline, touched in zip(rows, outlines, touches, strict=True)
            if touched
        ]

    def check_collection(self, collection: str) -> None:
        """Raise CatalogError where the items are of other collections."""
        if self.collections and collection not in self.collections:
            raise CatalogError(
                f"The snapshot {display(self.address)} has no collection {collection};"
                f" it holds: {', '.join(self.collections)}."
            )

    def _filter_time(self, query: ItemQuery) -> Iterator[pl.Expr]:
        """Conditions on the item's time: an instant, or a range where `datetime` is null."""
        # Plain comparisons of columns: these let row groups be skipped by their statistics.
        if query.start is not None:
            at_an_instant = self._compared("datetime", "ge", query.start)
            yield at_an_instant | (self._has_no_instant() & self._compared("end_datetime", "ge", query.start))
        if query.end is not None:
            at_an_instant = self._compared("datetime", "le", query.end)
            yield at_an_instant | (self._has_no_instant() & self._compared("start_datetime", "le", query.end))

    def _has_no_instant(self) -> pl.Expr:
        return pl.col("datetime").is_null() if "datetime" in self.schema else pl.lit(True)

    def _compared(self, column: str, comparison: str, time: datetime) -> pl.Expr:
        kind = self.schema.get(column)
        # A column without a single value may be written as one without a type, or not at all.
        if not isinstance(kind, pl.Datetime):
            return pl.lit(False)
        in_zone = time.astimezone(ZoneInfo(kind.time_zone or "UTC"))
        limit = pl.lit(in_zone if kind.time_zone else in_zone.replace(tzinfo=None), dtype=kind)
        return pl.col(column).ge(limit) if comparison == "ge" else pl.col(column).le(limit)

    def _item(self, row: dict[str, Any], outline: shapely.Geometry) -> dict[str, Any]:
        members = _to_json_value(row)
        assets = {
            key: {**asset, "href": self._make_absolute(asset["href"])}
            for key, asset in members["assets"].items()
            if "href" in asset
        }
        return {
            "type": "Feature",
            "id": members["id"],
            "geometry": mapping(outline),
            "bbox": [members["bbox"][corner] for corner in CORNERS if corner in members["bbox"]],
            "properties": {key: value for key, value in members.items() if key not in NOT_PROPERTIES},
            "assets": assets,
        }

    def _make_absolute(self, href: str) -> str:
        """Return an href, which may start from the folder that the snapshot is in."""
        if "://" not in self.address:
            return resolve_href(Path(self.address), href)
        if "://" in href:
            return href
        parts = urlsplit(self.address)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(parts.path), href))
        return urlunsplit(parts._replace(path=path, query="", fragment=""))


def _check_format(schema: Mapping[str, pl.DataType]) -> None:
    missing = [name for name in ("id", "geometry", "bbox", "assets") if name not in schema]
    if missing:
        raise _FormatError(f"it lacks the column {missing[0]}")
    bbox, assets = schema["bbox"], schema["assets"]
    fields = {field.name for field in bbox.fields} if isinstance(bbox, pl.Struct) else set()
    if not fields >= {"xmin", "ymin", "xmax", "ymax"}:
        raise _FormatError("the column bbox is not a struct of xmin, ymin, xmax and ymax")
    if not isinstance(assets, pl.Struct) or not all(
        isinstance(field.dtype, pl.Struct | pl.Null) for field in assets.fields
    ):
        raise _FormatError("the column assets is not a struct with a struct for each asset")
    times = [name for name in ("datetime", "start_datetime", "end_datetime") if name in schema]
    if not times:
        raise _FormatError("it lacks the column datetime")
    for name in times:
        if not isinstance(schema[name], pl.Datetime | pl.Null):
            raise _FormatError(f"the column {name} contains no timestamps")


def _overlaps(box: Box) -> pl.Expr:
    """Return whether an item's bbox touches a box, so that its geometry may."""
    # Where a bbox was rounded to float32, polars rounds these bounds likewise: what touches is still found.
    west, south, east, north = box
    corner = pl.col("bbox").struct.field
    in_latitude = (corner("ymin") <= north) & (corner("ymax") >= south)
    # GeoJSON (RFC 7946, 5.2): a bbox across the antimeridian has its west end east of its east end.
    across = corner("xmin") > corner("xmax")
    in_longitude = across & ((corner("xmin") <= east) | (corner("xmax") >= west))
    # An outline of -179..179 is one that crosses the antimeridian too (see `longitudes`).
    wide = corner("xmax") - corner("xmin") > 180
    in_longitude |= wide & ((corner("xmin") >= west) | (corner("xmax") <= east))
    for turn in (-360, 0, 360):  # catalogs in use also count on beyond 180 degrees, either way
        in_longitude |= (corner("xmin") <= east + turn) & (corner("xmax") >= west + turn)
    return in_latitude & in_longitude


def _outlines(geometries: pl.Series) -> NDArray[np.object_]:
    try:
        outlines = np.empty(len(geometries), dtype=object)
        outlines[:] = [
            None if outline is None else normalize_outline(outline)
            for outline in shapely.from_wkb(geometries.to_list())
        ]
        return outlines
    except (TypeError, shapely.errors.ShapelyError) as error:
        raise _FormatError("the column geometry contains no WKB") from error


def _to_json_value(value: Any) -> Any:
    """Return a value of a row as JSON: times as text, without what is null or binary (further geometries)."""
    if isinstance(value, dict):
        return {
            key: _to_json_value(member)
            for key, member in value.items()
            if member is not None and not isinstance(member, bytes)
        }
    if isinstance(value, list):
        return [_to_json_value(member) for member in value]
    if isinstance(value, datetime):
        return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value


class _FormatError(ValueError):
    """What of the stac-geoparquet format is not there."""


@contextmanager
def _errors_named(address: str) -> Iterator[None]:
    # Not chained where the address is remote: the texts contain the requested address, credentials included.
    shown = display(address)
    try:
        yield
    except FileNotFoundError:
        raise CatalogError(f"The STAC snapshot {shown} does not exist.") from None
    except PermissionError:
        raise CatalogError(f"The STAC snapshot {shown} may not be read with the present account.") from None
    except OSError as error:
        if "://" not in address:
            raise CatalogError(f"The STAC snapshot {shown} can't be read: {error}.") from error
        raise CatalogUnavailableError(
            f"The STAC snapshot {shown} could not be reached ({type(error).__name__}); try again later."
        ) from None
    except _FormatError as error:
        raise CatalogError(f"{shown} is not a stac-geoparquet snapshot: {error}.") from None
    except (pl.exceptions.SchemaError, pl.exceptions.ColumnNotFoundError):
        raise CatalogError(f"The STAC snapshot {shown} has parts whose columns differ.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise CatalogError(
            f"{shown} is not a stac-geoparquet snapshot: it is not a Parquet file, or damaged."
        ) from None
