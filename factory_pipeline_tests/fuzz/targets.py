"""What is read of others, each with the files of the corpus that it is damaged from."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import yaml

from factory_pipeline.archives.extract import extract
from factory_pipeline.builds.gedi.footprint_csv import read_footprints_csv
from factory_pipeline.builds.gedi.granules import GranuleFile, read_granule
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.builds.labels.points import read_points
from factory_pipeline.cog.header import HeaderBytes, MissingBytesError, UnsupportedRasterError, parse_header
from factory_pipeline.cog.packed_pixels import PackedPixels
from factory_pipeline.config.dataset_recipe import DatasetRecipe, load_recipe
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.config.raster_collection import known_collections
from factory_pipeline.datalake.ingest.json_input import read_json
from factory_pipeline.datalake.ingest.read_coco import read_coco
from factory_pipeline.datalake.ingest.read_geojson import read_geojson
from factory_pipeline.datalake.ingest.releases.documents import read_meta, read_splits
from factory_pipeline.datalake.ingest.releases.label_file import LabelFileError, read_label_file
from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline.datalake.tables.items import scan_items
from factory_pipeline.errors import FactoryError
from factory_pipeline.hdf5.fuse_folder import fuse_folder
from factory_pipeline.hdf5.read import FusedDataset, describe
from factory_pipeline.imagery.headers import open_image, read_header
from factory_pipeline.imagery.known_tiffs import known_tiff, remember_tiff
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.prescan import prescan
from factory_pipeline.onboarding.label_values import label_values
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.stac.geoparquet_catalog import Snapshot
from factory_pipeline.stac.items import parse_products, parse_tiles, trim_item
from factory_pipeline.stac.providers import GEDI_REQUESTS, SourceRequest, load_provider, provider_named
from factory_pipeline.stac.query import ItemQuery
from factory_pipeline.stac.scenes import parse_scenes, trim_scene
from factory_pipeline.stac.static_catalog import StaticCatalog
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.volumes.points import read_points as read_viewer_points
from factory_pipeline.volumes.spec import load_spec
from factory_pipeline.volumes.volume import _parse_info
from factory_pipeline_tests.builds.gedi.factories import NAME_2020
from factory_pipeline_tests.fuzz.mutations import alter, damage

CORPUS = Path(__file__).parent / "corpus"
POLICY = IntakePolicy(
    folders=(Path("/"),),
    max_members=1000,
    max_unpacked_bytes=1 << 24,
    max_pixels=1 << 20,
    max_image_bytes=1 << 22,
)


@dataclass(frozen=True)
class Target:
    """A parser."""

    read: Callable[[Path], object]
    """Reads a file under its own name in a folder of its own."""
    files: tuple[str, ...]
    """Of the corpus."""
    errors: tuple[type[Exception], ...] = ()
    """What it may raise beside a FactoryError: its callers say it in their own words."""

    @property
    def allowed(self) -> tuple[type[Exception], ...]:
        """What it may raise."""
        return FactoryError, *self.errors

    def try_with(self, random: Random, folder: Path) -> None:
        """Read a damaged or altered file.

        Raises:
            Exception: any that the parser must not raise.
        """
        name = random.choice(self.files)
        content = (CORPUS / name).read_bytes()
        if name.endswith("json") and random.randint(0, 3):
            changed = json.dumps(alter(json.loads(content), random)).encode()
        else:
            changed = damage(content, random)
        self.read_or_refuse(name, changed, folder)

    def read_or_refuse(self, name: str, content: bytes, folder: Path) -> None:
        """Read these bytes as the file of a name.

        Raises:
            Exception: any that the parser must not raise.
        """
        path = folder / name
        path.write_bytes(content)
        try:
            self.read(path)
        except self.allowed:
            return


def _granule(path: Path) -> None:
    read_granule(GranuleFile(str(path.parent), NAME_2020, path.stat().st_size, "1"), ["sensitivity"])


def _header_and_blocks(path: Path) -> None:
    content = memoryview(path.read_bytes())
    header = HeaderBytes(len(content))
    header.add(0, content)
    layout = parse_header(str(path), header)
    for block in range(min(len(layout.offsets), 4)):
        start, length = int(layout.offsets[block]), int(layout.byte_counts[block])
        for rows in (None, 3):
            _decode(layout, block, content[start : start + length], rows)


def _decode(layout: Any, block: int, data: memoryview, rows: int | None) -> None:
    try:
        pixels = (
            layout.decode(data, block)
            if rows is None
            else layout.decode_top and layout.decode_top(data, rows)
        )
    except Exception:  # The reader takes any exception of a codec as a damaged block.
        return
    if isinstance(pixels, PackedPixels):
        pixels = pixels.unpack()
    if pixels is not None:
        assert pixels.nbytes < 1 << 28


def _image(path: Path) -> None:
    content = path.read_bytes()
    read_header(io.BytesIO(content))
    _remember_layout(path.name)
    found = known_tiff(content)
    for pixels, valid in (found and found.strips()) or ():
        assert pixels.shape == valid.shape


@cache
def _remember_layout(name: str) -> None:
    """Let files of the layout of one of the corpus be read without GDAL."""
    header, image = open_image(CORPUS / name)
    assert image is not None
    with image:
        remember_tiff((CORPUS / name).read_bytes(), image, header)


def _archive(path: Path) -> None:
    prescan(str(path), (".tif",), ".json", POLICY).files.collect()
    extract(path, path.parent / "unpacked", POLICY)


def _masks(path: Path) -> None:
    label_values(str(path), Suffixes(("images/a.tif",), "_mask.tif"), POLICY)


def _intake(path: Path) -> None:
    home = FactoryHome(path.parent)
    path.rename(home.intake_file)
    IntakePolicy.of_home(home)


def _label(path: Path) -> None:
    read_label_file(path.read_bytes())


def _release(path: Path) -> None:
    read_meta(path, path.name)
    read_splits(path, path.name)


def _labels(path: Path) -> None:
    document = yaml.safe_load((CORPUS / "recipe.yaml").read_text())
    document["labels"]["path"] = path.name
    read_points(DatasetRecipe.parse(document, "of the corpus", path.parent).labels, RejectLedger())


def _coco(path: Path) -> None:
    read_coco(read_json(path), path.name, CORPUS / "items.parquet")


def _geojson(path: Path) -> None:
    read_geojson(read_json(path), path.name, CORPUS / "items.parquet")


def _query(path: Path) -> None:
    items = scan_items(CORPUS / "items.parquet")
    for line in path.read_bytes().decode("utf-8", "surrogateescape").splitlines():
        matching_items(items, None, line, {}).select(pl.len()).collect()


def _item(path: Path) -> None:
    item = read_json(path)
    if not isinstance(item, dict) or "id" not in item:
        return
    provider = provider_named("planetary-computer", GEDI_REQUESTS)
    parse_products([trim_item(item, provider.source("sentinel2"))], ["B02"])
    parse_tiles([trim_item(item, provider.source("copdem"))])
    request = SourceRequest(known_collections()["sentinel-2-l2a"], ("B02", "SCL"))
    parse_scenes([trim_scene(item, provider.source("sentinel2"))], request, needs_clouds=True)


def _catalog(path: Path) -> None:
    for name in ("catalog.json", "collection.json", "items.json", "item.json"):
        if name != path.name:
            (path.parent / name).write_bytes((CORPUS / name).read_bytes())
    for item in StaticCatalog.load(path.parent / "catalog.json").items:
        item.resolved()


def _snapshot(path: Path) -> None:
    query = ItemQuery(
        (-180.0, -90.0, 180.0, 90.0), datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    )
    Snapshot.open(str(path)).search("sentinel-2-l2a", query)


def _dataset(path: Path) -> None:
    describe(path)
    dataset = FusedDataset(path)
    for index in range(min(len(dataset), 2)):
        dataset[index]
    fuse_folder([path], {"train": path.parent / "fused.h5"})


TARGETS = {
    "granule": Target(_granule, (NAME_2020,)),
    "TIFF header and block": Target(
        _header_and_blocks, ("deflate.tif", "strips.tif"), (UnsupportedRasterError, MissingBytesError)
    ),
    "image": Target(_image, ("deflate.tif", "strips.tif")),
    "zip and tar": Target(_archive, ("archive.zip", "archive.tar", "archive.tar.gz")),
    "masks of an archive": Target(_masks, ("archive.zip", "archive.tar", "archive.tar.gz")),
    "manifest": Target(UploadManifest.load, ("manifest.yaml",)),
    "recipe": Target(load_recipe, ("recipe.yaml", "gedi_recipe.yaml")),
    "intake policy": Target(_intake, ("intake.yaml",)),
    "provider": Target(load_provider, ("provider.yaml",)),
    "spec": Target(load_spec, ("spec.json",)),
    "points": Target(read_viewer_points, ("points.csv", "viewer.csv", "state.json")),
    "footprints": Target(read_footprints_csv, ("footprints.csv",)),
    "labels of a recipe": Target(_labels, ("fields.csv", "fields.parquet")),
    "volume": Target(lambda path: _parse_info(path.read_bytes(), "The volume"), ("info.json",)),
    "label file": Target(_label, ("label.json",), (LabelFileError,)),
    "documents of a release": Target(_release, ("meta.json", "bounds.geojson")),
    "COCO": Target(_coco, ("coco.json",)),
    "GeoJSON": Target(_geojson, ("features.geojson",)),
    "query": Target(_query, ("queries.txt",)),
    "STAC item": Target(_item, ("item.json",)),
    "STAC catalog": Target(_catalog, ("catalog.json", "collection.json", "items.json", "item.json")),
    "STAC snapshot": Target(_snapshot, ("snapshot.parquet",)),
    "dataset file": Target(_dataset, ("dataset.h5",)),
}
