"""Where the labels of a dataset come from, as its recipe says."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from factory_pipeline.config.epsg import EpsgCode
from factory_pipeline.config.lenient_keys import Names
from factory_pipeline.config.raster_sources import Source
from factory_pipeline.config.recipe import QualityRule, Section
from factory_pipeline.config.spans import Period


class LabelTime(Section):
    """When a label holds: a column with its moment, columns with its start and end, or one span for all."""

    column: str | None = None
    start: str | None = None
    end: str | None = None
    between: Period | None = None

    @model_validator(mode="after")
    def _check_one_way(self) -> Self:
        ways = [self.column is not None, self.start is not None and self.end is not None, self.between]
        if sum(map(bool, ways)) != 1 or (self.start is None) != (self.end is None):
            raise ValueError("give one of column, start and end (columns), or between (one span for all)")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold times."""
        return tuple(name for name in (self.column, self.start, self.end) if name is not None)


class Target(Section):
    """What a model of the dataset learns."""

    column: str
    classes: dict[int, str] | None = None
    """Code -> name of each class; the column holds codes or names. None for a number."""
    unit: str = ""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = list((self.classes or {}).values())
        if len(set(names)) < len(names):
            raise ValueError("two classes have the same name")
        return self


def _rule(value: Any) -> Any:
    return {"name": value, "keep": value} if isinstance(value, str) else value


Rules = tuple[Annotated[QualityRule, BeforeValidator(_rule)], ...]


class TableLabels(Section):
    """Labels that are the rows of a file."""

    path: str
    """CSV with columns of coordinates, Parquet (also GeoParquet), GeoJSON, GeoPackage, FlatGeobuf, Shapefile:
    whatever pyarrow, polars or pyogrio read."""
    layer: str | None = None
    """Of a file with several."""
    x: str | None = None
    """Column with the easting or longitude, where the file has no geometry; guessed where it is left out."""
    y: str | None = None
    crs: EpsgCode | None = None
    """EPSG code of the coordinates, where the file does not state one; 4326 is longitude and latitude."""
    id: str | None = None
    """Column that names a label; its row number where it is left out."""
    time: LabelTime | None = None
    target: Target | None = None
    keep: Rules = ()
    """SQL conditions over the columns; a label counts for the first that it fails."""
    extra: Names = ()
    """Columns that are carried into the dataset."""

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of the labels that a sample has."""
        return self.extra


class PointLabels(TableLabels):
    """A label is a point: the centre of its window."""

    kind: Literal["points"]
    is_raster: ClassVar[bool] = False


class PolygonLabels(TableLabels):
    """A label is a polygon, burnt on the pixels of windows; each window shows all polygons that it meets."""

    kind: Literal["polygons"]
    all_touched: bool = False
    """Whether every pixel is burnt that a polygon touches; else those whose centre it holds."""
    windows: Literal["each", "cover"] = "each"
    """`each`: a window around the centre of each polygon; `cover`: a grid of windows that covers them."""
    min_share: float = Field(0, ge=0, le=1)
    """Least share of a window of `cover` that is under polygons."""
    is_raster: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        if self.min_share and self.windows == "each":
            raise ValueError("min_share goes with windows: cover")
        if self.extra and self.windows == "cover":
            raise ValueError("extra goes with windows: each; a window of cover may show several polygons")
        return self


class _AreaLabels(Section):
    """Windows of a grid over an area."""

    area: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west greater than east means across the antimeridian."""
    between: Period | None = None
    """When the labels hold."""
    extra: Names = ()

    @model_validator(mode="after")
    def _check_extra(self) -> Self:
        if self.extra:
            raise ValueError("extra goes with points and polygons; windows of a grid have no columns")
        return self

    @property
    def time(self) -> LabelTime | None:
        """When a label holds."""
        return None if self.between is None else LabelTime(between=self.between)

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of the labels that a sample has."""
        return self.extra


class RasterLabels(_AreaLabels):
    """Labels are the pixels of rasters, cut on a grid of windows."""

    kind: Literal["rasters"]
    path: str | None = None
    """A GeoTIFF, or a folder of them."""
    source: Source | None = None
    """Rasters of a STAC collection, in place of `path`: one asset of it."""
    points: TableLabels | None = None
    """Centres of the windows, in place of a grid over `area`; without a target of their own."""
    band: int = Field(1, ge=1)
    nodata: float | None = None
    """The value without a label, whatever the files state; None takes the value that each states."""
    classes: dict[int, str] | None = None
    """Name of each class; None for a number."""
    unit: str = ""
    max_nodata: float = Field(0.5, ge=0, le=1)
    """Largest share of a window's pixels without a label."""
    is_raster: ClassVar[bool] = True

    @model_validator(mode="after")
    def _check_one_place(self) -> Self:
        if (self.path is None) == (self.source is None):
            raise ValueError("give either path, a GeoTIFF or a folder of them, or source, a STAC collection")
        if self.points is not None and (self.area is not None or self.between is not None):
            raise ValueError("points go without area and between; they have a time of their own")
        if self.points is not None and self.points.target is not None:
            raise ValueError("points of rasters have no target; the rasters hold the labels")
        if self.source is None:
            return self
        if self.area is None and self.points is None:
            raise ValueError("labels of a source need area, [west, south, east, north], or points")
        if len(self.source.assets) != 1 or self.source.derive or not self.source.required:
            raise ValueError("the source of labels has one asset, no derive, and is required")
        if self.source.time is not None and self.source.time.periods is not None:
            raise ValueError("the source of labels has one date: around or between, not periods")
        if self.source.pixel_size is not None:
            raise ValueError("the source of labels has the pixels of the window, no pixel_size of its own")
        if self.band != 1 or self.nodata is not None:
            raise ValueError("band and nodata go with path; a collection's asset states its own")
        return self

    @property
    def time(self) -> LabelTime | None:
        """When a label holds."""
        return super().time if self.points is None else self.points.time

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of the labels that a sample has."""
        return super().carried if self.points is None else self.points.extra

    @property
    def target(self) -> Target:
        """What a model learns."""
        return Target(column="label", classes=self.classes, unit=self.unit)


class GridLabels(_AreaLabels):
    """No labels: a grid of windows over an area, for pre-training and prediction."""

    kind: Literal["grid"]
    path: str | None = None
    """A file of polygons, in place of `area`."""
    is_raster: ClassVar[bool] = False
    target: ClassVar[None] = None

    @model_validator(mode="after")
    def _check_one_area(self) -> Self:
        if (self.area is None) == (self.path is None):
            raise ValueError("give either area, [west, south, east, north], or path, a file of polygons")
        return self
