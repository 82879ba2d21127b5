"""Which catalog a user names, and what its hrefs become when they are read."""

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import planetary_computer.sas
import pytest
import requests

from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.config.recipe import LAYERS, S2_BANDS
from factory_pipeline.errors import CatalogError, CatalogUnavailableError, SourceUnavailableError
from factory_pipeline.redaction import remove_signature
from factory_pipeline.stac.providers import (
    EARTH_SEARCH,
    PLANETARY_COMPUTER,
    Catalog,
    Provider,
    SourceRequest,
    open_catalog,
    provider_named,
)
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline_tests.stac.small_stac import copdem_item, write_catalog

BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/U/CT/B02.tif"
ELSEWHERE = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/31/U/CT/B02.tif"


@pytest.mark.parametrize("provider", [PLANETARY_COMPUTER, EARTH_SEARCH])
def test_known_providers_have_every_band(provider: Provider) -> None:
    assert open_catalog(provider.name).provider == provider
    assert {"SCL", *S2_BANDS} <= provider.source("sentinel2").assets.keys()


def test_earth_search_takes_worldcover_from_planetary_computer() -> None:
    assert EARTH_SEARCH.source("worldcover") == PLANETARY_COMPUTER.source("worldcover")
    assert EARTH_SEARCH.source("sentinel2").assets["B8A"] == "nir08"


def test_api_by_url_has_the_ids_and_keys_of_planetary_computer() -> None:
    provider = open_catalog("https://stac.example/v1/").provider
    for layer in LAYERS:
        source, like = provider.source(layer), PLANETARY_COMPUTER.source(layer)
        assert source.url == "https://stac.example/v1"
        assert (source.collection, source.assets, source.signer) == (like.collection, like.assets, None)


def test_planetary_computer_by_url_is_signed() -> None:
    assert (
        open_catalog(PLANETARY_COMPUTER.source("sentinel2").url).provider.source("sentinel2").signer
        == "planetary-computer"
    )


def test_credentials_of_an_address_are_never_shown() -> None:
    catalog = open_catalog("http://user:secret@127.0.0.1:9/stac?token=secret", max_wait_s=0)
    with pytest.raises(CatalogUnavailableError, match=r"at 127\.0\.0\.1:9 could not") as raised:
        catalog.search("copdem", ItemQuery((6, 0, 7, 1)))
    assert "secret" not in f"{raised.value} {catalog.provider.name}"


@pytest.mark.parametrize("name", ["sentinel-hub", "", "no/such/folder"])
def test_unknown_catalog_says_what_is_allowed(name: str) -> None:
    with pytest.raises(CatalogError, match=r"neither a provider .*planetary-computer, earth-search"):
        open_catalog(name)


def test_folder_without_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nor a folder with"):
        open_catalog(str(tmp_path))


def test_catalog_may_be_sent_to_another_process(tmp_path: Path) -> None:
    catalog = open_catalog(str(write_catalog(tmp_path, [copdem_item(0, 6)])))
    query = ItemQuery((6, 0, 7, 1))
    found = catalog.search("copdem", query)
    assert len(found) == 1
    assert pickle.loads(pickle.dumps(catalog)).search("copdem", query) == found


# A provider of one's own

OWN = """
name: own
sentinel2:
  url: https://stac.example
  collection: s2
  assets: {B02: B02_10m, SCL: SCL_20m}
  public_urls: {"s3://eodata/": "https://eodata.example/"}
copdem: {url: catalog/catalog.json, collection: dem, assets: {data: dem}}
worldcover: planetary-computer
"""


def test_provider_file(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    provider = open_catalog(str(path)).provider
    assert provider.name == "own"
    assert provider.source("sentinel2").assets == {"B02": "B02_10m", "SCL": "SCL_20m"}
    assert provider.source("sentinel2").signer is None
    assert provider.source("copdem").url == str(tmp_path / "catalog" / "catalog.json")
    assert provider.source("worldcover") == PLANETARY_COMPUTER.source("worldcover")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("collection: s2", "", "not valid at collection"),
        ("collection: s2", "collection: s2\n  colour: red", "not valid at colour"),
        ("{B02: B02_10m, SCL: SCL_20m}", "B02", "not valid at assets"),
        ("collection: s2", "collection: s2\n  signer: mine", "names the signer 'mine' for sentinel2"),
        ("worldcover: planetary-computer", "", "needs worldcover"),
        ("worldcover: planetary-computer", "worldcover: mine", "needs worldcover"),
        ("name: own", "name: own\nlandsat: {}", "'landsat', which is not a layer"),
        ("name: own", "name: own\nlandsat: {}\n8: {}", "8, which is not a layer"),
        (OWN, "- a", "must hold name and a source"),
        (OWN, "{", "is not YAML"),
    ],
)
def test_provider_file_that_is_not_valid(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(CatalogError, match=says):
        open_catalog(str(path))


def test_provider_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="can't be read: No such file"):
        open_catalog(str(tmp_path / "none.yaml"))


# Signing


@pytest.fixture
def token() -> Iterator[None]:
    """A token in the cache of the planetary-computer package, as if its service had given it."""
    url = f"{planetary_computer.sas.Settings.get().sas_url}/sentinel2l2a01/sentinel2-l2"
    expiry = datetime.now(UTC) + timedelta(hours=1)
    planetary_computer.sas.TOKEN_CACHE[url] = planetary_computer.sas.SASToken(
        token="st=1&se=2&sig=3", **{"msft:expiry": expiry}
    )
    yield
    del planetary_computer.sas.TOKEN_CACHE[url]


@pytest.mark.usefixtures("token")
def test_blobs_of_planetary_computer_are_signed_when_they_are_read() -> None:
    for name in ("planetary-computer", "earth-search"):
        catalog = open_catalog(name)
        assert catalog.signer(BLOB) == f"{BLOB}?st=1&se=2&sig=3"
        assert catalog.signer(ELSEWHERE) == ELSEWHERE
        assert catalog.signer("/data/B02.tif") == "/data/B02.tif"
        assert remove_signature(catalog.signer(BLOB)) == BLOB


def test_other_catalogs_are_read_unsigned() -> None:
    assert open_catalog("https://stac.example").signer(BLOB) == BLOB


def test_signing_service_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("https://service/token?secret")

    monkeypatch.setattr(requests.Session, "get", refuse)
    with pytest.raises(SourceUnavailableError, match="returned no token for sentinel2l2a01") as raised:
        open_catalog("planetary-computer").signer(BLOB)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("collection", "pays"), [("naip", True), ("sentinel-2-l2a", False)])
def test_a_catalog_knows_whether_its_readers_pay(collection: str, pays: bool) -> None:
    described = known_collections()[collection]
    requests = {"photos": SourceRequest(described, tuple(described.assets)[:1])}
    assert Catalog(provider_named("earth-search", requests)).requester_pays is pays
    assert Catalog(provider_named("planetary-computer", requests)).requester_pays is False
