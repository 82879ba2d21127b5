"""The SDK on this machine, from an onboarded upload to verified downloads."""

import inspect
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner

from factory_pipeline import DatasetClient
from factory_pipeline.cli.main import cli
from factory_pipeline.datasets.exports import raw
from factory_pipeline.datasets.exports.formats import FORMATS
from factory_pipeline.datasets.progress_text import parse_fraction
from factory_pipeline.errors import ArgumentError, DownloadError, ExportError, FactoryError
from factory_pipeline.orchestration import run_progress
from factory_pipeline.orchestration.datasets.sensors import requested_exports
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_progress import RunProgress
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.sdk.local import LocalBackend
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.builds.builds import factory
from factory_pipeline_tests.onboarding.factory import Bench

SPLIT = {"train": 60, "test": 20, "validation": 20}
AUGMENTATIONS = {
    "IMAGE_LEVEL": [{"id": "FLIP_IMAGE", "properties": [{"id": "FLIP_VERTICAL", "values": [True]}]}]
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryHome]:
    """A home with one collection, `tiles`: 10 images with masks of Land and Water."""
    home = FactoryHome(tmp_path_factory.mktemp("sdk") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(home, instance)
        bench.prepare("tiles")
        yield home


@pytest.fixture
def client(home: FactoryHome) -> DatasetClient:
    return DatasetClient(home=home.root, on_progress=lambda *_: None)


@pytest.fixture
def collection(client: DatasetClient) -> str:
    (collection,) = client.list_collections()
    return collection.id


def test_the_calls_have_the_names_parameters_and_defaults_of_their_page() -> None:
    def told(call: str) -> dict[str, Any]:
        parameters = list(inspect.signature(getattr(DatasetClient, call)).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    needed, shared = inspect.Parameter.empty, {"export_types": [], "query": "", "filter": {}}
    last = {"operation_list": None, "augmentation_list": None}
    splits = {
        "overlap": "group",
        "balance": [],
        "group_by": [],
        "block_m": None,
        "buffer_m": 0.0,
        "require_all_labels": False,
        "subset": None,
        "split_by": None,
    }
    given = {**splits, "use_given_splits": False}
    base = {"split_info": needed, "labels": needed}
    assert told("create_dataset_from_collection") == {
        "dataset_name": needed, "collection_id": needed, **base, **shared, **last, **given,
    }  # fmt: skip
    assert told("create_dataset_from_datalake") == {
        "dataset_name": needed, **base, "item_type": "image", **shared, **last, **given,
    }  # fmt: skip
    assert told("update_dataset_version_from_collection") == {
        "dataset_version_id": needed, "collection_id": needed, **base, **shared,
        "is_new_version_required": False, **last, "keep_splits": True, **splits,
    }  # fmt: skip
    assert told("update_dataset_version_from_datalake") == {
        "dataset_version_id": needed, **base, "item_type": "image", **shared,
        "is_new_version_required": False, **last, "keep_splits": True, **splits,
    }  # fmt: skip
    assert told("download_dataset") == {
        "version_id": needed, "export_type": needed, "custom_download_path": "", "is_media_include": True,
    }  # fmt: skip


def test_a_dataset_is_made_exported_and_downloaded(
    client: DatasetClient, collection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.create_dataset_from_collection(
        "Waters", collection, SPLIT, ["Water"], ["RAW", "Semantic Segmentation"]
    )
    version = client.describe_version(made.version_id)
    assert (version.dataset_id, version.number, version.items) == (made.dataset_id, "1.0.0", 10)
    assert version.splits == {"train": 6, "test": 2, "validation": 2}
    assert set(version.exports) == {"RAW", "Semantic Segmentation"}
    monkeypatch.chdir(tmp_path)
    folder = client.download_dataset(made.version_id, "RAW")
    assert folder == tmp_path / "Waters-1.0.0-RAW"
    images = json.loads((folder / "labels.json").read_text())["images"]
    assert len(images) == len(list((folder / "data").iterdir())) == 10


@pytest.mark.parametrize("export_type", list(FORMATS))
def test_every_format_can_be_downloaded(
    client: DatasetClient, collection: str, tmp_path: Path, export_type: str
) -> None:
    version = version_named(client, collection, "All formats")
    folder = client.download_dataset(version, export_type, tmp_path / "out")
    assert (folder / "export.json").exists()
    files = json.loads((folder / "export.json").read_text())["files"]
    assert files
    assert all((folder / file["path"]).stat().st_size == file["bytes"] for file in files)


def version_named(client: DatasetClient, collection: str, name: str) -> str:
    """The version of a dataset with an augmentation, made once."""
    for dataset in client.list_datasets():
        if dataset.name == name:
            return dataset.versions[0].id
    return client.create_dataset_from_collection(
        name, collection, SPLIT, ["Water", "Land"], augmentation_list=AUGMENTATIONS
    ).version_id


def test_annotations_come_without_media(client: DatasetClient, collection: str, tmp_path: Path) -> None:
    version = version_named(client, collection, "All formats")
    folder = client.download_dataset(version, "RAW", tmp_path / "out", is_media_include=False)
    assert (folder / "labels.json").exists()
    assert not (folder / "data").exists()


def test_a_damaged_export_is_made_again_and_downloaded(
    client: DatasetClient,
    home: FactoryHome,
    collection: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    version_id = version_named(client, collection, "Damaged")
    first = client.download_dataset(version_id, "RAW", tmp_path / "first")
    (home.version(version_id).export("raw") / "labels.json").write_text("{}")
    again = client.download_dataset(version_id, "RAW", tmp_path / "again")
    assert (again / "export.json").read_bytes() == (first / "export.json").read_bytes()
    assert "The RAW export is damaged and is written again: labels.json has 2 bytes" in caplog.text


def test_an_update_is_a_revision_or_a_new_version(client: DatasetClient, collection: str) -> None:
    first = client.create_dataset_from_collection("Growing", collection, SPLIT, ["Water"])
    revision = client.update_dataset_version_from_collection(
        first.version_id, collection, SPLIT, ["Water", "Land"]
    )
    newer = client.update_dataset_version_from_datalake(
        revision.version_id, SPLIT, ["Water"], is_new_version_required=True
    )
    growing = client.describe_dataset("Growing")
    assert [version.number for version in growing.versions] == ["1.0.0", "1.0.1", "1.1.0"]
    assert newer.dataset_id == first.dataset_id == growing.id
    comparison = client.compare_versions(first.version_id, revision.version_id)
    assert comparison.labels_added == ("Land",)
    assert not comparison.moved
    assert client.compare_versions(first.version_id, newer.version_id).is_same


def test_an_export_that_fails_says_that_the_version_is_made(
    client: DatasetClient, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ExportError("the disk says no")

    monkeypatch.setattr(raw, "check", broken)
    with pytest.raises(
        FactoryError, match=r"Broken 1.0.0 was made \(version .*\), but not its export as RAW"
    ):
        client.create_dataset_from_collection("Broken", collection, SPLIT, ["Water"], ["RAW"])
    [version] = client.describe_dataset("Broken").versions
    assert not version.exports


def test_a_deleted_version_is_gone(client: DatasetClient, collection: str, home: FactoryHome) -> None:
    made = client.create_dataset_from_collection("Short", collection, SPLIT, ["Water"], ["COCO"])
    client.delete_version(made.version_id)
    assert "Short" not in [dataset.name for dataset in client.list_datasets()]
    assert not home.version(made.version_id).root.exists()
    with pytest.raises(FactoryError, match="deleted"):
        client.download_dataset(made.version_id, "COCO")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_name": "  "}, "dataset_name is '  '"),
        ({"split_info": {"train": 60, "test": 20}}, "validation is missing"),
        ({"split_info": {"train": 60, "test": 20, "validation": 21}}, "sum to 100, not to 101"),
        ({"labels": "Water"}, "labels is 'Water'; it must be a list"),
        ({"export_types": ["VOC"]}, "'VOC'; it must be one of 'RAW', 'YOLO Darknet'"),
        ({"filter": {"from_date": "soon"}}, "filter.from_date"),
        ({"query": "annotation.label="}, "query"),
        (
            {"augmentation_list": [{"id": "IMAGE_BLUR", "properties": [{"id": "BLUR", "values": [1, 16]}]}]},
            "properties[0].values is [1, 16]; it must be a list of two numbers from 0 to 15",
        ),
    ],
)  # fmt: skip
def test_an_argument_that_is_not_allowed_is_named_before_any_work(
    client: DatasetClient, collection: str, changes: dict[str, Any], message: str
) -> None:
    usual = {"dataset_name": "Wrong", "collection_id": collection, "split_info": SPLIT, "labels": ["Water"]}
    with pytest.raises(ArgumentError) as told:
        client.create_dataset_from_collection(**usual | changes)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"collection_id": "nowhere"}, "collection_id is 'nowhere'"),
        ({"labels": ["Watr"]}, "labels[0] is 'Watr'"),
        ({"operation_list": ["nobody"]}, "operation_list[0] is 'nobody'"),
        (
            {"query": "metadata.original_name=nothing"},
            "query is 'metadata.original_name=nothing'; none of 10 items of the collection",
        ),
    ],
)
def test_what_the_lake_does_not_have_is_named_and_no_run_is_started(
    client: DatasetClient, collection: str, home: FactoryHome, changes: dict[str, Any], message: str
) -> None:
    before = sorted(home.versions.glob("*")) if home.versions.exists() else []
    usual = {"dataset_name": "Wrong", "collection_id": collection, "split_info": SPLIT, "labels": ["Water"]}
    runs = runs_of(home)
    with pytest.raises(ArgumentError) as told:
        client.create_dataset_from_collection(**usual | changes)
    assert message in str(told.value)
    assert runs_of(home) == runs
    assert "Wrong" not in [dataset.name for dataset in client.list_datasets()]
    assert (sorted(home.versions.glob("*")) if home.versions.exists() else []) == before


def runs_of(home: FactoryHome) -> int:
    """How many runs there were in a home."""
    prepare_home(home)
    with open_instance(home) as instance:
        return instance.get_runs_count()


def test_an_argument_that_stops_being_right_while_a_run_begins_is_told_as_one(
    client: DatasetClient, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBackend, "check", lambda *_: None)
    with pytest.raises(ArgumentError, match=r"labels\[0\] is 'Watr'; .* they have 'Water', 'Land'") as told:
        client.create_dataset_from_collection("Wrong", collection, SPLIT, ["Watr"])
    assert (told.value.argument, told.value.value) == ("labels[0]", "Watr")


def test_a_name_that_is_taken_is_said(client: DatasetClient, collection: str) -> None:
    version_named(client, collection, "All formats")
    with pytest.raises(ArgumentError, match="dataset_name is 'All formats'; this name is in use"):
        client.create_dataset_from_collection("All formats", collection, SPLIT, ["Water"])


def test_downloads_say_what_is_wrong(client: DatasetClient, collection: str, tmp_path: Path) -> None:
    version = version_named(client, collection, "All formats")
    with pytest.raises(ArgumentError, match="custom_download_path is 'out'; it must be an absolute path"):
        client.download_dataset(version, "RAW", "out")
    with pytest.raises(ArgumentError, match="export_type is 'VOC'"):
        client.download_dataset(version, "VOC")
    with pytest.raises(FactoryError, match="version_id is 'nowhere'; it must be the id of a version"):
        client.download_dataset("nowhere", "RAW")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DownloadError, match="is not empty"):
        client.download_dataset(version, "RAW", tmp_path)


def test_a_version_made_twice_has_the_same_hash_and_the_same_bytes(
    client: DatasetClient, collection: str, home: FactoryHome
) -> None:
    arguments = (collection, SPLIT, ["Water", "Land"], ["COCO", "TerraTorch"])
    made = [
        client.create_dataset_from_collection(name, *arguments, augmentation_list=AUGMENTATIONS)
        for name in ("Twice", "Twice again")
    ]
    client.delete_version(made[1].version_id)
    versions = [made[0], client.update_dataset_version_from_collection(
        made[0].version_id, *arguments, augmentation_list=AUGMENTATIONS
    )]  # fmt: skip
    first, second = (client.describe_version(one.version_id) for one in versions)
    assert first.content_hash == second.content_hash
    manifests = [home.version(version.id).manifest for version in (first, second)]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()
    pixels = [pixels_of(home.version(version.id).export("coco")) for version in (first, second)]
    assert pixels[0] == pixels[1]


def pixels_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix == ".tif"
    }


def test_the_sensor_asks_once_for_the_exports_that_are_missing(
    client: DatasetClient, collection: str, home: FactoryHome
) -> None:
    made = client.create_dataset_from_collection("Waiting", collection, SPLIT, ["Water"], ["RAW", "COCO"])
    with closing(FactoryResource(home=str(home.root)).registry()) as registry:
        (raw,) = [one for one in registry.exports(made.version_id) if one.type == "RAW"]
        registry.delete_export(raw.id)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        ticks = [requested_exports(context, factory=FactoryResource(home=str(home.root))) for _ in range(2)]
    for tick in ticks:
        (request,) = [one for one in tick.run_requests if made.version_id in one.partition_key]
        assert request.run_key == f"{made.version_id} RAW"
        assert request.asset_selection == [dg.AssetKey("raw_export")]


def command(*arguments: str, home: FactoryHome) -> str:
    """What `factory dataset` prints, run in this process."""
    ended = CliRunner().invoke(cli, ["dataset", *arguments], env={"FACTORY_HOME": str(home.root)})
    assert ended.exit_code == 0, ended.exception
    return ended.stdout


def test_the_command_line_does_the_same(
    client: DatasetClient, collection: str, home: FactoryHome, tmp_path: Path
) -> None:
    wanted = ("--collection", collection, "--label", "Water", "--export", "RAW")
    made = factory("dataset", "create", "By hand", *wanted, home=home.root)
    assert made.returncode == 0, made.stderr
    version = client.describe_dataset("By hand").versions[0]
    assert version.id in made.stdout
    assert "By hand" in command("list", home=home)
    assert "6 train, 2 test, 2 validation" in command("show", version.id, home=home)
    out = str(tmp_path / "out")
    assert command("download", version.id, "RAW", "--output", out, home=home).strip() == out
    again = json.loads(command("download", version.id, "RAW", "--output", out, "--json", home=home))
    assert again == {"folder": out, "export_type": "RAW", "media": True}
    wrong = factory("dataset", "create", "x", "--label", "a", "--split", "train=1", home=home.root)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Error: --split is")
    assert "Traceback" not in wrong.stderr
    assert factory("dataset", "delete", version.id, "--yes", home=home.root).returncode == 0


def test_an_update_by_command_stays_with_its_collections_and_tells_the_splits(
    client: DatasetClient, collection: str, home: FactoryHome, tmp_path: Path
) -> None:
    corners = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
    world = tmp_path / "world.geojson"
    world.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    everything = ("--label", "Water", "--split", "train=100,test=0,validation=0")
    made = json.loads(command("create", "Kept", "--collection", "tiles", *everything, "--json", home=home))
    assert made["request"]["collection_id"] == collection
    said = command(
        "update", "Kept", "--label", "Water", "--split", "train=60,test=30,validation=10", home=home
    )
    assert "10 of 10 items of the source version kept their split" in said
    assert "100 / 0 / 0 %, asked for 60 / 30 / 10 %" in said
    anew = command(
        "update", "Kept@1.0.0", "--divide-anew", "--split", "train=60,test=30,validation=10",
        "--geometry", str(world), "--json", home=home,
    )  # fmt: skip
    told = json.loads(anew)
    assert told["splits"] == told["division"]["splits"] == {"train": 6, "test": 3, "validation": 1}
    assert told["request"]["within_source"] is True
    assert told["request"]["filter"] == {"geometry": json.loads(world.read_text())}
    assert told["request"]["labels"] == ["Land", "Water"], "all labels, where none is named"
    with pytest.raises(
        ArgumentError, match=r"several versions, so choose one: 'Kept@1\.0\.0', 'Kept@1\.0\.1'"
    ):
        client.delete_version("Kept")


def test_progress_moves_within_the_work(
    client: DatasetClient, collection: str, home: FactoryHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_progress, "PAUSE_S", -1.0)
    told: list[tuple[str, float]] = []
    client = DatasetClient(home=home.root, on_progress=lambda step, done: told.append((step, done)))
    client.create_dataset_from_collection("Moving", collection, SPLIT, ["Water"], ["RAW"])
    fractions = [done for step, done in told if step == "Writing RAW"]
    assert fractions == [0.0, *(count / 20 for count in range(1, 21))]
    assert ("Writing items", 1.0) in told


def test_what_a_listener_of_the_progress_raises_ends_the_call(collection: str, home: FactoryHome) -> None:
    def stop(step: str, _: float) -> None:
        if step == "Writing items":
            raise TimeoutError("the caller has no time left")

    with pytest.raises(TimeoutError, match="no time left"):
        DatasetClient(home=home.root, on_progress=stop).create_dataset_from_collection(
            "Stopped", collection, SPLIT, ["Water"]
        )
    assert "Stopped" not in [dataset.name for dataset in DatasetClient(home=home.root).list_datasets()]


def test_a_run_says_in_its_log_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_progress, "FIRST_LINE_S", -1.0)

    @dg.asset
    def counted(context: dg.AssetExecutionContext) -> None:
        RunProgress(context).report_export(30, 40)

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([counted], instance=instance)
        lines = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert "75% done: 20 of 20 items written, 10 read back." in lines
    assert [found for found in map(parse_fraction, lines) if found is not None] == [0.75]


def test_a_version_is_an_asset_with_its_counts(
    client: DatasetClient, collection: str, home: FactoryHome
) -> None:
    made = client.create_dataset_from_collection("Seen", collection, SPLIT, ["Water"], ["RAW"])
    with open_instance(home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("dataset_version"))
        exported = instance.get_materialized_partitions(dg.AssetKey("raw_export"))
        [check] = instance.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION), limit=1
        )
    evaluation = check.event_log_entry.dagster_event.event_specific_data
    record = json.loads(home.version(made.version_id).splits.read_text())
    assert evaluation.check_name == "splits_share_no_ground"
    assert evaluation.passed is not bool(record["crossing_pairs"])
    assert evaluation.metadata["splits.json"].value == record
    assert event.asset_materialization.metadata["version id"].value == made.version_id
    assert any(key.endswith(made.version_id) for key in exported)
    assert pl.read_parquet(home.version(made.version_id).manifest).height == 10


def test_the_names_of_0_1_still_answer(client: DatasetClient) -> None:
    assert client.collections() == client.list_collections()
    assert client.export_types() == client.list_export_types() == tuple(FORMATS)
