"""One extent across the antimeridian, in every way in which catalogs write it."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.recipe import Sentinel2
from factory_pipeline.stac.longitudes import normalize_bbox, normalize_outline
from factory_pipeline.stac.providers import Catalog, open_catalog
from factory_pipeline.stac.search_cache import find_products
from factory_pipeline.stac.select_products import choose_products
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.stac.footprints import footprints
from factory_pipeline_tests.stac.small_snapshots import write_snapshots
from factory_pipeline_tests.stac.small_stac import copdem_item, sentinel2_item, worldcover_item, write_catalog

GRID = Grid(32660, 600_000, 6_800_040, 10, 10, 10_980, 10_980)
"""178.9 to -179.1 degrees, 60.3 to 61.3 degrees north."""
SPELLINGS = {
    "two pieces": shapely.MultiPolygon([shapely.box(179, 60, 180, 62), shapely.box(-180, 60, -179, 62)]),
    "beyond 180": shapely.box(179, 60, 181, 62),
    "beyond -180": shapely.box(-181, 60, -179, 62),
    "around the globe": shapely.box(-179, 60, 179, 62),
    "turned again": shapely.box(539, 60, 541, 62),
}
DAY = "2020-06-05"


@pytest.mark.parametrize("outline", SPELLINGS.values(), ids=SPELLINGS)
def test_outlines_are_the_same(outline: shapely.Geometry) -> None:
    normal = normalize_outline(outline)
    longitudes = np.array([178.9, 179.5, 180.5, 181.1])
    shown = shapely.intersects_xy(normal, longitudes, np.full(4, 61.0))
    shown |= shapely.intersects_xy(normal, longitudes - 360, np.full(4, 61.0))
    assert shown.tolist() == [False, True, True, False]
    assert normal.area == pytest.approx(4)
    assert all(-180 <= piece.bounds[0] < 180 for piece in shapely.get_parts(normal))
    assert normalize_outline(normal) is normal


@pytest.mark.parametrize(
    "bbox", [[179, 0, -179, 1], [179, 0, 181, 1], [-181, 0, -179, 1], [539, 0, 5, 541, 1, 9]]
)
def test_bboxes_are_the_same(bbox: list[float]) -> None:
    assert normalize_bbox(bbox) == (179, 0, 181, 1)


def test_ordinary_extents_stay_as_they_are() -> None:
    outline = shapely.box(2, 50, 3, 51)
    assert normalize_outline(outline) is outline
    assert normalize_bbox([-180, -90, 180, 90]) == (-180, -90, 180, 90)


@pytest.fixture(scope="module", params=SPELLINGS)
def catalogs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Catalog]:
    outline, folder = SPELLINGS[request.param], tmp_path_factory.mktemp("catalogs")
    item = sentinel2_item("product", f"{DAY}T00:00:00Z", 1, GRID, outline=outline)
    items = [item, copdem_item(60, 179), worldcover_item(60, 177, 2020)]
    write_catalog(folder, items)
    return [open_catalog(str(folder)), open_catalog(str(write_snapshots(folder, items)))]


@pytest.mark.parametrize("places", [[179.5], [-179.5], [179.5, -179.5], [-179.5, 179.5]])
def test_every_footprint_is_served_whatever_its_neighbours(
    catalogs: list[Catalog], places: list[float]
) -> None:
    frame = footprints(*((DAY, 60.9, longitude) for longitude in places))
    for catalog in catalogs:
        found = find_products(catalog, frame, Sentinel2())
        choices = choose_products(frame, found.products, Sentinel2(), 32)
        assert choices.frame["shot_number"].to_list() == list(range(len(places)))


@pytest.mark.integration
@pytest.mark.parametrize("longitude", [179.5, -179.5])
def test_an_api_that_compares_longitudes_as_they_are_written(
    tmp_path: Path, longitude: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives an item written as -181..-179 only to a search west of the antimeridian's other side."""
    outline = SPELLINGS["beyond -180"]
    item = sentinel2_item("product", f"{DAY}T00:00:00Z", 1, GRID, outline=outline)
    write_catalog(tmp_path, [item])
    monkeypatch.setattr("factory_pipeline.stac.static_catalog.normalize_outline", lambda given: given)
    with SampleServer(tmp_path) as server:
        frame = footprints((DAY, 60.9, longitude))
        found = find_products(open_catalog(server.stac_url), frame, Sentinel2())
    choices = choose_products(frame, found.products, Sentinel2(), 32)
    assert choices.frame.height == 1
