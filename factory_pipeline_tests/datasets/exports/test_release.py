"""What a release is made of, and what it can't hold."""

import gzip
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.datasets.exports.download import FolderExportSource, download_archive
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.exports.write_export import export_version
from factory_pipeline.datasets.model.sample import Sample, SampleRaster, Shape
from factory_pipeline.errors import DownloadError, ExportError
from factory_pipeline_tests.datasets.exports.release_reader import Release, read_release
from factory_pipeline_tests.datasets.exports.test_release_round_trip import TinyVersion

UTM = (10.0, 0.0, 399_960.0, 0.0, -10.0, 5_000_040.5)
LABELS = ("hus", "väg")
BOX = Shape(AnnotationType.RECTANGLE, "väg", (2.0, 3.0, 4.0, 5.0))
WHOLE = Shape(AnnotationType.RECTANGLE, "hus", (0.0, 0.0, 20.0, 16.0))
LINE = Shape(AnnotationType.LINE, "väg", (0, 0, 5, 5), (np.array([[0.0, 0.0], [5.0, 5.0]]),))
HOLED = Shape(
    AnnotationType.POLYGON,
    "hus",
    (1.0, 1.0, 8.0, 8.0),
    (np.array([[1, 1], [9, 1], [9, 9], [1, 9]], float), np.array([[3, 3], [3, 6], [6, 6], [6, 3]], float)),
)


def sample(name: str, *shapes: Shape, size: tuple[int, int] = (16, 20), **facts: Any) -> Sample:
    values = np.arange(3 * size[0] * size[1]).reshape(3, *size).astype(np.uint16)
    images = {"S2": SampleRaster(values, ("r", "g", "b"), rgb=(0, 1, 2))}
    return Sample(name=name, split="train", images=images, shapes=shapes, **facts)


def version(*samples: Sample, labels: tuple[str, ...] = LABELS, **facts: Any) -> TinyVersion:
    return TinyVersion(samples, labels, {"S2": ("r", "g", "b")}, **facts)


def exported(tiny: TinyVersion, folder: Path, export_type: str = "Release") -> tuple[Path, Release]:
    export_version(tiny, export_type, folder)
    (archive,) = folder.glob("*.tar.gz")
    return archive, read_release(archive)


def measured(*values: float) -> SampleRaster:
    raster = np.full((1, 16, 20), -1.0, np.float32)
    raster[0, 0, : len(values)] = values
    return SampleRaster(raster, ("agbd",), -1.0)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ((), "classification"),
        ((WHOLE,), "classification"),
        ((WHOLE, WHOLE), "object_detection"),
        ((replace(WHOLE, confidence=0.5),), "object_detection"),
        ((WHOLE, BOX), "object_detection"),
        ((BOX, HOLED), "segmentation"),
    ],
)
def test_the_type_is_the_least_that_can_say_all(
    tmp_path: Path, shapes: tuple[Shape, ...], expected: str
) -> None:
    _, release = exported(version(sample("a", *shapes), sample("b")), tmp_path / "out")
    assert release.meta["mlType"] == expected
    assert release.meta["classes"] == list(LABELS)
    assert (release.meta["nclasses"], release.meta["public"], release.meta["source_url"]) == (2, False, None)


def test_an_item_without_a_place_has_an_empty_geometry_and_keeps_its_split(tmp_path: Path) -> None:
    placed = sample("b", BOX, crs="EPSG:32633", transform=UTM)
    _, release = exported(version(sample("a", BOX), placed), tmp_path / "out")
    assert release.chips["a"].geometry == {}
    (box,) = release.chips["a"].label["väg"]
    assert box["coordinates"][0][0] == [2, 3]
    assert release.chips["b"].label["väg"][0]["coordinates"][0][0] == pytest.approx([13.73, 45.14], abs=0.01)
    by_name = {each["id"]: each for each in release.bounds}
    assert by_name["a"]["geometry"] is None
    assert {each["properties"]["split"] for each in release.bounds} == {"train"}
    west, south, east, north = release.meta["bbox"]
    assert west < east
    assert south < north


def test_pixels_throughout_where_they_are_asked_for(tmp_path: Path) -> None:
    placed = sample("b", HOLED, crs="EPSG:32633", transform=UTM)
    _, release = exported(version(placed), tmp_path / "out", "Release Pixels")
    assert release.chips["b"].geometry["type"] == "Polygon"
    (polygon,) = release.chips["b"].label["hus"]
    rings = [[*ring, ring[0]] for ring in (each.tolist() for each in HOLED.rings)]
    assert polygon["coordinates"] == rings
    assert release.meta["label_coordinates"] == "pixel"


def test_a_footprint_is_one_number(tmp_path: Path) -> None:
    tiny = version(sample("a", target=measured(123.4, 123.4)), labels=("agbd",))
    _, release = exported(tiny, tmp_path / "out")
    assert release.chips["a"].label == {"agbd": 123.4}
    assert release.meta["mlType"] == "regression"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ((sample("a", LINE),), "a has a line ('väg')"),
        (
            (sample("a", target=measured(1, 2)),),
            "have no form for a raster of numbers: export it as HDF5, TerraTorch or RAW.",
        ),
        ((sample("a", target=measured()),), "a has no measured value"),
        ((sample("a", target=measured(1)), sample("b")), "b has no measured value, but other items"),
        ((sample("a", BOX, target=measured(1)),), "a has drawn labels or classes"),
        ((sample("a"), sample("b", size=(8, 8))), "b has 8 x 8 pixels in 3 bands of uint16"),
    ],
)
def test_what_a_release_has_no_form_for_is_refused_and_nothing_is_left(
    tmp_path: Path, samples: tuple[Sample, ...], said: str
) -> None:
    with pytest.raises(ExportError) as raised:
        export_version(version(*samples), "Release", tmp_path / "out")
    assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_two_exports_have_the_same_bytes_and_name_neither_times_nor_users(tmp_path: Path) -> None:
    tiny = version(sample("a" * 119, HOLED), sample("ö"), dataset="Hus/Väg ", number="2.0.1")
    archive, _ = exported(tiny, tmp_path / "one")
    again, _ = exported(tiny, tmp_path / "two")
    assert archive.read_bytes() == again.read_bytes()
    assert archive.name.startswith("hus-vag-")
    assert archive.name.endswith("-2.0.1.tar.gz")
    # Flags, time and name in the header of gzip (RFC 1952).
    assert archive.read_bytes()[3:8] == bytes(5)
    with tarfile.open(archive) as members:
        for member in members:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 1_577_836_800


@pytest.mark.parametrize("part", ["images/a.tif", "labels/a.json", "bounds.geojson", "meta.json"])
def test_a_file_that_differs_is_found_when_the_archive_is_read_back(tmp_path: Path, part: str) -> None:
    tiny = version(sample("a", HOLED))
    FORMATS["Release"].write(tiny, tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    FORMATS["Release"].check(tiny, tmp_path)
    content = gzip.decompress(archive.read_bytes())
    with tarfile.open(archive) as members:
        info = next(member for member in members if member.name.endswith(part))
    # Within the pixels of the image, or the text of the document.
    at = info.offset_data + (info.size // 2 if part.endswith(".tif") else 20)
    archive.write_bytes(gzip.compress(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]))
    with pytest.raises(ExportError):
        FORMATS["Release"].check(tiny, tmp_path)


def test_labels_of_several_classes_keep_the_order_in_which_they_cover_each_other(tmp_path: Path) -> None:
    tiny = version(
        sample("a", replace(HOLED, label="väg"), HOLED, replace(HOLED, label="väg", confidence=1.0))
    )
    _, release = exported(tiny, tmp_path / "out")
    label = release.chips["a"].label
    assert [each["order"] for each in (*label["hus"], *label["väg"])] == [1, 0, 2]


def test_the_archive_is_downloaded_as_one_file_and_overwrites_no_other(tmp_path: Path) -> None:
    archive, _ = exported(version(sample("a", HOLED)), tmp_path / "out")
    source, target = FolderExportSource(tmp_path / "out"), tmp_path / "mine" / "houses.tar.gz"
    for _ in range(2):
        assert download_archive(source, target) == target
        assert target.read_bytes() == archive.read_bytes()
    target.write_bytes(b"somebody else's")
    with pytest.raises(DownloadError, match="exists and is not this release"):
        download_archive(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["houses.tar.gz"]
    with pytest.raises(DownloadError, match="is a folder"):
        download_archive(source, tmp_path)
