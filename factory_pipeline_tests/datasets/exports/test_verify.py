"""`factory verify` of versions and exports: every hash is computed again, and what differs is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from factory_pipeline.builds.verification.report import VerificationReport
from factory_pipeline.cli.main import cli
from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datasets.exports.download import FolderExportSource, download
from factory_pipeline.datasets.exports.register_export import export_registered
from factory_pipeline.datasets.exports.verify import verify_export, verify_version
from factory_pipeline.datasets.versions.content import open_content
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, made_lake, mask, request

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[MadeLake]:
    with made_lake(tmp_path / "home") as made:
        yield made


@pytest.fixture
def version(lake: MadeLake) -> Version:
    """`Balloons@1.0.0` with an export as RAW."""
    collection = lake.add("a", {"one": 1, "two": 2})
    raster = lake.raster("classes", 3, nodata=0)
    lake.annotate(collection, [box("one", "Balloon"), mask("two", "Balloon", raster, 3)])
    version = create_version(lake.registry, lake.home, request())
    with open_content(lake.registry, lake.home, version.id) as content:
        export_registered(lake.registry, lake.home, version.id, "RAW", content)
    return version


def differences(report: VerificationReport) -> str:
    return "\n".join(sentence for result in report.results for sentence in result.differences)


def verified(lake: MadeLake, version: Version) -> VerificationReport:
    return verify_version(lake.registry, lake.home, version.id)


def test_a_whole_version_and_its_exports_agree(lake: MadeLake, version: Version) -> None:
    report = verified(lake, version)
    assert report.passed, str(report)
    assert [result.name for result in report.results] == [
        "manifest.parquet (2 items)",
        "images and labels (3 rasters)",
        "RAW export of Balloons 1.0.0 (6 files)",
    ]
    assert verify_version(lake.registry, lake.home, "Balloons@1.0.0").results == report.results
    assert verify_export(lake.home.version(version.id).export("raw")).passed


def test_a_manifest_that_was_changed_is_named(lake: MadeLake, version: Version) -> None:
    path = lake.home.version(version.id).manifest
    path.write_bytes(path.read_bytes()[:-9])
    report = verified(lake, version)
    assert (report.passed, report.results[0].passed, report.results[-1].passed) == (False, False, True)
    assert f"The manifest {path} can't be read" in differences(report)


@pytest.mark.parametrize("name", ["a/one.tif", "labels/classes.tif"])
def test_an_image_or_label_that_was_changed_or_is_missing_is_named(
    lake: MadeLake, version: Version, name: str
) -> None:
    path = lake.home.root / "media" / name
    path.write_bytes(path.read_bytes() + b"\0")
    assert f"The file {path} has changed since the version was made" in differences(verified(lake, version))
    path.unlink()
    assert f"The file {path} is missing" in differences(verified(lake, version))


def test_files_of_an_export_that_differ_are_all_named(lake: MadeLake, version: Version) -> None:
    folder = lake.home.version(version.id).export("raw")
    (folder / "labels.json").unlink()
    image = folder / "data" / "one.tif"
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    told = differences(verified(lake, version))
    assert told == differences(verify_export(folder))
    assert told.startswith("data/one.tif was changed: its SHA-256 is ")
    assert told.endswith("labels.json is missing.")


def test_a_listing_of_another_export_is_no_listing_of_this_one(lake: MadeLake, version: Version) -> None:
    folder = lake.home.version(version.id).export("raw")
    listing = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**listing, "content_hash": "0" * 64}))
    assert "has changed since the export was written" in differences(verified(lake, version))


def test_downloads_are_verified_with_and_without_media(
    lake: MadeLake, version: Version, tmp_path: Path
) -> None:
    source = FolderExportSource(lake.home.version(version.id).export("raw"))
    target = download(source, tmp_path / "out", media=False)
    report = verify_export(target)
    assert report.passed
    assert report.results[0].name.endswith("(4 files, downloaded without media)")
    download(source, target)
    assert verify_export(target).passed
    (target / "data" / "one.tif").unlink()
    assert differences(verify_export(target)) == "data/one.tif is missing."
    (target / "export.json").unlink()
    assert differences(verify_export(target)) == (
        "The download is not finished; start it again with the same folder."
    )


def test_the_command_says_it_by_its_exit_code_in_words_and_as_json(
    lake: MadeLake, version: Version, tmp_path: Path
) -> None:
    environment = {"FACTORY_HOME": str(lake.home.root), "FACTORY_REGISTRY": ""}

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["verify", *arguments], env=environment)
        return result.exit_code, f"{result.output}{result.exception or ''}"

    code, told = run("Balloons@1.0.0")
    assert (code, told.count("ok  ")) == (0, 3)
    (lake.home.version(version.id).export("raw") / "labels.json").unlink()
    for target in (version.id, str(lake.home.version(version.id).export("raw"))):
        code, told = run(target)
        assert code == 1
        assert "labels.json is missing." in told
    code, told = run(version.id, "--json")
    found = json.loads(told.removesuffix("1"))
    assert (code, found["kind"], found["passed"], found["failed"]) == (1, "version", False, 1)
    for target, message in {
        "Balloons@2.0.0": "there are Balloons@1.0.0",
        "nothing": "it must be a folder with an export, the id of a version, or name@number",
        str(tmp_path): "contains neither the output of a build nor an export",
    }.items():
        code, told = run(target)
        assert code != 0
        assert message in " ".join(told.split())
    environment["FACTORY_HOME"] = str(tmp_path / "none")
    assert "there is no factory at" in " ".join(run("Balloons@1.0.0")[1].split())
    assert not (tmp_path / "none").exists()
