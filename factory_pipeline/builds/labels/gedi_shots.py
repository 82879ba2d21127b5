"""Labels that are GEDI's shots: fields of several products, joined orbit by orbit."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl
import shapely

from factory_pipeline.builds.gedi.aggregate import retry_read
from factory_pipeline.builds.gedi.join_products import (
    TIME,
    OrbitShots,
    concat_tables,
    join_orbit,
    shot_rejects,
    shots_of,
)
from factory_pipeline.builds.gedi.orbits import Orbit, Orbits, list_orbits
from factory_pipeline.builds.labels.label_table import LABEL_SCHEMA, LabelTable, RejectLedger, label_table
from factory_pipeline.builds.labels.read_table import LabelRows
from factory_pipeline.config.gedi_labels import GediLabels
from factory_pipeline.config.label_sources import LabelTime, TableLabels
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline.plain_text import count_noun

GRANULE_UNUSABLE = "granule_unusable"
NAMED_AT_MOST = 5
"""Faults that an error or a remark names; it counts the others."""


def read_shots(labels: GediLabels, ledger: RejectLedger) -> LabelTable:
    """Read the shots that all products of a recipe have, in the order of orbits and shot numbers.

    What may be a passing fault is tried again a few times, then stops the build. Of the shots that are left
    out those of one orbit are held in memory.

    Args:
        labels: which products, fields and rules.
        ledger: gets the shots that are left out, orbit by orbit.

    Raises:
        RecipeError: a rule can't be used, the target is not a number or of an unknown class.
        GranuleError: there is no granule, or one is missing, misnamed or damaged and `incomplete` is refuse.
        GranuleUnavailableError: a granule can't be reached now; the next run tries again.
    """
    found = list_orbits(labels.path, labels.needed_products)
    faults = [*found.misnamed, *(why for orbit in found.orbits for why in orbit.missing.values())]
    if labels.incomplete == "refuse":
        _refuse(faults, len(found.orbits))
    tables: list[pl.DataFrame] = []
    damaged: list[str] = []
    for orbit in found.orbits:
        part, why = _read(orbit, labels)
        ledger.append(part.rejects)
        tables.append(part.table)
        damaged += why
    if labels.incomplete == "refuse":
        _refuse(damaged, len(found.orbits))
    return _labels(concat_tables(tables), labels, _remarks(found, [*faults, *damaged]), ledger)


def _read(orbit: Orbit, labels: GediLabels) -> tuple[OrbitShots, list[str]]:
    """Return the shots of an orbit, all rejected if a granule is at fault, and what is wrong with these."""
    missing = next(iter(orbit.missing.items()), None)
    if missing is not None:
        product, why = missing
        return _rejected(orbit, f"no_{product}_granule", why), []
    try:
        return retry_read(lambda: join_orbit(orbit, labels)), []
    except GranuleError as error:
        if isinstance(error, GranuleUnavailableError):
            raise
        return _rejected(orbit, GRANULE_UNUSABLE, str(error)), [str(error)]


def _rejected(orbit: Orbit, reason: str, detail: str) -> OrbitShots:
    rejects = shot_rejects(retry_read(lambda: shots_of(orbit)), reason, detail)
    return OrbitShots(pl.DataFrame(), rejects)


def _refuse(faults: Sequence[str], orbits: int) -> None:
    """Stop where something of the granules is missing or damaged.

    Raises:
        GranuleError: there are faults.
    """
    if faults:
        raise GranuleError(
            f"{count_noun(len(faults), 'granule')} of {count_noun(orbits, 'part')} of orbits"
            f" {'is' if len(faults) == 1 else 'are'} missing or can't be used:"
            f" {_named(faults)} Get them (again), or say `incomplete: drop` in the labels to leave out the"
            " shots of these parts, each with a reason in the ledger."
        )


def _named(faults: Sequence[str]) -> str:
    more = len(faults) - NAMED_AT_MOST
    return " ".join([*faults[:NAMED_AT_MOST], *([f"And {more:,} more."] if more > 0 else [])])


def _remarks(found: Orbits, faults: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(f"{product} {orbit.release}" for orbit in found.orbits for product in orbit.granules)
    read = ", ".join(f"{count:,} of {what}" for what, count in sorted(counts.items()))
    remarks = [f"Granules: {read}."]
    if found.replaced:
        remarks.append(
            f"{count_noun(found.replaced, 'granule')} {'is' if found.replaced == 1 else 'are'} of an older"
            " production, or of another version."
        )
    if found.ignored:
        more = ", ..." if len(found.ignored) > NAMED_AT_MOST else ""
        remarks.append(f"Not read: {', '.join(found.ignored[:NAMED_AT_MOST])}{more}.")
    if faults:
        are = f"{count_noun(len(faults), 'granule')} {'is' if len(faults) == 1 else 'are'}"
        remarks.append(f"{are} missing or can't be used: {_named(faults)}")
    return tuple(remarks)


def _labels(
    shots: pl.DataFrame, labels: GediLabels, remarks: tuple[str, ...], ledger: RejectLedger
) -> LabelTable:
    """Make labels of the shots that are left: ids, places, times, values."""
    if shots.is_empty():
        return LabelTable(pl.DataFrame(schema=LABEL_SCHEMA), ledger.by_reason, remarks)
    target = labels.target
    is_profile = target is not None and isinstance(shots.schema[target.column], pl.Array)
    if target is not None and is_profile:
        shots, without = _with_whole_profile(shots, target.column)
        ledger.append(without)
    places = shots.select("longitude", "latitude").to_numpy()
    usable = np.isfinite(places).all(axis=1)
    geometries = np.full(shots.height, None, dtype=object)
    geometries[usable] = shapely.points(places[usable])
    made = label_table(
        LabelRows(shots, geometries),
        TableLabels(
            path=labels.path,
            id="shot_number",
            time=LabelTime(column=TIME),
            target=None if is_profile else target,
            extra=labels.carried,
        ),
        usable,
        "position",
        ledger,
    )
    return LabelTable(made.table, made.dropped, remarks)


def _with_whole_profile(shots: pl.DataFrame, column: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the shots with a value at each place of a profile from the others."""
    whole = np.isfinite(shots[column].to_numpy()).all(axis=1)
    numbers = shots["shot_number"].filter(~whole).to_numpy()
    return shots.filter(whole), shot_rejects(numbers, "no_value", f"The label has no whole {column}.")
