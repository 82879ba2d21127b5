"""What is known of a collection of rasters and of those who provide it: each a small file of data.

The known collections are the files in `collections/`, those who provide them the files in `providers/`; a
collection of one's own is one more such file.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from factory_pipeline.config.problems import problems_of, suggest_names
from factory_pipeline.config.recipe import Section
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.yaml_document import read_yaml

_COLLECTIONS = Path(__file__).with_name("collections")
_PROVIDERS = Path(__file__).with_name("providers")

PixelType = Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


class AssetDescription(Section):
    """One raster of the items of a collection."""

    key: str | None = None
    """Its key in an item; the asset's own name where it is left out."""
    band: int = Field(1, ge=1)
    """Its band in the file, counted from 1."""
    dtype: PixelType
    """Type of the stored pixels."""
    nodata: float | None = None
    """The stored value without data; None if every value is data."""
    scale: float = 1.0
    """A stored value times the scale, plus the offset, is the value in `unit`."""
    offset: float = 0.0
    unit: str = ""
    pixel_size: float = Field(gt=0)
    """Metres; of rasters in degrees about that."""
    classes: dict[int, str] | None = None
    """Name of each class, where the values are categories."""
    bits: dict[int, str] | None = None
    """Meaning of each bit, where the values are flags; bit 0 is the lowest."""
    also: tuple[str, ...] = ()
    """What catalogs call it: keys, names of bands, common names, in lower case."""
    single: bool = False
    """Whether it is the one raster that an item has, so that any key will do."""

    @property
    def is_categorical(self) -> bool:
        """Whether values are names of something, which must not be averaged."""
        return self.classes is not None or self.bits is not None


class ClearPixels(Section):
    """Which pixels show the ground: by the classes or by the bits of an asset."""

    asset: str
    keep: tuple[int, ...] | None = None
    """Classes that show the ground."""
    clear_bits: tuple[int, ...] | None = None
    """Bits that are all 0 where the ground is seen."""

    @model_validator(mode="after")
    def _check_one_way(self) -> "ClearPixels":
        if (self.keep is None) == (self.clear_bits is None):
            raise ValueError("give either keep, the classes to keep, or clear_bits, the bits that must be 0")
        return self


class ProviderEntry(Section):
    """How one provider has a collection."""

    collection: str | None = None
    """Its id there; None if it is the same."""
    assets: dict[str, str] = Field({})
    """Our name of an asset -> its key there, where that is another."""
    public_urls: dict[str, str] = Field({})
    """Start of an href -> the HTTPS address at which the same objects are read without an account."""
    requester_pays: bool = False
    """Whether whoever reads pays for the transfer, with an account of their own."""


class RasterCollection(Section):
    """A collection of rasters."""

    id: str
    """As Planetary Computer calls it, where it has it."""
    title: str
    license: str = ""
    """Its licence, as SPDX names it, or `other`; empty if it is not known."""
    license_url: str = ""
    """Where the licence is."""
    producers: tuple[str, ...] = ()
    """Who made it."""
    providers: dict[str, ProviderEntry] = Field({})
    """Who has it, by the name of the provider."""
    assets: dict[str, AssetDescription] = Field(min_length=1)
    time: Literal["instant", "year", "none"] = "instant"
    """Whether an item shows a moment, a year, or has no time that matters, such as a terrain model."""
    cloud_cover: str | None = "eo:cloud_cover"
    """The item's property with the cloud cover in percent; None if clouds do not matter."""
    offset_rule: Literal["sentinel-2"] | None = None
    """A rule for the offset of items that do not state one: by the processing baseline of Sentinel-2."""
    clear: ClearPixels | None = None
    """The usual choice of pixels that show the ground."""
    usual: tuple[str, ...] = Field((), exclude=True)
    """The assets that `factory new-recipe` proposes; all that are no flags where it is empty. No dataset
    depends on it."""

    def asset(self, name: str, where: str) -> AssetDescription:
        """Return an asset by its name.

        Args:
            name: of the asset in the description of the collection.
            where: key of the recipe that names it, for the message.

        Raises:
            RecipeError: the collection has no such asset; `where` is the key that names it.
        """
        if name not in self.assets:
            raise RecipeError(
                f"At {where}: {self.id} has no asset {name!r}{suggest_names(name, self.assets)}."
                f" It has {', '.join(self.assets)}."
            )
        return self.assets[name]

    @property
    def proposed(self) -> tuple[str, ...]:
        """The assets that are proposed for a recipe."""
        measured = tuple(name for name, asset in self.assets.items() if asset.bits is None)
        return self.usual or measured or tuple(self.assets)

    def key_of(self, name: str, provider: str) -> str:
        """Return the key of an asset in the items of a provider.

        Args:
            name: of the asset in the description of the collection.
            provider: name of a provider of catalogs.
        """
        entry = self.providers.get(provider, ProviderEntry())
        return entry.assets.get(name) or self.assets[name].key or name


class ProviderDescription(Section):
    """Who provides collections: an address, and how its assets are read."""

    name: str
    url: str
    """Of its STAC API."""
    signer: str | None = None
    """What makes an address that can be read of an href; None reads hrefs as they are."""
    otherwise: str | None = None
    """The provider from which collections are taken that this one lacks."""


@lru_cache(maxsize=1)
def known_collections() -> Mapping[str, RasterCollection]:
    """Return the collections that come with this software, by their ids."""
    files = sorted(_COLLECTIONS.glob("*.yaml"))
    return {collection.id: collection for collection in map(load_collection, files)}


@lru_cache(maxsize=1)
def known_providers() -> Mapping[str, ProviderDescription]:
    """Return the providers that come with this software, by their names."""
    described = (
        ProviderDescription.model_validate(read_yaml(path, f"The collection file {path}"))
        for path in sorted(_PROVIDERS.glob("*.yaml"))
    )
    return {provider.name: provider for provider in described}


def find_collection(name: str, where: str, folder: Path | None = None) -> RasterCollection:
    """Return a known collection by its id, or one's own by the path of its file.

    Args:
        name: an id, or a path that ends in `.yaml` or `.yml`.
        where: the key that names it, for the error.
        folder: where a relative path starts.

    Raises:
        RecipeError: it is not known, or its file is missing or not valid.
    """
    if name.endswith((".yaml", ".yml")):
        return load_collection((folder or Path()) / Path(name).expanduser())
    known = known_collections()
    if name not in known:
        raise RecipeError(
            f"At {where}: the collection {name!r} is not known{suggest_names(name, known)}. Known are"
            f" {', '.join(known)}; of any other give the path of a file (.yaml) that describes it."
        )
    return known[name]


def load_collection(path: Path) -> RasterCollection:
    """Read the file of a collection.

    Raises:
        RecipeError: the file is missing, is not YAML, or holds values that are not allowed; all are named.
    """
    try:
        document = read_yaml(path, f"The collection file {path}")
    except DocumentError as error:
        raise RecipeError(str(error)) from error
    try:
        return RasterCollection.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error, RasterCollection, document)
        raise RecipeError(f"The collection file {path} is not valid {problems}.") from error
