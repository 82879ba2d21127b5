"""The order of the bands in the files of a modality, which is made the same by the bands' names."""

from collections.abc import Sequence

import polars as pl

from factory_pipeline.onboarding.checks.check import Check, files_check
from factory_pipeline.onboarding.checks.file_roles import IMAGE
from factory_pipeline.onboarding.manifest.model import UploadManifest


def order_of(found: Sequence[str | None] | None, bands: Sequence[str]) -> tuple[int, ...] | None:
    """Return the positions in a file of the requested bands.

    Args:
        found: names of the bands in the file.
        bands: names in the requested order.

    Returns:
        One position per band; None if the file already has this order, or does not name these bands.
    """
    names = [fold_band_name(name) for name in found or ()]
    needed = [fold_band_name(band) for band in bands]
    if len(set(names)) != len(names) or sorted(names) != sorted(needed):
        return None
    order = tuple(names.index(band) for band in needed)
    return None if order == tuple(range(len(order))) else order


def bands_of(manifest: UploadManifest) -> dict[str, list[str]]:
    """Return the names of the bands by training data suffix.

    They have the order of a manifest whose bands are filled in.
    """
    first = manifest.training_data_suffixes[0]
    return {
        source.file_suffix or first: [
            band.band_name for band in sorted(source.bands, key=lambda band: band.index)
        ]
        for source in manifest.data_sources
    }


def bands_named_alike(files: pl.LazyFrame) -> Check:
    """Check that no file of a modality uses only a part of the other files' band names."""
    images = files.filter(pl.col("role") == IMAGE)
    suffixes = images.select(pl.col("suffix").unique().sort()).collect()["suffix"]
    odd: list[str] = []
    for suffix in suffixes:
        of_suffix = images.filter(pl.col("suffix") == suffix)
        orders = orders_in(of_suffix)
        usual = {fold_band_name(name) for name in orders[0]} - {""} if orders else set()
        for names in orders[1:]:
            here = {fold_band_name(name) for name in names} - {""}
            if here & usual and here != usual:
                odd += files_named(of_suffix, names)
    return files_check(
        "bands_named_alike",
        odd,
        "name some of their bands as most files do, and others differently",
        "No file has other bands than most.",
    )


def has_bands(names: Sequence[str | None], bands: Sequence[str]) -> bool:
    """Return whether a file names exactly these bands, in any order.

    Args:
        names: of the file's bands; None where it names none.
        bands: names of the manifest; case and blanks around a name are ignored.
    """
    return sorted(map(fold_band_name, names)) == sorted(map(fold_band_name, bands))


def orders_in(images: pl.LazyFrame) -> list[list[str | None]]:
    """Return the band names of the files, the most frequent first; files that name none are ignored."""
    named = images.filter(pl.col("band_names").list.drop_nulls().list.len() > 0).group_by("band_names").len()
    return named.sort("len", "band_names", descending=[True, False]).collect()["band_names"].to_list()


def files_named(images: pl.LazyFrame, names: Sequence[str | None]) -> list[str]:
    """Return the names of the files with these band names.

    Args:
        images: `name`, `band_names`.
        names: in their order; None for a band without name.
    """
    wanted = pl.LazyFrame({"band_names": [list(names)]}, schema={"band_names": pl.List(pl.String)})
    found = images.select("name", "band_names").join(wanted, on="band_names", how="semi", nulls_equal=True)
    return found.collect()["name"].to_list()


def fold_band_name(name: str | None) -> str:
    """Return a band's name without surrounding blanks, in lower case."""
    return (name or "").strip().casefold()
