"""A factory home on an S3 store, its registry and run history in PostgreSQL: real ones, on this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import psycopg
import pytest

from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.errors import HomeError, RegistryError, StoreError
from factory_pipeline.runs.build import run_build
from factory_pipeline.runs.doctor import examine_installation
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.sdk.client import DatasetClient
from factory_pipeline.storage.folders import fetch_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.cog.object_stores import PRIVATE, SECRET, s3_store
from factory_pipeline_tests.postgres import postgres_server

pytestmark = pytest.mark.integration

RECIPE = Recipe(batch_size=20, subset=Subset(dataset_size_max=6))


@dataclass(frozen=True)
class Machine:
    """What the processes of one machine see: the store, the database, a scratch folder of its own."""

    home: FactoryHome
    scratch: Path
    database: str

    def replaced(self) -> None:
        """Be another machine, whose scratch folder is empty."""
        shutil.rmtree(self.scratch, ignore_errors=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with an empty home on a store."""
    scratch = tmp_path_factory.mktemp("scratch")
    with s3_store() as store, postgres_server() as postgres, store.environment(with_credentials=True):
        database = postgres.new_database()
        named = {"FACTORY_SCRATCH": str(scratch), "FACTORY_REGISTRY": database}
        with mock.patch.dict(os.environ, named):
            yield Machine(FactoryHome.at(f"s3://{PRIVATE}/home"), scratch, database)


@pytest.fixture(scope="module")
def built(machine: Machine, small_archive: Path) -> BuildSummary:
    """A build on the store; the scratch folder is empty afterwards."""
    summary = run_build(
        machine.home, settings_for(small_archive, machine.home.default_output), lambda _: None
    )
    machine.replaced()
    return summary


def settings_for(archive: Path, output: Path) -> BuildSettings:
    return BuildSettings(
        granules=str(archive / "granules"), output=output, catalog=str(archive), recipe=RECIPE, workers=1
    )


def test_a_build_has_the_bytes_of_a_local_one(
    machine: Machine, built: BuildSummary, small_archive: Path, tmp_path: Path
):
    with mock.patch.dict(os.environ):
        del os.environ["FACTORY_REGISTRY"]
        local = settings_for(small_archive, tmp_path / "out")
        assert run_build(FactoryHome(tmp_path / "home"), local, lambda _: None).samples == built.samples
    stored = fetch_folder(machine.home.default_output)
    # The summary and the settings have the paths.
    names = [
        path.relative_to(tmp_path / "out")
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.name != "summary.json"
    ]
    assert len(names) > 8
    for name in names:
        assert (stored / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


def test_the_build_goes_on_from_what_the_store_has(
    machine: Machine, built: BuildSummary, small_archive: Path
):
    batches = machine.home.default_output / "batches"
    before = {path: path.stat().st_ino for path in batches.iterdir()}
    removed = next(iter(before))
    removed.unlink()
    again = run_build(machine.home, settings_for(small_archive, machine.home.default_output), lambda _: None)
    assert again.samples == built.samples
    assert {path: path.stat().st_ino for path in batches.iterdir()} == before


@pytest.mark.usefixtures("built")
def test_a_version_and_its_export_are_on_the_store(machine: Machine, tmp_path: Path):
    client = DatasetClient(home=str(machine.home.root))
    split = {"train": 60, "test": 20, "validation": 20}
    _, version_id = client.create_dataset_from_collection("forests", "gedi-agbd", split, [])
    machine.replaced()
    folder = Path(client.download_dataset(version_id, "HDF5", tmp_path / "export"))
    assert any(folder.rglob("*.h5"))
    exports = machine.home.version(version_id).root / "exports"
    assert [path.name for path in exports.iterdir()] == ["hdf5"]
    client.delete_version(version_id)
    assert not machine.home.version(version_id).root.exists()


@pytest.mark.usefixtures("built")
def test_dagsters_tables_are_in_a_schema_of_their_own_and_its_files_name_no_password(machine: Machine):
    prepare_home(machine.home)
    with open_instance(machine.home) as instance:
        assert instance.get_runs_count() > 0
        assert machine.database not in str(instance.get_ref().to_dict())
    with closing(psycopg.connect(machine.database)) as connection:
        rows = connection.execute("SELECT schemaname, tablename FROM pg_tables").fetchall()
    assert {("dagster", "runs"), ("dagster", "event_logs")} <= set(rows)
    assert "runs" not in {table for schema, table in rows if schema == "public"}


def test_settings_of_dagster_are_those_of_all_machines(machine: Machine, tmp_path: Path):
    given = tmp_path / "dagster.yaml"
    given.write_text("telemetry: {enabled: false}\n")
    try:
        prepare_home(machine.home, given)
        machine.replaced()
        prepare_home(machine.home)
        assert machine.home.dagster_config.read_text() == "telemetry: {enabled: false}\n"
    finally:
        machine.home.shared_dagster_config.unlink()
        machine.replaced()


@pytest.mark.usefixtures("built")
def test_the_doctor_looks_at_the_store(machine: Machine):
    found = {each.check: each for each in examine_installation(machine.home)}
    assert found["store"].status == found["clock"].status == found["writing"].status == "ok"
    assert "replaced" in found["store"].detail
    assert not [path for path in machine.home.root.iterdir() if "doctor" in path.name]


def test_the_doctor_says_that_the_store_is_away(machine: Machine):
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}):
        found = {each.check: each for each in examine_installation(machine.home)}
    assert found["store"].status == found["home"].status == "failed"
    assert SECRET not in str(found)


def test_a_database_server_that_is_gone_is_named(machine: Machine):
    prepare_home(machine.home)
    gone = "postgresql://factory@/gone?host=/nowhere"
    with (
        mock.patch.dict(os.environ, {"FACTORY_REGISTRY": gone}),
        pytest.raises(RegistryError, match=r"^The database of the factory home can't be used: connection "),
        open_instance(machine.home),
    ):
        pass


def test_a_bucket_that_is_not_there_is_said_before_anything_is_done(machine: Machine, small_archive: Path):
    nowhere = FactoryHome.at("s3://no-such-bucket/home")
    with pytest.raises((HomeError, StoreError), match="no-such-bucket"):
        run_build(nowhere, settings_for(small_archive, nowhere.default_output), lambda _: None)
    with closing(open_registry(machine.home)) as registry:
        assert "no-such" not in str(registry.collections())
