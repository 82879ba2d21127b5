"""Whether the Sentinel-2 product of a sample is one that the recipe allows, and the best of those."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import shapely
from rasterio.warp import transform

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.stac.acquisitions import newest_processings
from factory_pipeline.stac.items import Product

GEDI_EPOCH = datetime(2018, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shot:
    """Where and when a footprint was measured."""

    longitude: float
    latitude: float
    """Degrees, WGS 84."""
    delta_time: float
    """Seconds since GEDI_EPOCH."""

    @property
    def time(self) -> datetime:
        """The time in UTC."""
        return GEDI_EPOCH + timedelta(seconds=self.delta_time)

    def project(self, epsg: int) -> tuple[float, float]:
        """Return x and y in metres."""
        x, y = transform("EPSG:4326", f"EPSG:{epsg}", [self.longitude], [self.latitude])
        return x[0], y[0]


def product_differences(
    product: Product, products: Iterable[Product], shot: Shot, recipe: Recipe
) -> list[str]:
    """Say in what a product is not what the recipe asks for.

    Args:
        product: what the sample was cut from.
        products: every product that the build's searches found.
        shot: the sample's footprint.
        recipe: the rules of the choice.
    """
    rules = recipe.sentinel2
    differences = []
    days = abs(product.time - shot.time) / timedelta(days=1)
    if days > rules.max_days:
        differences.append(
            f"the product {product.name} was taken {days:.1f} days from the shot;"
            f" {rules.max_days:g} are allowed."
        )
    if product.cloud_cover >= rules.max_cloud_cover:
        differences.append(
            f"the product {product.name} has {product.cloud_cover:g} % cloud cover; below"
            f" {rules.max_cloud_cover:g} % is allowed."
        )
    if differences:
        return differences
    newest = newest_processings(list(products))
    if product.id not in {other.id for other in newest}:
        return [f"the product {product.name} is not the newest processing of its acquisition."]
    if rules.candidates > 1:
        # Another product may have been tried first, and failed its scene checks.
        return []
    better = [
        other
        for other in newest
        if other.cloud_cover < product.cloud_cover
        and abs(other.time - shot.time) <= timedelta(days=rules.max_days)
        and _holds_window(other, shot, recipe.window_size)
    ]
    if not better:
        return []
    best = min(better, key=lambda other: (other.cloud_cover, other.id))
    return [
        f"the product {best.name} has {best.cloud_cover:g} % cloud cover and holds the window too;"
        f" {product.name} has {product.cloud_cover:g} %."
    ]


def _holds_window(product: Product, shot: Shot, size: int) -> bool:
    """Return whether a product shows the footprint and its grid contains the whole window."""
    shows = any(
        shapely.intersects_xy(product.outline, shot.longitude + turn, shot.latitude)
        for turn in (-360, 0, 360)
    )
    if not shows:
        return False
    x, y = shot.project(product.grid.epsg)
    column = (x - product.grid.left) // 10 - size // 2
    row = (product.grid.top - y) // 10 - size // 2
    return 0 <= column <= product.grid.width - size and 0 <= row <= product.grid.height - size
