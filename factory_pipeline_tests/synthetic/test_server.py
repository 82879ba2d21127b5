"""The sample's server: files with ranges, a STAC API, and what it lets go wrong."""

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pystac_client import Client

from factory_pipeline.cog.grid import Grid
from factory_pipeline.errors import CatalogError
from factory_pipeline.synthetic.files import UnsatisfiableRangeError, byte_range
from factory_pipeline.synthetic.server import Faults, SampleServer
from factory_pipeline_tests.stac.small_stac import copdem_item, sentinel2_item, worldcover_item, write_catalog

pytestmark = pytest.mark.integration

GRID = Grid(32631, 300_000, 5_700_000, 10, 10, 10_980, 10_980)
CONTENT = bytes(range(256)) * 16
CLOUD_COVER = {"S2_A": 5.0, "S2_B": 25.0, "S2_C": 40.0, "S2_D": 24.9}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "root"
    items = [
        sentinel2_item(name, f"2020-06-0{day}T10:00:00Z", cloud_cover, GRID)
        for day, (name, cloud_cover) in enumerate(CLOUD_COVER.items(), start=1)
    ]
    write_catalog(folder, [*items, copdem_item(51, 0), worldcover_item(51, 0, 2020)])
    (folder / "files").mkdir()
    (folder / "files" / "a.bin").write_bytes(CONTENT)
    (folder / "files" / "empty.bin").write_bytes(b"")
    (folder / "files" / "large.bin").write_bytes(CONTENT * 800)
    (folder.parent / "secret.txt").write_text("outside")
    return folder


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[SampleServer]:
    with SampleServer(root) as running:
        yield running


@pytest.fixture(scope="module")
def stac(server: SampleServer) -> Client:
    return Client.open(server.stac_url)


def get_range(server: SampleServer, header: str, path: str = "/files/a.bin") -> requests.Response:
    return requests.get(server.url + path, headers={"Range": header})


def test_whole_file(server: SampleServer) -> None:
    answer = requests.get(f"{server.url}/files/a.bin")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_file_longer_than_a_piece(server: SampleServer) -> None:
    answer = get_range(server, "bytes=100-3000000", "/files/large.bin")
    assert answer.content == (CONTENT * 800)[100:3_000_001]


@pytest.mark.parametrize(
    ("header", "content", "content_range"),
    [
        ("bytes=0-0", CONTENT[:1], "bytes 0-0/4096"),
        ("bytes=10-19", CONTENT[10:20], "bytes 10-19/4096"),
        ("bytes=4090-9999", CONTENT[4090:], "bytes 4090-4095/4096"),
        ("bytes=4000-", CONTENT[4000:], "bytes 4000-4095/4096"),
        ("bytes=-6", CONTENT[-6:], "bytes 4090-4095/4096"),
        ("bytes=-9999", CONTENT, "bytes 0-4095/4096"),
        ("bytes=0-4095", CONTENT, "bytes 0-4095/4096"),
    ],
)
def test_one_range(server: SampleServer, header: str, content: bytes, content_range: str) -> None:
    answer = get_range(server, header)
    assert answer.status_code == 206
    assert answer.content == content
    assert answer.headers["Content-Range"] == content_range


@pytest.mark.parametrize("header", ["bytes=4096-", "bytes=9000-9999", "bytes=-0"])
def test_range_beyond_the_end_is_416(server: SampleServer, header: str) -> None:
    answer = get_range(server, header)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */4096"


@pytest.mark.parametrize("header", ["bytes=9-3", "bytes=-", "rows=0-3", "bytes=0-1,4-5", "nonsense"])
def test_range_that_cannot_be_read_is_ignored(server: SampleServer, header: str) -> None:
    answer = get_range(server, header)
    assert (answer.status_code, answer.content) == (200, CONTENT)


@given(first=st.integers(0, 30), last=st.integers(0, 30), size=st.integers(0, 20))
def test_range_holds_the_bytes_of_a_slice(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    expected = content[first : last + 1]
    try:
        span = byte_range(f"bytes={first}-{last}", size)
    except UnsatisfiableRangeError:
        assert expected == b""
        return
    assert span is None or content[span[0] : sum(span)] == expected
    assert (span is None) == (last < first)


def test_head_has_the_headers_of_get_and_no_body(server: SampleServer) -> None:
    got = requests.get(f"{server.url}/files/a.bin")
    asked = requests.head(f"{server.url}/files/a.bin")
    assert asked.content == b""
    for header in ("Content-Length", "ETag", "Last-Modified", "Content-Type"):
        assert asked.headers[header] == got.headers[header]


def test_if_range_gives_the_part_of_the_same_file_only(server: SampleServer) -> None:
    etag = requests.head(f"{server.url}/files/a.bin").headers["ETag"]
    url = f"{server.url}/files/a.bin"
    same = requests.get(url, headers={"Range": "bytes=0-3", "If-Range": etag})
    other = requests.get(url, headers={"Range": "bytes=0-3", "If-Range": '"of another file"'})
    assert (same.status_code, same.content) == (206, CONTENT[:4])
    assert (other.status_code, other.content) == (200, CONTENT)


def test_empty_file(server: SampleServer) -> None:
    assert requests.get(f"{server.url}/files/empty.bin").content == b""
    assert get_range(server, "bytes=0-", "/files/empty.bin").status_code == 416


@pytest.mark.parametrize(
    "path", ["/files", "/no.bin", "/..%2fsecret.txt", "/files/%2e%2e/%2e%2e/secret.txt", "/%00"]
)
def test_only_files_below_the_root(server: SampleServer, path: str) -> None:
    assert requests.get(server.url + path).status_code == 404


def test_many_ranges_at_once(server: SampleServer) -> None:
    starts = range(0, 4096, 16)
    with ThreadPoolExecutor(64) as pool:
        answers = list(
            pool.map(lambda start: get_range(server, f"bytes={start}-{start + 15}").content, starts)
        )
    assert b"".join(answers) == CONTENT


# STAC API


def ids(stac: Client, **search: Any) -> list[str]:
    return sorted(item.id for item in stac.search(**search).items())


def test_collections_and_items(server: SampleServer, stac: Client) -> None:
    assert {collection.id for collection in stac.get_collections()} == {
        "sentinel-2-l2a",
        "cop-dem-glo-30",
        "esa-worldcover",
    }
    collection = stac.get_collection("sentinel-2-l2a")
    assert {item.id for item in collection.get_items()} == set(CLOUD_COVER)
    item = collection.get_item("S2_A")
    assert item.assets["B02"].href == f"{server.url}/s2/S2_A/B02.tif"
    assert requests.get(item.get_self_href()).json()["id"] == "S2_A"
    assert requests.get(f"{server.stac_url}/collections/none").status_code == 404
    assert requests.get(f"{server.stac_url}/collections/none/items").status_code == 404
    assert requests.get(f"{server.stac_url}/collections/sentinel-2-l2a/items/none").status_code == 404


def test_static_catalog_is_also_served_as_files(server: SampleServer, root: Path) -> None:
    answer = requests.get(f"{server.stac_url}/catalog.json")
    assert answer.content == (root / "stac" / "catalog.json").read_bytes()


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ({"lt": 25}, ["S2_A", "S2_D"]),
        ({"lte": 25}, ["S2_A", "S2_B", "S2_D"]),
        ({"gt": 25}, ["S2_C"]),
        ({"gte": 25, "lt": 40}, ["S2_B"]),
        ({"eq": 40}, ["S2_C"]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_query_of_cloud_cover(
    stac: Client, method: str, comparison: dict[str, float], expected: list[str]
) -> None:
    assert ids(stac, method=method, query={"eo:cloud_cover": comparison}) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("2020-06-02T10:00:00Z", ["S2_B"]),
        ("2020-06-02T00:00:00Z/2020-06-03T10:00:00Z", ["S2_B", "S2_C"]),
        ("2020-06-03T10:00:00Z/..", ["S2_C", "S2_D"]),
        ("../2020-06-01T12:00:00+02:00", ["S2_A"]),
        ("2020-07-01T00:00:00Z/..", []),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_interval(stac: Client, method: str, interval: str, expected: list[str]) -> None:
    assert ids(stac, method=method, collections=["sentinel-2-l2a"], datetime=interval) == expected


def test_item_of_a_whole_year_is_in_every_interval_of_it(stac: Client) -> None:
    found = ids(stac, collections=["esa-worldcover"], datetime="2020-06-01T00:00:00Z/2020-06-02T00:00:00Z")
    assert found == ["ESA_WorldCover_10m_2020_v100_N51E000"]


def test_place(stac: Client) -> None:
    dem = "Copernicus_DSM_COG_10_N51_00_E000_00_DEM"
    assert ids(stac, collections=["cop-dem-glo-30"], bbox=[0.4, 51.4, 0.6, 51.6]) == [dem]
    assert ids(stac, collections=["cop-dem-glo-30"], bbox=[2.4, 51.4, 2.6, 51.6]) == []
    assert ids(
        stac, intersects={"type": "Point", "coordinates": [0.1, 51.01]}, collections=["cop-dem-glo-30"]
    ) == [dem]
    # West of east the box crosses the antimeridian: from 0.9 once around to 0.1.
    assert ids(stac, collections=["cop-dem-glo-30"], bbox=[0.9, 51, 0.1, 52]) == [dem]
    assert ids(stac, collections=["cop-dem-glo-30"], bbox=[1.5, 51, -1, 52]) == []


def test_ids(stac: Client) -> None:
    assert ids(stac, ids=["S2_C", "S2_A", "none"]) == ["S2_A", "S2_C"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_hold_each_item_once_newest_first(stac: Client, method: str, limit: int) -> None:
    search = stac.search(method=method, collections=["sentinel-2-l2a"], limit=limit)
    pages = [[item["id"] for item in page["features"]] for page in search.pages_as_dicts()]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert list(itertools.chain(*pages)) == ["S2_D", "S2_C", "S2_B", "S2_A"]


def test_previous_page(server: SampleServer) -> None:
    search = {"collections": ["sentinel-2-l2a"], "limit": 2}
    first = requests.post(f"{server.stac_url}/search", json=search).json()
    turn = {link["rel"]: link for link in first["links"]}
    assert "previous" not in turn
    assert turn["next"]["body"] == {**search, "token": "next:sentinel-2-l2a:S2_C"}
    second = requests.post(turn["next"]["href"], json=turn["next"]["body"]).json()
    back = {link["rel"]: link for link in second["links"]}
    assert "next" not in back
    again = requests.post(back["previous"]["href"], json=back["previous"]["body"]).json()
    assert again["features"] == first["features"]


@pytest.mark.parametrize(
    "search",
    [
        {"bbox": [0, 51, 1]},
        {"bbox": [0, 52, 1, 51]},
        {"bbox": "0,51,1,52"},
        {"bbox": [0, 51, 1, 52], "intersects": {"type": "Point", "coordinates": [0, 51]}},
        {"intersects": {"type": "Circle"}},
        {"intersects": 3},
        {"datetime": "yesterday"},
        {"datetime": "2020-06-01"},
        {"datetime": "2020-13-01T00:00:00Z"},
        {"datetime": "../.."},
        {"datetime": "2020-06-02T00:00:00Z/2020-06-01T00:00:00Z"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"ids": "S2_A"},
        {"collections": [3]},
        {"query": {"eo:cloud_cover": 3}},
        {"query": {"eo:cloud_cover": {"near": 3}}},
        {"query": {"eo:cloud_cover": {"lt": "3"}}},
        {"token": "next:sentinel-2-l2a:none"},
        {"token": 3},
        {"filter": {}},
        [],
    ],
)
def test_bad_search_is_400(server: SampleServer, search: Any) -> None:
    answer = requests.post(f"{server.stac_url}/search", json=search)
    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidParameterValue"


@pytest.mark.parametrize("query", ["bbox=0,51,1", "bbox=a,b,c,d", "limit=x", "query={", "datetime=/"])
def test_bad_search_by_get_is_400(server: SampleServer, query: str) -> None:
    assert requests.get(f"{server.stac_url}/search?{query}").status_code == 400


def test_body_that_is_no_json_is_400(server: SampleServer) -> None:
    assert requests.post(f"{server.stac_url}/search", data=b"{").status_code == 400


def test_folder_without_a_catalog_serves_its_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with SampleServer(tmp_path) as server:
        assert requests.get(f"{server.url}/a.txt").text == "a"
        assert requests.get(server.stac_url).status_code == 404


def test_catalog_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "stac").mkdir()
    (tmp_path / "stac" / "catalog.json").write_text(
        json.dumps({"id": "x", "links": [{"rel": "child", "href": "no"}]})
    )
    with pytest.raises(CatalogError, match="no of the STAC catalog can't be read"), SampleServer(tmp_path):
        pass


# Faults and counts


def statuses(server: SampleServer, path: str, times: int) -> list[int]:
    return [requests.get(server.url + path).status_code for _ in range(times)]


def test_status_so_many_times(root: Path) -> None:
    faults = [Faults(path="*.bin", status=503, retry_after_s=7, times=2)]
    with SampleServer(root, faults=faults) as server:
        first = requests.get(f"{server.url}/files/a.bin")
        assert (first.status_code, first.headers["Retry-After"]) == (503, "7")
        assert statuses(server, "/stac/catalog.json", 1) == [200]
        assert statuses(server, "/files/a.bin", 3) == [503, 200, 200]


def test_fraction_is_drawn_from_the_seed(root: Path) -> None:
    drawn = []
    for _ in range(2):
        with SampleServer(root, faults=[Faults(status=429, fraction=0.5, seed=3)]) as server:
            drawn.append(statuses(server, "/files/a.bin", 30))
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {200, 429}


def test_truncated_body(root: Path) -> None:
    with SampleServer(root, faults=[Faults(truncate=True, times=1)]) as server:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(f"{server.url}/files/a.bin")
        assert requests.get(f"{server.url}/files/a.bin").content == CONTENT


def test_reset_connection(root: Path) -> None:
    with SampleServer(root, faults=[Faults(reset=True, times=1)]) as server:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}/files/a.bin")
        assert requests.get(f"{server.url}/files/a.bin").content == CONTENT


def test_another_range(root: Path) -> None:
    with SampleServer(root, faults=[Faults(range_shift=5, times=1)]) as server:
        told = get_range(server, "bytes=0-9")
        assert (told.status_code, told.content) == (206, CONTENT[5:15])
        assert told.headers["Content-Range"] == f"bytes 5-14/{len(CONTENT)}"
        assert get_range(server, "bytes=0-9").content == CONTENT[:10]


def test_delayed_answer_runs_into_a_timeout(root: Path) -> None:
    with (
        SampleServer(root, faults=[Faults(path="/files/*", delay_s=0.5)]) as server,
        pytest.raises(requests.ReadTimeout),
    ):
        requests.get(f"{server.url}/files/a.bin", timeout=0.1)


@pytest.mark.parametrize("own_process", [False, True])
def test_counts(root: Path, own_process: bool) -> None:
    with SampleServer(root, own_process=own_process) as server:
        get_range(server, "bytes=0-9")
        get_range(server, "bytes=20-24")
        requests.head(f"{server.url}/files/a.bin")
        counts = server.counts()
    assert list(counts) == ["/files/a.bin"]
    assert (counts["/files/a.bin"].requests, counts["/files/a.bin"].bytes) == (3, 15)
