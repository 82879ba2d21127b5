import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from factory_pipeline.archives import source
from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.checks.prescan import PrescanReport, prefill, prescan
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.archives.servers import host, parts, whole
from factory_pipeline_tests.onboarding.uploads import (
    OPEN,
    bare_header,
    bare_jpeg,
    bare_png,
    geotiff,
    hollow_zip,
    local,
    mask,
    pairs,
    png,
    tar_of,
    zip_of,
)

pytestmark = pytest.mark.integration

SUFFIXES = (("_merged.tif",), "_mask.tif")


def scan(
    archive: Path, images: tuple[str, ...] = ("_merged.tif",), label: str = "_mask.tif"
) -> PrescanReport:
    return prescan(str(archive), images, label, local(archive.parent))


def failed(report: PrescanReport) -> dict[str, str]:
    return {check.name: check.message for check in report.checks if not check.passed}


def test_every_file_is_counted_and_read(tmp_path: Path) -> None:
    report = scan(zip_of(tmp_path / "a.zip", {**pairs(3), "readme.txt": b"hello"}))
    assert (report.images, report.labels, report.passed) == (3, 3, True)
    assert report.others == ("readme.txt",)
    row = report.files.collect().row(by_predicate=pl.col("name") == "images/tile_1_merged.tif", named=True)
    assert row | {"bounds": None, "bytes": 0} == {
        "name": "images/tile_1_merged.tif",
        "role": "image",
        "suffix": "_merged.tif",
        "stem": "tile_1",
        "bytes": 0,
        "format": "GTiff",
        "width": 8,
        "height": 8,
        "bands": 2,
        "dtype": "uint16",
        "image_bytes": 256,
        "block_bytes": 256,
        "nodata": 0.0,
        "crs": "EPSG:32632",
        "epsg": 32632,
        "transform": [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0],
        "bounds": None,
        "band_names": ["Blue", "Red"],
        "orientation": None,
        "error": None,
    }
    assert row["bounds"] == pytest.approx([9.0, 45.15276, 9.00102, 45.15348], abs=1e-5)


@pytest.mark.parametrize(
    "name", ["a.zip", "deflated.zip", "bzip2.zip", "a.tar", "a.tar.gz", "remote.zip", "folder"]
)
def test_every_format_gives_the_same(tmp_path: Path, name: str) -> None:
    files = pairs(3)
    expected = scan(zip_of(tmp_path / "expected.zip", files)).files.sort("name").collect()
    methods = {"deflated.zip": zipfile.ZIP_DEFLATED, "bzip2.zip": zipfile.ZIP_BZIP2}
    archive = tmp_path / name
    if name == "folder":
        extract(tmp_path / "expected.zip", archive, IntakePolicy())
        rows = scan_contents(archive, Suffixes(*SUFFIXES), IntakePolicy())
        found = frame_of(rows, CONTENT_SCHEMA).lazy().select(expected.columns)
    elif name == "remote.zip":
        zip_of(archive, files, zipfile.ZIP_DEFLATED)
        with SampleServer(tmp_path) as server:
            found = prescan(f"{server.url}/{name}", *SUFFIXES, OPEN).files
    elif "tar" in name:
        found = scan(tar_of(archive, files)).files
    else:
        found = scan(zip_of(archive, files, methods.get(name, zipfile.ZIP_STORED))).files
    assert found.sort("name").collect().equals(expected)


def test_a_remote_zip_of_gigabytes_costs_kilobytes(tmp_path: Path) -> None:
    """Zip64: 24 members of 400 MB, of which the file system holds the headers only."""
    heads = {
        f"{number}_{kind}.tif": (bare_header(20_000, 20_000), 400_000_140)
        for number in range(12)
        for kind in ("merged", "mask")
    }
    size = hollow_zip(tmp_path / "big.zip", heads).stat().st_size
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/big.zip", *SUFFIXES, OPEN)
        served = server.counts()["/big.zip"]
    assert size > 9 * 10**9
    assert (report.images, report.labels, report.passed) == (12, 12, True)
    assert set(report.files.collect()["width"]) == {20_000}
    assert served.bytes < 1 << 20
    assert report.bytes_read < 1 << 20
    assert served.requests < 2 * len(heads)


def test_of_a_compressed_member_no_more_is_unpacked_than_its_header(tmp_path: Path) -> None:
    pixels = np.frombuffer(os.urandom(2 << 20), np.uint8).reshape(2, 1024, 1024)
    files = {f"{number}_merged.tif": geotiff(pixels) for number in range(4)}
    files |= {f"{number}_mask.tif": geotiff(pixels[:1]) for number in range(4)}
    size = zip_of(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED).stat().st_size
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", *SUFFIXES, OPEN)
        served = server.counts()["/a.zip"].bytes
    assert report.passed
    assert size > 10 << 20
    assert served < 300 << 10


def test_images_of_several_sizes_are_noted(tmp_path: Path) -> None:
    wide = np.ones((2, 8, 16), np.uint16)
    files = pairs(5) | {"wide_merged.tif": geotiff(wide), "wide_mask.tif": geotiff(wide[:1].astype(np.uint8))}
    report = prescan(str(zip_of(tmp_path / "a.zip", files)), *SUFFIXES, local(tmp_path))
    assert report.passed
    [note] = [note for note in report.notes if "sizes" in note]
    assert "2 sizes (5 of 8 x 8, 1 of 16 x 8)" in note


def test_a_small_archive_comes_in_one_piece(tmp_path: Path) -> None:
    size = zip_of(tmp_path / "a.zip", pairs(100)).stat().st_size
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", *SUFFIXES, OPEN)
        served = server.counts()["/a.zip"]
    assert report.images == 100
    assert report.bytes_read == size
    assert served.bytes <= size + 1024, "and what a first look brings"
    assert served.requests <= 2


def test_neighbours_come_in_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SMALL_BYTES", 0)
    zip_of(tmp_path / "a.zip", pairs(100))
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", *SUFFIXES, OPEN)
        assert report.images == 100
        assert server.counts()["/a.zip"].requests < 10


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_behind_the_pixels_is_found(tmp_path: Path, method: int) -> None:
    pixels = np.frombuffer(os.urandom(1 << 20), np.uint8).reshape(1, 1024, 1024)
    before = geotiff(pixels)
    (start,) = struct.unpack_from("<I", before, 4)
    # The directory is moved behind everything else, as libtiff leaves it when tags are added.
    (count,) = struct.unpack_from("<H", before, start)
    behind = bytearray(before) + before[start : start + 6 + 12 * count]
    struct.pack_into("<I", behind, 4, len(before))
    archive = zip_of(tmp_path / "a.zip", {"1_merged.tif": bytes(behind), "1_mask.tif": mask()}, method)
    report = scan(archive)
    assert report.files.sort("name").collect()["width"].to_list() == [8, 1024]
    if method == zipfile.ZIP_DEFLATED:
        policy = local(tmp_path, max_header_bytes=1 << 19)
        files = prescan(str(archive), *SUFFIXES, policy).files.collect()
        (broken,) = files.drop_nulls("error").iter_rows(named=True)
        assert "too far behind" in broken["error"]


@pytest.mark.parametrize(
    ("names", "unmatched"),
    [
        (["1_merged.tif", "1_mask.tif"], ()),
        (["1_merged.tif", "1_mask.tif", "2_merged.tif"], ("2_merged.tif",)),
        (["1_merged.tif", "1_mask.tif", "3_mask.tif"], ("3_mask.tif",)),
        (["1_merged.tif", "2_mask.tif"], ("1_merged.tif", "2_mask.tif")),
        (["1_merged.tif", "10_mask.tif"], ("10_mask.tif", "1_merged.tif")),
        (["a/1_merged.tif", "b/1_mask.tif"], ()),
        # A suffix counts at the end of the name only.
        (
            ["1_merged.tif", "1_mask.tif", "2_mask.tif_merged.tif", "3_merged.tif.xml"],
            ("2_mask.tif_merged.tif",),
        ),
    ],
)
def test_files_are_matched_by_stem(tmp_path: Path, names: list[str], unmatched: tuple[str, ...]) -> None:
    contents = {name: mask() if name.endswith("_mask.tif") else geotiff() for name in names}
    report = scan(zip_of(tmp_path / "a.zip", contents))
    (check,) = [check for check in report.checks if check.name == "pairs_complete"]
    assert check.files == unmatched
    assert check.passed is (not unmatched)


def test_the_longest_suffix_wins_and_the_overlap_is_told(tmp_path: Path) -> None:
    report = scan(zip_of(tmp_path / "a.zip", {"1.tif": geotiff(), "1_mask.tif": mask()}), images=(".tif",))
    assert (report.images, report.labels, report.passed) == (1, 1, True)
    assert "'_mask.tif' ends with '.tif'" in report.notes[0]


def test_no_images_and_no_labels_are_no_match(tmp_path: Path) -> None:
    report = scan(zip_of(tmp_path / "a.zip", {"1_merged.TIF": geotiff(), "1_mask.TIF": mask()}))
    assert not report.passed
    assert "No file ends with '_merged.tif' nor with '_mask.tif'" in failed(report)["files_found"]
    assert ".TIF (2)" in report.notes[0]


@pytest.mark.parametrize(("second", "said"), [(-9999, False), (0, True)])
def test_no_data_differs_only_within_one_suffix(second: int, said: bool, tmp_path: Path) -> None:
    values = np.ones((1, 8, 8), np.float32)
    images = {f"{nr}_merged.tif": geotiff(values, nodata=nr) for nr in (-9999, second)}
    labels = {name.replace("merged", "mask"): mask() for name in images}
    images |= {"x_merged.tif": geotiff(values, nodata=-9999), "x_mask.tif": mask()}
    notes = scan(zip_of(tmp_path / "a.zip", {**images, **labels})).notes
    assert ("Files that end with '_merged.tif' declare different nodata values." in notes) is said
    assert not any("'_mask.tif'" in note for note in notes)


def test_several_modalities_must_all_be_there(tmp_path: Path) -> None:
    files = {f"{number}{suffix}": geotiff() for number in (1, 2) for suffix in ("_s1.tif", "_s2.tif")}
    files |= {f"{number}_mask.tif": mask() for number in (1, 2)}
    assert scan(zip_of(tmp_path / "a.zip", files), images=("_s1.tif", "_s2.tif")).passed
    del files["2_s1.tif"]
    report = scan(zip_of(tmp_path / "b.zip", files), images=("_s1.tif", "_s2.tif"))
    assert "2_s2.tif" in failed(report)["pairs_complete"]


def test_pictures_are_images_too(tmp_path: Path) -> None:
    report = scan(
        zip_of(tmp_path / "a.zip", {"1.png": png(), "1_mask.png": png(mode="L")}), (".png",), "_mask.png"
    )
    assert report.passed
    assert report.files.sort("name").collect().select("format", "width", "bands", "dtype").rows() == [
        ("PNG", 8, 3, "uint8"),
        ("PNG", 8, 1, "uint8"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a readable TIFF"),
        (b"II*\0", "the file"),
        (b"II*\0" + bytes(100), "not a readable TIFF"),
        (geotiff()[:60], "its header is damaged"),
        (b"<VRTDataset rasterXSize='1' rasterYSize='1'><VRTRasterBand/></VRTDataset>", "not a readable TIFF"),
    ],
)
def test_headers_that_cannot_be_read_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    report = scan(zip_of(tmp_path / "a.zip", {**pairs(2), "images/tile_1_merged.tif": content}))
    said = failed(report)["headers_readable"]
    assert "images/tile_1_merged.tif" in said
    assert reason in said
    assert "vsi" not in said


def test_an_image_of_an_absurd_size_is_refused_from_its_header(tmp_path: Path) -> None:
    content = {"1_merged.tif": bare_header(200_000, 100_000), "1_mask.tif": mask()}
    assert "1_merged.tif" in failed(scan(zip_of(tmp_path / "a.zip", content)))["sizes_sane"]


DEFLATE = 8


@pytest.mark.parametrize(
    ("content", "key"),
    [
        pytest.param(bare_header(22_000, 22_000, "float64", DEFLATE), "max_block_bytes", id="strip"),
        pytest.param(bare_header(24_000, 24_000, "float64"), "max_image_bytes", id="TIFF of 4.6 GB"),
        pytest.param(bare_png(31_000, 31_000), "max_block_bytes", id="PNG of 961 megapixels"),
        pytest.param(bare_jpeg(16_000, 16_000), "max_block_bytes", id="JPEG of 768 MB"),
        pytest.param(bare_png(900_000, 900_000), "max_pixels", id="PNG of 810 gigapixels"),
    ],
)
def test_what_decodes_to_too_many_bytes_is_refused_from_its_header(
    tmp_path: Path, content: bytes, key: str
) -> None:
    """Neither the pre-scan nor the scan of the unpacked files decodes any of it."""
    files = {"1_merged.tif": content, "1_mask.tif": mask()}
    archive = zip_of(tmp_path / "a.zip", files)
    said = failed(scan(archive))["sizes_sane"]
    assert "1_merged.tif" in said
    assert f"({key} in intake.yaml)" in said
    extract(archive, tmp_path / "out", IntakePolicy())
    rows = {row["name"]: row for row in scan_contents(tmp_path / "out", Suffixes(*SUFFIXES), IntakePolicy())}
    assert (rows["1_merged.tif"]["sha256"], rows["1_merged.tif"]["read_error"]) == (None, None)


def test_a_large_image_in_tiles_is_read_in_parts_and_the_limits_can_be_set(tmp_path: Path) -> None:
    values = np.zeros((2, 1024, 1024), np.uint16)
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    by_band = geotiff(values, **tiled, interleave="band")
    files = {"1_merged.tif": by_band, "1_mask.tif": geotiff(values[:1].astype(np.uint8))}
    archive = str(zip_of(tmp_path / "a.zip", files))

    def sizes_sane(**limits: int) -> bool:
        checks = prescan(archive, *SUFFIXES, local(tmp_path, **limits)).checks
        return next(check.passed for check in checks if check.name == "sizes_sane")

    assert sizes_sane(max_block_bytes=1 << 20, max_image_bytes=4 << 20)
    assert not sizes_sane(max_block_bytes=256 * 256 * 2 - 1)
    assert not sizes_sane(max_image_bytes=(4 << 20) - 1)
    by_pixel = geotiff(values, **tiled, interleave="pixel")
    archive = str(zip_of(tmp_path / "a.zip", {**files, "1_merged.tif": by_pixel}))
    assert not sizes_sane(max_block_bytes=256 * 256 * 2)


def test_a_remote_tar_needs_the_download(tmp_path: Path) -> None:
    tar_of(tmp_path / "a.tar.gz", pairs(1))
    with SampleServer(tmp_path) as server, pytest.raises(OnboardingError) as error:
        prescan(f"{server.url}/a.tar.gz", *SUFFIXES, OPEN)
    assert error.value.code == "NEEDS_DOWNLOAD"


def test_a_host_without_ranges_is_told(tmp_path: Path) -> None:
    content = zip_of(tmp_path / "a.zip", pairs(1)).read_bytes()
    with host(whole(content)) as url, pytest.raises(OnboardingError) as error:
        prescan(f"{url}/a.zip", *SUFFIXES, OPEN)
    assert error.value.code == "RANGES_UNSUPPORTED"


def test_a_host_that_goes_away_is_no_broken_image(tmp_path: Path) -> None:
    """The header of the first image lies behind the bytes that come first; that request fails."""
    hollow_zip(tmp_path / "a.zip", {"1_merged.tif": (b"II*\0" + struct.pack("<I", 90_000), 200_000)})
    with SampleServer(tmp_path) as server:
        report = prescan(f"{server.url}/a.zip", *SUFFIXES, OPEN)
        needed = server.counts()["/a.zip"].requests
    assert report.files.sort("name").collect()["error"][0] is not None
    content = (tmp_path / "a.zip").read_bytes()
    answers = 0

    def answer(request: Any) -> None:
        nonlocal answers
        answers += 1
        if answers < needed:
            parts(content)(request)
        else:
            request.send_error(404)

    with host(answer) as url, pytest.raises(OnboardingError) as error:
        prescan(f"{url}/a.zip", *SUFFIXES, OPEN)
    assert error.value.code == "URL_UNREACHABLE"


def test_the_manifest_is_filled_in_from_the_files(tmp_path: Path) -> None:
    report = scan(zip_of(tmp_path / "a.zip", pairs(2)))
    manifest = UploadManifest.parse(
        {
            "purpose": "Regression",
            "dataset_url": "a.zip",
            "training_data_suffixes": "_merged.tif",
            "label_suffix": "_mask.tif",
            "dataset_name": "a",
        },
        "a.yaml",
    )
    (source,) = prefill(report, manifest).data_sources
    assert [(band.index, band.band_name) for band in source.bands] == [(0, "Blue"), (1, "Red")]
    assert (source.file_suffix, source.modality_tag) == ("_merged.tif", "image")
    given = manifest.model_copy(update={"data_sources": (source,)})
    assert prefill(report, given) == given


def test_bands_without_names_are_numbered(tmp_path: Path) -> None:
    report = scan(
        zip_of(tmp_path / "a.zip", {"1_merged.tif": geotiff(names=("x", "x")), "1_mask.tif": mask()})
    )
    document = {"purpose": "Generic", "dataset_url": "a.zip", "dataset_name": "a"}
    suffixes = {"training_data_suffixes": "_merged.tif", "label_suffix": "_mask.tif"}
    manifest = UploadManifest.parse({**document, **suffixes}, "a.yaml")
    names = [band.band_name for band in prefill(report, manifest).data_sources[0].bands]
    assert names == ["x 0", "x 1"]
