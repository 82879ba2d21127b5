"""Which rasters a sample shows, as the recipe of a dataset says."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from factory_pipeline.config.epsg import EpsgCode
from factory_pipeline.config.lenient_keys import Names
from factory_pipeline.config.raster_collection import AssetDescription, ClearPixels
from factory_pipeline.config.recipe import Section
from factory_pipeline.config.spans import Duration, MomentOrOffset, Period

LABELS = "labels"
"""What the source of labels is called: in a provider's file, the ledger and the forecast."""


class SourceGrid(Section):
    """The pixel grid of a source: windows are cut from its own pixels."""

    grid: str
    """Name of the source."""


class Window(Section):
    """The ground that a sample shows."""

    size: int = Field(ge=1)
    """Pixels a side."""
    pixel_size: float = Field(gt=0)
    """In metres, or in the units of the CRS."""
    crs: Literal["utm"] | EpsgCode | SourceGrid = "utm"
    """`utm`: the zone of the window's centre; an EPSG code; or the grid of a source, `{grid: sentinel2}`."""


class SourceTime(Section):
    """Which items are in question: around the label's time, within a span, or one step per period."""

    around: Duration | None = None
    """So long before and after the label."""
    between: Period | None = None
    periods: int | None = Field(None, ge=1)
    """Number of steps."""
    length: Duration | None = None
    """Of each period."""
    start: MomentOrOffset | None = None
    """Of the first period: a date, or a length of time from the start of the label, such as -180d."""

    @model_validator(mode="after")
    def _check_one_way(self) -> Self:
        given = [self.periods, self.length, self.start]
        periods = any(value is not None for value in given)
        if sum([self.around is not None, self.between is not None, periods]) != 1:
            raise ValueError("give one of around, between, or periods with length and start")
        if periods and any(value is None for value in given):
            raise ValueError("periods need all of periods, length and start")
        if min(self.around or timedelta(), self.length or timedelta()) < timedelta():
            raise ValueError("around and length must not be negative")
        return self

    @property
    def steps(self) -> int:
        """Steps of a sample."""
        return self.periods or 1

    @property
    def needs_label_time(self) -> bool:
        """Whether it depends on the time of each label."""
        return self.around is not None or isinstance(self.start, timedelta)


Composite = Literal["none", "first_valid", "median", "mean", "best_clear"]
Select = Literal["nearest", "newest", "least_cloudy", "all"]
ResamplingName = Literal["nearest", "bilinear"]


class Source(Section):
    """Rasters of one collection."""

    collection: str
    """Id of a known collection, of one under `collections`, or the path of a file that describes one."""
    assets: Names = Field(min_length=1)
    time: SourceTime | None = None
    select: Select | None = None
    """Which acquisition comes first; by default the nearest in time, of composites all."""
    max_cloud_cover: float | None = Field(None, gt=0, le=100)
    """An item's cloud cover is below this, in percent."""
    where: str | None = None
    """A SQL condition over the items' properties, such as `"sat:orbit_state" = 'ascending'`."""
    composite: Composite = "none"
    mask: ClearPixels | None = None
    """The pixels that show the ground; the others count as without data."""
    resampling: dict[str, ResamplingName] = Field({})
    """By asset, and `default` for the others."""
    pixel_size: float | None = Field(None, gt=0)
    """Of this source's part of a sample, where it is another than the window's."""
    values: Literal["stored", "physical"] = "stored"
    """`stored` keeps the collection's integers, scale and offset beside them; `physical` applies these."""
    derive: tuple[Literal["slope"], ...] = ()
    """More bands: the slope in percent of a terrain model."""
    required: bool = True
    """Whether a label is dropped where the source has nothing; else its part of the sample holds no data."""
    min_periods: int | None = Field(None, ge=1)
    """Fewest steps with data; all of them where the source is required and this is left out."""


def resampling_of(source: Source, asset: str, described: AssetDescription) -> ResamplingName:
    """Return how an asset of a source is resampled: categories by nearest, others bilinearly by default.

    Args:
        source: of a recipe.
        asset: name of one of its assets.
        described: the same asset in its collection.
    """
    if asset in source.resampling:
        return source.resampling[asset]
    if described.is_categorical:
        return "nearest"
    return source.resampling.get("default", "bilinear")
