"""Where rasters are found: a provider is data, a catalog is a provider that can be asked."""

import hashlib
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pydantic
import yaml
from pydantic import ConfigDict

from factory_pipeline.config.recipe import LAYERS
from factory_pipeline.errors import CatalogError
from factory_pipeline.redaction import display
from factory_pipeline.stac.api_client import StacApi
from factory_pipeline.stac.geoparquet_catalog import Snapshot
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.signing import SIGNERS
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline.web_retries import OnWait

MAX_WAIT_S = 120.0
"""How long a search is tried again before its catalog counts as unavailable."""


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


@dataclass(frozen=True)
class Provider:
    """A source for every layer."""

    name: str
    """How messages call it."""
    sentinel2: LayerSource
    copdem: LayerSource
    worldcover: LayerSource

    def source(self, layer: str) -> LayerSource:
        """The source of a layer of LAYERS."""
        sources = {"sentinel2": self.sentinel2, "copdem": self.copdem, "worldcover": self.worldcover}
        return sources[layer]

    def digest(self) -> str:
        """Return what names the items of every layer: addresses, collections, assets; credentials don't."""
        sources = {layer: self.source(layer) for layer in LAYERS}
        layers = {
            layer: {
                "url": display(source.url),
                "collection": source.collection,
                "assets": dict(source.assets),
                "public_urls": dict(source.public_urls),
                "recognize": source.recognize,
            }
            for layer, source in sources.items()
        }
        return hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()


def _planetary_computer_shaped(name: str, url: str, signer: str | None, recognize: bool = True) -> Provider:
    """A provider with Planetary Computer's collection ids, and its asset keys where nothing else is known."""
    bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "SCL")
    return Provider(
        name=name,
        sentinel2=LayerSource(url, "sentinel-2-l2a", {b: b for b in bands}, signer, recognize=recognize),
        copdem=LayerSource(url, "cop-dem-glo-30", {"data": "data"}, signer, recognize=recognize),
        worldcover=LayerSource(url, "esa-worldcover", {"map": "map"}, signer, recognize=recognize),
    )


PLANETARY_COMPUTER = _planetary_computer_shaped(
    "planetary-computer",
    "https://planetarycomputer.microsoft.com/api/stac/v1",
    "planetary-computer",
    recognize=False,
)

_EARTH_SEARCH_URL = "https://earth-search.aws.element84.com/v1"

EARTH_SEARCH = Provider(
    name="earth-search",
    sentinel2=LayerSource(
        _EARTH_SEARCH_URL,
        "sentinel-2-l2a",
        {
            "B01": "coastal",
            "B02": "blue",
            "B03": "green",
            "B04": "red",
            "B05": "rededge1",
            "B06": "rededge2",
            "B07": "rededge3",
            "B08": "nir",
            "B8A": "nir08",
            "B09": "nir09",
            "B11": "swir16",
            "B12": "swir22",
            "SCL": "scl",
        },
    ),
    copdem=LayerSource(
        _EARTH_SEARCH_URL,
        "cop-dem-glo-30",
        {"data": "data"},
        public_urls={"s3://copernicus-dem-30m/": "https://copernicus-dem-30m.s3.eu-central-1.amazonaws.com/"},
    ),
    worldcover=PLANETARY_COMPUTER.worldcover,
)

PROVIDERS = {provider.name: provider for provider in (PLANETARY_COMPUTER, EARTH_SEARCH)}
"""The providers that are known by name."""


class ItemSource(Protocol):
    """One place that items come from: a STAC API, a static catalog, a snapshot."""

    def search(self, collection: str, query: ItemQuery) -> list[dict[str, Any]]:
        """All items of a collection that a query asks for, as JSON."""

    def check_collection(self, collection: str) -> None:
        """Raise CatalogError where there is no such collection."""


class Catalog:
    """A provider that can be asked. May be shared by threads and sent to other processes."""

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
        """All items of a layer that a query asks for, as the catalog's JSON.

        A catalog that can't filter by cloud cover also gives the items that are too cloudy.

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
            (source.url, source.collection) for source in map(self.provider.source, LAYERS)
        ):
            self._open(url).check_collection(collection)

    def signer(self, href: str) -> str:
        """The address to read an unsigned href from; signed where its provider asks for it.

        What comes back may hold a credential: it is for reading at once, never for storing or printing.

        Raises:
            SourceUnavailableError: the signing service does not answer.
        """
        for name in sorted({self.provider.source(layer).signer or "" for layer in LAYERS} - {""}):
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
    name_or_url_or_path: str, max_wait_s: float = MAX_WAIT_S, on_wait: OnWait | None = None
) -> Catalog:
    """The catalog that a user names; no request is made yet.

    Args:
        name_or_url_or_path: a provider of PROVIDERS, or the URL of its API; the URL of another STAC API; a
            provider file (YAML, see `load_provider`); a folder that holds `catalog.json` or
            `stac/catalog.json`, or the path of such a file (or of a `collection.json`); or a folder that
            holds a snapshot of each of Planetary Computer's collections, `<collection>.parquet`. Where the
            provider is not known, collections have Planetary Computer's ids, and assets are recognised.
        max_wait_s: how long a search is tried again before the catalog counts as unavailable.
        on_wait: called with the host and the seconds whenever an answer is waited for.

    Raises:
        CatalogError: it is none of these, or the provider file is not valid.
    """
    return Catalog(_find_provider(name_or_url_or_path), max_wait_s, on_wait)


def _find_provider(wanted: str) -> Provider:
    if wanted in PROVIDERS:
        return PROVIDERS[wanted]
    if wanted.startswith(("http://", "https://")):
        known = next((p for p in PROVIDERS.values() if _is_address_of(wanted, p)), None)
        if known is not None:
            return known
        host = urlsplit(wanted).hostname
        at_planetary_computer = host == urlsplit(PLANETARY_COMPUTER.sentinel2.url).hostname
        signer = "planetary-computer" if at_planetary_computer else None
        return _planetary_computer_shaped(display(wanted), wanted.rstrip("/"), signer)
    path = Path(wanted).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return load_provider(path)
    for file in (path, path / "catalog.json", path / "stac" / "catalog.json"):
        if file.suffix == ".json" and file.is_file():
            return _planetary_computer_shaped(str(path), str(file.resolve()), None)
    snapshots = _planetary_computer_snapshots(path)
    if snapshots is not None:
        return snapshots
    raise CatalogError(
        f"The catalog {wanted!r} is neither a provider ({', '.join(PROVIDERS)}), the URL of a STAC API,"
        " a provider file (.yaml), a folder with catalog.json or stac/catalog.json,"
        " nor a folder with snapshots (sentinel-2-l2a.parquet and so on)."
    )


def _is_address_of(url: str, provider: Provider) -> bool:
    """Whether a URL is that of a provider's API, however it is written."""
    given, own = urlsplit(url), urlsplit(provider.sentinel2.url)
    return given.hostname == own.hostname and given.path.strip("/") == own.path.strip("/")


def _planetary_computer_snapshots(folder: Path) -> Provider | None:
    """A provider whose sources are the snapshots in a folder; None where the folder holds none."""
    files = {layer: folder / f"{PLANETARY_COMPUTER.source(layer).collection}.parquet" for layer in LAYERS}
    missing = [file.name for file in files.values() if not file.exists()]
    if len(missing) == len(files):
        return None
    if missing:
        raise CatalogError(f"The folder {folder} with STAC snapshots lacks {', '.join(missing)}.")
    sources = {
        layer: replace(PLANETARY_COMPUTER.source(layer), url=str(file.resolve()), recognize=True)
        for layer, file in files.items()
    }
    return Provider(str(folder), **sources)


def load_provider(path: Path) -> Provider:
    """Read a provider of one's own from YAML.

    The file holds `name` and, for each layer, the fields of `Source` or the name of a provider of
    PROVIDERS whose source is taken. A `url` that is a path starts from the file's folder.

    Raises:
        CatalogError: the file is missing, is no YAML mapping, or holds a value that is not allowed.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"The provider file {path} can't be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise CatalogError(f"The provider file {path} is not YAML.") from error
    if not isinstance(document, dict):
        raise CatalogError(
            f"The provider file {path} must hold name and a source for each of {', '.join(LAYERS)}."
        )
    try:
        name = pydantic.TypeAdapter(str).validate_python(document.get("name", path.stem))
        unknown = document.keys() - {"name", *LAYERS}
        if unknown:
            raise CatalogError(f"The provider file {path} holds {min(unknown)!r}, which is no layer.")
        sources = {layer: _read_source(path, layer, document.get(layer)) for layer in LAYERS}
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "a layer"
        raise CatalogError(f"The provider file {path} is not valid at {place}: {first['msg']}.") from error
    return Provider(name, **sources)


def _read_source(path: Path, layer: str, given: Any) -> LayerSource:
    if isinstance(given, str) and given in PROVIDERS:
        return PROVIDERS[given].source(layer)
    if not isinstance(given, dict):
        raise CatalogError(
            f"The provider file {path} needs {layer}: a mapping with url, collection and assets, or one of"
            f" {', '.join(PROVIDERS)}."
        )
    source = pydantic.TypeAdapter(LayerSource).validate_python(given)
    if source.signer is not None and source.signer not in SIGNERS:
        raise CatalogError(
            f"The provider file {path} names the signer {source.signer!r} for {layer};"
            f" known is {', '.join(SIGNERS)}."
        )
    if "://" in source.url:
        return source
    local = str(Path(path.parent, source.url).resolve())
    return replace(source, url=local)
