"""The products of GEDI that labels are joined from: each a small file of data in `gedi_products/`.

Fields are named as in version 2 of a product; where a later version has another name for one, the file says
so, and the same recipe reads both. Source: the data dictionaries of the products at LP DAAC (L2A, L2B) and
ORNL DAAC (L4A, L4C).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from factory_pipeline.config.recipe import Section
from factory_pipeline.yaml_document import read_yaml

_FOLDER = Path(__file__).with_name("gedi_products")
_ALGORITHM = re.compile(r"(.*_)a\d+")
_T = TypeVar("_T")

ProductName = Literal["L2A", "L2B", "L4A", "L4C"]
NODATA = -9999.0
"""What a field of floating-point numbers holds where the product has no value."""


class Profile(Section):
    """A field with several values per shot, at equal steps along an axis."""

    axis: str
    unit: str
    """Of the axis."""
    first: float
    step: float
    length: int

    @property
    def values(self) -> NDArray[np.float64]:
        """(length,) places along the axis."""
        return self.first + self.step * np.arange(self.length, dtype=np.float64)


class GediProduct(Section):
    """What is known of one product."""

    product: ProductName
    prefix: str
    """Start of the names of its granules."""
    title: str
    latitude: str = "lat_lowestmode"
    """The field with the latitude of the lowest mode, degrees."""
    longitude: str = "lon_lowestmode"
    renamed: dict[str, dict[str, str]] = Field({})
    """By version: what a field is called from there on. `{a}` is the group of an algorithm's settings."""
    units: dict[str, str] = Field({})
    profiles: dict[str, Profile] = Field({})

    def field_in(self, field: str, version: str) -> str:
        """Return the name of a field in granules of a version.

        Args:
            field: its path in a beam's group, as in the oldest version.
            version: such as `003`.
        """
        names: dict[str, str] = {}
        for since, renamed in sorted(self.renamed.items()):
            if since <= version:
                names |= renamed
        name = _look_up(names, field)
        return field if name is None else name.format(a=_algorithm(field))

    def unit_of(self, field: str) -> str:
        """Return the unit of a field; empty where it has none, or none is known."""
        return _look_up(self.units, field) or ""

    def profile_of(self, field: str) -> Profile | None:
        """Return along what a field has several values; None where it has one per shot, or is not known."""
        return _look_up(self.profiles, field)


def _look_up(known: Mapping[str, _T], field: str) -> _T | None:
    by_setting = _ALGORITHM.sub(r"\1{a}", field)
    return known.get(field, known.get(by_setting))


def _algorithm(field: str) -> str:
    return field.rpartition("_")[2]


@lru_cache(maxsize=1)
def gedi_products() -> Mapping[ProductName, GediProduct]:
    """Return the products by their names, in the order in which one is asked for a shot's place and time."""
    read = (
        GediProduct.model_validate(read_yaml(path, f"The product file {path}"))
        for path in sorted(_FOLDER.glob("*.yaml"))
    )
    return {product.product: product for product in read}
