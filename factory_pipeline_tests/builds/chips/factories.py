"""Products, tiles and a reader that holds its rasters in memory."""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from factory_pipeline.cog.grid import Grid
from factory_pipeline.cog.reader import ReadFailure, ReadWindow, TakeAnswer, WindowRead, WindowReader
from factory_pipeline.config.recipe import S2_BANDS
from factory_pipeline.stac.items import Product, RasterTile
from factory_pipeline.stac.select_products import Choices

GRID = Grid(32640, 600000, 4000020, 10, 10, 400, 400)
AWAY = "is away"
BROKEN = "is damaged"
REFUSED = "can't be read: its server does not let us read it"
OUTAGE = "can't be read: its server has stopped responding"


@dataclass
class MemoryReader(WindowReader):
    """Rasters of 10 m pixels on GRID, by href; a text instead of a raster says why it can't be read."""

    rasters: Mapping[str, NDArray[Any] | str]
    calls: list[list[str]] = field(default_factory=list)
    """The hrefs of each call."""

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        self.calls.append([href for read in reads for href in read.hrefs])
        return [self.read_one(read) for read in reads]

    def read_one(self, read: WindowRead) -> ReadWindow | ReadFailure:
        for href in read.hrefs:
            raster = self.rasters.get(href, BROKEN)
            if isinstance(raster, str):
                transient, unavailable = raster not in (BROKEN, REFUSED), raster == OUTAGE
                return ReadFailure(
                    href, f"{href} {raster}.", transient, unavailable, refused=raster == REFUSED
                )
        raster = self.rasters[read.hrefs[0]]
        assert isinstance(raster, np.ndarray)
        row = round((GRID.top - read.grid.top) / 10)
        column = round((read.grid.left - GRID.left) / 10)
        values = raster[row : row + read.grid.height, column : column + read.grid.width]
        valid = ~np.isnan(values.astype(float))
        return ReadWindow(np.where(valid, values, 0).astype(values.dtype), valid)


class ForgottenReader(MemoryReader):
    """Hands over one window after the other, the last one first; each must be forgotten before the next."""

    def read_each(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        for place in reversed(range(len(reads))):
            answer = self.read_one(reads[place])
            held = weakref.ref(answer)
            take(place, answer)
            del answer
            assert held() is None


def made_product(name: str, offset_in_pixels: bool = False, epsg: int = 32640) -> Product:
    """A product on GRID whose hrefs are `<name>/<band>`."""
    return Product(
        id=f"item-{name}",
        name=name,
        time=datetime(2020, 2, 6, 7, 10, 59, tzinfo=UTC),
        cloud_cover=3.25,
        baseline="05.00" if offset_in_pixels else "02.14",
        grid=Grid(epsg, GRID.left, GRID.top, 10, 10, GRID.width, GRID.height),
        hrefs={band: f"{name}/{band}" for band in ("SCL", *S2_BANDS)},
        offset=1000 if offset_in_pixels else 0,
        outline=shapely.box(50, 35, 52, 37),
    )


def made_scene(
    name: str, scl: int | NDArray[np.uint8] = 4, level: int = 2000, bands: Sequence[str] = S2_BANDS
) -> dict[str, NDArray[Any]]:
    """The rasters of a product: one scene class or a map of them, and bands that differ everywhere."""
    ramp = np.arange(GRID.height * GRID.width).reshape(GRID.shape) % 977
    rasters: dict[str, NDArray[Any]] = {f"{name}/SCL": np.broadcast_to(np.asarray(scl, np.uint8), GRID.shape)}
    for place, band in enumerate(bands):
        rasters[f"{name}/{band}"] = (level + 100 * place + ramp).astype(np.uint16)
    return rasters


def made_choices(
    products: Sequence[Product], tried: Mapping[int, Sequence[int]], missing: Sequence[int] = ()
) -> Choices:
    """The products to try for each shot, which lies at the pixel [100 + shot, 200 - shot]."""
    rows = [
        (shot, rank, index, 100 + shot, 200 - shot)
        for shot, indices in tried.items()
        for rank, index in enumerate(indices)
    ]
    columns = ("shot_number", "rank", "product", "row", "column")
    rejects = [(shot, "no_product", "The search gave no product here.") for shot in missing]
    texts = {"shot_number": pl.Int64, "reason": pl.String, "detail": pl.String}
    return Choices(
        tuple(products),
        pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Int64), orient="row"),
        pl.DataFrame(rejects, schema=texts, orient="row"),
    )


def made_footprints(shot_numbers: Sequence[int]) -> pl.DataFrame:
    """A batch of the plan; each shot lies in the middle of its pixel of `made_choices`."""
    count = len(shot_numbers)
    x = [GRID.left + 10 * (200 - shot) + 5 for shot in shot_numbers]
    y = [GRID.top - 10 * (100 + shot) - 5 for shot in shot_numbers]
    to_degrees = Transformer.from_crs(GRID.epsg, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(np.array(x, float), np.array(y, float))
    return pl.DataFrame(
        {
            "shot_number": list(shot_numbers),
            "granule": ["GEDI04_A_2020036151358_O06515_02_T00198_02_002_01_V002"] * count,
            "beam": ["BEAM0101"] * count,
            "delta_time": [65_900_000.123456 + shot for shot in shot_numbers],
            "lat_lowestmode": latitude,
            "lon_lowestmode": longitude,
            "agbd": pl.Series([50.0 + shot for shot in shot_numbers], dtype=pl.Float32),
            "agbd_se": pl.Series([5.0] * count, dtype=pl.Float32),
            "split": ["train"] * count,
            "batch": ["train-00000-0a1b2c3d"] * count,
            "position": pl.Series(range(count), dtype=pl.Int32),
        },
        schema_overrides={"shot_number": pl.Int64},
    )


def made_windows(shot_numbers: Sequence[int]) -> pl.DataFrame:
    """The columns of a table of Sentinel-2 chips that decide their windows."""
    return pl.DataFrame(
        {
            "shot_number": list(shot_numbers),
            "epsg": [GRID.epsg] * len(shot_numbers),
            "left": [GRID.left + 10.0 * (100 + 3 * shot) for shot in shot_numbers],
            "top": [GRID.top - 10.0 * (50 + 7 * shot) for shot in shot_numbers],
        },
        schema={"shot_number": pl.Int64, "epsg": pl.Int32, "left": pl.Float64, "top": pl.Float64},
    )


def made_tile(name: str) -> RasterTile:
    """A tile whose href is its name."""
    return RasterTile(f"item-{name}", name, (51, 36, 52, 37), name, 2021)
