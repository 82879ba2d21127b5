"""Releases by command: from the address of a web host into the lake, and out of a dataset again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from factory_pipeline.cli.main import cli
from factory_pipeline.cli.releases import import_and_export
from factory_pipeline.errors import DownloadError, OnboardingError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.archives.servers import host, whole
from factory_pipeline_tests.datalake.ingest.releases.archives import (
    feature,
    outline,
    pairs,
    polygon,
    tar_gz,
)
from factory_pipeline_tests.datasets.exports.release_reader import read_release

pytestmark = pytest.mark.integration

TRIANGLE = polygon([(20.002, 49.998), (20.006, 49.998), (20.002, 49.994)])


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    """A home that may read from hosts on loopback."""
    home = FactoryHome(tmp_path / "home")
    home.root.mkdir()
    home.intake_file.write_text("private_addresses: true\n")
    return home


def command(home: FactoryHome, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)], env={"FACTORY_HOME": str(home.root)})


def test_a_release_goes_from_an_address_into_the_lake_and_out_again(
    home: FactoryHome, tmp_path: Path
) -> None:
    labels = {"a": feature({"roof": [TRIANGLE]}, outline(0)), "b": feature({"roof": []}, outline(1))}
    content = tar_gz(tmp_path / "roofs.tar.gz", pairs(labels)).read_bytes()
    with host(whole(content)) as url:
        told = command(home, "import-release", f"{url}/roofs-2.tar.gz", "--name", "Roofs", "--json")
    assert told.exit_code == 0, told.exception
    report = json.loads(told.stdout)
    assert (report["name"], report["items"], report["coordinates"]) == ("roofs", 2, "geographic")
    made = command(
        home,
        "dataset",
        "create",
        "Roofs",
        "--collection",
        "roofs",
        "--label",
        "roof",
        "--split",
        "train=100,test=0,validation=0",
    )
    assert made.exit_code == 0, made.exception
    for coordinates, corner in (("geographic", [20.002, 49.998]), ("pixel", [2, 2])):
        target = tmp_path / coordinates / "roofs-1.0.0.tar.gz"
        target.parent.mkdir()
        said = command(home, "release", "Roofs", "-o", target, "--label-coordinates", coordinates, "--json")
        assert json.loads(said.stdout) == {"archive": str(target), "label_coordinates": coordinates}
        (roof,) = read_release(target).chips["a"].label["roof"]
        assert roof["coordinates"][0][0] == pytest.approx(corner, abs=1e-9)
    refused = command(home, "release", "Roofs", "-o", tmp_path / "roofs.tar.gz")
    assert isinstance(refused.exception, DownloadError)
    assert (tmp_path / "roofs.tar.gz").read_bytes() == content


def test_a_release_that_is_refused_is_told_in_one_sentence(home: FactoryHome, tmp_path: Path) -> None:
    labels = {"a": feature({"roof": []}), "b": feature({"roof": []})}
    archive = tar_gz(tmp_path / "roofs.tar.gz", pairs(labels) | {"labels/b.json": b"{"})
    refused = command(home, "import-release", archive)
    assert isinstance(refused.exception, OnboardingError)
    assert str(refused.exception).startswith(
        "The release roofs.tar.gz can't be imported: labels/b.json is not JSON"
    )
    told = command(home, "import-release", archive, "--skip-invalid")
    assert told.exit_code == 0, told.exception
    assert "Left out        1\n  labels/b.json is not JSON" in told.stdout


def test_the_demo_imports_a_release_and_exports_one(
    home: FactoryHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_and_export(tmp_path / "releases", tmp_path, home)
    told = capsys.readouterr().out
    assert "Collection      sample-cover-polygons: 12 items" in told
    assert f"Release: {tmp_path / 'cover-polygons-1.0.0.tar.gz'}" in told
    release = read_release(tmp_path / "cover-polygons-1.0.0.tar.gz")
    assert len(release.chips) == 12
    assert sum(len(chip.label["forest"]) for chip in release.chips.values()) > 6
