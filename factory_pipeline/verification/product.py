"""Whether the Sentinel-2 product of a sample is one that the recipe allows, and the best of those."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import shapely
from rasterio.warp import transform

from factory_pipeline.catalog.items import Product
from factory_pipeline.recipe import Recipe

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
    if rules.candidates == 1 and not differences:
        better = [
            other
            for other in _newest_of_each_acquisition(products)
            if other.cloud_cover < product.cloud_cover
            and _acquisition(other) != _acquisition(product)
            and abs(other.time - shot.time) <= timedelta(days=rules.max_days)
            and _holds_window(other, shot, recipe.window_size)
        ]
        if better:
            best = min(better, key=lambda other: (other.cloud_cover, other.id))
            differences.append(
                f"the product {best.name} has {best.cloud_cover:g} % cloud cover and holds the window too;"
                f" {product.name} has {product.cloud_cover:g} %."
            )
    return differences


def _acquisition(product: Product) -> tuple[object, ...]:
    """What the processings of one picture share."""
    return product.time.replace(microsecond=0), product.grid.epsg, product.grid.left, product.grid.top


def _newest_of_each_acquisition(products: Iterable[Product]) -> list[Product]:
    newest: dict[tuple[object, ...], Product] = {}
    for product in sorted(products, key=lambda product: (product.baseline, product.id)):
        newest[_acquisition(product)] = product
    return list(newest.values())


def _holds_window(product: Product, shot: Shot, size: int) -> bool:
    """Whether a product shows the footprint and its grid holds the whole window."""
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
