"""Which granules of several products belong together: those of the same part of the same orbit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from factory_pipeline.builds.gedi.granule_names import GranuleName, parse_granule_name, pattern_of
from factory_pipeline.builds.gedi.granules import GranuleFile, list_source
from factory_pipeline.builds.gedi.object_store import display
from factory_pipeline.config.gedi_products import GediProduct, ProductName, gedi_products
from factory_pipeline.errors import GranuleError

_Productions = dict[str, list[tuple[GranuleName, GranuleFile]]]
"""By release."""


@dataclass(frozen=True)
class Orbit:
    """The granules of one part of one orbit, of one release; the newest production of each product."""

    name: str
    """Such as `O06515_02_T00198`."""
    release: str
    """Version of all of them, such as `002`."""
    granules: Mapping[ProductName, GranuleFile]
    missing: Mapping[ProductName, str]
    """Products without a granule, and why that is so, as a sentence."""


@dataclass(frozen=True)
class Orbits:
    """What a source has of some products."""

    orbits: tuple[Orbit, ...]
    """Ordered by name."""
    misnamed: tuple[str, ...]
    """Sentences on files that begin as granules of the products do and are not named like them."""
    ignored: tuple[str, ...]
    """Names of files and folders that are not read."""
    replaced: int
    """Granules for which a newer production, or another release, is taken."""


def list_orbits(source: str, products: Sequence[ProductName]) -> Orbits:
    """List the granules of products in a folder or under an object-store prefix.

    All granules of an orbit are of one release, as positions differ between releases: that of which most
    products are there, of several the newest.

    Args:
        source: as `list_source` takes it.
        products: that belong together; other products are passed over.

    Raises:
        GranuleError: there is no such folder, or it contains no granule of any of the products.
        GranuleUnavailableError: the folder or the object store does not answer or refuses.
    """
    known = gedi_products()
    patterns = " or ".join(pattern_of(known[product]) for product in products)
    listing = list_source(source, pattern=patterns)
    found: dict[tuple[int, int, int], dict[ProductName, _Productions]] = defaultdict(dict)
    misnamed, ignored = [], list(listing.ignored)
    for granule in listing.granules:
        product = _product_of(granule.name)
        if product is None:
            ignored.append(granule.name)
        elif product.product in products:
            try:
                name = parse_granule_name(granule.name, product)
            except GranuleError as error:
                misnamed.append(str(error))
                continue
            productions = found[name.acquisition].setdefault(product.product, {})
            productions.setdefault(name.release, []).append((name, granule))
    if not found and not misnamed:
        raise GranuleError(
            f"{display(source)} holds no granule of {', '.join(products)} (files named {patterns})."
        )
    orbits = tuple(
        _orbit(f"O{number:05d}_{part:02d}_T{track:05d}", of_orbit, products)
        for (number, part, track), of_orbit in sorted(found.items())
    )
    count = sum(len(several) for one in found.values() for by in one.values() for several in by.values())
    return Orbits(
        orbits, tuple(misnamed), tuple(ignored), count - sum(len(orbit.granules) for orbit in orbits)
    )


def _product_of(name: str) -> GediProduct | None:
    return next((product for product in gedi_products().values() if name.startswith(product.prefix)), None)


def _orbit(name: str, found: Mapping[ProductName, _Productions], products: Iterable[ProductName]) -> Orbit:
    releases = {release for productions in found.values() for release in productions}
    release = max(releases, key=lambda one: (sum(one in by for by in found.values()), one))
    granules, missing = {}, {}
    for product in products:
        productions = found.get(product, {})
        if release in productions:
            granules[product] = max(productions[release], key=lambda one: (one[0].rank, one[1].name))[1]
        elif productions:
            missing[product] = (
                f"{name} has no {product} granule of version {release}, only of"
                f" {', '.join(sorted(productions))}."
            )
        else:
            missing[product] = f"{name} has no {product} granule."
    return Orbit(name, release, granules, missing)
