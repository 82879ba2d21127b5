"""Which georeferencing an image has: that of its own file, or that of the outline in its label file."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from pyproj.exceptions import ProjError

from factory_pipeline.datalake.ingest.releases.georeference import DEGREES, Georeference
from factory_pipeline.datalake.ingest.releases.label_file import Ring
from factory_pipeline.datalake.ingest.releases.problems import LabelFileError

AGREES_PIXELS = 1.0
"""How far an outline may be from the edges of the image as its GeoTIFF places it."""


class PlacedBy(StrEnum):
    """Where the georeferencing of an image is from."""

    GEOTIFF = "the GeoTIFF, which agrees with the outline"
    CORNERS = "the four corners of the outline"
    BOUNDS = "the bounds of the outline"
    NOTHING = "none: pixel coordinates"


@dataclass(frozen=True)
class Placement:
    """Where an image is."""

    by: PlacedBy
    georeference: Georeference | None
    conflict: str | None = None
    """How the GeoTIFF disagrees with the outline, as the rest of a sentence."""
    transform: tuple[float, ...] | None = None
    """Of an image without a CRS."""


def place(
    outline: Ring | None,
    size: tuple[int, int],
    crs: str | None,
    transform: tuple[float, ...] | None,
) -> Placement:
    """Decide where an image is.

    Args:
        outline: in its label file, in degrees.
        size: width and height.
        crs: of the TIFF itself.
        transform: of the TIFF itself.

    Raises:
        LabelFileError: the outline has no area.
    """
    width, height = size
    own = None if crs is None or transform is None else Georeference(crs, transform, width, height)
    if outline is None:
        if own is not None:
            reason = "is georeferenced, but its label file has no outline; it is taken as not georeferenced"
            return Placement(PlacedBy.NOTHING, None, reason)
        return Placement(PlacedBy.NOTHING, None, transform=transform if crs is None else None)
    distance = None if own is None else _distance(own, outline)
    if distance is not None and distance <= AGREES_PIXELS:
        return Placement(PlacedBy.GEOTIFF, own)
    by, found = _place_by_outline(outline, width, height)
    if distance is None:
        return Placement(by, found)
    far = f"{distance:,.1f} pixels from" if np.isfinite(distance) else "far from"
    reason = f"is georeferenced {far} the outline in its label file; the outline is taken"
    return Placement(by, found, reason)


def _distance(own: Georeference, outline: Ring) -> float:
    """How far an outline is from the edges of an image at most, in pixels."""
    try:
        found = own.to_pixels(np.array(outline))
    except ProjError:
        return float("inf")
    if not np.isfinite(found).all():
        return float("inf")
    frame = shapely.box(0, 0, own.width, own.height).exterior
    return float(shapely.hausdorff_distance(frame, shapely.LinearRing(found)))


def _place_by_outline(outline: Ring, width: int, height: int) -> tuple[PlacedBy, Georeference]:
    """The transform that maps the image onto an outline.

    Four corners give it; the upper edge of the image is the one that is the farthest north, turned by 45
    degrees at most. Any other ring gives its bounds, north up.
    """
    ring = np.array(outline)
    # Without a jump at 180 degrees.
    ring[:, 0] += 360 * np.round((ring[0, 0] - ring[:, 0]) / 360)
    (west, south), (east, north) = ring.min(axis=0), ring.max(axis=0)
    if east <= west or north <= south:
        raise LabelFileError("has an outline without area")
    if len(ring) == 4:
        x, y = ring.T
        clockwise = ring if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0 else ring[::-1]
        edges = np.roll(clockwise, -1, axis=0) - clockwise
        east_most = int(np.argmax(edges[:, 0] / np.maximum(np.hypot(*edges.T), 1e-300)))
        upper_left, upper_right, lower_right, lower_left = np.roll(clockwise, -east_most, axis=0)
        across = ((upper_right - upper_left) + (lower_right - lower_left)) / 2 / width
        down = ((lower_left - upper_left) + (lower_right - upper_right)) / 2 / height
        off = np.abs(upper_left + lower_right - upper_right - lower_left).max()
        if off <= AGREES_PIXELS * min(np.hypot(*across), np.hypot(*down)):
            corner = clockwise.mean(axis=0) - across * width / 2 - down * height / 2
            if off == 0 and {west, east} == {*x.tolist()} and {south, north} == {*y.tolist()}:
                corner = np.array([west, north])
            transform = (across[0], down[0], corner[0], across[1], down[1], corner[1])
            return PlacedBy.CORNERS, Georeference(DEGREES, tuple(map(float, transform)), width, height)
    transform = ((east - west) / width, 0.0, west, 0.0, (south - north) / height, north)
    return PlacedBy.BOUNDS, Georeference(DEGREES, tuple(map(float, transform)), width, height)
