"""The names of GEDI granules: which product, which part of which orbit, which production."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from factory_pipeline.config.gedi_products import GediProduct, gedi_products
from factory_pipeline.errors import GranuleError

L4A = gedi_products()["L4A"]

GRANULE_PATTERN = "YYYYDDDHHMMSS_O*_*_T*_02_*_*_V*.h5"
"""How a granule is named after the prefix of its product; YYYYDDDHHMMSS is the start of its acquisition in
UTC."""

_SUFFIX = re.compile(r"\.(h5|hdf5)", re.IGNORECASE)
_NAME = re.compile(
    r"(?P<prefix>GEDI\d\d_[A-Z])_(?P<year>\d{4})(?P<day>\d{3})(?P<time>\d{6})_O(?P<orbit>\d+)"
    r"_(?P<part>\d+)_T(?P<track>\d+)_02_(?P<software>[^_]+)_(?P<production>[^_]+)_V(?P<version>.+?)"
)


@dataclass(frozen=True)
class GranuleName:
    """The parts of a granule's name."""

    acquired: datetime
    """Start of the acquisition (UTC): up to an hour and more before a shot's exact time."""
    orbit: int
    part: int
    """Sub-orbit granule, 1 to 4."""
    track: int
    """Reference ground track."""
    version: str
    """What follows `_V`, such as `002`."""
    software: str
    """Version of the processing software, such as `002`."""
    production: str
    """Number of the production, such as `01`."""

    @property
    def acquisition(self) -> tuple[int, int, int]:
        """What all productions and products of one granule share: orbit, sub-orbit granule, track."""
        return self.orbit, self.part, self.track

    @property
    def release(self) -> str:
        """The version without what a subsetter may have added to it."""
        digits = re.match(r"\d+", self.version)
        return digits[0] if digits else self.version

    @property
    def rank(self) -> tuple[tuple[int, str], ...]:
        """Orders the productions of one granule: the newest has the greatest."""
        return tuple(_numeric_order(text) for text in (self.version, self.software, self.production))


def _numeric_order(text: str) -> tuple[int, str]:
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else -1, text


def pattern_of(product: GediProduct) -> str:
    """Return how the granules of a product are named."""
    return f"{product.prefix}_{GRANULE_PATTERN}"


def parse_granule_name(name: str, product: GediProduct = L4A) -> GranuleName:
    """Read a granule's name, given with or without `.h5`.

    Args:
        name: file name without folder.
        product: whose prefix and pattern the name must have.

    Raises:
        GranuleError: the name is not that of a granule of the product.
    """
    parts = _NAME.fullmatch(granule_stem(name))
    if parts is None or parts["prefix"] != product.prefix:
        raise GranuleError(
            f"The file {name} is not named like a GEDI {product.product} granule, {pattern_of(product)}."
        )
    return GranuleName(
        acquired=_acquisition_time(name, parts, product),
        orbit=int(parts["orbit"]),
        part=int(parts["part"]),
        track=int(parts["track"]),
        version=parts["version"],
        software=parts["software"],
        production=parts["production"],
    )


def granule_stem(name: str) -> str:
    """Return a granule's name without `.h5` or `.hdf5`, however that is spelt."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and _SUFFIX.fullmatch(f".{suffix}") else name


def _acquisition_time(name: str, parts: re.Match[str], product: GediProduct) -> datetime:
    try:
        time = datetime.strptime(parts["year"] + parts["day"] + parts["time"], "%Y%j%H%M%S")
        if time.year != int(parts["year"]):
            raise ValueError("strptime takes day 366 of a common year for the first of January")
    except ValueError as error:
        raise GranuleError(
            f"The name of granule {name} holds no time of the form YYYYDDDHHMMSS; expected"
            f" {pattern_of(product)}."
        ) from error
    return time.replace(tzinfo=UTC)
