"""Sources of rasters: a provider is data, a catalog is a provider that can be searched."""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pydantic
from pydantic import ConfigDict

from factory_pipeline.config.raster_collection import RasterCollection, known_collections, known_providers
from factory_pipeline.config.recipe import LAYERS, S2_BANDS
from factory_pipeline.errors import CatalogError, DocumentError
from factory_pipeline.redaction import display
from factory_pipeline.stac.api_client import StacApi
from factory_pipeline.stac.geoparquet_catalog import Snapshot
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.signing import SIGNERS
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline.web_retries import OnWait
from factory_pipeline.yaml_document import read_yaml

MAX_WAIT_S = 120.0
"""How long a search is tried again before its catalog counts as unavailable."""


@dataclass(frozen=True)
class Spellings:
    """By what a raster is recognised whose key is another than expected."""

    names: tuple[str, ...] = ()
    """What its key, its band's name or its common name may be, in lower case."""
    single: bool = False
    """Whether it is the one raster that an item has."""


@dataclass(frozen=True)
class LayerSource:
    """Where the rasters of one layer are found."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    url: str
    """The address of a STAC API, the path of a static catalog's `catalog.json`, or the path or address of a
    stac-geoparquet snapshot, which ends in `.parquet`."""
    collection: str
    """Collection id."""
    assets: dict[str, str]
    """Our name of a raster (`B02`, `SCL`; `data`; `map`) -> the asset's key in an item."""
    signer: str | None = None
    """A name in SIGNERS; None reads hrefs as they are."""
    public_urls: dict[str, str] = field(default_factory=dict)
    """Start of an href -> the HTTPS address at which the same objects are read without an account."""
    recognize: bool = False
    """Whether an asset without the key given here is recognised by its bands' names and the like."""
    spellings: Mapping[str, Spellings] = field(default_factory=dict)
    """By our name of a raster: by what it is recognised."""
    requester_pays: bool = False
    """Whether whoever reads pays for the transfer, with an account of their own."""


@dataclass(frozen=True)
class SourceRequest:
    """A raster source that a dataset needs: a collection, and the assets of it."""

    collection: RasterCollection
    assets: tuple[str, ...]
    """Our names of the assets."""


Requests = Mapping[str, SourceRequest]
"""By the name of the source."""


def _gedi_requests() -> Requests:
    collections = {"sentinel2": "sentinel-2-l2a", "copdem": "cop-dem-glo-30", "worldcover": "esa-worldcover"}
    return {
        layer: SourceRequest(known_collections()[collections[layer]], assets)
        for layer, assets in zip(LAYERS, (("B01", *S2_BANDS, "SCL"), ("data",), ("map",)), strict=True)
    }


GEDI_REQUESTS = _gedi_requests()
"""The sources of the GEDI dataset, one per layer of LAYERS."""


@dataclass(frozen=True)
class Provider:
    """Where every source of a dataset is found."""

    name: str
    """How messages call it."""
    sources: Mapping[str, LayerSource]
    """By the name of the source; those of the GEDI dataset are LAYERS."""

    def source(self, name: str) -> LayerSource:
        """Return the source of a name."""
        return self.sources[name]

    def digest(self) -> str:
        """Return what names the items of every source: addresses, collections, assets; credentials don't."""
        layers = {
            layer: {
                "url": display(source.url),
                "collection": source.collection,
                "assets": dict(source.assets),
                "public_urls": dict(source.public_urls),
                "recognize": source.recognize,
            }
            for layer, source in self.sources.items()
        }
        return hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()


def provider_named(name: str, requests: Requests = GEDI_REQUESTS) -> Provider:
    """Return a known provider with a source for each request.

    Args:
        name: such as `planetary-computer`.
        requests: layers and the collections that have them.

    Raises:
        CatalogError: neither the provider nor the one that stands in for it has a collection.
    """
    return Provider(name, {source: _source_at(name, source, request) for source, request in requests.items()})


def _source_at(name: str, source: str, request: SourceRequest) -> LayerSource:
    """Return where a known provider, or the one that stands in for it, has a collection."""
    provider, collection = known_providers()[name], request.collection
    entry = collection.providers.get(name)
    if entry is None:
        if provider.otherwise is not None:
            return _source_at(provider.otherwise, source, request)
        raise CatalogError(
            f"The provider {name} has no collection {collection.id}, which the source {source} needs;"
            f" {', '.join(collection.providers) or 'no known provider'} has it."
        )
    return LayerSource(
        provider.url,
        entry.collection or collection.id,
        {asset: collection.key_of(asset, name) for asset in request.assets},
        provider.signer,
        entry.public_urls,
        spellings=_spellings(request),
        requester_pays=entry.requester_pays,
    )


def _unknown_source(url: str, signer: str | None, request: SourceRequest) -> LayerSource:
    """A source at an address of which nothing is known: with the collection's own id, assets recognised."""
    collection = request.collection
    keys = {asset: collection.assets[asset].key or asset for asset in request.assets}
    return LayerSource(url, collection.id, keys, signer, recognize=True, spellings=_spellings(request))


def _unknown_provider(name: str, url: str, signer: str | None, requests: Requests) -> Provider:
    return Provider(
        name, {source: _unknown_source(url, signer, request) for source, request in requests.items()}
    )


def _spellings(request: SourceRequest) -> Mapping[str, Spellings]:
    described = request.collection.assets
    return {name: Spellings(described[name].also, described[name].single) for name in request.assets}


PLANETARY_COMPUTER = provider_named("planetary-computer")
EARTH_SEARCH = provider_named("earth-search")


class ItemSource(Protocol):
    """One place that items come from: a STAC API, a static catalog, a snapshot."""

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """Return all items of a collection that a query asks for, as JSON.

        Args:
            collection: its id.
            query: place and time.
        """

    def check_collection(self, collection: str) -> None:
        """Raise CatalogError if the collection does not exist."""


class Catalog:
    """A provider that can be searched. May be shared by threads and sent to other processes."""

    def __init__(
        self, provider: Provider, max_wait_s: float = MAX_WAIT_S, on_wait: OnWait | None = None
    ) -> None:
        self.provider = provider
        self._on_wait = on_wait
        self._max_wait_s = max_wait_s
        self._lock = threading.Lock()
        self._opened: dict[str, ItemSource] = {}

    def __reduce__(self) -> tuple[type["Catalog"], tuple[Provider, float]]:
        # Connections, locks and whoever is told of waiting stay in their process.
        return Catalog, (self.provider, self._max_wait_s)

    def search(self, layer: str, query: ItemQuery) -> list[dict[str, Any]]:
        """Return all items of a layer that a query asks for, as the catalog's JSON.

        Args:
            layer: by our name.
            query: place and time.

        Raises:
            CatalogError: the source is no STAC source, or lacks the collection.
            CatalogUnavailableError: the source does not answer within the longest wait.
        """
        source = self.provider.source(layer)
        return self._open(source.url).search(source.collection, query)

    def probe(self) -> None:
        """Make sure that every source answers and has its collection, before much work is done.

        Raises:
            CatalogError: as `search`.
            CatalogUnavailableError: as `search`; names the host.
        """
        for url, collection in dict.fromkeys(
            (source.url, source.collection) for source in self.provider.sources.values()
        ):
            self._open(url).check_collection(collection)

    @property
    def requester_pays(self) -> bool:
        """Whether requests must say that their sender pays for the transfer."""
        return any(source.requester_pays for source in self.provider.sources.values())

    @property
    def signs(self) -> bool:
        """Whether any address is signed before it is read."""
        return any(source.signer for source in self.provider.sources.values())

    def signer(self, href: str) -> str:
        """Return the address to read an unsigned href from; signed where its provider asks for it.

        What comes back may hold a credential: it is for reading at once, never for storing or printing.

        Raises:
            SourceUnavailableError: the signing service does not answer.
        """
        for name in sorted({source.signer or "" for source in self.provider.sources.values()} - {""}):
            href = SIGNERS[name](href)
        return href

    def _open(self, url: str) -> ItemSource:
        with self._lock:
            if url not in self._opened:
                self._opened[url] = self._item_source(url)
            return self._opened[url]

    def _item_source(self, url: str) -> ItemSource:
        is_remote = "://" in url
        if (urlsplit(url).path if is_remote else url).endswith(".parquet"):
            return Snapshot.open(url)
        if is_remote:
            return StacApi(url, self._max_wait_s, self._on_wait)
        return StaticCatalog.load(Path(url))


def open_catalog(
    name_or_url_or_path: str,
    max_wait_s: float = MAX_WAIT_S,
    on_wait: OnWait | None = None,
    requests: Requests = GEDI_REQUESTS,
) -> Catalog:
    """Return the catalog that a user names; no request is made yet.

    Args:
        name_or_url_or_path: a known provider, or the URL of its API; the URL of another STAC API; a provider
            file (YAML, see `load_provider`); a folder that holds `catalog.json` or `stac/catalog.json`, or
            the path of such a file (or of a `collection.json`); or a folder that contains a snapshot of each
            collection, `<collection>.parquet`. Where the provider is not known, collections have the ids of
            their descriptions, and assets are recognised.
        max_wait_s: how long a search is tried again before the catalog counts as unavailable.
        on_wait: called with the host and the seconds whenever an answer is waited for.
        requests: the sources that the dataset needs.

    Raises:
        CatalogError: it is none of these, lacks a collection, or the provider file is not valid.
    """
    return Catalog(_find_provider(name_or_url_or_path, requests), max_wait_s, on_wait)


def _find_provider(wanted: str, requests: Requests) -> Provider:
    if wanted in known_providers():
        return provider_named(wanted, requests)
    if wanted.startswith(("http://", "https://")):
        known = next((p for p in known_providers().values() if _is_same_address(wanted, p.url)), None)
        if known is not None:
            return provider_named(known.name, requests)
        planetary_computer = known_providers()["planetary-computer"]
        is_its_host = urlsplit(wanted).hostname == urlsplit(planetary_computer.url).hostname
        signer = planetary_computer.signer if is_its_host else None
        return _unknown_provider(display(wanted), wanted.rstrip("/"), signer, requests)
    path = Path(wanted).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return load_provider(path, requests)
    for file in (path, path / "catalog.json", path / "stac" / "catalog.json"):
        if file.suffix == ".json" and file.is_file():
            return _unknown_provider(str(path), str(file.resolve()), None, requests)
    snapshots = _snapshots(path, requests)
    if snapshots is not None:
        return snapshots
    raise CatalogError(
        f"The catalog {wanted!r} is neither a provider ({', '.join(_provider_names())}), the URL of a STAC"
        " API, a provider file (.yaml), a folder with catalog.json or stac/catalog.json,"
        " nor a folder with snapshots (sentinel-2-l2a.parquet and so on)."
    )


def _provider_names() -> list[str]:
    """Return the known providers, those that sign their assets first."""
    return sorted(known_providers(), key=lambda name: (known_providers()[name].signer is None, name))


def _is_same_address(one: str, other: str) -> bool:
    """Return whether two URLs are those of one API, however they are written."""
    first, second = urlsplit(one), urlsplit(other)
    return first.hostname == second.hostname and first.path.strip("/") == second.path.strip("/")


def _snapshots(folder: Path, requests: Requests) -> Provider | None:
    """Return a provider whose sources are the snapshots in a folder; None if the folder contains none."""
    files = {name: folder / f"{request.collection.id}.parquet" for name, request in requests.items()}
    missing = sorted({file.name for file in files.values() if not file.exists()})
    if len(missing) == len({*files.values()}):
        return None
    if missing:
        raise CatalogError(f"The folder {folder} with STAC snapshots lacks {', '.join(missing)}.")
    # The usual snapshots are of Planetary Computer's collections, whose assets are signed.
    signer = known_providers()["planetary-computer"].signer
    return Provider(
        str(folder),
        {name: _unknown_source(str(file.resolve()), signer, requests[name]) for name, file in files.items()},
    )


def load_provider(path: Path, requests: Requests = GEDI_REQUESTS) -> Provider:
    """Read a provider of one's own from YAML.

    The file holds `name` and, for each source (by its name, or by the id of its collection), the fields of
    `LayerSource` or the name of a known provider whose source is taken. A `url` that is a path starts from
    the file's folder.

    Args:
        path: of the file.
        requests: layers that must have a source.

    Raises:
        CatalogError: the file is missing, is no YAML mapping, or contains a value that is not allowed.
    """
    try:
        document = read_yaml(path, f"The provider file {path}")
    except DocumentError as error:
        raise CatalogError(str(error)) from error
    if not isinstance(document, dict):
        raise CatalogError(
            f"The provider file {path} must hold name and a source for each of {', '.join(requests)}."
        )
    try:
        name = pydantic.TypeAdapter(str).validate_python(document.get("name", path.stem))
        unknown = document.keys() - {"name", *requests, *known_collections()}
        if unknown:
            first = min(unknown, key=str)  # YAML's keys may be numbers, dates, or nothing.
            raise CatalogError(f"The provider file {path} contains {first!r}, which is not a layer.")
        sources = {
            source: _read_source(
                path, source, document.get(source, document.get(request.collection.id)), request
            )
            for source, request in requests.items()
        }
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "a layer"
        raise CatalogError(f"The provider file {path} is not valid at {place}: {first['msg']}.") from error
    return Provider(name, sources)


def _read_source(path: Path, name: str, given: Any, request: SourceRequest) -> LayerSource:
    if isinstance(given, str) and given in known_providers():
        return _source_at(given, name, request)
    if not isinstance(given, dict):
        raise CatalogError(
            f"The provider file {path} needs {name}: a mapping with url, collection and assets, or one of"
            f" {', '.join(_provider_names())}."
        )
    source = pydantic.TypeAdapter(LayerSource).validate_python({"spellings": _spellings(request), **given})
    if source.signer is not None and source.signer not in SIGNERS:
        raise CatalogError(
            f"The provider file {path} names the signer {source.signer!r} for {name};"
            f" known is {', '.join(SIGNERS)}."
        )
    if "://" in source.url:
        return source
    local = str(Path(path.parent, source.url).resolve())
    return replace(source, url=local)
