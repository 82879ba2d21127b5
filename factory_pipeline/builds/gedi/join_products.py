"""The shots of one orbit that all products have, and why the others are left out."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.granules import GEDI_EPOCH, beams_of, open_granule
from factory_pipeline.builds.gedi.orbits import Orbit
from factory_pipeline.builds.gedi.product_beams import ProductBeam, Shots
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA, STAGE, reject_frame
from factory_pipeline.builds.rules import check_rules, without_nan
from factory_pipeline.config.gedi_labels import GediColumn, GediLabels
from factory_pipeline.config.gedi_products import ProductName, gedi_products
from factory_pipeline.config.recipe import QualityRule
from factory_pipeline.errors import GranuleError, GranuleUnavailableError

TIME = "shot:time"
"""The column with a shot's time in UTC: never the name of a field."""
OUTSIDE_AREA = "outside_area"
SHOT_TWICE = "shot_twice"
_EPOCH = round(GEDI_EPOCH.timestamp() * 1e6)
"""Microseconds since 1970 UTC."""
_HINT = "; other fields must be named in products"

Columns = Sequence[tuple[ProductName, GediColumn]]


@dataclass(frozen=True)
class OrbitShots:
    """What became of the shots of one orbit."""

    table: pl.DataFrame
    """SHOT_COLUMNS, TIME and the columns of the recipe, in the order of shot numbers; without any column
    if no shot is left."""
    rejects: pl.DataFrame
    """REJECT_SCHEMA."""


def join_orbit(orbit: Orbit, labels: GediLabels) -> OrbitShots:
    """Join the products of an orbit by shot number, beam by beam, and apply the area and the rules.

    A shot that one of the products lacks is rejected as `not_in_L4A` and the like, of several lacking ones
    for the first.

    Args:
        orbit: with a granule of each product.
        labels: which fields, area, filters and rules.

    Raises:
        GranuleError: a granule is damaged, has no beam or lacks a field.
        GranuleUnavailableError: a granule can't be reached now; a later try may succeed.
        RecipeError: a rule names an unknown column, or fails on the values.
    """
    with ExitStack() as stack:
        files = {
            product: stack.enter_context(open_granule(granule)) for product, granule in orbit.granules.items()
        }
        names = {product: beams_of(file, orbit.granules[product].name) for product, file in files.items()}
        parts = [
            _Beam(
                orbit,
                beam,
                labels,
                {
                    product: ProductBeam(
                        gedi_products()[product],
                        orbit.release,
                        orbit.granules[product],
                        file[beam] if beam in names[product] else None,
                    )
                    for product, file in files.items()
                },
            ).join()
            for beam in sorted({beam for of_product in names.values() for beam in of_product})
        ]
    return OrbitShots(
        concat_tables([part.table for part in parts]), pl.concat([part.rejects for part in parts])
    )


def concat_tables(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return tables of shots as one; those without a shot are left out."""
    filled = [table for table in tables if table.height]
    return pl.concat(filled, how="vertical_relaxed") if filled else pl.DataFrame()


def shots_of(orbit: Orbit) -> Shots:
    """Return the numbers of all shots of an orbit, of those granules of it that can be read, each once.

    Raises:
        GranuleUnavailableError: a granule can't be reached now; a later try may succeed.
    """
    found = [np.empty(0, np.uint64)]
    for product, granule in orbit.granules.items():
        try:
            with open_granule(granule) as file:
                found += [
                    ProductBeam(gedi_products()[product], orbit.release, granule, file[beam]).shots
                    for beam in beams_of(file, granule.name)
                ]
        except GranuleError as error:
            if isinstance(error, GranuleUnavailableError):
                raise
    return np.unique(np.concatenate(found))


def shot_rejects(shots: Shots, reason: str, detail: str | pl.Series) -> pl.DataFrame:
    """Return shots that are left out for the same reason, in REJECT_SCHEMA.

    Args:
        shots: shot numbers (uint64).
        reason: of all of them, a word of the reject ledger.
        detail: one for all, or one for each shot in their order.
    """
    return reject_frame(pl.Series("id", shots, dtype=pl.UInt64).cast(pl.String), STAGE, reason, detail)


class _Beam:
    """One beam in all products."""

    def __init__(
        self, orbit: Orbit, beam: str, labels: GediLabels, products: Mapping[ProductName, ProductBeam]
    ) -> None:
        self._orbit, self._beam, self._labels, self._products = orbit, beam, labels, products
        self._rejects = [pl.DataFrame(schema=REJECT_SCHEMA)]

    def join(self) -> OrbitShots:
        """Return the shots that all products have and that pass the area and the rules, and the others."""
        shots = self._in_area(self._common())
        for one in self._labels.filters:
            rules = [QualityRule(name=f"{one.name}.{rule.name}", keep=rule.keep) for rule in one.rules]
            shots = self._sift(shots, list(one.columns()), rules)
        columns = list(self._labels.columns())
        shots = self._sift(shots, columns, self._labels.keep)
        table = self._table(shots, columns) if len(shots) else pl.DataFrame()
        return OrbitShots(table, pl.concat(self._rejects))

    def _common(self) -> Shots:
        """Return the shots that all products have."""
        name, beam = self._orbit.name, self._beam
        for product, of_product in self._products.items():
            detail = f"The {product} granule of {name} has the shot twice in {beam}; the first counts."
            self._rejects.append(shot_rejects(of_product.repeated, SHOT_TWICE, detail))
        shots = np.unique(np.concatenate([one.shots for one in self._products.values()]))
        for product, of_product in self._products.items():
            has_it = np.isin(shots, of_product.shots, assume_unique=True)
            detail = f"The {product} granule of {name} does not have the shot in {beam}."
            self._rejects.append(shot_rejects(shots[~has_it], f"not_in_{product}", detail))
            shots = shots[has_it]
        return shots

    def _in_area(self, shots: Shots) -> Shots:
        if self._labels.area is None or not len(shots):
            return shots
        west, south, east, north = self._labels.area
        placed = self._places(shots)
        longitude, latitude = placed["longitude"].to_numpy(), placed["latitude"].to_numpy()
        # West greater than east means across the antimeridian.
        between = (
            (longitude >= west) & (longitude <= east)
            if west <= east
            else (longitude >= west) | (longitude <= east)
        )
        inside = between & (latitude >= south) & (latitude <= north)
        self._rejects.append(shot_rejects(shots[~inside], OUTSIDE_AREA, "The shot is outside labels.area."))
        return shots[inside]

    def _sift(self, shots: Shots, columns: Columns, rules: Sequence[QualityRule]) -> Shots:
        if not rules or not len(shots):
            return shots
        table = self._table(shots, columns).drop(TIME)
        kept = np.ones(len(shots), dtype=np.bool_)
        for rule in check_rules(rules, table.schema, _HINT):
            plain = without_nan(table.filter(kept))
            failed = ~rule.passes(plain)
            missed: NDArray[np.intp] = np.flatnonzero(kept)[failed.to_numpy()]
            self._rejects.append(
                shot_rejects(shots[missed], rule.name, rule.shortcomings(plain.filter(failed)))
            )
            kept[missed] = False
        return shots[kept]

    def _table(self, shots: Shots, columns: Columns) -> pl.DataFrame:
        """Return shots with columns of the products; of SHOT_COLUMNS all, and TIME."""
        return self._places(shots).with_columns(
            self._products[product].values(column.field, column.index, shots).alias(column.name)
            for product, column in columns
        )

    def _places(self, shots: Shots) -> pl.DataFrame:
        """Place and time of shots, of the first product that the recipe reads columns of."""
        first = next(product for product in self._products if product in self._labels.products)
        of_first = self._products[first]
        seconds = of_first.values("delta_time", None, shots).cast(pl.Float64).fill_nan(None)
        microseconds = (seconds * 1e6).round().cast(pl.Int64, strict=False)
        return pl.DataFrame(
            {
                "shot_number": pl.Series(shots, dtype=pl.UInt64),
                "beam": pl.Series([self._beam], dtype=pl.String).new_from_index(0, len(shots)),
                "granule": pl.Series([self._orbit.name], dtype=pl.String).new_from_index(0, len(shots)),
                "delta_time": seconds,
                "latitude": of_first.values(of_first.product.latitude, None, shots).cast(pl.Float64),
                "longitude": of_first.values(of_first.product.longitude, None, shots).cast(pl.Float64),
                TIME: (microseconds + _EPOCH).cast(pl.Datetime("us", "UTC")),
            }
        )
