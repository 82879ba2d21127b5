"""Granules of GEDI L2A, L2B and L4C for the shots of a granule of L4A, of the sample or a real one.

Every fourth dataset or so of the real products is there: those that recipes and filters ask for, under their
names and with their shapes. Heights follow the biomass of L4A, everything else follows the heights.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from factory_pipeline.config.gedi_products import NODATA, GediProduct, ProductName, gedi_products
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.synthetic.gedi_layout import BEAMS
from factory_pipeline.synthetic.granules import Values

SOFTWARE: dict[ProductName, str] = {"L2A": "003", "L2B": "003", "L4C": "001"}
"""Version of the processing software in a granule's name, by the products that are made."""
_SETTINGS = ("a1", "a2", "a3", "a4", "a5", "a6")
_BINS = np.arange(30) * 5.0
"""Lower edges of the height bins of L2B's profiles, in metres."""
_SHARED = (
    "beam",
    "channel",
    "degrade_flag",
    "delta_time",
    "elev_lowestmode",
    "lat_lowestmode",
    "lon_lowestmode",
    "sensitivity",
    "shot_number",
    "solar_elevation",
    "surface_flag",
)
"""Fields that L4A repeats from the others."""
_LAND_COVER = (
    "landsat_treecover",
    "landsat_water_persistence",
    "pft_class",
    "region_class",
    "urban_proportion",
)


def write_partner_granules(
    granule: Path, products: Sequence[ProductName], release: str = "002"
) -> dict[ProductName, Path]:
    """Write granules of products beside a granule of L4A, for all its shots.

    The same shots give the same bytes.

    Args:
        granule: of L4A.
        products: of SOFTWARE.
        release: version of the products: fields have the names that they have in it.

    Returns:
        The path of each.
    """
    # Time, orbit, part and track are the same in the names of all products.
    orbit = "_".join(granule.name.split("_")[2:6])
    paths = {}
    with h5py.File(granule) as l4a:
        for name in products:
            product = gedi_products()[name]
            path = granule.with_name(f"{product.prefix}_{orbit}_02_{SOFTWARE[name]}_01_V{release}.h5")
            with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
                file.attrs["short_name"] = f"GEDI_{name}"
                for beam in (beam for beam in BEAMS if beam in l4a):
                    group = file.create_group(beam)
                    group.attrs["description"] = BEAMS[beam]
                    _write_beam(group, product, release, _values(name, l4a[beam]))
            paths[name] = path
    return paths


def _write_beam(group: h5py.Group, product: GediProduct, release: str, values: Values) -> None:
    for name, stored in values.items():
        dataset = group.create_dataset(
            product.field_in(name, release),
            data=stored,
            chunks=stored.shape,
            maxshape=(None, *stored.shape[1:]),
            compression="gzip",
            compression_opts=4,
            track_times=False,
        )
        dataset.attrs["units"] = product.unit_of(name) or "-"


def _values(product: ProductName, l4a: h5py.Group) -> Values:
    """Return the fields of a beam, as version 2 of the product names them."""
    shared: Values = {name: l4a[name][:] for name in _SHARED}
    land: Values = {f"land_cover_data/{name}": l4a["land_cover_data"][name][:] for name in _LAND_COVER}
    quality = l4a["l2_quality_flag"][:]
    # The first shot number names the beam of one orbit, whatever products are made.
    rng = np.random.default_rng(shared["shot_number"][:1].astype(np.uint64).tolist())
    heights = _heights(l4a["agbd"][:], rng)
    if product == "L2A":
        own = _l2a(shared, heights, quality, rng)
    elif product == "L2B":
        own = _l2b(shared, heights, quality)
        shared = {name: values for name, values in shared.items() if f"geolocation/{name}" not in own}
    else:
        own = _l4c(heights, quality)
    return {**shared, **own, **land}


def _heights(agbd: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
    """(shots, 101) relative heights in metres, rising from below the ground to the top of the canopy."""
    guessed = rng.uniform(2, 25, len(agbd))
    top = np.where(agbd == NODATA, guessed, 2 + 2.2 * np.sqrt(np.maximum(agbd, 0)))
    shares = np.linspace(0, 1, 101) ** 1.4
    return np.round(-2 + (top[:, np.newaxis] + 2) * shares, 2).astype(np.float32)


def _l2a(
    shared: Values, heights: NDArray[np.float32], quality: NDArray[np.uint8], rng: np.random.Generator
) -> Values:
    shots = len(quality)
    ground = shared["elev_lowestmode"].astype(np.float64)
    # One shot in twenty has a setting that takes a branch for the ground.
    errors = rng.normal(0, 0.2, (shots, len(_SETTINGS)))
    errors[rng.random(shots) < 0.05, 2] += 4
    found: Values = {
        "quality_flag": quality,
        "selected_algorithm": np.ones(shots, np.uint8),
        "rh": heights,
        "elev_highestreturn": ground + heights[:, 100],
        "digital_elevation_model": ground + rng.normal(0, 2, shots),
        "rx_assess/rx_maxamp": rng.uniform(60, 400, shots),
        "rx_assess/sd_corrected": rng.uniform(2, 6, shots),
    }
    for number, setting in enumerate(_SETTINGS):
        found[f"geolocation/elev_lowestmode_{setting}"] = ground + errors[:, number]
        found[f"geolocation/quality_flag_{setting}"] = quality
        found[f"geolocation/sensitivity_{setting}"] = shared["sensitivity"]
    return {name: _as_float32(values) for name, values in found.items()}


def _l2b(shared: Values, heights: NDArray[np.float32], quality: NDArray[np.uint8]) -> Values:
    top = heights[:, 100].astype(np.float64)
    cover = 1 - np.exp(-np.maximum(top, 0) / 18)
    # What is above a height, of all that is above the ground.
    above = np.clip(1 - _BINS / np.maximum(top, 1)[:, np.newaxis], 0, 1)
    leaf_area = -2 * np.log(1 - cover)
    per_bin = leaf_area[:, np.newaxis] * above
    found: Values = {
        "algorithmrun_flag": quality,
        "l2a_quality_flag": quality,
        "l2b_quality_flag": quality,
        "cover": cover,
        "cover_z": cover[:, np.newaxis] * above,
        "fhd_normal": np.log1p(np.maximum(top, 0) / 3),
        "pai": leaf_area,
        "pai_z": per_bin,
        "pavd_z": -np.diff(per_bin, axis=1, append=0) / 5,
        "rh100": np.round(top * 100).astype(np.int16),
    }
    inside = ("lat_lowestmode", "lon_lowestmode", "elev_lowestmode", "degrade_flag", "solar_elevation")
    moved: Values = {f"geolocation/{name}": shared[name] for name in inside}
    return {**{name: _as_float32(values) for name, values in found.items()}, **moved}


def _l4c(heights: NDArray[np.float32], quality: NDArray[np.uint8]) -> Values:
    index = 4 + 0.18 * heights[:, 98].astype(np.float64)
    found: Values = {
        "algorithm_run_flag": quality,
        "l2_quality_flag": quality,
        "wsci": index,
        "wsci_pi_lower": index - 0.8,
        "wsci_pi_upper": index + 0.8,
        "wsci_quality_flag": quality,
    }
    return {name: _as_float32(values) for name, values in found.items()}


def _as_float32(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return floats as the products store all but positions and times."""
    return values.astype(np.float32) if values.dtype == np.float64 else values
