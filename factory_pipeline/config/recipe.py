"""The definition of a dataset: which footprints, which rasters, which checks, which splits."""

import hashlib
import itertools
import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from factory_pipeline.config.problems import problems_of
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.yaml_document import read_yaml

LAYERS = ("sentinel2", "copdem", "worldcover")
"""The layers of a sample, in the order in which a batch reads them; a provider has a source for each."""
S2_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
"""The reflectance bands of a sample, in the order in which they are stored after SCL."""


class Section(BaseModel):
    """A part of a recipe: immutable, and a key that it doesn't know is an error, not a silent no-op."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class QualityRule(Section):
    """A footprint is kept if `keep` is true; null and NaN never pass a comparison with a bound."""

    name: str
    """What the counts and the reject ledger call the footprints that fail here."""
    keep: str
    """A SQL expression over the granule's fields, such as `sensitivity > 0.95`."""


DEFAULT_RULES = (
    QualityRule(name="l2_quality_flag", keep="l2_quality_flag = 1"),
    QualityRule(name="l4_quality_flag", keep="l4_quality_flag = 1"),
    QualityRule(name="surface_flag", keep="surface_flag = 1"),
    QualityRule(name="agbd", keep="agbd > 0 AND agbd < CAST('inf' AS DOUBLE)"),
    QualityRule(name="relative_error", keep="agbd_se >= 0 AND agbd_se / agbd < 0.5"),
    QualityRule(
        name="coordinates",
        keep="lat_lowestmode BETWEEN -90 AND 90 AND lon_lowestmode BETWEEN -180 AND 180",
    ),
    QualityRule(name="delta_time", keep="delta_time BETWEEN 0 AND 3000000000"),
)


class Footprints(Section):
    """Which footprints of the granules are candidates."""

    extra_fields: tuple[str, ...] = ()
    """More fields of a beam to read, by their path in the beam group, for rules of one's own."""
    rules: tuple[QualityRule, ...] = DEFAULT_RULES
    """Applied in this order; a footprint counts for the first rule that it fails."""
    area: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; None keeps all."""


class DateRange(Section):
    """Calendar days in UTC, both included."""

    start: date
    end: date

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")
        return self


class SplitOptions(Section):
    """What separates the splits beside time."""

    space: Annotated[Literal["off", "blocks"], BeforeValidator(lambda value: value or "off")] = "off"
    """`blocks` gives each block of the ground to one split: footprints of other splits there are left out, so
    that no window of one split shares ground with one of another. YAML reads `off` as false."""
    block_m: float = Field(10_000, gt=0)
    """Side of a block in metres."""
    buffer_m: float = Field(0, ge=0)
    """Least distance in metres between windows of different splits."""
    shares: dict[str, Annotated[float, Field(gt=0)]] = {}
    """How much of the ground each split gets, in any unit; none divides it evenly."""
    seed: int = 42


SPACE_BLOCKS = "blocks"


BY_DAY, BY_TILE = "day", "tile"
"""What a subset is even over beside fields: calendar days in UTC, 100 km squares of a UTM zone."""


class Subset(Section):
    """How many footprints of a split are drawn, which, and from which seed."""

    dataset_size_max: Annotated[int, Field(ge=1)] | None = None
    """Footprints per split; None uses all."""
    seed: int = 42
    by: tuple[str, ...] = Field((BY_DAY,), min_length=1)
    """What the subset is even over: `day`, `tile`, or fields, numbers by their quartiles."""
    cover: tuple[str, ...] = ()
    """Fields in which the footprints are to be as different from one another as possible, instead of `by`."""

    @model_validator(mode="after")
    def _check_cover(self) -> Self:
        if self.cover and self.by != (BY_DAY,):
            raise ValueError("cover is instead of by; leave one of the two out")
        return self

    @property
    def rule(self) -> str:
        """What the subset is drawn by, in words; empty for the days."""
        if self.cover:
            return f"to cover {', '.join(self.cover)}"
        return "" if self.by == (BY_DAY,) else f"by {', '.join(self.by)}"


class SceneChecks(Section):
    """Largest fractions of the scene classes (SCL) that a window may hold, unrounded."""

    center_classes: tuple[int, ...] = (4, 5)
    """All of the 4x4 pixels at the footprint must be of one of these classes."""
    cloud: float = Field(0.25, ge=0, le=1)
    """Classes 8, 9, 10."""
    shadow: float = Field(0.25, ge=0, le=1)
    """Classes 2, 3."""
    snow: float = Field(0.25, ge=0, le=1)
    """Class 11."""
    water: float = Field(0.25, ge=0, le=1)
    """Class 6."""
    invalid: float = Field(0.05, ge=0, le=1)
    """Classes 0, 1, 7: no data, saturated, unclassified."""


class Sentinel2(Section):
    """Which Sentinel-2 product is taken for a footprint."""

    bands: tuple[str, ...] = S2_BANDS
    max_days: float = Field(10, gt=0)
    """Largest distance in time between the shot and the product, in days."""
    max_cloud_cover: float = Field(25, gt=0, le=100)
    """A product's cloud cover is below this, in percent."""
    candidates: int = Field(1, ge=1)
    """How many products are tried, best first, until one passes the scene checks."""
    remove_offset: bool = True
    """Subtract the offset of products of baseline 04.00 and later."""
    checks: SceneChecks = SceneChecks()


class Terrain(Section):
    """Copernicus DEM."""

    max_slope: float = Field(15, gt=0)
    """Largest slope at the footprint's 4x4 pixels, in percent."""


class Recipe(Section):
    """A dataset's definition. The same recipe and the same inputs give the same bytes."""

    name: str = "gedi-agbd"
    footprints: Footprints = Footprints()
    splits: dict[str, DateRange] = {
        "train": DateRange(start=date(2020, 1, 1), end=date(2020, 12, 31)),
        "test": DateRange(start=date(2021, 1, 1), end=date(2021, 12, 31)),
    }
    split: SplitOptions = SplitOptions()
    subset: Subset = Subset()
    batch_size: int = Field(1000, ge=1)
    window_size: int = Field(32, ge=8, multiple_of=2)
    """Pixels of 10 m; the footprint is in pixel [window_size/2, window_size/2]."""
    footprint_radius: float = Field(12.5, gt=0)
    """Metres."""
    sentinel2: Sentinel2 = Sentinel2()
    terrain: Terrain = Terrain()

    @model_validator(mode="after")
    def _splits_named_and_apart(self) -> Self:
        for name in self.splits:
            if not name.isidentifier():
                raise ValueError(f"split name {name!r} must be letters, digits and underscores")
        ranges = sorted((days.start, days.end, name) for name, days in self.splits.items())
        for (_, end, one), (start, _, other) in itertools.pairwise(ranges):
            if start <= end:
                raise ValueError(f"splits {one} and {other} share the day {start}")
        return self

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        unknown = set(self.split.shares) - set(self.splits)
        if unknown or (self.split.shares and set(self.splits) - set(self.split.shares)):
            raise ValueError(
                f"split.shares names {', '.join(self.split.shares)}, not {', '.join(self.splits)}"
            )
        if self.split.space == SPACE_BLOCKS and len(self.splits) > 3:
            raise ValueError(f"split.space is for three splits at most, not {len(self.splits)}")
        least = 3 * (self.window_size * 10 + self.split.buffer_m)
        if self.split.space == SPACE_BLOCKS and self.split.block_m < least:
            raise ValueError(f"split.block_m is {self.split.block_m:g}; windows need {least:g} m or more")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """How much of the ground each split gets."""
        return dict(self.split.shares) or dict.fromkeys(self.splits, 1.0)

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read a recipe from YAML.

        Raises:
            RecipeError: the file is missing, is no YAML mapping, or holds values that are not allowed; all
                of these are named.
        """
        try:
            document = read_yaml(path, f"The recipe {path}")
        except DocumentError as error:
            raise RecipeError(str(error)) from error
        return cls.parse(document if document is not None else {}, where=str(path))

    @classmethod
    def parse(cls, document: Any, where: str) -> "Recipe":
        """Validate a recipe.

        Args:
            document: as parsed from YAML or JSON.
            where: names the recipe in messages.

        Raises:
            RecipeError: a key is missing, not known or has a value that is not allowed.
        """
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise RecipeError(
                f"The recipe {where} is not valid {problems_of(error, cls, document)}."
            ) from error

    def with_sizes(self, dataset_size_max: int | None, batch_size: int | None) -> "Recipe":
        """Return the same recipe with other sizes; None leaves a size as it is.

        Args:
            dataset_size_max: the most samples; None leaves it.
            batch_size: footprints in a batch; None leaves it.
        """
        sizes: dict[str, Any] = {}
        if dataset_size_max is not None:
            sizes["subset"] = self.subset.model_copy(update={"dataset_size_max": dataset_size_max})
        if batch_size is not None:
            sizes["batch_size"] = batch_size
        return self.model_copy(update=sizes)

    def canonical_json(self) -> str:
        """The whole recipe with sorted keys: what is stored in a dataset file and hashed."""
        document = self.model_dump(mode="json")
        if self.split.space == "off":
            # Datasets of recipes without it stay what they were before there was such a key.
            del document["split"]
        # So do those of a subset that is even over the days.
        for key, default in (("by", [BY_DAY]), ("cover", [])):
            if document["subset"][key] == default:
                del document["subset"][key]
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the whole recipe, in hex."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    def extraction_digest(self) -> str:
        """SHA-256 of what decides the content of a batch beside its footprints, in hex.

        Neither the filter, the splits nor the sizes are part of it: a batch that was extracted stays
        valid when the dataset grows.
        """
        sections = self.model_dump(
            mode="json", include={"window_size", "footprint_radius", "sentinel2", "terrain"}
        )
        text = json.dumps(sections, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
