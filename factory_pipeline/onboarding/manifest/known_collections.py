"""Collections that uploads are often cut from: their bands, and what their pixels mean.

A data source may also name any other collection; then nothing is filled in.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from factory_pipeline.yaml_document import read_yaml

REGISTRY = Path(__file__).with_suffix(".yaml")
CHANNELS = {"red": "R", "green": "G", "blue": "B"}
"""Channels of a true-colour image by common name."""
COLOURS = frozenset({"red", "green", "blue", "nir"})
FEWEST_NAMES = 2
"""Least number of bands with a collection's names before it is proposed: one name is not enough evidence."""


class KnownBand(BaseModel):
    """A band of a known collection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    common: str | None = None
    """Common name, as in STAC's electro-optical extension 2."""
    centre: float | None = None
    """Centre of the band in micrometres."""
    description: str
    scaling_factor: float | None = Field(None, gt=0)
    """Scaling factor of the band, if it differs from that of the collection."""

    @property
    def text(self) -> str:
        """Return the description with the wavelength."""
        return self.description if self.centre is None else f"{self.description}, {self.centre:g} µm"


class KnownCollection(BaseModel):
    """A collection and its bands, in the order of a file that contains all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Its id in STAC catalogs."""
    title: str
    other_names: tuple[str, ...] = ()
    connector: str
    """A catalog that contains it."""
    dtypes: tuple[str, ...]
    """Data types of the collection's own files; pixels of another type were processed further."""
    scaling_factor: Annotated[float, Field(gt=0)]
    """A pixel times this is the physical value, except for an offset that `note` mentions."""
    note: str = ""
    source: str
    """The source of these facts."""
    bands: tuple[KnownBand, ...]

    def band_of(self, name: str) -> KnownBand | None:
        """Return the band with a name: its own, with or without zeros (`B2`), or a common one (`Red`)."""
        wanted = _fold(name)
        by_name = next((band for band in self.bands if _fold(band.name) == wanted), None)
        by_word = next((band for band in self.bands if band.common and _fold(band.common) == wanted), None)
        return by_name or by_word

    def scaling_of(self, band: KnownBand, dtype: str | None) -> float:
        """Return the scaling factor of a band in files of a data type.

        1 for types that the collection does not use.

        Args:
            band: of this collection.
            dtype: of the files' pixels, such as `uint16`; None if they differ.
        """
        return (band.scaling_factor or self.scaling_factor) if dtype in self.dtypes else 1.0


@cache
def known_collections() -> tuple[KnownCollection, ...]:
    """Return all known collections, in the order in which they are offered."""
    documents = read_yaml(REGISTRY, f"The registry of collections {REGISTRY}")
    return TypeAdapter(tuple[KnownCollection, ...]).validate_python(documents)


def known_collection(name: str) -> KnownCollection | None:
    """Return the collection with a name, in any spelling; None if it is not known."""
    wanted = _letters(name)
    return next(
        (
            known
            for known in known_collections()
            if wanted and wanted in map(_letters, (known.id, *known.other_names))
        ),
        None,
    )


def fitting_collections(names: Sequence[str | None]) -> tuple[str, ...]:
    """Return ids of the collections that have a band for every name, by the bands' own names.

    There may be several. Names that are only colours match a collection only if they are all of its names.
    """
    wanted = {_fold(name) for name in names if name}
    if len(wanted) < FEWEST_NAMES or len(wanted) < len(names):
        return ()
    fitting = []
    for known in known_collections():
        own = {_fold(band.name) for band in known.bands}
        if wanted == own or (wanted < own and not wanted <= COLOURS):
            fitting.append(known.id)
    return tuple(fitting)


def describe_bands(
    collection: str, bands: Sequence[dict[str, Any]], are_named: bool, dtype: str | None
) -> list[dict[str, Any]]:
    """Fill in the known properties of the bands of a data source; existing properties stay.

    A band is identified by its name. Bands that no file names are identified by their position if there are
    as many as the collection has; then they get their names too.

    Args:
        collection: as the manifest names it.
        bands: documents of manifest.Band, in the order of the file.
        are_named: whether the manifest or a file names the bands.
        dtype: data type of the files. A scaling factor is filled in only for the collection's own types, and
            only if the manifest has 1.
    """
    known = known_collection(collection)
    if known is None:
        return list(bands)
    by_place = not are_named and len(bands) == len(known.bands)
    meant = known.bands if by_place else [known.band_of(band["band_name"]) for band in bands]
    has_colours = any(band.get("rgb_band") for band in bands)
    filled: list[dict[str, Any]] = []
    for band, found in zip(bands, meant, strict=True):
        document = dict(band)
        if found is not None:
            if by_place:
                document["band_name"] = found.name
            if document.get("scaling_factor", 1.0) == 1.0:
                document["scaling_factor"] = known.scaling_of(found, dtype)
            document["description"] = document.get("description") or found.text
            channel = CHANNELS.get(found.common or "")
            taken = {other.get("rgb_band") for other in filled}
            if not has_colours and channel is not None and channel not in taken:
                document["rgb_band"] = channel
        filled.append(document)
    return filled


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _fold(text: str) -> str:
    """Return a band's name as it is compared: `B02`, `b2` and `B 02` are the same, `SR_B2` is not."""
    return re.sub(r"(?<=[a-z])0+(?=\d)", "", _letters(text))
