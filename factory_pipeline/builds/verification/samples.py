"""Comparing one sample of a dataset file with its originals: rasters, label, properties."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling

from factory_pipeline.builds.verification.originals import Originals, OriginalUnreadableError, Target
from factory_pipeline.builds.verification.product import Shot, product_differences
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.items import Product, RasterTile

COUNTS_TOLERANCE = 1
"""Of bands that are resampled bilinearly; bands of 10 m and classes must be equal."""
ALTITUDE_TOLERANCE = 0.01
"""Metres."""
SLOPE_TOLERANCE = 0.05
"""Percent."""
PIXEL_BORDER = 1e-6
"""Pixels: a footprint this near to a pixel's border may be in either pixel."""
RADIUS_BORDER = 1e-3
"""Metres: a pixel this near to the footprint's edge may be touched or not."""
LABEL_NODATA = -9999
NAMED_AT_MOST = 3
"""Wrong pixels that a difference names; it counts the others."""


@dataclass(frozen=True)
class Sources:
    """Everything that a build's samples were made of."""

    recipe: Recipe
    products: Mapping[str, Product]
    """By item id."""
    copdem: Mapping[str, RasterTile]
    worldcover: Mapping[str, RasterTile]
    footprints: Mapping[int, Mapping[str, Any]]
    """The rows of the batch plan, by shot number."""
    originals: Originals


@dataclass(frozen=True)
class StoredSample:
    """One sample as stored in a dataset file: arrays and texts by their path in the file."""

    values: Mapping[str, NDArray[Any]]

    @classmethod
    def read(cls, file: h5py.File, index: int) -> "StoredSample":
        """Read one sample of the file completely, by h5py alone.

        Args:
            file: a dataset file of ours.
            index: of the sample.
        """
        paths: list[str] = []
        file.visititems(lambda path, node: paths.append(path) if isinstance(node, h5py.Dataset) else None)
        return cls({path: np.asarray(file[path][index]) for path in paths})

    def array(self, name: str) -> NDArray[Any]:
        """Return a dataset of the group `data`."""
        return self.values[f"data/{name}"]

    def text(self, path: str) -> str:
        """Return the only text of a dataset."""
        text = self.values[path].reshape(-1)[0]
        return text.decode() if isinstance(text, bytes) else str(text)

    @property
    def shot_number(self) -> int:
        """The sample's shot."""
        return int(self.array("GEDI Shot Number")[0])

    @property
    def target(self) -> Target:
        """The pixel grid of the window."""
        a, b, c, d, e, f = self.array("Transforms")[:6].astype(np.float64).tolist()
        epsg = int(self.text("data/CRS").removeprefix("EPSG:"))
        return Target(epsg, Affine(a, b, c, d, e, f), self.array("Sentinel-2 L2A").shape[-1])


def compare_sample(sample: StoredSample, sources: Sources) -> tuple[list[str], list[str]]:
    """Compare one sample with everything that it was made of.

    Args:
        sample: as stored.
        sources: catalog items and rasters, read by other code than the build's.

    Returns:
        A sentence for each difference, and one for each original that can't be read.
    """
    footprint = sources.footprints.get(sample.shot_number)
    if footprint is None:
        return [f"the shot {sample.shot_number} is not in the batch plan."], []
    product = sources.products.get(sample.text("provenance/Sentinel-2 Item"))
    if product is None:
        return [f"the item {sample.text('provenance/Sentinel-2 Item')} is none that the searches found."], []
    shot = Shot(footprint["lon_lowestmode"], footprint["lat_lowestmode"], footprint["delta_time"])
    differences: list[str] = []
    unreadable: list[str] = []
    parts: list[Callable[[], Iterator[str]]] = [
        lambda: _compare_facts(sample, footprint),
        lambda: _compare_product(sample, product, shot, sources),
        lambda: _compare_window(sample, product, shot, sources),
        lambda: _compare_bands(sample, product, sources),
        lambda: _compare_scene_statistics(sample),
        lambda: _compare_terrain(sample, sources),
        lambda: _compare_land_cover(sample, shot, sources),
        lambda: _compare_label(sample, shot, footprint["agbd"], sources.recipe.footprint_radius),
    ]
    for part in parts:
        try:
            differences += part()
        except OriginalUnreadableError as error:
            unreadable.append(str(error))
    return differences, unreadable


def _compare_facts(sample: StoredSample, footprint: Mapping[str, Any]) -> Iterator[str]:
    """Compare the properties of the footprint with the batch plan."""
    granule = footprint["granule"]
    acquired = datetime.strptime(granule.split("_")[2], "%Y%j%H%M%S").replace(tzinfo=UTC)
    for path, right in {
        "data/GEDI Product Name": granule,
        "provenance/GEDI Granule": granule,
        "provenance/GEDI Beam": footprint["beam"],
        "provenance/Batch": footprint["batch"],
        "data/GEDI Acquisition Time": f"{acquired:%Y-%m-%dT%H:%M:%SZ}",
        "data/GEDI Delta Time": repr(footprint["delta_time"]),
    }.items():
        yield from _compare_value(path, sample.text(path), right)
    places = [footprint["lat_lowestmode"], footprint["lon_lowestmode"]]
    yield from _compare_value("provenance/Lat Lon", sample.values["provenance/Lat Lon"].tolist(), places)
    for name, right in {
        "GEDI Lat Lon": places,
        "AGBD Values": [footprint["agbd"]],
        "AGBD Standard Error": [footprint["agbd_se"]],
    }.items():
        yield from _compare_value(
            f"data/{name}", sample.array(name).tolist(), np.array(right, np.float32).tolist()
        )


def _compare_product(sample: StoredSample, product: Product, shot: Shot, sources: Sources) -> Iterator[str]:
    """Compare the choice of the product, and its description."""
    yield from product_differences(product, sources.products.values(), shot, sources.recipe)
    yield from _compare_value(
        "data/Sentinel-2 Product Name", sample.text("data/Sentinel-2 Product Name"), product.name
    )
    baseline = "provenance/Sentinel-2 Baseline"
    yield from _compare_value(baseline, sample.text(baseline), product.baseline)
    removed = "provenance/Sentinel-2 Offset Removed"
    right = product.offset if sources.recipe.sentinel2.remove_offset else 0
    yield from _compare_value(removed, sample.values[removed].tolist(), [right])


def _compare_window(sample: StoredSample, product: Product, shot: Shot, sources: Sources) -> Iterator[str]:
    """Compare the window: on the pixels of the product, with the footprint in its middle pixel."""
    target, size = sample.target, sources.recipe.window_size
    ten_metres = next((band for band in ("B02", "B03", "B04", "B08") if band in product.hrefs), None)
    if ten_metres is not None:
        epsg, transform = sources.originals.pixel_grid(product.hrefs[ten_metres])
        yield from _compare_value("data/CRS", sample.text("data/CRS"), f"EPSG:{epsg}")
        column, row = ~transform @ (target.transform.c, target.transform.f)
        if (
            max(abs(column - round(column)), abs(row - round(row))) > 1e-3
            or target.transform.a != transform.a
        ):
            yield f"data/Transforms: the window is not on the pixels of {product.name}."
    x, y = shot.project(target.epsg)
    column, row = ~target.transform @ (x, y)
    if not all(size // 2 - PIXEL_BORDER <= place <= size // 2 + 1 + PIXEL_BORDER for place in (column, row)):
        yield (
            f"data/Transforms: the footprint lies in row {row:.2f}, column {column:.2f} of the window,"
            f" not in pixel [{size // 2}, {size // 2}]."
        )


def _compare_bands(sample: StoredSample, product: Product, sources: Sources) -> Iterator[str]:
    """Compare scene classes and reflectances."""
    rules, target = sources.recipe.sentinel2, sample.target
    removed = int(sample.values["provenance/Sentinel-2 Offset Removed"][0])
    for layer, band in enumerate(("SCL", *rules.bands)):
        stored = sample.array("Sentinel-2 L2A")[layer]
        resampling = Resampling.nearest if band == "SCL" else Resampling.bilinear
        right = sources.originals.read_band(product.hrefs[band], target, resampling).astype(np.float64)
        epsg, transform = sources.originals.pixel_grid(product.hrefs[band])
        is_copied = band == "SCL" or (epsg == target.epsg and transform.a == target.transform.a)
        if band != "SCL":
            right = np.clip(right, 0, np.iinfo(np.uint16).max)
        if band != "SCL" and removed:
            right = np.where(right == 0, 0, np.maximum(right - removed, 1))
        yield from _pixels_differ(
            f"Sentinel-2 {band}", stored, right, 0 if is_copied else COUNTS_TOLERANCE, "counts"
        )


def _compare_scene_statistics(sample: StoredSample) -> Iterator[str]:
    """Compare the fractions of the scene classes, with the sample's own scene classes."""
    scl = sample.array("Sentinel-2 L2A")[0]
    stored = [float(fraction) for fraction in sample.array("S2 SCL Stats")[:, 1].tolist()]
    right = [float((scl == code).sum() / scl.size) for code in range(len(stored))]
    yield from _compare_value("data/S2 SCL Stats", stored, right)


def _compare_terrain(sample: StoredSample, sources: Sources) -> Iterator[str]:
    """Compare altitude and slope."""
    tiles, problems = _tiles(sample, "provenance/CopDEM Items", "data/CopDEM Tile Name", sources.copdem)
    yield from problems
    if not tiles:
        return
    around, known = sources.originals.read_altitude([tile.href for tile in tiles], sample.target.padded())
    altitude, slope = sample.array("CopDEM")
    inner = (slice(1, -1), slice(1, -1))
    right = np.where(known, around, 0)[inner]
    yield from _pixels_differ("altitude", altitude, right, ALTITUDE_TOLERANCE, "m", known[inner])
    # A slope needs all eight neighbours.
    size = sample.target.size
    neighbours = [known[row : row + size, column : column + size] for row in range(3) for column in range(3)]
    slopes = _horn_slope(np.where(known, around, 0), sample.target.transform.a)
    yield from _pixels_differ("slope", slope, slopes, SLOPE_TOLERANCE, "%", np.logical_and.reduce(neighbours))


def _horn_slope(altitude: NDArray[np.float64], pixel_size: float) -> NDArray[np.float64]:
    """Return slope in percent by Horn (1981), from altitudes with a margin of one pixel."""
    rows, columns = (length - 2 for length in altitude.shape)
    east, south = np.zeros((rows, columns)), np.zeros((rows, columns))
    for row, weight_of_row in enumerate((1, 2, 1)):
        for column, sign in ((0, -1), (2, 1)):
            east += sign * weight_of_row * altitude[row : row + rows, column : column + columns]
            south += sign * weight_of_row * altitude[column : column + rows, row : row + columns]
    return 100 * np.sqrt((east / (8 * pixel_size)) ** 2 + (south / (8 * pixel_size)) ** 2)


def _compare_land_cover(sample: StoredSample, shot: Shot, sources: Sources) -> Iterator[str]:
    """Compare the land cover, and the year of its map."""
    tiles, problems = _tiles(
        sample, "provenance/WorldCover Items", "data/WorldCover Tile Name", sources.worldcover
    )
    yield from problems
    year = 2020 if shot.time.year <= 2020 else 2021
    for tile in tiles:
        if tile.year != year:
            yield (
                f"the land cover {tile.name} is of {tile.year}, not of {year} as for a shot of"
                f" {shot.time.year}."
            )
    if tiles:
        right = sources.originals.read_classes([tile.href for tile in tiles], sample.target)
        yield from _pixels_differ("land cover", sample.array("WorldCover")[0], right, 0, "")


def _compare_label(sample: StoredSample, shot: Shot, agbd: float, radius: float) -> Iterator[str]:
    """Compare the label raster: the footprint's biomass in every pixel that its disc touches."""
    target = sample.target
    middle = shapely.Point(shot.project(target.epsg))
    rows, columns = np.mgrid[: target.size, : target.size]
    left, top = target.transform @ (columns, rows)
    right, bottom = target.transform @ (columns + 1, rows + 1)
    distance = shapely.distance(middle, shapely.box(left, bottom, right, top))
    expected = np.where(distance <= radius, np.float32(agbd), np.float32(LABEL_NODATA))
    clear = np.abs(distance - radius) > RADIUS_BORDER
    yield from _pixels_differ("AGBD raster", sample.array("AGBD Raster")[0], expected, 0, "Mg/ha", clear)


def _tiles(
    sample: StoredSample, ids: str, names: str, known: Mapping[str, RasterTile]
) -> tuple[list[RasterTile], list[str]]:
    """Return the tiles that a sample names, and what is wrong with the names."""
    given = sample.text(ids).split(";")
    problems = [f"{ids}: {item} is none that the searches found." for item in given if item not in known]
    if problems:
        return [], problems
    tiles = [known[item] for item in given]
    return tiles, list(_compare_value(names, sample.text(names), ";".join(tile.name for tile in tiles)))


def _compare_value(path: str, stored: object, right: object) -> Iterator[str]:
    if stored != right:
        yield f"{path} is {stored!r}, but must be {right!r}."


def _pixels_differ(
    layer: str,
    stored: NDArray[Any],
    right: NDArray[Any],
    tolerance: float,
    unit: str,
    known: NDArray[np.bool_] | None = None,
) -> Iterator[str]:
    """Describe where a layer differs by more than the tolerance; only `known` pixels are compared."""
    apart = np.abs(stored.astype(np.float64) - right.astype(np.float64))
    # A NaN on one side only is a difference.
    wrong = ~(apart <= tolerance) & ~(np.isnan(stored) & np.isnan(right))
    if known is not None:
        wrong &= known
    if not wrong.any():
        return
    named = [
        f"[{row}, {column}] is {stored[row, column]:g}, original {right[row, column]:g}"
        for row, column in np.argwhere(wrong)[:NAMED_AT_MOST].tolist()
    ]
    allowed = f" (allowed: {tolerance:g} {unit})" if tolerance else ""
    yield f"{layer} differs in {int(wrong.sum())} of {wrong.size} pixels{allowed}: {'; '.join(named)}."
