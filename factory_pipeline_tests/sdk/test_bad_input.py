"""What users get wrong and only the lake or the disk knows: it is named, and leaves nothing behind."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.cli.main import main
from factory_pipeline.datasets.exports import coco
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.errors import DownloadError, FactoryError
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.uploads import geotiff, mask
from factory_pipeline_tests.small_disk import mount_small_disk

SPLIT = {"train": 60, "test": 20, "validation": 20}
USUAL: dict[str, Any] = {
    "dataset_name": "Wrong",
    "collection_id": "c",
    "split_info": SPLIT,
    "labels": ["Water"],
}
Command = Callable[..., tuple[object, str, str]]
ME = f"{socket.gethostname()}:{os.getpid()}"


def silent(home: Path) -> DatasetClient:
    return DatasetClient(home=home, on_progress=lambda *_: None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryHome]:
    """A home with one collection: images of 64x64, large enough to fill a small disk."""
    home = FactoryHome(tmp_path_factory.mktemp("bad") / "home")
    files = {}
    for number in range(6):
        values = np.random.default_rng(number).integers(1, 9000, (3, 64, 64)).astype(np.uint16)
        files[f"{number}_merged.tif"] = geotiff(values, ("red", "green", "blue"))
        files[f"{number}_mask.tif"] = geotiff(np.resize(np.array([0, 1], np.uint8), (1, 64, 64)))
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        bench.prepare("tiles", files)
        bench.prepare("others", others())
        yield home


def others() -> dict[str, bytes]:
    return {
        **{f"{n}_merged.tif": geotiff(np.full((1, 8, 8), 50 + n, np.uint16), left=9e5) for n in range(5)},
        **{f"{n}_mask.tif": mask(0, 1, left=9e5) for n in range(5)},
    }


@pytest.fixture(scope="module")
def client(home: FactoryHome) -> DatasetClient:
    return silent(home.root)


@pytest.fixture(scope="module")
def version_id(client: DatasetClient) -> str:
    """A version that tests may export but must not delete."""
    tiles = collection_named(client, "tiles")
    return client.create_dataset_from_collection("Own", tiles, SPLIT, ["Water"], overlap="ignore").version_id


@pytest.fixture(scope="module")
def unexported(client: DatasetClient) -> str:
    """A version that each test writes in another format."""
    tiles = collection_named(client, "tiles")
    return client.create_dataset_from_collection(
        "Large", tiles, SPLIT, ["Water"], overlap="ignore"
    ).version_id


def collection_named(client: DatasetClient, name: str) -> str:
    return next(each.id for each in client.list_collections() if each.name == name)


def remains(home: FactoryHome) -> tuple[list[str], list[str]]:
    """The files of versions, and the numbers of datasets."""
    files = sorted(str(path) for path in home.versions.rglob("*")) if home.versions.exists() else []
    with closing(FactoryResource(home=str(home.root)).registry()) as registry:
        versions = [each.id for dataset in registry.datasets() for each in registry.versions(dataset.id)]
    return files, versions


def test_ids_that_are_none_are_named(client: DatasetClient, home: FactoryHome, version_id: str) -> None:
    before = remains(home)
    usual: dict[str, Any] = {"split_info": SPLIT, "labels": ["Water"]}
    tiles = collection_named(client, "tiles")
    wrong = {
        "dataset_version_id is 'v'; it must be the id of a version of a dataset": [
            lambda: client.update_dataset_version_from_collection("v", tiles, **usual),
            lambda: client.update_dataset_version_from_datalake("v", **usual),
        ],
        "version_id is 'v'; it must be the id of a version of a dataset, a dataset's name": [
            lambda: client.describe_version("v"),
            lambda: client.compare_versions(version_id, "v"),
            lambda: client.delete_version("v"),
        ],
        "dataset is 'Ow'; there is no dataset of this name or id; datasets are 'Own'": [
            lambda: client.describe_dataset("Ow")
        ],
        "version_id is 'Own@1.0.1'; .* such as 'Own@1.0.0'": [lambda: client.describe_version("Own@1.0.1")],
        f"collection_id is 'tile'; .*such as {tiles} \\('tiles'\\)": [
            lambda: client.create_dataset_from_collection("Wrong", "tile", **usual),
            lambda: client.update_dataset_version_from_collection(version_id, "tile", **usual),
        ],
        r"operation_list\[0\] is 'me'; it must be the id of an operation of .*human, of 'tiles'": [
            lambda: client.create_dataset_from_datalake("Wrong", **usual, operation_list=["me"]),
            lambda: client.create_dataset_from_datalake("Wrong", **usual, operation_list={"me"}),
        ],
    }
    for message, calls in wrong.items():
        for call in calls:
            with pytest.raises(FactoryError, match=message):
                call()
    assert remains(home) == before


def test_an_update_that_can_not_be_leaves_the_version_alone(
    client: DatasetClient, home: FactoryHome, version_id: str
) -> None:
    before = remains(home)
    with pytest.raises(FactoryError, match=r"labels\[1\] is 'Snow'.*'Land', 'Water'"):
        client.update_dataset_version_from_datalake(version_id, SPLIT, ["Water", "Snow"])
    assert remains(home) == before
    assert client.describe_version(version_id).number == "1.0.0"


def test_values_that_json_lacks_mean_what_they_say(client: DatasetClient) -> None:
    operations = [each.operations[0].id for each in client.list_collections()]
    made = client.create_dataset_from_datalake(
        "Numbers of numpy",
        MappingProxyType({split: np.float32(share) for split, share in SPLIT.items()}),
        ("Water",),
        {"RAW"},
        query=None,
        overlap="ignore",
        filter={"bbox": np.array([-180, -90, 180, 90]).tolist()},
        operation_list=set(operations),
        augmentation_list=({"id": "HUE", "properties": [{"id": "HUE_DEGREES", "values": [np.int64(5), 9]}]},),
    )
    version = client.describe_version(made.version_id)
    assert (version.items, version.exports) == (11, ("RAW",))
    assert version.request["augmentation_list"] == {
        "IMAGE_LEVEL": [{"id": "HUE", "properties": [{"id": "HUE_DEGREES", "values": [5.0, 9.0]}]}]
    }
    client.delete_version(made.version_id)


# Deleting what is read.


def test_a_version_is_not_deleted_while_it_is_downloaded(
    client: DatasetClient, home: FactoryHome, version_id: str, tmp_path: Path
) -> None:
    refusals: list[str] = []

    def delete(step: str, _: float) -> None:
        if step.startswith("Downloading"):
            with pytest.raises(FactoryError) as told:
                client.delete_version(version_id)
            refusals.append(str(told.value))

    folder = DatasetClient(home=home.root, on_progress=delete).download_dataset(
        version_id, "RAW", tmp_path / "out"
    )
    assert refusals
    assert all(f"(1.0.0) is being read by {ME}; delete it when that has ended" in each for each in refusals)
    assert (folder / "export.json").exists()


def test_a_download_that_fails_holds_nothing(client: DatasetClient, version_id: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DownloadError, match="is not empty and not a download of this export"):
        client.download_dataset(version_id, "RAW", tmp_path)


def test_a_version_is_not_deleted_while_it_is_exported(
    client: DatasetClient, version_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[str] = []
    write = coco.write

    def delete_and_write(*arguments: Any) -> None:
        with pytest.raises(FactoryError) as told:
            client.delete_version(version_id)
        refusals.append(str(told.value))
        write(*arguments)

    monkeypatch.setattr(coco, "write", delete_and_write)
    client.download_dataset(version_id, "COCO", tmp_path / "out")
    assert len(refusals) == 1
    assert f"is being read by {ME}" in refusals[0]


def test_a_version_on_its_way_out_is_not_read(
    client: DatasetClient, home: FactoryHome, tmp_path: Path
) -> None:
    made = client.create_dataset_from_collection(
        "Leaving", collection_named(client, "tiles"), SPLIT, ["Water"], ["RAW"], overlap="ignore"
    )
    with (
        closing(FactoryResource(home=str(home.root)).registry()) as registry,
        registry.deleting(made.version_id),
        pytest.raises(FactoryError, match=r"\(1\.0\.0\) is deleting"),
    ):
        client.download_dataset(made.version_id, "RAW", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# A disk that fills up.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, which is less than the images have; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mount_small_disk(disk, "64k"):
        yield disk


@pytest.mark.parametrize("export_type", ["RAW", "TerraTorch", "HDF5"])
def test_a_disk_that_fills_up_during_an_export_is_told_and_the_export_can_be_made_later(
    client: DatasetClient, home: FactoryHome, unexported: str, tmp_path: Path, export_type: str
) -> None:
    exports = home.version(unexported).export("raw").parent
    exports.mkdir(exist_ok=True)
    with mount_small_disk(exports, "64k"):
        with pytest.raises(FactoryError, match=rf"{export_type} export of Large 1\.0\.0 found no space left"):
            client.download_dataset(unexported, export_type, tmp_path / "out")
        assert list(exports.iterdir()) == []
        assert export_type not in client.describe_version(unexported).exports
    assert not (tmp_path / "out").exists()
    client.download_dataset(unexported, export_type, tmp_path / "out")


def test_a_disk_that_fills_up_while_a_manifest_is_written_leaves_no_version(
    client: DatasetClient, home: FactoryHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = remains(home)
    monkeypatch.setattr("factory_pipeline.datasets.versions.create.write_manifest", full)
    with pytest.raises(FactoryError, match="No space left on device"):
        client.create_dataset_from_collection(
            "Wrong", collection_named(client, "tiles"), SPLIT, ["Water"], overlap="ignore"
        )
    assert remains(home) == before


def test_a_download_to_a_full_disk_goes_on_elsewhere_with_nothing_lost(
    client: DatasetClient, version_id: str, small_disk: Path, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=f"no space left for {small_disk}"):
        client.download_dataset(version_id, "RAW", small_disk / "out")
    assert not (small_disk / "out" / "export.json").exists()
    client.download_dataset(version_id, "RAW", tmp_path / "out")
    assert (tmp_path / "out" / "export.json").exists()


# The command line.


@pytest.fixture
def command(
    home: FactoryHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs `factory dataset`; gives its exit status, what it printed, and its errors."""
    monkeypatch.setenv("FACTORY_HOME", str(home.root))

    def run(*arguments: str | Path) -> tuple[object, str, str]:
        status: object = 0
        try:
            main(["dataset", *map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


def test_commands_say_what_is_wrong(command: Command, home: FactoryHome, tmp_path: Path) -> None:
    before = remains(home)
    (tmp_path / "list.yaml").write_text("- id: HUE\n  properties: [{id: HUE_DEGREES, values: [0, 51]}]\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "circle.geojson").write_text('{"type": "Circle"}')
    made = ("create", "x", "--label", "Water")
    for arguments, message in {
        (*made, "--split", "train:60"): "--split is 'train:60'; write it like train=60,test=20",
        (*made, "--split", "train=60,test=20"): "Error: --split is",
        (*made, "--collection", ""): "Error: --collection is ''; it must be a text that is not empty.",
        (
            *made,
            "--collection",
            "c",
            "--item-type",
            "dataset",
        ): "--item-type is 'dataset'; of given collections",
        (*made, "--operation", "o", "--no-annotations"): "exclude each other",
        (*made, "--from-date", "soon"): "Error: --from-date is 'soon'",
        (*made, "--bbox", "1,2,3,x"): "--bbox is '1,2,3,x'; write it like",
        (*made, "--geometry", tmp_path / "broken.json"): "broken.json is not JSON",
        (*made, "--geometry", tmp_path / "circle.geojson"): "Error: --geometry is {'type': 'Circle'}",
        ("update", "x", "--item-type", "dataset"): "Error: --item-type is 'dataset'; of given collections",
        (*made, "--export", "VOC"): "Error: --export is 'VOC'; it must be one of 'RAW'",
        (*made, "--augment", tmp_path / "list.yaml"): "values is [0, 51]; it must be a list of two numbers",
        (*made, "--augment", tmp_path / "broken.json"): "broken.json is not JSON",
    }.items():
        status, printed, told = command(*arguments)
        assert status in (1, 2)
        assert message in told
        assert (printed, "Traceback" in told) == ("", False)
    assert remains(home) == before


def test_the_help_of_download_names_all_formats(command: Command) -> None:
    said = " ".join(command("download", "--help")[1].split())
    assert all(name in said for name in FORMATS)
