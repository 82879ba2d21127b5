import hashlib
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import rasterio

from factory_pipeline.errors import GranuleError
from factory_pipeline.synthetic.archive import DEFAULT_SEED, make_archive
from factory_pipeline.synthetic.granules import usable_footprints
from factory_pipeline.synthetic.mgrs import tiles_holding, to_lonlat, to_utm
from factory_pipeline.synthetic.plan import DEMO_PLAN, ArchivePlan
from factory_pipeline.synthetic.world import Sky, World
from factory_pipeline_tests.synthetic.small import SMALL_PLAN

WORLD = World(DEFAULT_SEED)


@pytest.fixture(scope="module")
def items(small_archive):
    found = {}
    for path in sorted((small_archive / "stac").glob("*/*.json")):
        document = json.loads(path.read_text())
        if document["type"] == "Feature":
            found[path] = document
    return found


@pytest.fixture(scope="module")
def footprints(small_archive):
    return {path.name: usable_footprints(path) for path in sorted((small_archive / "granules").iterdir())}


def of(items, collection):
    return {path: item for path, item in items.items() if item["collection"] == collection}


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.integration
def test_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    first = SMALL_PLAN.overpasses[0]
    # Away from all edges: on one tile of each raster.
    plan = ArchivePlan((replace(first, lon=15.4, segments=((-200.0, 1),), visits=first.visits[:1]),))
    for workers in (1, 2):
        make_archive(tmp_path / str(workers), plan=plan, workers=workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    assert len(list((tmp_path / "1").rglob("*.tif"))) >= 15


def test_catalog_lists_every_item(small_archive, items):
    catalog = json.loads((small_archive / "stac" / "catalog.json").read_text())
    listed = set()
    for link in catalog["links"]:
        if link["rel"] == "child":
            collection = small_archive / "stac" / link["href"]
            for item in json.loads(collection.read_text())["links"]:
                if item["rel"] == "item":
                    listed.add((collection.parent / item["href"]).resolve())
    assert listed == {path.resolve() for path in items}
    assert {item["collection"] for item in items.values()} == {
        "sentinel-2-l2a",
        "cop-dem-glo-30",
        "esa-worldcover",
    }


def test_assets_exist_where_and_as_their_items_tell(items):
    for path, item in items.items():
        for key, asset in item["assets"].items():
            fields = {**item["properties"], **asset}
            with rasterio.open(path.parent / asset["href"]) as raster:
                assert list(raster.shape) == fields["proj:shape"], key
                assert raster.crs.to_epsg() == item["properties"]["proj:epsg"]
                np.testing.assert_allclose(tuple(raster.transform)[:6], fields["proj:transform"], atol=1e-12)


def test_items_have_the_fields_of_the_real_ones(items, realdata):
    for collection in ("sentinel-2-l2a", "cop-dem-glo-30", "esa-worldcover"):
        real = json.loads(sorted((realdata / "stac_items").glob(f"pc__{collection}__*.json"))[0].read_text())
        ours = next(iter(of(items, collection).values()))
        made_otherwise = {
            "s2:granule_id",
            "s2:datatake_id",
            "s2:datastrip_id",
            "s2:reflectance_conversion_factor",
        }
        assert set(ours["properties"]) >= set(real["properties"]) - made_otherwise
        assert set(ours["assets"]) <= set(real["assets"])
        assert ours["stac_extensions"] == real["stac_extensions"]


def test_profiles_are_those_of_the_real_archives(items):
    for path, item in items.items():
        for key, asset in item["assets"].items():
            with rasterio.open(path.parent / asset["href"]) as raster:
                bits = raster.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
                profile = (raster.dtypes[0], bits, raster.nodata, raster.block_shapes[0][0])
                assert raster.compression.value == "DEFLATE"
                assert len(raster.overviews(1)) >= 3
            if item["collection"] == "cop-dem-glo-30":
                assert profile == ("float32", None, None, 1024)
            elif item["collection"] == "esa-worldcover":
                assert profile == ("uint8", None, 0, 1024)
            elif key == "SCL":
                assert profile == ("uint8", None, 0, 512)
            else:
                assert profile == ("uint16", "15", 0, 512)


def test_far_from_footprints_is_no_data(items):
    for path, item in of(items, "sentinel-2-l2a").items():
        with rasterio.open(path.parent / item["assets"]["B04"]["href"]) as raster:
            assert not raster.read(1, window=((9000, 9100), (5000, 5100))).any()
            assert not raster.read(1, out_shape=(686, 686))[:50].any()


def test_pixels_at_footprints_are_those_of_the_world(items, footprints):
    places = pl.concat(footprints.values())
    checked = 0
    for path, item in of(items, "sentinel-2-l2a").items():
        properties = item["properties"]
        day = int(np.datetime64(properties["datetime"][:10]).astype(object).timetuple().tm_yday)
        offset = 1000 if properties["s2:processing_baseline"] >= "04.00" else 0
        for band in ("B03", "B8A"):
            with rasterio.open(path.parent / item["assets"][band]["href"]) as raster:
                x, y = to_utm(raster.crs.to_epsg(), places["lon"].to_numpy(), places["lat"].to_numpy())
                rows, columns = rasterio.transform.rowcol(raster.transform, x, y)
                rows, columns = np.array(rows), np.array(columns)
                inside = (rows >= 0) & (rows < raster.height) & (columns >= 0) & (columns < raster.width)
                values = raster.read(1)[rows[inside], columns[inside]]
                centres = rasterio.transform.xy(raster.transform, rows[inside], columns[inside])
                lon, lat = to_lonlat(raster.crs.to_epsg(), *(np.asarray(axis) for axis in centres))
            ground = WORLD.surface(lon, lat)
            # Without clouds and shadow the counts are within the pixel noise of the clear world.
            clear = WORLD.reflectance(WORLD.scene(ground, Sky(0, 0.0), day), band)
            near = values[values > 0] - offset - clear[values > 0]
            assert len(near) > 20
            assert np.median(np.abs(near) / clear[values > 0]) < 0.05
            checked += len(near)
    assert checked > 200


def test_elevation_and_land_cover_at_footprints_are_those_of_the_world(items, footprints):
    places = pl.concat(footprints.values())
    lon, lat = places["lon"].to_numpy(), places["lat"].to_numpy()
    held = np.zeros(len(places), dtype=bool)
    for path, item in of(items, "cop-dem-glo-30").items():
        with rasterio.open(path.parent / item["assets"]["data"]["href"]) as raster:
            left, bottom, right, top = raster.bounds
            inside = (lon > left) & (lon < right) & (lat > bottom) & (lat < top)
            heights = np.array(
                [value[0] for value in raster.sample(zip(lon[inside], lat[inside], strict=True))]
            )
        np.testing.assert_allclose(heights, WORLD.elevation(lon[inside], lat[inside]), atol=6)
        held |= inside
    assert held.all()

    for path, item in of(items, "esa-worldcover").items():
        with rasterio.open(path.parent / item["assets"]["map"]["href"]) as raster:
            left, bottom, right, top = raster.bounds
            inside = (lon > left) & (lon < right) & (lat > bottom) & (lat < top)
            cover = np.array(
                [value[0] for value in raster.sample(zip(lon[inside], lat[inside], strict=True))]
            )
        assert (cover > 0).all()
        truth = WORLD.surface(lon[inside], lat[inside]).cover
        assert (cover == truth).mean() > 0.8


def test_every_window_is_filled_in_some_product(items, footprints):
    """Each footprint's 32x32 window holds data in at least one product of its own year."""
    for name, places in footprints.items():
        x, y = to_utm(32633, places["lon"].to_numpy(), places["lat"].to_numpy())
        filled = np.zeros(len(places), dtype=bool)
        for path, item in of(items, "sentinel-2-l2a").items():
            if item["properties"]["datetime"][:4] != name[9:13]:
                continue
            with rasterio.open(path.parent / item["assets"]["B02"]["href"]) as raster:
                band = raster.read(1)
                rows, columns = (np.array(axis) for axis in rasterio.transform.rowcol(raster.transform, x, y))
            for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
                top, left = row - 16, column - 16
                if top >= 0 and left >= 0 and row + 16 <= 10980 and column + 16 <= 10980:
                    filled[number] |= bool(band[top : row + 16, left : column + 16].all())
        assert filled.all()


def test_plan_crosses_the_edges_that_matter(items, footprints):
    """Some windows lie on two tiles of each raster, some on one only."""
    tiles = {item["properties"]["s2:mgrs_tile"] for item in of(items, "sentinel-2-l2a").values()}
    assert tiles == {"33UVP", "33UWP"}
    assert len(of(items, "cop-dem-glo-30")) == 2
    assert len(of(items, "esa-worldcover")) == 4
    lon = pl.concat(footprints.values())["lon"].to_numpy()
    assert lon.min() < 15.0 < lon.max()


def test_demo_plan_has_what_a_build_must_cope_with():
    visits = [visit for overpass in DEMO_PLAN.overpasses for visit in overpass.visits]
    assert [overpass.time.year for overpass in DEMO_PLAN.overpasses] == [2020] * 4 + [2021] * 3
    assert any(visit.baseline >= "04.00" for visit in visits)
    assert any(visit.baseline < "04.00" for visit in visits)
    assert any(visit.lacks for visit in visits)
    assert any(visit.cloud_cover > 25 for visit in visits)
    assert any(visit.bank_radius and visit.cloud_cover < 5 for visit in visits)


def test_given_granules_are_copied_and_get_imagery(real_archive):
    given = sorted((real_archive.parent / "given").glob("*.h5"))
    places = {path.name: usable_footprints(path) for path in given}
    usable = sum(map(len, places.values()))
    assert f"2 granules with {usable} footprints of good quality" in (
        real_archive.parent / "summary.txt"
    ).read_text(encoding="utf-8")
    for path in given:
        assert (real_archive / "granules" / path.name).read_bytes() == path.read_bytes()

    first = places[given[0].name]
    assert len(first) > 5
    x, y = to_utm(32640, first["lon"].to_numpy(), first["lat"].to_numpy())
    (tile,) = tiles_holding(32640, x, y, 170.0)
    bands = list((real_archive / "rasters").glob(f"*/*_T{tile.name}_*/*_B02_10m.tif"))
    assert len(bands) == 2
    for band in bands:
        with rasterio.open(band) as raster:
            assert all(value[0] for value in raster.sample(zip(x, y, strict=True)))


def test_a_folder_without_granules_is_refused(tmp_path):
    with pytest.raises(GranuleError, match="holds no GEDI L4A granule"):
        make_archive(tmp_path / "archive", granules=tmp_path, workers=1)


def test_archive_is_as_small_as_planned(small_archive, footprints):
    shots = 8 * sum(count for overpass in SMALL_PLAN.overpasses for _, count in overpass.segments)
    usable = sum(len(places) for places in footprints.values())
    assert 0.35 * shots < usable < 0.75 * shots
    assert sum(path.stat().st_size for path in small_archive.rglob("*") if path.is_file()) < 60e6
