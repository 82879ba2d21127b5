"""Searching: which searches are made, what comes back from each kind of catalog, what is kept."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Sentinel2
from factory_pipeline.errors import CatalogError, CatalogUnavailableError
from factory_pipeline.stac import api_client
from factory_pipeline.stac.items import Found
from factory_pipeline.stac.providers import PLANETARY_COMPUTER, Catalog, open_catalog
from factory_pipeline.stac.search_cache import Cell, find_products, product_searches
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.stac.footprints import IN_JUNE, footprints
from factory_pipeline_tests.stac.small_stac import sentinel2_item, write_catalog

pytestmark = pytest.mark.integration

GRID = Grid(32631, 399_960, 5_700_000, 10, 10, 10_980, 10_980)
"""1.5 to 3.1 degrees east, 50.4 to 51.4 degrees north."""
EAST_END = Grid(32660, 600_000, 6_800_040, 10, 10, 10_980, 10_980)
"""Crosses the antimeridian."""
DAYS = {"A": ("2020-05-25", 3), "B": ("2020-06-03", 20), "C": ("2020-06-28", 24), "D": ("2020-07-30", 1)}
PATIENCE_S = 5.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = [
        sentinel2_item(name, f"{day}T10:00:00Z", cloud_cover, GRID)
        for name, (day, cloud_cover) in DAYS.items()
    ]
    items.append(sentinel2_item("cloudy", "2020-06-04T10:00:00Z", 90, GRID))
    items.append(sentinel2_item("no SCL", "2020-06-05T10:00:00Z", 1, GRID))
    del items[-1]["assets"]["SCL"]
    # Both spellings are found in catalogs: cut at the antimeridian, and running round the globe.
    halves = shapely.MultiPolygon([shapely.box(179, 60, 180, 61), shapely.box(-180, 60, -179, 61)])
    for name, outline in (("cut", halves), ("uncut", shapely.box(-179, 60, 179, 61))):
        items.append(sentinel2_item(name, "2020-06-05T00:00:00Z", 1, EAST_END, outline=outline))
    return write_catalog(tmp_path_factory.mktemp("small"), items)


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[SampleServer]:
    with SampleServer(root) as running:
        yield running


def ids(found: Found) -> list[str]:
    return [product.id for product in found.products]


# Which searches


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_cell_holds_its_places(latitude: float, longitude: float) -> None:
    west, south, east, north = Cell.containing(latitude, longitude).bbox
    assert south <= latitude <= north
    assert west <= longitude <= east or (longitude == 180 and west == -180)
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90


def test_one_search_per_cell_and_month_widened_by_the_days() -> None:
    frame = footprints(
        ("2020-06-01T00:00:00", 50.9, 2.5),
        ("2020-06-30T23:59:59.9", 50.1, 2.1),
        ("2020-07-01T00:00:00", 50.9, 2.5),
        ("2020-06-15", -0.5, -0.5),
    )
    searches = product_searches(frame, Sentinel2(max_days=10))
    assert [(str(search.cell), search.period) for search in searches] == [
        ("S01W001", "2020-06"),
        ("N50E002", "2020-06"),
        ("N50E002", "2020-07"),
    ]
    assert searches[1].query.bbox == (2, 50, 3, 51)
    assert searches[1].query.interval == "2020-05-22T00:00:00Z/2020-07-11T00:00:00Z"


def test_days_may_be_a_fraction(server: SampleServer) -> None:
    found = find_products(open_catalog(server.stac_url), IN_JUNE, Sentinel2(max_days=7.123456))
    assert ids(found) == ["A", "B", "C", "cloudy"]


# What comes back


@pytest.mark.parametrize("kind", ["api", "folder", "folder of the catalog"])
def test_products_of_the_widened_month(root: Path, server: SampleServer, kind: str) -> None:
    address = {"api": server.stac_url, "folder": str(root), "folder of the catalog": str(root / "stac")}
    found = find_products(open_catalog(address[kind]), IN_JUNE, Sentinel2())
    assert ids(found) == ["A", "B", "C", "cloudy"]
    assert found.unusable == {"no asset SCL": 1}
    start = f"{server.url}/s2/A/" if kind == "api" else f"{root}/s2/A/"
    assert found.products[0].hrefs["B02"] == start + "B02.tif"


def test_product_of_several_cells_and_months_comes_once(server: SampleServer) -> None:
    frame = footprints(("2020-06-30", 50.9, 2.5), ("2020-07-01", 51.1, 2.5), ("2020-07-20", 50.9, 1.9))
    assert ids(find_products(open_catalog(server.stac_url), frame, Sentinel2())) == [
        "A",
        "B",
        "C",
        "D",
        "cloudy",
    ]


def test_all_pages_are_read(server: SampleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "PAGE_SIZE", 1)
    searched = server.counts().get("/stac/search")
    before = 0 if searched is None else searched.requests
    assert ids(find_products(open_catalog(server.stac_url), IN_JUNE, Sentinel2())) == [
        "A",
        "B",
        "C",
        "cloudy",
    ]
    assert server.counts()["/stac/search"].requests == before + 5


@pytest.mark.parametrize("kind", ["api", "folder"])
def test_a_newer_processing_above_the_cloud_limit_is_found(tmp_path: Path, kind: str) -> None:
    # Left out by the catalog, it would leave the older processing to be chosen.
    first = sentinel2_item("older", "2020-06-03T10:00:00Z", 20, GRID)
    second = sentinel2_item("newer", "2020-06-03T10:00:00Z", 30, GRID)
    first["properties"]["s2:generation_time"] = "2020-06-03T16:00:00Z"
    second["properties"]["s2:generation_time"] = "2023-04-03T16:00:00Z"
    write_catalog(tmp_path, [first, second])
    rules = Sentinel2(max_cloud_cover=25)
    with SampleServer(tmp_path) as server:
        address = {"api": server.stac_url, "folder": str(tmp_path)}[kind]
        found = find_products(open_catalog(address), IN_JUNE, rules)
    assert ids(found) == ["newer", "older"]
    assert choose_products(IN_JUNE, found.products, rules, 32).products == ()


@pytest.mark.parametrize("longitude", [179.9, -179.9, 180.0, -180.0])
def test_cells_at_the_antimeridian(root: Path, server: SampleServer, longitude: float) -> None:
    frame = footprints(("2020-06-05", 60.5, longitude))
    for address in (str(root), server.stac_url):
        assert ids(find_products(open_catalog(address), frame, Sentinel2())) == ["cut", "uncut"]


def test_no_footprints_no_search(tmp_path: Path) -> None:
    catalog = open_catalog("http://127.0.0.1:9/nobody-is-asked")
    assert find_products(catalog, IN_JUNE.clear(), Sentinel2(), tmp_path) == Found(())


# What is kept


def test_rerun_asks_nothing_and_finds_the_same(root: Path, tmp_path: Path) -> None:
    with SampleServer(root) as server:
        address = server.stac_url
        first = find_products(open_catalog(address), IN_JUNE, Sentinel2(), tmp_path)
    # Nobody answers at this address any more.
    again = find_products(open_catalog(address), IN_JUNE, Sentinel2(), tmp_path)
    assert again == first
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("sentinel2_N50E002_2020-06_")


def test_other_spans_and_other_catalogs_are_other_searches(
    root: Path, server: SampleServer, tmp_path: Path
) -> None:
    for address, rules in (
        (server.stac_url, Sentinel2()),
        (server.stac_url, Sentinel2(max_days=5)),
        (server.stac_url, Sentinel2(max_cloud_cover=10)),
        (server.stac_url, Sentinel2(candidates=3)),
        (str(root), Sentinel2()),
    ):
        find_products(open_catalog(address), IN_JUNE, rules, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_signatures_are_not_kept(tmp_path: Path) -> None:
    item = sentinel2_item("A", "2020-06-03T10:00:00Z", 3, GRID)
    for band, asset in item["assets"].items():
        asset["href"] = f"https://account.blob.core.windows.net/c/{band}.tif?se=2020&sig=secret"
    write_catalog(tmp_path / "root", [item])
    find_products(open_catalog(str(tmp_path / "root")), IN_JUNE, Sentinel2(), tmp_path / "items")
    (kept,) = (tmp_path / "items").iterdir()
    assert "secret" not in kept.read_text()
    assert "https://account.blob.core.windows.net/c/B02.tif" in kept.read_text()


# What goes wrong


@pytest.mark.parametrize(
    "fault",
    [
        Faults(status=429, retry_after_s=1, times=1),
        Faults(status=503, times=2),
        Faults(reset=True, times=2),
        Faults(truncate=True, times=2),
    ],
    ids=["429 with Retry-After", "503", "reset", "truncated"],
)
@pytest.mark.parametrize("path", ["/stac", "/stac/search"])
def test_passing_faults_are_waited_for(root: Path, fault: Faults, path: str) -> None:
    with SampleServer(root, faults=[Faults(**{**vars(fault), "path": path})]) as server:
        catalog = open_catalog(server.stac_url, max_wait_s=PATIENCE_S)
        assert ids(find_products(catalog, IN_JUNE, Sentinel2())) == ["A", "B", "C", "cloudy"]
        assert server.counts()[path].requests == (fault.times or 0) + 1


@pytest.mark.parametrize("path", ["/stac", "/stac/collections/*", "/stac/search"])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Faults(status=503), "responded with status 503"),
        (Faults(status=429, retry_after_s=60), "responded with status 429"),
        (Faults(reset=True), "could not be reached"),
    ],
    ids=["503", "429 for longer than we wait", "reset"],
)
def test_lasting_faults_name_the_host(
    root: Path, tmp_path: Path, fault: Faults, says: str, path: str
) -> None:
    with SampleServer(root, faults=[Faults(**{**vars(fault), "path": path})]) as server:
        catalog = open_catalog(server.stac_url, max_wait_s=0.6)
        host = server.url.removeprefix("http://")
        with pytest.raises(CatalogUnavailableError, match=f"^The STAC API at {host} {says}"):
            find_products(catalog, IN_JUNE, Sentinel2(), tmp_path / "items")
    assert not (tmp_path / "items").exists()


def test_nobody_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    catalog = open_catalog(f"http://127.0.0.1:{port}/stac", max_wait_s=0.3)
    with pytest.raises(CatalogUnavailableError, match=f"127.0.0.1:{port} could not be reached"):
        find_products(catalog, IN_JUNE, Sentinel2())


def test_a_host_is_waited_for_once_whatever_is_asked_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    waits: list[tuple[str, float]] = []
    began = time.monotonic()
    for _ in range(5):  # as steps of a build ask, each with a catalog of its own
        catalog = open_catalog(f"http://127.0.0.1:{port}/stac", 1.0, lambda *wait: waits.append(wait))
        with pytest.raises(CatalogUnavailableError, match=f"127.0.0.1:{port}"):
            find_products(catalog, IN_JUNE, Sentinel2())
    assert time.monotonic() - began < 30
    assert {host for host, _ in waits} == {f"127.0.0.1:{port}"}
    assert 0 < sum(seconds for _, seconds in waits) <= 1


def test_a_host_that_takes_requests_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(CatalogUnavailableError, match=f"127.0.0.1:{port}"):
            open_catalog(f"http://127.0.0.1:{port}/stac", 1.5).probe()
        assert time.monotonic() - began < 30


def test_probe_names_the_collection_that_is_missing(server: SampleServer) -> None:
    open_catalog(server.stac_url).probe()
    source = PLANETARY_COMPUTER.source("worldcover")
    moon = replace(source, url=server.stac_url, collection="moon")
    others = {
        layer: replace(PLANETARY_COMPUTER.source(layer), url=server.stac_url)
        for layer in ("sentinel2", "copdem")
    }
    with pytest.raises(CatalogError, match="has no collection moon"):
        Catalog(replace(PLANETARY_COMPUTER, sources={**others, "worldcover": moon})).probe()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("<html>Welcome</html>", "answers, but not as a STAC API does"),
        ("[]", "answers, but not as a STAC API does"),
        ("[" * 100_000, "answers, but not as a STAC API does"),
        ('{"hello": "world"}', "answers, but not as a STAC API does"),
        (
            '{"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "", "links": []}',
            "offers no item search",
        ),
    ],
)
def test_address_is_no_stac_api(tmp_path: Path, answer: str, says: str) -> None:
    (tmp_path / "page").write_text(answer)
    with SampleServer(tmp_path) as server:
        for path, message in (("/page", says), ("/none", "answers 404")):
            with pytest.raises(CatalogError, match=message) as raised:
                find_products(open_catalog(server.url + path), IN_JUNE, Sentinel2())
            assert not isinstance(raised.value, CatalogUnavailableError)


@pytest.mark.parametrize("kind", ["api", "folder"])
def test_collection_is_missing(tmp_path: Path, kind: str) -> None:
    write_catalog(tmp_path, [])
    catalog = json.loads((tmp_path / "stac" / "catalog.json").read_text())
    catalog["links"] = [link for link in catalog["links"] if "sentinel" not in link["href"]]
    (tmp_path / "stac" / "catalog.json").write_text(json.dumps(catalog))
    with SampleServer(tmp_path) as server:
        asked = open_catalog(server.stac_url if kind == "api" else str(tmp_path))
        with pytest.raises(CatalogError, match="has no collection sentinel-2-l2a"):
            find_products(asked, IN_JUNE, Sentinel2())
