"""What a version holds when it is opened: pixels, masks, targets, shapes and copies."""

import hashlib
import weakref
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
from PIL import Image

from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.datasets.versions.content import ManifestContent, open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline.errors import LakeError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.versions.factories import (
    HEIGHT,
    WIDTH,
    MadeLake,
    box,
    mask,
    measured,
    polygon,
    request,
)

pytestmark = pytest.mark.integration  # takes seconds

FLIPS = {
    "IMAGE_LEVEL": [
        {
            "id": "FLIP_IMAGE",
            "properties": [
                {"id": "FLIP_HORIZONTAL", "values": [True]},
                {"id": "FLIP_VERTICAL", "values": [True]},
            ],
        }
    ]
}


def opened(lake: MadeLake, **asked: object) -> ManifestContent:
    version = create_version(lake.registry, lake.home, request(**asked))
    return open_content(lake.registry, lake.home, version.id)


def only(content: VersionContent) -> Sample:
    [sample] = content.samples("train")
    return sample


def test_a_version_tells_what_every_export_needs(lake: MadeLake) -> None:
    collection = lake.add("fair", {name: number for number, name in enumerate("abcde")})
    lake.annotate(collection, [box("a", "Balloon")])
    content: VersionContent = opened(lake, split_info={"train": 60, "test": 20, "validation": 20})
    assert (content.dataset, content.number) == ("Balloons", "1.0.0")
    assert (content.labels, content.values) == (("Balloon",), {"Balloon": 1})
    assert content.modalities == {"S2": ("B04", "B03", "B02")}
    assert content.counts == {"train": 3, "test": 1, "validation": 1}
    names = [[sample.name for sample in content.samples(split)] for split in SPLITS]
    assert sorted(name for each in names for name in each) == list("abcde")
    assert [sorted(each) for each in names] == names


def test_a_sample_is_the_image_with_what_is_known_of_it(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 5}, {"weather": ["sun"]})
    lake.annotate(
        collection,
        [
            box("a", "Balloon", confidence=0.5, attributes='{"occluded": true}'),
            polygon("a", "Balloon"),
        ],
        "machine",
    )
    sample = only(opened(lake))
    path = lake.home.root / "media" / "fair" / "a.tif"
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(sample.images["S2"].values, source.read())
        assert sample.images["S2"].values.dtype == np.uint16
        assert (sample.crs, sample.transform) == (str(source.crs), tuple(source.transform)[:6])
    assert (sample.images["S2"].bands, sample.images["S2"].rgb) == (("B04", "B03", "B02"), (0, 1, 2))
    assert sample.files == {"S2": path}
    assert sample.metadata == {"weather": "sun"}
    assert str(sample.acquired) == "2024-01-06 00:00:00+00:00"
    rectangle, square = sample.shapes
    assert (rectangle.type, rectangle.bbox, rectangle.confidence) == ("rectangle", (1, 1, 2, 2), 0.5)
    assert (rectangle.attributes, rectangle.source, rectangle.rings) == ({"occluded": True}, "machine", ())
    assert [ring.shape for ring in square.rings] == [(4, 2), (4, 2)]
    assert (sample.mask, sample.target) == (None, None)


def test_masks_become_one_with_the_values_of_their_sources(lake: MadeLake) -> None:
    classes = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 4
    collection = lake.add("fair", {"a": 1})
    raster = lake.raster("classes", classes)
    lake.annotate(collection, [mask("a", label, raster, value) for value, label in enumerate("LWST")])
    content = opened(lake, labels=("W", "L", "T"))
    composed = only(content).mask
    assert composed is not None
    assert content.values == {"W": 1, "L": 0, "T": 3}
    assert (composed.nodata, composed.values.dtype) == (255, np.uint8)
    np.testing.assert_array_equal(composed.values[0], np.where(classes == 2, 255, classes))


def test_people_are_believed_before_machines_where_masks_overlap(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    half = np.where(np.arange(WIDTH) < 4, 1, 0) * np.ones((HEIGHT, 1))
    model, people = lake.raster("model", 9), lake.raster("people", half)
    lake.annotate(collection, [mask("a", "Water", model, 9)], "machine")
    lake.annotate(collection, [mask("a", "Land", people, 1)])
    content = opened(lake, labels=("Land", "Water"))
    composed = only(content).mask
    assert composed is not None
    assert content.values == {"Land": 1, "Water": 9}
    np.testing.assert_array_equal(composed.values[0], np.where(half == 1, 1, 9))


def test_classes_are_numbered_where_sources_disagree(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2})
    one, other = lake.raster("one", 4), lake.raster("other", 5)
    lake.annotate(collection, [mask("a", "Water", one, 4), mask("b", "Water", other, 5)])
    content = opened(lake, labels=("Water",))
    masks = [sample.mask for sample in content.samples("train")]
    assert content.values == {"Water": 1}
    assert all(composed is not None and (composed.values == 1).all() for composed in masks)


def test_measured_values_are_the_target_and_fill_one_another(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    half = np.where(np.arange(WIDTH) < 4, 1.5, -9999) * np.ones((HEIGHT, 1))
    people = lake.raster("people", half, "float32", -9999)
    model = lake.raster("model", 2.5, "float32")
    lake.annotate(collection, [measured("a", "Depth", model)], "machine")
    lake.annotate(collection, [measured("a", "Depth", people)])
    target = only(opened(lake, labels=("Depth",))).target
    assert target is not None
    assert (target.bands, target.nodata, target.values.dtype) == (("Depth",), -9999, np.float32)
    np.testing.assert_array_equal(target.values[0], np.where(half == 1.5, 1.5, 2.5))


def test_copies_follow_their_originals_in_the_train_split_alone(lake: MadeLake) -> None:
    collection = lake.add("fair", {name: number for number, name in enumerate("abcd")})
    lake.annotate(collection, [box("a", "Balloon")])
    halves = {"train": 50, "test": 50, "validation": 0}
    content = opened(lake, split_info=halves, augmentation_list=FLIPS)
    train = list(content.samples("train"))
    assert content.counts == {"train": 6, "test": 2, "validation": 0}
    assert [sample.origin for sample in train[::3]] == ["", ""]
    assert [sample.origin for sample in train] == ["", train[0].name, train[0].name, "", *[train[3].name] * 2]
    assert len({sample.name for sample in train}) == 6
    assert all(sample.origin == "" for sample in content.samples("test"))
    again = list(content.samples("train"))
    for one, other in zip(train, again, strict=True):
        np.testing.assert_array_equal(one.images["S2"].values, other.images["S2"].values)


def test_an_image_without_colours_has_no_copy_with_others(lake: MadeLake, stored: Path) -> None:
    lake.add("fair", {"a": 1})
    lake.add_row("fused", stored, "S2", 0, None)
    hue = [{"id": "HUE", "properties": [{"id": "HUE_DEGREES", "values": [5, 10]}]}]
    asked = {"IMAGE_LEVEL": [*FLIPS["IMAGE_LEVEL"], *hue]}
    content = opened(lake, operation_list=(), augmentation_list=asked)
    origins = Counter(sample.origin for sample in content.samples("train"))
    assert origins == {"": 2, "a": 3, "row": 2}
    assert content.counts["train"] == 7


@pytest.fixture
def stored(lake: MadeLake) -> Path:
    """An HDF5 file with a raster per row, in one chunk each or stored otherwise."""
    path = lake.home.root / "fused.h5"
    values = np.arange(4 * 3 * HEIGHT * WIDTH, dtype=np.uint16).reshape(4, 3, HEIGHT, WIDTH)
    with h5py.File(path, "w") as file:
        file.create_dataset("S2", data=values, chunks=(1, 3, HEIGHT, WIDTH), compression="gzip", shuffle=True)
        file.create_dataset("plain", data=values)
        file.create_dataset("flat", data=values[:, 0].astype(np.float32))
    return path


def chunk_hash(path: Path, row: int) -> str:
    with h5py.File(path) as file:
        return hashlib.sha256(file["S2"].id.read_direct_chunk((row, 0, 0, 0))[1]).hexdigest()


@pytest.mark.parametrize("member", ["S2", "plain", "flat"])
def test_rows_of_hdf5_are_read_as_they_are(lake: MadeLake, stored: Path, member: str) -> None:
    sha256 = chunk_hash(stored, 2) if member == "S2" else None
    lake.add_row("fused", stored, member, 2, sha256)
    with opened(lake, operation_list=()) as content:
        sample = only(content)
    with h5py.File(stored) as file:
        expected = file[member][2].reshape(-1, HEIGHT, WIDTH)
    np.testing.assert_array_equal(sample.images["S2"].values, expected)
    assert sample.images["S2"].values.dtype == expected.dtype
    assert (sample.files, sample.crs, sample.images["S2"].nodata) == ({}, None, 0)


def test_a_row_that_was_changed_is_told(lake: MadeLake, stored: Path) -> None:
    lake.add_row("fused", stored, "S2", 2, chunk_hash(stored, 2))
    content = opened(lake, operation_list=())
    with h5py.File(stored, "r+") as file:
        file["S2"][2] += 1
    with pytest.raises(
        LakeError, match=r"fused\.h5 \(row 2 of 'S2'\) has changed since the version was made"
    ):
        only(content)


@pytest.mark.parametrize(("member", "row"), [("S2", 4), ("S3", 0), ("S2", -1)])
def test_a_row_that_is_not_there_is_told(lake: MadeLake, stored: Path, member: str, row: int) -> None:
    collection = lake.add_row("fused", stored, "S2", 0, None)
    files = lake.home.root / collection.items_path
    table = pl.read_parquet(files)
    elsewhere = pl.element().struct.with_fields(pl.lit(member).alias("member"), pl.lit(row).alias("row"))
    table.with_columns(pl.col("media").list.eval(elsewhere)).write_parquet(files)
    with pytest.raises(LakeError, match=rf"Can't read row {row} of '{member}' in .*fused\.h5"):
        only(opened(lake, operation_list=()))


def test_a_file_that_is_missing_or_changed_is_named(lake: MadeLake) -> None:
    lake.add("fair", {"a": 1})
    content = opened(lake, operation_list=())
    path = lake.home.root / "media" / "fair" / "a.tif"
    kept = path.rename(path.with_suffix(".kept"))
    with pytest.raises(LakeError, match=r"fair/a\.tif is missing; restore it"):
        only(content)
    path.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(LakeError, match=r"a\.tif has changed since the version was made"):
        only(content)
    kept.replace(path)
    assert only(content).name == "a"


def test_a_mask_of_another_size_is_told(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    path = lake.home.root / "media" / "small.tif"
    with rasterio.open(path, "w", driver="GTiff", height=2, width=3, count=1, dtype="uint8") as file:
        file.write(np.ones((1, 2, 3), np.uint8))
    raster = {"path": "media/small.tif", "member": None, "row": None, "nodata": None, "sha256": None}
    lake.annotate(collection, [mask("a", "Water", raster, 1)])
    with pytest.raises(LakeError, match=r"small\.tif is 3 x 2 pixels, but item 'a' is 8 x 6"):
        only(opened(lake, labels=("Water",)))


def test_a_png_and_a_jpeg_are_read_like_any_raster(lake: MadeLake) -> None:
    rows = []
    pixels = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for suffix in ("png", "jpg"):
        path = lake.home.root / f"{suffix}.{suffix}"
        Image.fromarray(pixels).save(path, **{"subsampling": 0} if suffix == "jpg" else {})
        media = {
            "modality": "image",
            "path": path.name,
            "bands": ["R", "G", "B"],
            "rgb": [0, 1, 2],
            "dtype": "uint8",
        }
        rows.append({"id": suffix, "width": WIDTH, "height": HEIGHT, "media": [media]})
    lake.register("photos", pl.DataFrame(rows, schema=ITEM_SCHEMA))
    for sample in opened(lake, operation_list=()).samples("train"):
        expected = np.asarray(Image.open(sample.files["image"])).transpose(2, 0, 1)
        np.testing.assert_allclose(
            sample.images["image"].values, expected, atol=0 if sample.name == "png" else 3
        )


def test_memory_holds_one_sample_whatever_their_number(lake: MadeLake) -> None:
    lake.add("fair", {f"item{number}": number for number in range(60)})
    content = opened(lake, operation_list=())
    living: list[weakref.ref[Sample]] = []
    for sample in content.samples("train"):
        living.append(weakref.ref(sample))
        assert sum(each() is not None for each in living) <= 2


def test_a_version_that_is_not_ready_has_no_content(lake: MadeLake) -> None:
    with lake.registry.create_dataset("Balloons", {}) as version:
        with pytest.raises(LakeError, match="is writing, so it has no content"):
            open_content(lake.registry, lake.home, version.id)
        lake.registry.finish_version(version.id, manifest_path="", content_hash="")
    with pytest.raises(LakeError, match=r"manifest\.parquet is missing"):
        open_content(lake.registry, lake.home, version.id)
    broken = lake.home.version(version.id).manifest
    broken.parent.mkdir(parents=True)
    broken.write_text("no Parquet")
    with pytest.raises(LakeError, match=r"manifest\.parquet can't be read"):
        open_content(lake.registry, lake.home, version.id)
    pl.DataFrame({"a": [1]}).write_parquet(broken)
    with pytest.raises(LakeError, match="is not a manifest of a dataset version"):
        open_content(lake.registry, lake.home, version.id)
