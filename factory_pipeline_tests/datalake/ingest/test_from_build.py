"""The fused files of a build become a collection."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path

import dagster as dg
import h5py
import numpy as np
import polars as pl
import pytest
import shapely
from pyproj import Transformer

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.datalake.ingest.from_build import collect_build
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import scan_annotations
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.errors import DatasetFileError, LakeError
from factory_pipeline.hdf5.read import GEDI_EPOCH
from factory_pipeline.hdf5.schema import WORLDCOVER_CLASSES
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.orchestration.builds.dataset import gedi_collection
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage import parquet
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve
from factory_pipeline_tests.hdf5.factories import made_samples

pytestmark = pytest.mark.integration

SMALL = Recipe(name="Biomass of the North", window_size=8)


def fused_files(folder: Path, train: int = 5, test: int = 3) -> list[Path]:
    """A fused file of each split."""
    paths = []
    for seed, (split, count) in enumerate({"train": train, "test": test}.items()):
        path = folder / f"{split}_dataset.h5"
        write_dataset(path, made_samples(count, f"{split}-0", seed, SMALL), SMALL, split)
        paths.append(path)
    return paths


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    return FactoryHome(tmp_path / "home")


@pytest.fixture
def fused(home: FactoryHome) -> list[Path]:
    return fused_files(home.default_output)


def items_of(collection: Collection, home: FactoryHome) -> pl.DataFrame:
    return scan_items(resolve(collection.items_path, home)).collect()


def annotations_of(collection: Collection, registry: Registry, home: FactoryHome) -> list[pl.DataFrame]:
    operations = registry.operations(collection.id)
    assert {operation.source for operation in operations} == {AnnotationSource.MACHINE}
    return [scan_annotations(resolve(operation.path, home)).collect() for operation in operations]


def test_every_sample_is_an_item(registry: Registry, home: FactoryHome, fused: list[Path]) -> None:
    written: list[tuple[int, int]] = []
    collection = collect_build(registry, home, fused, lambda *counts: written.append(counts))
    assert (written[-1], len(written)) == ((8, 8), len(fused))
    items = items_of(collection, home)
    assert (collection.name, collection.source) == ("biomass-of-the-north", CollectionSource.GEDI)
    assert collection.item_count == items.height == 8
    start = 0
    for path in fused:
        with h5py.File(path) as file:
            for row in range(len(file["data/AGBD Values"])):
                item = items.row(start + row, named=True)
                assert item["id"] == str(file["data/GEDI Shot Number"][row, 0])
                seconds = float(file["data/GEDI Delta Time"][row, 0])
                assert item["datetime"] == (GEDI_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=UTC)
                assert item["split"] == file.attrs["split"]
                assert item["metadata.agbd"] == file["data/AGBD Values"][row, 0]
                assert item["metadata.granule"] == file["provenance/GEDI Granule"][row, 0].decode()
                assert item["metadata.longitude"] == file["provenance/Lat Lon"][row, 1]
            start += row + 1


def test_the_geometry_is_the_footprint_of_the_window(
    registry: Registry, home: FactoryHome, fused: list[Path]
) -> None:
    for item in items_of(collect_build(registry, home, fused), home).iter_rows(named=True):
        _, _, left, _, _, top = item["proj:transform"]
        to_degrees = Transformer.from_crs(item["proj:code"], 4326, always_xy=True)
        x, y = [left, left + 80, left + 80, left], [top, top, top - 80, top - 80]
        expected = shapely.Polygon(np.transpose(to_degrees.transform(x, y)))
        polygon = shapely.from_wkb(item["geometry"])
        assert shapely.equals_exact(polygon.normalize(), expected.normalize(), tolerance=1e-9)
        assert list(item["bbox"].values()) == list(polygon.bounds)
        assert polygon.contains(shapely.Point(item["metadata.longitude"], item["metadata.latitude"]))


def test_media_are_rows_of_the_file_and_the_hash_is_of_the_stored_chunk(
    registry: Registry, home: FactoryHome, fused: list[Path]
) -> None:
    seen = 0
    for item in items_of(collect_build(registry, home, fused), home).iter_rows(named=True):
        assert [medium["modality"] for medium in item["media"]] == ["S2", "WorldCover", "CopDEM"]
        for medium in item["media"]:
            with h5py.File(resolve(medium["path"], home)) as file:
                dataset = file[medium["member"]]
                _, stored = dataset.id.read_direct_chunk((medium["row"], 0, 0, 0))
                assert medium["sha256"] == hashlib.sha256(stored).hexdigest()
                assert medium["bands"] == list(dataset.attrs["band_names"])
                assert medium["dtype"] == dataset.dtype.name
                assert np.array_equal(medium["nodata"], dataset.attrs["nodata"], equal_nan=True)
                assert file["data/GEDI Shot Number"][medium["row"], 0] == int(item["id"])
            seen += 1
        rgb = item["media"][0]["rgb"]
        assert [item["media"][0]["bands"][position] for position in rgb] == ["B04", "B03", "B02"]
    assert seen == 24


def test_biomass_and_every_class_of_land_cover_are_annotations_by_machines(
    registry: Registry, home: FactoryHome, fused: list[Path]
) -> None:
    collection = collect_build(registry, home, fused)
    items = items_of(collection, home)
    biomass, land_cover = annotations_of(collection, registry, home)
    assert biomass["item"].to_list() == items["id"].to_list()
    assert set(biomass.select("type", "label").iter_rows()) == {("raster", "AGBD")}
    for row in biomass.iter_rows(named=True):
        raster = row["raster"]
        assert (raster["member"], raster["value"], raster["nodata"]) == ("data/AGBD Raster", None, -9999.0)
    covers = dict(items.select("id", pl.col("media").list.get(1)).iter_rows())
    for (item,), rows in land_cover.group_by("item"):
        medium = covers[item]
        with h5py.File(resolve(medium["path"], home)) as file:
            codes = np.unique(file["data/WorldCover"][medium["row"]]).tolist()
        assert dict(zip(rows["raster"].struct.field("value"), rows["label"], strict=True)) == {
            code: WORLDCOVER_CLASSES[code] for code in codes
        }
        assert set(rows["raster"].struct.field("sha256")) == {medium["sha256"]}
        assert set(rows["type"]) == {"mask"}


def test_the_same_files_are_the_same_collection(
    registry: Registry, home: FactoryHome, fused: list[Path]
) -> None:
    first = collect_build(registry, home, fused)
    before = {path: path.read_bytes() for path in home.collections.rglob("*.parquet")}
    for path in fused:
        path.unlink()
    assert collect_build(registry, home, fused_files(home.default_output)) == first
    assert len(registry.operations(first.id)) == 2
    assert {path: path.read_bytes() for path in home.collections.rglob("*.parquet")} == before


@pytest.mark.usefixtures("fused")
def test_the_asset_registers_the_fused_files_of_the_home(home: FactoryHome) -> None:
    factory = FactoryResource(home=str(home.root))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([gedi_collection], instance=instance, resources={"factory": factory})
        metadata = result.asset_materializations_for_node("gedi_collection")[0].metadata
    with closing(factory.registry()) as registry:
        (collection,) = registry.collections()
    assert (metadata["collection"].value, metadata["dagster/row_count"].value) == (collection.id, 8)


def test_a_later_fuse_takes_no_sample_away(registry: Registry, home: FactoryHome, fused: list[Path]) -> None:
    first = collect_build(registry, home, fused)
    larger = collect_build(registry, home, fused_files(home.default_output, train=6))
    assert (larger.id != first.id, larger.item_count) == (True, 9)
    for item in items_of(first, home).iter_rows(named=True):
        medium = item["media"][0]
        with h5py.File(resolve(medium["path"], home)) as file:
            _, stored = file[medium["member"]].id.read_direct_chunk((medium["row"], 0, 0, 0))
        assert hashlib.sha256(stored).hexdigest() == medium["sha256"]


def test_files_on_another_disk_are_named_where_they_lie(
    registry: Registry, home: FactoryHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", no_link)
    for folder in ("elsewhere", "somewhere"):
        fused = fused_files(tmp_path / folder)
        items = items_of(collect_build(registry, home, fused), home)
        assert {item[0]["path"] for item in items["media"]} == {str(path) for path in fused}
    assert len(registry.collections()) == 1


def test_batches_give_the_same_rows_as_the_whole(
    registry: Registry, home: FactoryHome, fused: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = items_of(collect_build(registry, home, fused), home)
    for path in home.collections.rglob("*.parquet"):
        path.unlink()
    assert parquet.BATCH_ROWS > 5
    monkeypatch.setattr("factory_pipeline.datalake.ingest.build_rows.BATCH_ROWS", 2)
    assert items_of(collect_build(registry, home, fused), home).equals(whole)


def test_a_build_without_samples_is_an_empty_collection(registry: Registry, home: FactoryHome) -> None:
    collection = collect_build(registry, home, fused_files(home.default_output, train=0, test=0))
    assert (collection.item_count, items_of(collection, home).height) == (0, 0)
    assert [frame.height for frame in annotations_of(collection, registry, home)] == [0, 0]


def spoil_land_cover(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["data/WorldCover"][1, 0, 0, 0] = 7


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (spoil_land_cover, LakeError, "Sample 1 of .* has the land cover code 7"),
        (cut_off, DatasetFileError, "truncated"),
        (Path.unlink, DatasetFileError, "missing"),
    ],
)
def test_a_spoilt_file_is_not_registered(
    spoil: Callable[[Path], None],
    error: type[Exception],
    message: str,
    registry: Registry,
    home: FactoryHome,
    fused: list[Path],
) -> None:
    spoil(fused[0])
    with pytest.raises(error, match=message):
        collect_build(registry, home, fused)
    assert registry.collections() == []
    assert not [path for path in home.collections.rglob("*") if path.is_file()]
