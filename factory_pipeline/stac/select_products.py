"""Which Sentinel-2 product is taken for a footprint: a join in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

from factory_pipeline.config.recipe import Sentinel2
from factory_pipeline.stac.acquisitions import newest_processings, number_acquisitions
from factory_pipeline.stac.items import Product, UnusableItem, count_reasons
from factory_pipeline.stac.projection import from_degrees
from factory_pipeline.stac.search_cache import GEDI_EPOCH

SECONDS_PER_DAY = 86_400
NO_PRODUCT = "no_product"
"""The reason of a footprint for which the catalog has no product that the rules allow."""
ITEM_UNUSABLE = "item_unusable"
"""The reason of a footprint that has no product, or no tile, because items of the catalog can't be used."""


@dataclass(frozen=True)
class Choices:
    """The products that are tried for each footprint."""

    products: tuple[Product, ...]
    """Those that are chosen at least once, in the order of their ids."""
    frame: pl.DataFrame
    """shot_number, rank (0 is tried first), product (index into `products`), row, column: the pixel of the
    product's grid that contains the footprint. Ordered as the footprints, then by rank.
    """
    rejects: pl.DataFrame
    """shot_number, reason, detail: the footprints without a product. The reason is `item_unusable` where the
    catalog has items here that can't be used, else `no_product`."""


@dataclass(frozen=True)
class _Places:
    """The footprints as arrays."""

    time: NDArray[np.float64]
    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]


def choose_products(
    footprints: pl.DataFrame,
    products: Sequence[Product],
    rules: Sentinel2,
    window_size: int,
    unusable: Sequence[UnusableItem] = (),
) -> Choices:
    """For every footprint the best products of different acquisitions, at most `rules.candidates`.

    A product is in question if it shows the place (its outline contains the footprint: what a search at the
    footprint would give), is within `max_days` of the shot's exact time, has a cloud cover below
    `max_cloud_cover`, and its 10 m grid contains the whole window, which has the footprint in pixel
    [window_size/2, window_size/2]. They are ordered by cloud cover, then time distance, then id. Of several
    processings of one acquisition the newest alone is in question, and of one acquisition in overlapping
    tiles the best: the same picture is not tried twice.

    Args:
        footprints: shot_number, delta_time (s since 2018-01-01 UTC), lat_lowestmode and lon_lowestmode
            (degrees, WGS 84).
        products: what a search found; may hold any others too.
        rules: the time span, the cloud cover, how many products are tried.
        window_size: pixels of 10 m, even.
        unusable: what the search found that can't be used, for the reasons of rejects.
    """
    places = _Places(
        footprints["delta_time"].to_numpy().astype(np.float64),
        footprints["lon_lowestmode"].to_numpy().astype(np.float64),
        footprints["lat_lowestmode"].to_numpy().astype(np.float64),
    )
    by_id = newest_processings(products)
    acquisitions = pl.Series(number_acquisitions(by_id), dtype=pl.Int64)
    pairs = _pairs(places, by_id, rules, window_size)
    usable = pairs.filter(pl.col("clear") & pl.col("whole"))
    best = (
        usable.sort("footprint", "cloud_cover", "distance_s", "product")
        .with_columns(acquisition=pl.lit(acquisitions).gather(pl.col("product")))
        .unique(["footprint", "acquisition"], keep="first", maintain_order=True)
        .with_columns(rank=pl.int_range(pl.len()).over("footprint"))
        .filter(pl.col("rank") < rules.candidates)
    )
    chosen = sorted(best["product"].unique())
    shot_numbers = footprints["shot_number"].cast(pl.Int64)
    frame = best.select(
        shot_number=pl.lit(shot_numbers).gather(pl.col("footprint")),
        rank=pl.col("rank").cast(pl.Int64),
        product=pl.col("product").replace_strict(chosen, range(len(chosen)), return_dtype=pl.Int64),
        row="row",
        column="column",
    )
    rejects = _rejects(shot_numbers, pairs, best, rules, places, unusable)
    return Choices(tuple(by_id[index] for index in chosen), frame, rejects)


_PAIR_SCHEMA = {
    "footprint": pl.Int64,
    "product": pl.Int64,
    "cloud_cover": pl.Float64,
    "distance_s": pl.Float64,
    "clear": pl.Boolean,
    "whole": pl.Boolean,
    "row": pl.Int64,
    "column": pl.Int64,
}


def _pairs(places: _Places, products: Sequence[Product], rules: Sentinel2, window_size: int) -> pl.DataFrame:
    """Return every footprint with every product that shows it within the time span."""
    by_time = np.argsort(places.time, kind="stable")
    sorted_time = places.time[by_time]
    span_s = rules.max_days * SECONDS_PER_DAY
    projected: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    parts = [pl.DataFrame(schema=_PAIR_SCHEMA)]
    for index, product in enumerate(products):
        taken_s = (product.time - GEDI_EPOCH) / timedelta(seconds=1)
        first, after = np.searchsorted(sorted_time, (taken_s - span_s - 1, taken_s + span_s + 1))
        near = by_time[first:after]
        distance_s = np.abs(places.time[near] - taken_s)
        near, distance_s = near[distance_s <= span_s], distance_s[distance_s <= span_s]
        if not near.size:
            continue
        shown = _shows_window(product.outline, places.longitude[near], places.latitude[near])
        near, distance_s = near[shown], distance_s[shown]
        if not near.size:
            continue
        grid = product.grid
        if grid.epsg not in projected:
            projected[grid.epsg] = from_degrees(grid.epsg, places.longitude, places.latitude)
        x, y = (axis[near] for axis in projected[grid.epsg])
        on_map = np.isfinite(x) & np.isfinite(y)
        near, distance_s, x, y = near[on_map], distance_s[on_map], x[on_map], y[on_map]
        column = np.floor((x - grid.left) / grid.x_size).astype(np.int64)
        row = np.floor((grid.top - y) / grid.y_size).astype(np.int64)
        whole = _window_inside(row, grid.height, window_size) & _window_inside(
            column, grid.width, window_size
        )
        parts.append(
            pl.DataFrame(
                {
                    "footprint": near,
                    "product": np.full(near.size, index),
                    "cloud_cover": np.full(near.size, product.cloud_cover),
                    "distance_s": distance_s,
                    "clear": np.full(near.size, product.cloud_cover < rules.max_cloud_cover),
                    "whole": whole,
                    "row": row,
                    "column": column,
                },
                schema=_PAIR_SCHEMA,
            )
        )
    return pl.concat(parts)


def _shows_window(
    outline: shapely.Geometry, longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> NDArray[np.bool_]:
    shapely.prepare(outline)
    shown = shapely.intersects_xy(outline, longitude, latitude)
    if outline.bounds[2] > 180:
        shown |= shapely.intersects_xy(outline, longitude + 360, latitude)
    return np.asarray(shown, dtype=np.bool_)


def _window_inside(pixel: NDArray[np.int64], length: int, window_size: int) -> NDArray[np.bool_]:
    start = pixel - window_size // 2
    return (start >= 0) & (start + window_size <= length)


def _rejects(
    shot_numbers: pl.Series,
    pairs: pl.DataFrame,
    best: pl.DataFrame,
    rules: Sentinel2,
    places: _Places,
    unusable: Sequence[UnusableItem],
) -> pl.DataFrame:
    counts = pairs.group_by("footprint").agg(
        found=pl.len(), cloudy=(~pl.col("clear")).sum(), cut=(pl.col("clear") & ~pl.col("whole")).sum()
    )
    rejected = (
        pl.DataFrame({"shot_number": shot_numbers, "footprint": np.arange(len(shot_numbers))})
        .join(best.select("footprint").unique(), on="footprint", how="anti")
        .join(counts, on="footprint", how="left")
        .sort("footprint")
        .with_columns(pl.col("found", "cloudy", "cut").fill_null(0))
    )
    missed = _missed_items(places, rejected["footprint"].to_numpy(), rules, unusable)
    return rejected.select(
        "shot_number",
        reason=pl.Series([ITEM_UNUSABLE if items else NO_PRODUCT for items in missed], dtype=pl.String),
        detail=pl.Series(
            [
                _detail(row, items, rules)
                for row, items in zip(rejected.iter_rows(named=True), missed, strict=True)
            ],
            dtype=pl.String,
        ),
    )


def _detail(counts: Mapping[str, int], missed: Sequence[UnusableItem], rules: Sentinel2) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in count_reasons(missed).items())
    lost = f" {len(missed)} can't be used ({reasons})," if missed else ""
    return (
        f"Of {counts['found'] + len(missed)} products that the search gave here within"
        f" {rules.max_days:g} days,{lost} {counts['cloudy']} have {rules.max_cloud_cover:g} % cloud cover or"
        f" more and {counts['cut']} do not hold the whole window."
    )


def _missed_items(
    places: _Places, footprints: NDArray[np.int64], rules: Sentinel2, unusable: Sequence[UnusableItem]
) -> list[list[UnusableItem]]:
    """For each of these footprints the unusable items that it might have been given.

    An item that doesn't tell its place, time or cloud cover might fit any footprint.
    """
    missed: list[list[UnusableItem]] = [[] for _ in footprints]
    span_s = rules.max_days * SECONDS_PER_DAY
    for item in unusable:
        if item.cloud_cover is not None and item.cloud_cover >= rules.max_cloud_cover:
            continue
        fits = np.ones(len(footprints), dtype=np.bool_)
        if item.time is not None:
            taken_s = (item.time - GEDI_EPOCH) / timedelta(seconds=1)
            fits &= np.abs(places.time[footprints] - taken_s) <= span_s
        if item.outline is not None:
            fits &= _shows_window(item.outline, places.longitude[footprints], places.latitude[footprints])
        for index in np.flatnonzero(fits):
            missed[index].append(item)
    return missed
