"""The samples of the GEDI dataset, and each dataset of its files; `recipe_fields` has those of recipes.

The content is decided here and nowhere else: writing, fusing, reading and checking follow `dataset_fields`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.hdf5.fields import (
    DATA,
    PROVENANCE,
    Field,
    encode_text,
    number_field,
    text_dtype,
    text_field,
)

SCL_CLASSES = (
    "NO_DATA",
    "SATURATED_OR_DEFECTIVE",
    "DARK_AREA_PIXELS",
    "CLOUD_SHADOWS",
    "VEGETATION",
    "NOT_VEGETATED",
    "WATER",
    "UNCLASSIFIED",
    "CLOUD_MEDIUM_PROBABILITY",
    "CLOUD_HIGH_PROBABILITY",
    "THIN_CIRRUS",
    "SNOW",
)
"""Names of the Sentinel-2 scene classes 0 to 11 (ESA, Sentinel-2 products specification document)."""

WORLDCOVER_CLASSES = {
    10: "Tree cover",
    20: "Shrubland",
    30: "Grassland",
    40: "Cropland",
    50: "Built-up",
    60: "Bare / sparse vegetation",
    70: "Snow and ice",
    80: "Permanent water bodies",
    90: "Herbaceous wetland",
    95: "Mangroves",
    100: "Moss and lichen",
}
"""Names of the ESA WorldCover classes (product user manual, v100 and v200)."""

WORLDCOVER_NODATA = 0
LABEL_NODATA = -9999.0

TABLE_SCHEMA: dict[str, pl.DataType] = {
    "shot_number": pl.Int64(),
    "granule": pl.String(),
    "beam": pl.String(),
    "acquisition_time": pl.String(),
    "delta_time": pl.Float64(),
    "latitude": pl.Float64(),
    "longitude": pl.Float64(),
    "agbd": pl.Float32(),
    "agbd_se": pl.Float32(),
    "transform": pl.Array(pl.Float64(), 9),
    "crs": pl.String(),
    "scl_fractions": pl.Array(pl.Float64(), 12),
    "s2_product": pl.String(),
    "s2_item": pl.String(),
    "baseline": pl.String(),
    "offset_removed": pl.Int32(),
    "dem_tiles": pl.String(),
    "dem_items": pl.String(),
    "worldcover_tiles": pl.String(),
    "worldcover_items": pl.String(),
    "batch": pl.String(),
}
"""Columns of `Samples.table`. `granule` has no `.h5`; `acquisition_time` is ISO 8601 from the granule's name;
`transform` is a, b, c, d, e, f, 0, 0, 1 of the window; `crs` is like EPSG:32640; several tiles or items are
joined by `;`; `batch` is the key of the batch."""


@dataclass(frozen=True)
class Samples:
    """The accepted samples of a batch, in their order: rasters, and a table with one row per sample.

    Raises:
        ValueError: an array has another dtype, shape or length than the fields below say, or the table has
            another schema than TABLE_SCHEMA, or nulls.
    """

    sentinel2: NDArray[np.uint16]
    """(N, 1 + bands, h, w): SCL, then reflectance x 10000 in the recipe's band order."""
    worldcover: NDArray[np.uint8]
    """(N, 1, h, w): class code."""
    copdem: NDArray[np.float32]
    """(N, 2, h, w): altitude [m], slope [%]."""
    label: NDArray[np.float32]
    """(N, 1, h, w): AGBD [Mg/ha] in the footprint's pixels, LABEL_NODATA elsewhere."""
    table: pl.DataFrame
    """N rows in TABLE_SCHEMA."""

    def __post_init__(self) -> None:
        rasters: dict[str, tuple[NDArray[np.generic], type, tuple[int, ...]]] = {
            "sentinel2": (self.sentinel2, np.uint16, self.sentinel2.shape[1:2]),
            "worldcover": (self.worldcover, np.uint8, (1,)),
            "copdem": (self.copdem, np.float32, (2,)),
            "label": (self.label, np.float32, (1,)),
        }
        for name, (values, dtype, layers) in rasters.items():
            shape = (self.table.height, *layers, *self.sentinel2.shape[2:])
            if values.dtype != dtype or values.shape != shape or values.ndim != 4:
                raise ValueError(f"{name} is {values.dtype} {values.shape}, not {np.dtype(dtype)} {shape}")
        if dict(self.table.schema) != TABLE_SCHEMA:
            raise ValueError(f"the table's columns are {self.table.schema}, not {TABLE_SCHEMA}")
        if nulls := [column.name for column in self.table if column.null_count()]:
            raise ValueError(f"the table has nulls in {nulls}")

    def __len__(self) -> int:
        return self.table.height

    def where(self, kept: NDArray[np.bool_]) -> "Samples":
        """Return those of the samples for which the flag is True."""
        return Samples(
            self.sentinel2[kept],
            self.worldcover[kept],
            self.copdem[kept],
            self.label[kept],
            self.table.filter(pl.Series(kept)),
        )

    @classmethod
    def empty(cls, bands: int, window: int) -> "Samples":
        """Return no samples of so many reflectance bands and a window of so many pixels a side.

        Args:
            bands: reflectance bands, without the scene classification.
            window: rows and columns.
        """
        return cls(
            sentinel2=np.zeros((0, 1 + bands, window, window), np.uint16),
            worldcover=np.zeros((0, 1, window, window), np.uint8),
            copdem=np.zeros((0, 2, window, window), np.float32),
            label=np.zeros((0, 1, window, window), np.float32),
            table=pl.DataFrame(schema=TABLE_SCHEMA),
        )


def dataset_fields(bands: Sequence[str], window: int) -> tuple[Field, ...]:
    """Return every dataset of a file, in the order in which they are made.

    Args:
        bands: the reflectance bands in their order, without SCL.
        window: pixels a side of the window.
    """
    return _rasters(bands, window) + _tables() + _provenance()


def _rasters(bands: Sequence[str], window: int) -> tuple[Field, ...]:
    return (
        Field(
            DATA,
            "Sentinel-2 L2A",
            np.dtype("<u2"),
            (1 + len(bands), window, window),
            "Scene classification and surface reflectance, the offset of baseline 04.00 and later removed"
            " where the recipe says so",
            lambda samples: samples.sentinel2,
            units=("class", *("reflectance * 10000" for _ in bands)),
            band_names=("SCL", *bands),
            nodata=0,
        ),
        Field(
            DATA,
            "WorldCover",
            np.dtype("u1"),
            (1, window, window),
            "ESA WorldCover land cover: "
            + ", ".join(f"{code} {name}" for code, name in WORLDCOVER_CLASSES.items()),
            lambda samples: samples.worldcover,
            units=("class",),
            band_names=("land cover",),
            nodata=WORLDCOVER_NODATA,
        ),
        Field(
            DATA,
            "CopDEM",
            np.dtype("<f4"),
            (2, window, window),
            "Copernicus DEM GLO-30: altitude above the EGM2008 geoid, and its slope",
            lambda samples: samples.copdem,
            units=("m", "%"),
            band_names=("altitude", "slope"),
            nodata=float("nan"),
        ),
        Field(
            DATA,
            "AGBD Raster",
            np.dtype("<f4"),
            (1, window, window),
            "Aboveground biomass density in every pixel that the GEDI footprint touches",
            lambda samples: samples.label,
            units=("Mg/ha",),
            band_names=("AGBD",),
            nodata=LABEL_NODATA,
        ),
    )


def _tables() -> tuple[Field, ...]:
    return (
        Field(
            DATA,
            "Transforms",
            np.dtype("<f4"),
            (9,),
            "Affine transform of the window, row-major: (column, row, 1) to (x, y, 1)",
            lambda samples: samples.table["transform"].to_numpy().reshape(-1, 9),
            units=("m",),
            band_names=("a", "b", "c", "d", "e", "f", "0", "0", "1"),
        ),
        text_field(DATA, "CRS", 16, "EPSG identifier of the window's CRS", "crs"),
        Field(
            DATA,
            "S2 SCL Stats",
            text_dtype(32),
            (12, 2),
            "Fraction of the window in each scene class, unrounded",
            _scl_stats,
            band_names=("class name", "fraction"),
        ),
        text_field(DATA, "Sentinel-2 Product Name", 128, "Sentinel-2 L2A product", "s2_product"),
        text_field(DATA, "WorldCover Tile Name", 256, "WorldCover tiles, joined by ;", "worldcover_tiles"),
        text_field(DATA, "CopDEM Tile Name", 256, "Copernicus DEM tiles, joined by ;", "dem_tiles"),
        number_field(DATA, "AGBD Values", "<f4", "Aboveground biomass density", ("agbd",), ("Mg/ha",)),
        number_field(DATA, "AGBD Standard Error", "<f4", "Standard error of AGBD", ("agbd_se",), ("Mg/ha",)),
        text_field(DATA, "GEDI Product Name", 128, "GEDI L4A granule", "granule"),
        number_field(DATA, "GEDI Shot Number", "<i8", "Unique number of the shot", ("shot_number",)),
        text_field(
            DATA,
            "GEDI Acquisition Time",
            32,
            "Start of the granule, from its name, ISO 8601; up to an hour off: see GEDI Delta Time",
            "acquisition_time",
        ),
        Field(
            DATA,
            "GEDI Delta Time",
            text_dtype(32),
            (1,),
            "Time of the shot since 2018-01-01 00:00 UTC, all digits of the float64",
            lambda samples: encode_text(
                "GEDI Delta Time", map(repr, samples.table["delta_time"].to_list()), 32
            ).reshape(-1, 1),
            units=("s",),
        ),
        number_field(
            DATA,
            "GEDI Lat Lon",
            "<f4",
            "Footprint, WGS 84; rounded to float32: exact in provenance",
            ("latitude", "longitude"),
            ("degrees",),
        ),
    )


def _provenance() -> tuple[Field, ...]:
    return (
        number_field(
            PROVENANCE,
            "Lat Lon",
            "<f8",
            "Footprint, WGS 84, as the granule has it",
            ("latitude", "longitude"),
            ("degrees",),
        ),
        text_field(PROVENANCE, "Sentinel-2 Item", 128, "STAC item", "s2_item"),
        text_field(PROVENANCE, "CopDEM Items", 256, "STAC items, joined by ;", "dem_items"),
        text_field(PROVENANCE, "WorldCover Items", 256, "STAC items, joined by ;", "worldcover_items"),
        text_field(PROVENANCE, "Sentinel-2 Baseline", 16, "Processing baseline", "baseline"),
        number_field(
            PROVENANCE,
            "Sentinel-2 Offset Removed",
            "<i4",
            "Offset of the product that was taken away from the reflectances; 0: none",
            ("offset_removed",),
            ("reflectance * 10000",),
        ),
        text_field(PROVENANCE, "GEDI Granule", 128, "GEDI L4A granule", "granule"),
        text_field(PROVENANCE, "GEDI Beam", 16, "Beam group of the granule", "beam"),
        text_field(PROVENANCE, "Batch", 128, "Batch that the sample was extracted in", "batch"),
    )


def _scl_stats(samples: Samples) -> NDArray[np.generic]:
    """Return (N, 12, 2): class name, fraction."""
    fractions = samples.table["scl_fractions"].to_numpy().reshape(-1)
    stats = np.empty((len(samples), len(SCL_CLASSES), 2), dtype="S32")
    stats[:, :, 0] = encode_text("S2 SCL Stats", SCL_CLASSES, 32)
    stats[:, :, 1] = encode_text("S2 SCL Stats", map(repr, fractions.tolist()), 32).reshape(
        -1, len(SCL_CLASSES)
    )
    return stats
