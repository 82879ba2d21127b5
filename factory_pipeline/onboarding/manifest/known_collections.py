"""The collections that uploads are often cut from: which bands they have, and what their pixels mean.

A data source may name any other collection too; then nothing is filled in.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

REGISTRY = Path(__file__).with_suffix(".yaml")
CHANNELS = {"red": "R", "green": "G", "blue": "B"}
"""Channels of a true-colour picture by common name."""
COLOURS = frozenset({"red", "green", "blue", "nir"})
FEWEST_NAMES = 2
"""Bands that must bear a collection's names before it is proposed: one name alone says too little."""


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
    """Where it differs from that of the collection."""

    @property
    def text(self) -> str:
        """The description with the wavelength."""
        return self.description if self.centre is None else f"{self.description}, {self.centre:g} µm"


class KnownCollection(BaseModel):
    """A collection and its bands, in the order of a file that holds all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """As STAC catalogs call it."""
    title: str
    other_names: tuple[str, ...] = ()
    connector: str
    """A catalog that has it."""
    dtypes: tuple[str, ...]
    """Data types of the collection's own files; pixels of another type were changed by somebody."""
    scaling_factor: Annotated[float, Field(gt=0)]
    """A pixel times this is the physical value, but for an offset that `note` tells."""
    note: str = ""
    source: str
    """Where these facts are from."""
    bands: tuple[KnownBand, ...]

    def band_of(self, name: str) -> KnownBand | None:
        """The band that a name means: its own, with or without zeros (`B2`), or a common one (`Red`)."""
        wanted = _fold(name)
        by_name = next((band for band in self.bands if _fold(band.name) == wanted), None)
        by_word = next((band for band in self.bands if band.common and _fold(band.common) == wanted), None)
        return by_name or by_word

    def scaling_of(self, band: KnownBand, dtype: str | None) -> float:
        """The scaling factor of a band in files of a data type; 1 for types that the collection has not."""
        return (band.scaling_factor or self.scaling_factor) if dtype in self.dtypes else 1.0


@cache
def known_collections() -> tuple[KnownCollection, ...]:
    """All known collections, in the order in which they are offered."""
    documents = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))
    return TypeAdapter(tuple[KnownCollection, ...]).validate_python(documents)


def known_collection(name: str) -> KnownCollection | None:
    """The collection that a name means, however it is spelt; None where it is not known."""
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
    """Ids of the collections that have a band for every name, by the bands' own names; often more than one.

    Names that are mere colours are those of a collection only if they are all of its names.
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
    """Bands of a data source with what is known of them; what they say already stays.

    A band is known by its name. Bands that no file names are known by their place where there are as many of
    them as the collection has; then they get their names too.

    Args:
        collection: as the manifest names it.
        bands: documents of manifest.Band, in the order of the file.
        are_named: whether a person or a file named the bands.
        dtype: data type of the files. A scaling factor is filled in only for the collection's own types, and
            only where the manifest says 1.
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
    """A band's name as it is compared: `B02`, `b2` and `B 02` are the same, `SR_B2` is not."""
    return re.sub(r"(?<=[a-z])0+(?=\d)", "", _letters(text))
