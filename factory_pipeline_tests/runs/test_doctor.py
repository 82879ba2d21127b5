"""What `factory doctor` finds, on a sound installation and on broken ones."""

import errno
import json
import socket
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from factory_pipeline.cli.main import cli
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.runs import doctor
from factory_pipeline.runs.doctor import examine_installation
from factory_pipeline.runs.finding import Finding
from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.storage.layout import FactoryHome


@pytest.fixture(autouse=True)
def no_registry_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACTORY_REGISTRY", raising=False)


def finding(home: FactoryHome, check: str, **options: object) -> Finding:
    found = {each.check: each for each in examine_installation(home, **options)}  # type: ignore[arg-type]
    return found[check]


def lasting_files(home: FactoryHome) -> list[Path]:
    """All files but SQLite's own, which come and go with its connections."""
    return sorted(path for path in home.root.rglob("*") if not path.name.endswith(("-shm", "-wal")))


def test_a_home_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    found = examine_installation(FactoryHome(tmp_path / "a" / "home"))
    assert list(tmp_path.iterdir()) == []
    assert {each.check: each.status for each in found} == {
        "versions": "ok",
        "home": "warning",
        "writing": "ok",
        "file locks": "ok",
        "clock": "ok",
        "disk space": found[5].status,
        "registry": "ok",
        "run history": "ok",
        "daemon": "warning",
    }
    assert all(each.advice for each in found if each.status != "ok")


def test_a_prepared_home_has_a_registry_and_a_run_history(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    prepare_home(home)
    Registry.open(home.registry).close()
    before = lasting_files(home)
    assert finding(home, "home").status == "ok"
    assert finding(home, "registry").detail == f"The registry {home.registry} has the tables of this version."
    assert finding(home, "run history").detail == "The run history has 0 runs."
    assert finding(home, "daemon").status == "warning"
    assert lasting_files(home) == before


def test_a_home_that_is_a_file_fails_and_the_other_checks_go_on(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    found = examine_installation(FactoryHome(tmp_path / "home"))
    assert [each.check for each in found if each.status == "failed"] == ["home"]
    assert "is not a folder; set FACTORY_HOME" in found[1].detail


def test_a_registry_of_an_earlier_version_is_left_as_it_is(tmp_path: Path) -> None:
    home = FactoryHome(tmp_path)
    engine = sa.create_engine(f"sqlite:///{home.registry}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (a INTEGER)"))
    found = finding(home, "registry")
    assert (found.status, "earlier version" in found.detail) == ("warning", True)
    assert sa.inspect(engine).get_table_names() == ["t"]


def test_a_registry_that_cannot_be_reached_hides_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_REGISTRY", "mysql://user:secret@host/database")
    found = finding(FactoryHome(tmp_path), "registry")
    assert found.status == "failed"
    assert "secret" not in found.detail


def test_libraries_of_another_release_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "_installed_version", lambda package: "1.0.0" if package == "dagster-pipes" else None
    )
    found = doctor.check_versions()
    assert found.status == "failed"
    assert "dagster-pipes 1.0.0 (expected" in found.detail


def test_locks_that_do_not_hold_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_held", lambda _: False)
    assert doctor.check_locks(tmp_path).status == "failed"


def test_a_clock_that_differs_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    found = doctor.check_clock(tmp_path)
    assert (found.status, " 600 s " in found.detail) == ("failed", True)


@pytest.mark.parametrize(("free_mb", "status"), [(500, "failed"), (5_000, "warning"), (50_000, "ok")])
def test_free_space_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, status: str
) -> None:
    usage = type(doctor.shutil.disk_usage(tmp_path))(0, 0, free_mb * 10**6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert doctor.check_disk_space(tmp_path).status == status


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(doctor, "TemporaryDirectory", refuse)
    found = finding(FactoryHome(tmp_path), "writing")
    assert found.status == "failed"
    assert str(tmp_path) in found.detail


@pytest.mark.integration
def test_a_port_in_use_is_a_warning() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert doctor.check_port("127.0.0.1", port).status == "warning"
    assert doctor.check_port("127.0.0.1", port).status == "ok"


def test_a_catalog_that_is_none_fails(tmp_path: Path) -> None:
    found = finding(FactoryHome(tmp_path), "catalog", catalog=str(tmp_path / "nowhere"))
    assert found.status == "failed"
    assert "nowhere" in found.detail


@pytest.mark.integration
def test_the_command_prints_findings_and_exits_with_1_if_one_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failed = CliRunner().invoke(cli, ["doctor", "--json"], env={"FACTORY_HOME": str(tmp_path / "file")})
    assert failed.exit_code == 1
    assert {"check", "status", "detail", "advice"} == set(json.loads(failed.output)[0])
    shown = CliRunner().invoke(cli, ["doctor"], env={"FACTORY_HOME": str(tmp_path / "home")})
    assert shown.exit_code == 0
    assert any(line.startswith("warning  home ") for line in shown.output.splitlines())
