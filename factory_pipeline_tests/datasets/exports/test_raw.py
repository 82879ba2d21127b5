"""RAW, read back by json and rasterio."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports import raw
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.errors import ExportError
from factory_pipeline.splits.names import SPLITS
from factory_pipeline_tests.datasets.model.factories import (
    TWO_MODALITIES,
    MadeVersion,
    photo_version,
    satellite_version,
)


@pytest.fixture(scope="module")
def exported(satellite: MadeVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    raw.write(satellite, folder)
    raw.check(satellite, folder)
    return folder


def entries(folder: Path) -> list[dict[str, Any]]:
    """What `labels.json` says of the images."""
    document = json.loads((folder / "labels.json").read_text())
    assert list(document) == ["images"]
    images: list[dict[str, Any]] = document["images"]
    return images


def samples(version: MadeVersion) -> list[Sample]:
    return [sample for split in SPLITS for sample in version.samples(split)]


def test_every_image_is_there_with_its_split_also_those_that_nothing_is_annotated_on(
    exported: Path, satellite: MadeVersion, photos: MadeVersion, tmp_path: Path
) -> None:
    raw.write(photos, tmp_path)
    for folder, version in ((exported, satellite), (tmp_path, photos)):
        read = {entry["image"]: entry["split"] for entry in entries(folder)}
        expected = {f"{s.name}{version._suffix}": s.split for s in samples(version)}
        assert read == expected
        assert {path.name for path in (folder / "data").iterdir()} == set(expected)
    empty = [entry for entry in entries(tmp_path) if not entry["annotations"]]
    assert len(empty) == 6


def test_rectangles_polygons_and_lines_are_as_they_were_drawn(exported: Path, satellite: MadeVersion) -> None:
    for entry, sample in zip(entries(exported), samples(satellite), strict=True):
        drawn = [each for each in entry["annotations"] if each["type"] not in ("mask", "raster")]
        for record, shape in zip(drawn, sample.shapes, strict=True):
            said = {"label", "confidence", "metadata", "attributes"}
            assert record["type"] == shape.type
            assert {key: record[key] for key in said} == {key: getattr(shape, key) for key in said}
            if shape.type is AnnotationType.RECTANGLE:
                assert set(record) == {"type", "bbox", *said}
                assert tuple(record["bbox"]) == shape.bbox
            else:
                assert set(record) - {"holes"} == {"type", "polygon", *said}
                rings = [record["polygon"], *record.get("holes", [])]
                for ring, expected in zip(rings, shape.rings, strict=True):
                    np.testing.assert_array_equal(ring, expected)


def test_masks_and_measured_values_are_named_and_keep_values_nodata_and_place(
    exported: Path, satellite: MadeVersion
) -> None:
    for entry, sample in zip(entries(exported), samples(satellite), strict=True):
        in_masks = [each for each in entry["annotations"] if each["type"] == "mask"]
        in_targets = [each for each in entry["annotations"] if each["type"] == "raster"]
        assert [each["label"] for each in in_targets] == ["AGBD"]
        rasters = [(in_targets[0]["file"], sample.target)]
        if sample.mask is None:
            assert in_masks == []
        else:
            rasters.append((f"masks/{sample.name}.tif", sample.mask))
            present = set(np.unique(sample.mask.values)) - {sample.mask.nodata}
            assert {each["value"] for each in in_masks} == present
            assert all(satellite.values[each["label"]] == each["value"] for each in in_masks)
            assert {each["file"] for each in in_masks} == {f"masks/{sample.name}.tif"}
        for file, raster in rasters:
            with rasterio.open(exported / file) as stored:
                np.testing.assert_array_equal(stored.read(), raster.values)
                assert stored.nodata == raster.nodata
                assert stored.crs == rasterio.CRS.from_user_input(sample.crs)
                assert stored.transform == Affine(*sample.transform)


@pytest.mark.integration
def test_originals_keep_their_bytes_and_copies_are_mirrored_in_place(
    exported: Path, satellite: MadeVersion
) -> None:
    for sample in samples(satellite):
        path = exported / "data" / f"{sample.name}.tif"
        if sample.files:
            assert path.read_bytes() == sample.files["S2L2A"].read_bytes()
        with rasterio.open(path) as stored:
            np.testing.assert_array_equal(stored.read(), sample.images["S2L2A"].values)
            assert stored.transform == Affine(*sample.transform)


def test_every_modality_is_written_and_named(tmp_path: Path) -> None:
    version = satellite_version(tmp_path, samples=2, modalities=TWO_MODALITIES)
    (tmp_path / "made").mkdir()
    raw.write(version, tmp_path / "made")
    raw.check(version, tmp_path / "made")
    entry = entries(tmp_path / "made")[0]
    assert entry["image"] == "train.höst 000_S2L2A.tif"
    assert entry["modalities"] == {
        "S2L2A": "train.höst 000_S2L2A.tif",
        "DEM": "train.höst 000_DEM.tif",
    }
    names = {path.name for path in (tmp_path / "made" / "data").iterdir()}
    assert names == {name for entry in entries(tmp_path / "made") for name in entry["modalities"].values()}


def test_what_lies_in_hdf5_is_written_as_files(tmp_path: Path) -> None:
    version = photo_version(tmp_path, samples=2, stored=False)
    (tmp_path / "made").mkdir()
    raw.write(version, tmp_path / "made")
    raw.check(version, tmp_path / "made")
    assert all(path.suffix == ".png" for path in (tmp_path / "made" / "data").iterdir())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10.5", "10.6"),
        ('"confidence": 0.75', '"confidence": null'),
        ('"annotations": [', '"annotations": ['),
        ("]}\n]}", "]},\n{}\n]}"),
        ('{"images"', '"images"'),
    ],
    ids=["a coordinate", "a confidence", "nothing", "one more", "no JSON"],
)
def test_labels_that_are_not_what_was_written_are_told(
    photos: MadeVersion, tmp_path: Path, old: str, new: str
) -> None:
    raw.write(photos, tmp_path)
    labels = tmp_path / "labels.json"
    text = labels.read_text()
    labels.write_text(text.replace(old, new))
    if old == new:
        raw.check(photos, tmp_path)
    else:
        assert labels.read_text() != text
        with pytest.raises(ExportError, match=r"labels.json"):
            raw.check(photos, tmp_path)


def test_only_what_lies_in_data_is_media(exported: Path) -> None:
    paths = [path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()]
    media = {path for path in paths if raw.is_media(PurePosixPath(path))}
    assert media == {path for path in paths if path.startswith("data/")}
